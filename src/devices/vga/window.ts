// How the legacy window at A0000h..BFFFFh leads to video memory. Where the registers say nothing that needs a device in
// between, the window is memory of the VM and the guest's accesses are plain loads and stores; otherwise each one comes
// to planes.ts. Accesses that do not come load no latches: software reads again before it uses them.
import { DISPI_BPP, type Dispi } from "./dispi.ts";
import {
  GC_BIT_MASK,
  GC_ENABLE_SET_RESET,
  GC_MISC,
  GC_MODE,
  GC_READ_MAP,
  GC_ROTATE,
  MISC_RAM_ENABLE,
  SEQ_MAP_MASK,
  SEQ_MEMORY_MODE,
  type VgaRegisters,
} from "./registers.ts";

export const WINDOW_BASE = 0xa0000;
export const WINDOW_END = 0xc0000;

/** The part of the window that answers: first address and bytes. */
export interface WindowRange {
  readonly base: number;
  readonly sizeBytes: number;
}

/** By the graphics controller's memory map field. */
const RANGES: readonly WindowRange[] = [
  { base: 0xa0000, sizeBytes: 0x20000 },
  { base: 0xa0000, sizeBytes: 0x10000 },
  { base: 0xb0000, sizeBytes: 0x8000 },
  { base: 0xb8000, sizeBytes: 0x8000 },
];
const BANK_RANGE = RANGES[1] as WindowRange;

/** What the guest reaches through the window. */
export type Window =
  /** Video memory as it lies, from byte `offset` on. */
  | { readonly kind: "linear"; readonly range: WindowRange; readonly offset: number }
  /** Planes 0 and 1 by turns, byte by byte: text, and CGA's graphics. */
  | { readonly kind: "interleaved"; readonly range: WindowRange }
  /** Every access goes through latches and masks; `offset` is added to its address within the range. */
  | { readonly kind: "planes"; readonly range: WindowRange; readonly offset: number };

/** Nothing answers. */
export const CLOSED_WINDOW: Window = { kind: "planes", range: { base: 0xa0000, sizeBytes: 0 }, offset: 0 };

const MODE_WRITE_AND_COMPARE = 0x0b;
const MODE_ODD_EVEN = 0x10;
const MEMORY_SEQUENTIAL = 0x04;
const MEMORY_CHAIN_4 = 0x08;

export function windowOf(registers: VgaRegisters, dispi: Dispi): Window {
  const { misc, graphics, sequencer } = registers;
  if (!(misc & MISC_RAM_ENABLE)) return CLOSED_WINDOW;
  const range = RANGES[((graphics[GC_MISC] as number) >> 2) & 3] as WindowRange;
  const offset = dispi.bankOffset;
  if (dispi.enabled && dispi.get(DISPI_BPP) > 4) return { kind: "linear", range: BANK_RANGE, offset };
  if (isPlain(registers)) {
    const mode = sequencer[SEQ_MEMORY_MODE] as number;
    const mapMask = sequencer[SEQ_MAP_MASK] as number;
    const oddEven = ((graphics[GC_MODE] as number) & MODE_ODD_EVEN) !== 0;
    if (mode & MEMORY_CHAIN_4) {
      if (mapMask === 0x0f) return { kind: "linear", range, offset };
    } else if (!(mode & MEMORY_SEQUENTIAL) && oddEven && mapMask === 3 && graphics[GC_READ_MAP] === 0) {
      if (range.sizeBytes === INTERLEAVED_BYTES && offset === 0) return { kind: "interleaved", range };
    }
  }
  return { kind: "planes", range, offset };
}

/** Bytes of the interleaved window. */
export const INTERLEAVED_BYTES = 0x8000;

/** A write puts the processor's byte there unchanged, and a read gets it back. */
function isPlain({ graphics }: VgaRegisters): boolean {
  return (
    graphics[GC_BIT_MASK] === 0xff &&
    graphics[GC_ROTATE] === 0 &&
    graphics[GC_ENABLE_SET_RESET] === 0 &&
    ((graphics[GC_MODE] as number) & MODE_WRITE_AND_COMPARE) === 0
  );
}

export function sameWindow(a: Window, b: Window): boolean {
  const offsetOf = (window: Window): number => (window.kind === "interleaved" ? 0 : window.offset);
  return a.kind === b.kind && a.range === b.range && offsetOf(a) === offsetOf(b);
}
