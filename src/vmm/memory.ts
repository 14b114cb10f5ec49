// The one WebAssembly.Memory of a VM: who lies where, and the header fields that tell the core.
//
//   header, chipset, slots, vCPU blocks | TLBs | block map | page flags | code bits | page blocks | arena | ROM | VRAM | RAM
//
// Everything between the vCPU blocks and ROM is derived state. Pages that nobody touches cost the host nothing, so
// the arena and the per-page tables may be generous.
import {
  CLOCK_REAL,
  CLOCK_VIRTUAL,
  DERIVED_BASE,
  KDEV_IOAPIC,
  KDEV_LAPIC,
  KDEV_PIC,
  KDEV_PIT,
  TLB_CURRENT,
  TLB_SIZE,
  TLB_SUPER,
  TLB_SUPER_AC,
  TLB_TABLES,
  TLB_USER,
  VCPU_BASE,
  VCPU_ID,
  VCPU_MAX,
  VCPU_STRIDE,
  VM_A20_MASK,
  VM_ARENA_BASE,
  VM_ARENA_END,
  VM_ARENA_GONE,
  VM_ARENA_LIMIT,
  VM_ARENA_NEXT,
  VM_BASE,
  VM_BLOCK_MAP,
  VM_CLOCK_MODE,
  VM_CODE_BITS,
  VM_FORMAT,
  VM_HOST_DEADLINE_NS,
  VM_KERNEL_DEVICES,
  VM_PAGE_BLOCKS,
  VM_PAGE_FLAGS,
  VM_PS_PER_INSTRUCTION,
  VM_RAM_BASE,
  VM_RAM_SIZE,
  VM_TSC_KHZ,
  VM_VCPU_COUNT,
  VM_VRAM_SIZE,
} from "../../spec/layout.ts";
import type { MemoryKind } from "../platform/platform.ts";
import type { ClockKind } from "./config.ts";
import { VmError } from "./error.ts";

const KIB = 1024;
const MIB = 1024 * KIB;
const WASM_PAGE = 64 * KIB;
const PAGE = 4 * KIB;
/** Entries of the hash from (address, mode) to decoded block. */
const BLOCK_MAP_BYTES = 65536 * 4;
/** One bit an entry. */
const BLOCKS_GONE_BYTES = 65536 / 8;
/** What the core uses of the arena at first; it grows into the rest where decoded code does not fit. */
const ARENA_START = 1 * MIB;
const ARENA_MIN = 8 * MIB;
const ARENA_MAX = 64 * MIB;
/** Version of the layout above and of spec/layout.ts. */
export const MEMORY_FORMAT = 1;

export const RAM_MIN = 1 * MIB;
export const RAM_MAX = 3 * 1024 * MIB;

export interface MemoryShape {
  readonly ramBytes: number;
  /** Bytes for ROM and firmware images, page multiple. */
  readonly romBytes: number;
  readonly vcpuCount: number;
  /** Bytes of video memory, a multiple of 64 KiB. Default 0. */
  readonly vramBytes?: number;
}

/** Wasm addresses of the areas. */
export interface MemoryMap extends MemoryShape {
  readonly tlbBase: number;
  readonly blockMap: number;
  readonly blocksGone: number;
  readonly pageFlags: number;
  readonly codeBits: number;
  readonly pageBlocks: number;
  readonly arenaBase: number;
  readonly arenaEnd: number;
  readonly romBase: number;
  /** Video memory ends where RAM begins. */
  readonly vramBase: number;
  readonly vramBytes: number;
  readonly ramBase: number;
  readonly totalBytes: number;
}

export interface ClockShape {
  readonly kind: ClockKind;
  readonly psPerInstruction: number;
  readonly tscKhz: number;
  readonly apic: boolean;
}

const align = (value: number, to: number): number => Math.ceil(value / to) * to;

export function layOut(shape: MemoryShape): MemoryMap {
  const { ramBytes, romBytes, vcpuCount, vramBytes = 0 } = shape;
  if (vcpuCount < 1 || vcpuCount > VCPU_MAX)
    throw new VmError("bad-config", `vcpuCount must be 1 to ${VCPU_MAX}.`, { vcpuCount });
  const arenaBytes = align(Math.min(ARENA_MAX, Math.max(ARENA_MIN, ramBytes / 8)), WASM_PAGE);
  // The per-page tables cover the whole memory, themselves included; 13 bytes a page, so one generous estimate does.
  const fixed =
    DERIVED_BASE +
    vcpuCount * TLB_TABLES * TLB_SIZE +
    BLOCK_MAP_BYTES +
    BLOCKS_GONE_BYTES +
    arenaBytes +
    romBytes +
    vramBytes +
    ramBytes;
  const pages = align(Math.ceil((fixed / PAGE) * 1.01) + 64, 64);
  const tlbBase = DERIVED_BASE;
  const blockMap = tlbBase + vcpuCount * TLB_TABLES * TLB_SIZE;
  const blocksGone = blockMap + BLOCK_MAP_BYTES;
  const pageFlags = blocksGone + BLOCKS_GONE_BYTES;
  const codeBits = align(pageFlags + pages, PAGE);
  const pageBlocks = align(codeBits + pages * 8, PAGE);
  const arenaBase = align(pageBlocks + pages * 4, WASM_PAGE);
  const arenaEnd = arenaBase + arenaBytes;
  const romBase = arenaEnd;
  const vramBase = align(romBase + romBytes, WASM_PAGE);
  const ramBase = vramBase + vramBytes;
  const totalBytes = align(ramBase + ramBytes, WASM_PAGE);
  if (totalBytes / PAGE > pages)
    throw new VmError("internal", "The per-page tables do not cover the memory.", { totalBytes, pages });
  return {
    ...shape,
    tlbBase,
    blockMap,
    blocksGone,
    pageFlags,
    codeBits,
    pageBlocks,
    arenaBase,
    arenaEnd,
    romBase,
    vramBase,
    vramBytes,
    ramBase,
    totalBytes,
  };
}

