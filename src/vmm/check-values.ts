// Checks of single values that a user gave: the value, or VmError("bad-config") that says which field and what it takes.
import { VmError } from "./error.ts";

export function refuse(field: string, value: unknown, accepted: string, what = `is ${show(value)}`): never {
  throw new VmError("bad-config", `${field} ${what}; accepted: ${accepted}.`, { field, accepted });
}

export function show(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}...` : value);
  if (value instanceof Uint8Array) return `${value.length} bytes`;
  if (typeof value === "object" && value !== null) return Array.isArray(value) ? "an array" : "an object";
  return String(value);
}

export function integer(field: string, value: unknown, least: number, most: number): number {
  if (typeof value !== "number" || !Number.isInteger(value) || value < least || value > most) {
    refuse(field, value, `an integer from ${least} to ${most}`);
  }
  return value;
}
export function flag(field: string, value: unknown): boolean {
  if (typeof value !== "boolean") refuse(field, value, "true or false");
  return value;
}
export function text(field: string, value: unknown): string {
  if (typeof value !== "string") refuse(field, value, "a string");
  return value;
}
export function oneOf<T extends string>(field: string, value: unknown, accepted: readonly T[]): T {
  if (!accepted.includes(value as T)) refuse(field, value, accepted.join(", "));
  return value as T;
}
export function bytes(field: string, value: unknown): Uint8Array {
  if (!(value instanceof Uint8Array)) refuse(field, value, "a Uint8Array");
  return value;
}
export function image(field: string, value: unknown): void {
  if (bytes(field, value).length === 0) throw new VmError("bad-image", `${field} is empty.`, { field });
}

/** An option ROM begins with these bytes (PCI Firmware Specification 3.0, 5.1.1). */
const OPTION_ROM = [0x55, 0xaa] as const;

export function optionRom(field: string, value: unknown, most: number): Uint8Array {
  image(field, value);
  const rom = value as Uint8Array;
  if (rom.length > most || OPTION_ROM.some((byte, i) => rom[i] !== byte))
    refuse(field, rom, `an option ROM: at most ${most / 1024} KiB, beginning with 55 AA`);
  return rom;
}
