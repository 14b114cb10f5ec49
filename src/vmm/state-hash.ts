// SHA-256 over everything the guest could see of the machine: vCPU and chipset state, devices, RAM, video memory; derived state (TLBs,
// decoded code, counters of the core) and exit records are left out. Two runs that end equal did the same.

import { CHIPSET_BASE, VM_BASE } from "../../spec/layout.ts";
import { CHIPSET_STATE, type StateRange, VCPU_STATE, VM_STATE } from "../../spec/state.ts";
import type { Vcpu } from "../vcpu/vcpu.ts";
import { isZero } from "./compare-bytes.ts";
import type { DeviceState } from "./device.ts";
import type { MemoryMap } from "./memory.ts";
import { readRange } from "./state-ranges.ts";

const PIECE = 1024 * 1024;

export async function hashState(
  memory: WebAssembly.Memory,
  map: MemoryMap,
  vcpus: readonly Vcpu[],
  devices: Readonly<Record<string, DeviceState>>,
  sha256: (bytes: Uint8Array) => Promise<Uint8Array>,
): Promise<string> {
  const parts: Uint8Array[] = [];
  const bytes = new Uint8Array(memory.buffer);
  // Lazily kept flags are resolved, so that equal machines give equal bytes.
  for (const vcpu of vcpus) {
    parts.push(await sha256(concatenate([u32(vcpu.eflags), hashed(bytes, vcpu.address, VCPU_STATE)])));
  }
  parts.push(await sha256(hashed(bytes, CHIPSET_BASE, CHIPSET_STATE)));
  parts.push(await sha256(hashed(bytes, VM_BASE, VM_STATE)));
  parts.push(await sha256(new TextEncoder().encode(canonical(devices))));
  let zeroDigest: Uint8Array | undefined;
  const end = map.ramBase + map.ramBytes;
  // Video memory and RAM are one range.
  for (let at = map.vramBase; at < end; at += PIECE) {
    const piece = bytes.subarray(at, Math.min(at + PIECE, end));
    // Most of a guest's RAM was never touched; one digest stands for all whole pieces of zeros.
    const zero = piece.length === PIECE && isZero(piece);
    const digest = zero && zeroDigest !== undefined ? zeroDigest : await sha256(piece);
    if (zero) zeroDigest = digest;
    parts.push(digest);
  }
  return hex(await sha256(concatenate(parts)));
}

function hashed(memory: Uint8Array, base: number, table: readonly StateRange[]): Uint8Array {
  return concatenate(table.filter((range) => range.hashed !== false).map((range) => readRange(memory, base, range)));
}

function u32(value: number): Uint8Array {
  return new Uint8Array(Uint32Array.of(value).buffer);
}

function concatenate(parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** JSON with sorted keys; byte arrays in hex. */
function canonical(value: unknown): string {
  if (value instanceof Uint8Array) return `"${hex(value)}"`;
  if (Array.isArray(value)) return `[${value.map(canonical).join()}]`;
  if (typeof value === "object" && value !== null) {
    const rows = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
    return `{${rows.map(([key, item]) => `${JSON.stringify(key)}:${canonical(item)}`).join()}}`;
  }
  return JSON.stringify(value) ?? "null";
}