/** Reserves the memory. Throws VmError("host") when the host refuses that much. */
export function allocateMemory(map: MemoryMap, kind: MemoryKind = "plain"): WebAssembly.Memory {
  const pages = map.totalBytes / WASM_PAGE;
  try {
    return new WebAssembly.Memory({ initial: pages, maximum: pages, shared: kind === "shared" });
  } catch (cause) {
    const mib = Math.round(map.ramBytes / MIB);
    throw new VmError(
      "host",
      `The host cannot reserve memory for a guest of ${mib} MiB; try a smaller memoryBytes.`,
      { ramBytes: map.ramBytes },
      { cause },
    );
  }
}

export function vcpuAddress(index: number): number {
  return VCPU_BASE + index * VCPU_STRIDE;
}

/** Fills the header and the vCPU blocks' pointers to derived state. Called once, before initVm. */
export function writeHeader(memory: WebAssembly.Memory, map: MemoryMap, clock: ClockShape): void {
  const view = new DataView(memory.buffer);
  const u32 = (offset: number, value: number): void => view.setUint32(VM_BASE + offset, value, true);
  u32(VM_FORMAT, MEMORY_FORMAT);
  u32(VM_VCPU_COUNT, map.vcpuCount);
  u32(VM_RAM_BASE, map.ramBase);
  u32(VM_RAM_SIZE, map.ramBytes);
  u32(VM_VRAM_SIZE, map.vramBytes);
  u32(VM_A20_MASK, 0xffffffff);
  u32(VM_PAGE_FLAGS, map.pageFlags);
  u32(VM_CODE_BITS, map.codeBits);
  u32(VM_PAGE_BLOCKS, map.pageBlocks);
  u32(VM_BLOCK_MAP, map.blockMap);
  u32(VM_ARENA_BASE, map.arenaBase);
  u32(VM_ARENA_END, map.arenaEnd);
  u32(VM_ARENA_LIMIT, Math.min(map.arenaEnd, map.arenaBase + ARENA_START));
  u32(VM_ARENA_NEXT, map.arenaBase);
  u32(VM_ARENA_GONE, map.blocksGone);
  u32(VM_CLOCK_MODE, clock.kind === "virtual" ? CLOCK_VIRTUAL : CLOCK_REAL);
  u32(VM_TSC_KHZ, clock.tscKhz);
  u32(VM_PS_PER_INSTRUCTION, clock.psPerInstruction);
  u32(VM_KERNEL_DEVICES, KDEV_PIC | KDEV_PIT | (clock.apic ? KDEV_IOAPIC | KDEV_LAPIC : 0));
  view.setBigInt64(VM_BASE + VM_HOST_DEADLINE_NS, 0x7fffffffffffffffn, true);
  for (let i = 0; i < map.vcpuCount; i++) {
    const vcpu = vcpuAddress(i);
    const tlb = map.tlbBase + i * TLB_TABLES * TLB_SIZE;
    view.setUint32(vcpu + VCPU_ID, i, true);
    view.setUint32(vcpu + TLB_USER, tlb, true);
    view.setUint32(vcpu + TLB_SUPER, tlb + TLB_SIZE, true);
    view.setUint32(vcpu + TLB_SUPER_AC, tlb + 2 * TLB_SIZE, true);
    view.setUint32(vcpu + TLB_CURRENT, tlb + TLB_SIZE, true);
  }
}

/** Throws VmError("bad-snapshot") unless `memory` was laid out as `map` says by a build with the same format. */
export function checkHeader(memory: WebAssembly.Memory, map: MemoryMap): void {
  const view = new DataView(memory.buffer);
  const expect = (field: string, offset: number, wanted: number): void => {
    const found = view.getUint32(VM_BASE + offset, true);
    if (found === wanted) return;
    throw new VmError("bad-snapshot", `${field} of the memory is ${found}; this machine needs ${wanted}.`, { field });
  };
  if (memory.buffer.byteLength !== map.totalBytes) {
    throw new VmError("bad-snapshot", `The memory has ${memory.buffer.byteLength} bytes, not ${map.totalBytes}.`, {
      field: "memory",
    });
  }
  expect("format", VM_FORMAT, MEMORY_FORMAT);
  expect("vcpuCount", VM_VCPU_COUNT, map.vcpuCount);
  expect("ramBase", VM_RAM_BASE, map.ramBase);
  expect("memoryBytes", VM_RAM_SIZE, map.ramBytes);
  expect("videoMemoryBytes", VM_VRAM_SIZE, map.vramBytes);
}
