// Plain data with bytes in it as JSON text, and back: a `Uint8Array` becomes {"$bytes": base64}.
import { VmError } from "../vmm/error.ts";

const BYTES = "$bytes";

export function toJson(value: unknown): string {
  return JSON.stringify(value, (_key, item: unknown) =>
    item instanceof Uint8Array ? { [BYTES]: base64(item) } : item,
  );
}

/** Throws VmError("bad-snapshot") when it is no JSON; what the JSON says is for the reader to check. */
export function fromJson(text: string, where: string): unknown {
  try {
    return JSON.parse(text, (_key, item: unknown) => {
      if (typeof item !== "object" || item === null || !Object.hasOwn(item, BYTES)) return item;
      return unbase64((item as Record<string, unknown>)[BYTES]);
    });
  } catch (cause) {
    throw new VmError("bad-snapshot", `${where} is not valid JSON.`, { field: where }, { cause });
  }
}

function base64(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length; at += 0x8000) text += String.fromCharCode(...bytes.subarray(at, at + 0x8000));
  return btoa(text);
}

function unbase64(text: unknown): Uint8Array {
  if (typeof text !== "string") throw new TypeError(`${BYTES} is not text`);
  return Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
}
