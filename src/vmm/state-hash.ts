// SHA-256 over everything the guest could see of the machine: vCPU and chipset state, devices, RAM; derived state (TLBs,
// decoded code, counters of the core) and exit records are left out. Two runs that end equal did the same.
import {
  CHIPSET_BASE,
  CHIPSET_SIZE,
  CR0,
  DR7,
  EIP,
  FPU_R,
  GDTR_BASE,
  GPR,
  HALTED,
  INHIBIT,
  LAPIC,
  LAPIC_PRIVATE,
  MSR_STATE,
  MXCSR,
  NMI_BLOCKED,
  NMI_PENDING,
  RETIRED,
  SEG,
  SEG_ACCESS,
  SEG_STRIDE,
  XMM,
} from "../../spec/layout.ts";
import type { Vcpu } from "../vcpu/vcpu.ts";
import type { DeviceState } from "./device.ts";
import type { MemoryMap } from "./memory.ts";

const PIECE = 1024 * 1024;
const LAPIC_BYTES = LAPIC_PRIVATE + 0x200 - LAPIC;

export async function hashState(
  memory: WebAssembly.Memory,
  map: MemoryMap,
  vcpus: readonly Vcpu[],
  devices: Readonly<Record<string, DeviceState>>,
  sha256: (bytes: Uint8Array) => Promise<Uint8Array>,
): Promise<string> {
  const parts: Uint8Array[] = [];
  for (const vcpu of vcpus) parts.push(await sha256(architecturalState(vcpu)));
  const bytes = new Uint8Array(memory.buffer);
  parts.push(await sha256(bytes.subarray(CHIPSET_BASE, CHIPSET_BASE + CHIPSET_SIZE)));
  parts.push(await sha256(new TextEncoder().encode(canonical(devices))));
  let zeroDigest: Uint8Array | undefined;
  for (let at = 0; at < map.ramBytes; at += PIECE) {
    const piece = bytes.subarray(map.ramBase + at, map.ramBase + Math.min(at + PIECE, map.ramBytes));
    // Most of a guest's RAM was never touched; one digest stands for all whole pieces of zeros.
    const zero = piece.length === PIECE && isZero(piece);
    const digest = zero && zeroDigest !== undefined ? zeroDigest : await sha256(piece);
    if (zero) zeroDigest = digest;
    parts.push(digest);
  }
  return hex(await sha256(concatenate(parts)));
}

/** Registers by name; lazily kept flags are resolved, so that equal machines give equal bytes. */
function architecturalState(vcpu: Vcpu): Uint8Array {
  const parts = [
    vcpu.bytes(GPR, 16 * 8),
    vcpu.bytes(EIP, 8),
    u32s([
      vcpu.eflags,
      vcpu.cpl,
      vcpu.getU32(HALTED),
      vcpu.getU32(INHIBIT),
      vcpu.getU32(NMI_PENDING),
      vcpu.getU32(NMI_BLOCKED),
    ]),
    vcpu.bytes(RETIRED, 8),
    vcpu.bytes(GDTR_BASE, 16),
    vcpu.bytes(CR0, DR7 + 4 - CR0),
    vcpu.bytes(MSR_STATE, FPU_R - MSR_STATE),
    vcpu.bytes(FPU_R, MXCSR + 4 - FPU_R),
    vcpu.bytes(XMM, 256),
    vcpu.bytes(LAPIC, LAPIC_BYTES),
  ];
  for (let seg = 0; seg < 8; seg++) parts.push(vcpu.bytes(SEG + seg * SEG_STRIDE, SEG_ACCESS));
  return concatenate(parts);
}

function u32s(values: readonly number[]): Uint8Array {
  return new Uint8Array(Uint32Array.from(values).buffer);
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

function isZero(piece: Uint8Array): boolean {
  const words = new BigUint64Array(piece.buffer, piece.byteOffset, piece.length / 8);
  for (let i = 0; i < words.length; i++) if (words[i] !== 0n) return false;
  return true;
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
