// The rows of spec/state.ts as bytes: out of a VM's memory and back into it.
import type { StateRange } from "../../spec/state.ts";
import { VmError } from "./error.ts";

/** Bytes by the names of a table. */
export type SavedRanges = Readonly<Record<string, Uint8Array>>;

export function rangeBytes(range: StateRange): number {
  return range.sizeBytes * (range.count ?? 1);
}

/** A copy of a range of the block at `base`, its pieces one after the other. */
export function readRange(memory: Uint8Array, base: number, range: StateRange): Uint8Array {
  const out = new Uint8Array(rangeBytes(range));
  for (let i = 0; i < (range.count ?? 1); i++) {
    const at = base + range.offset + i * (range.stride ?? 0);
    out.set(memory.subarray(at, at + range.sizeBytes), i * range.sizeBytes);
  }
  return out;
}

export function saveRanges(memory: Uint8Array, base: number, table: readonly StateRange[]): SavedRanges {
  return Object.fromEntries(table.map((range) => [range.name, readRange(memory, base, range)]));
}

/** Throws VmError("bad-snapshot") unless `saved` has exactly the rows of `table`; `where` begins their names. */
export function checkRanges(saved: SavedRanges, table: readonly StateRange[], where: string): void {
  const unknown = new Set(Object.keys(saved));
  for (const range of table) {
    unknown.delete(range.name);
    const bytes = saved[range.name];
    if (bytes === undefined && range.added) continue;
    if (bytes instanceof Uint8Array && bytes.length === rangeBytes(range)) continue;
    const found = bytes instanceof Uint8Array ? `has ${bytes.length} bytes` : "is missing";
    throw new VmError("bad-snapshot", `${where}.${range.name} ${found}; ${rangeBytes(range)} bytes are needed.`, {
      field: `${where}.${range.name}`,
    });
  }
  for (const name of unknown) {
    throw new VmError("bad-snapshot", `${where}.${name} is no state that this build knows.`, {
      field: `${where}.${name}`,
    });
  }
}

/** Writes what `checkRanges` has accepted. */
export function loadRanges(memory: Uint8Array, base: number, table: readonly StateRange[], saved: SavedRanges): void {
  for (const range of table) {
    const bytes = (saved[range.name] as Uint8Array | undefined) ?? new Uint8Array(rangeBytes(range));
    for (let i = 0; i < (range.count ?? 1); i++) {
      const at = base + range.offset + i * (range.stride ?? 0);
      memory.set(bytes.subarray(i * range.sizeBytes, (i + 1) * range.sizeBytes), at);
    }
  }
}
