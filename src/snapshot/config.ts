// A VM's configuration as a snapshot keeps it: plain data, images by their digest, and the names of what cannot be kept
// (objects of the host, such as an open disk), which whoever restores must give again.
import { type CheckedConfig, checkConfig, toConfig } from "../vmm/check-config.ts";
import type { VmConfig } from "../vmm/config.ts";
import { VmError } from "../vmm/error.ts";
import { hex, refuse } from "./format.ts";

/** What belongs to a run and not to the machine: given anew by whoever restores. */
const OF_THE_RUN = ["core", "signal", "timeoutMs", "trace"] as const;
/** What the machine does not depend on may be another one after a restore. */
const FREE = new Set<string>([...OF_THE_RUN, "name", "onReset", "onTripleFault", "limits"]);
const IMAGE = "$image";

export interface SavedConfig {
  readonly config: Readonly<Record<string, unknown>>;
  /** Fields, as "drives.0.backend", that were objects of the host. */
  readonly external: readonly string[];
}

export interface SplitConfig extends SavedConfig {
  /** By hex digest. */
  readonly images: ReadonlyMap<string, Uint8Array>;
}

export async function splitConfig(
  checked: CheckedConfig,
  sha256: (bytes: Uint8Array) => Promise<Uint8Array>,
): Promise<SplitConfig> {
  const images = new Map<string, Uint8Array>();
  const external: string[] = [];
  const split = async (value: unknown, path: string): Promise<unknown> => {
    if (value instanceof Uint8Array) {
      const digest = hex(await sha256(value));
      images.set(digest, value);
      return { [IMAGE]: digest };
    }
    if (Array.isArray(value)) return await Promise.all(value.map((item, i) => split(item, `${path}.${i}`)));
    if (typeof value === "object" && value !== null && isPlain(value)) {
      const rows = Object.entries(value).map(
        async ([key, item]) => [key, await split(item, `${path}.${key}`)] as const,
      );
      return Object.fromEntries((await Promise.all(rows)).filter(([, item]) => item !== undefined));
    }
    if ((typeof value === "object" && value !== null) || typeof value === "function") {
      external.push(path);
      return undefined;
    }
    return value;
  };
  const config: Record<string, unknown> = {};
  for (const [field, value] of Object.entries(toConfig(checked))) {
    if ((OF_THE_RUN as readonly string[]).includes(field)) continue;
    const kept = await split(value, field);
    if (kept !== undefined) config[field] = kept;
  }
  return { config, external, images };
}

/** An object of functions is the host's, whatever its prototype. */
function isPlain(value: object): boolean {
  const prototype = Object.getPrototypeOf(value) as unknown;
  if (prototype !== Object.prototype && prototype !== null) return false;
  return !Object.values(value).some((item) => typeof item === "function");
}

/** Digests that a saved configuration refers to. */
export function imagesOf(saved: SavedConfig): Set<string> {
  const found = new Set<string>();
  const look = (value: unknown): void => {
    if (typeof value !== "object" || value === null) return;
    const digest = (value as Record<string, unknown>)[IMAGE];
    if (typeof digest === "string") found.add(digest);
    else for (const item of Object.values(value)) look(item);
  };
  look(saved.config);
  return found;
}

/**
 * The configuration of the VM to make. Throws VmError("bad-snapshot") naming a field that the snapshot lacks, that this
 * build does not accept, or that `overrides` wants otherwise although the saved machine depends on it.
 */
export function joinConfig(
  saved: SavedConfig,
  images: ReadonlyMap<string, Uint8Array>,
  overrides: Partial<VmConfig>,
): CheckedConfig {
  const join = (value: unknown): unknown => {
    if (typeof value !== "object" || value === null || value instanceof Blob) return value;
    if (Array.isArray(value)) return value.map(join);
    const digest = (value as Record<string, unknown>)[IMAGE];
    if (typeof digest === "string") return images.get(digest) ?? refuse("images", `lack ${digest}, which config needs`);
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, join(item)]));
  };
  // What was saved before there were displays has none, whatever the default is now.
  const config: Record<string, unknown> = { display: "none", ...(join(saved.config) as Record<string, unknown>) };
  for (const [field, value] of Object.entries(overrides)) {
    if (value === undefined) continue;
    const free = FREE.has(field) || saved.external.some((path) => path === field || path.startsWith(`${field}.`));
    if (!free && !equal(value, config[field])) {
      throw new VmError(
        "bad-snapshot",
        `${field} of the saved machine is ${show(config[field])}; it cannot become ${show(value)}.`,
        { field },
      );
    }
    config[field] = value;
  }
  for (const path of saved.external) {
    const [field] = path.split(".");
    if (field !== undefined && overrides[field as keyof VmConfig] !== undefined) continue;
    throw new VmError("bad-snapshot", `${path} was an object of the host; give ${field} again to restore the VM.`, {
      field: path,
    });
  }
  try {
    return checkConfig(config as unknown as VmConfig);
  } catch (error) {
    throw ofConfig(error);
  }
}

/** What is wrong with a saved configuration is wrong with the snapshot. Other errors, the host's, stay as they are. */
export function ofConfig(error: unknown): unknown {
  if (!(error instanceof VmError) || (error.code !== "bad-config" && error.code !== "bad-image")) return error;
  const field = error.details["field"] ?? "config";
  return new VmError("bad-snapshot", `config: ${error.message}`, { field }, { cause: error });
}

function equal(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  if (a instanceof Uint8Array || b instanceof Uint8Array) {
    return a instanceof Uint8Array && b instanceof Uint8Array && hex(a) === hex(b);
  }
  const keys = new Set([...Object.keys(a), ...Object.keys(b)]);
  return [...keys].every((key) => equal((a as Record<string, unknown>)[key], (b as Record<string, unknown>)[key]));
}

function show(value: unknown): string {
  if (value === undefined) return "not set";
  return typeof value === "object" ? "another one" : JSON.stringify(value);
}
