// Debug registers: which addresses they watch and what a match records. SDM 3B 17.2, 17.3.
// Instruction breakpoints are faults (#DB before the instruction, held off by EFLAGS.RF); data and I/O breakpoints are
// traps: their bits collect in PENDING_DB and are delivered after the instruction.
import {
  CR4, DR0, DR7, PENDING_DB, WATCH_ACCESS, WATCH_COUNT, WATCH_HIT, WATCH_HIT_ADDR, WATCH_HIT_SIZE, WATCH_LENGTH, WATCH_RANGES, WATCH_READ,
  WATCH_START, WATCH_STRIDE, WATCH_WRITE,
} from "../../spec/layout";
import { CR4_DE } from "../../spec/registers";
import { recheck } from "./fault";

export const DR6_BD: u32 = 0x2000;
export const DR6_BS: u32 = 0x4000;
/** DR7: the L and G enables of the four breakpoints. */
const DR7_ENABLES: u32 = 0xff;
// R/W field of a breakpoint
const ON_EXECUTE: u32 = 0;
const ON_WRITE: u32 = 1;
const ON_IO: u32 = 2;
const ON_ACCESS: u32 = 3;

/** True when any breakpoint is enabled: the fast test before the others. */
// @ts-ignore: decorator
@inline
export function breakpointsEnabled(vcpu: i32): bool {
  return (load<u32>(vcpu, DR7) & DR7_ENABLES) != 0;
}

function watchKind(dr7: u32, n: u32): u32 {
  return (dr7 >> (16 + n * 4)) & 3;
}

/** Length in bytes of a breakpoint: 1, 2, 8 (not on 32-bit processors: taken as 4) or 4. */
function watchLength(dr7: u32, n: u32): u32 {
  const field = (dr7 >> (18 + n * 4)) & 3;
  return field == 2 ? 4 : field + 1;
}

function enabled(dr7: u32, n: u32): bool {
  return ((dr7 >> (n * 2)) & 3) != 0;
}

/** DR6 bits of the breakpoints that an access touches; 0 unless an enabled one is among them. */
function matches(vcpu: i32, address: u32, size: u32, kinds: u32): u32 {
  const dr7 = load<u32>(vcpu, DR7);
  let bits: u32 = 0;
  let hit = false;
  for (let n: u32 = 0; n < 4; n++) {
    if (!((kinds >> watchKind(dr7, n)) & 1)) continue;
    const length = watchLength(dr7, n);
    const start = load<u32>(vcpu + <i32>(n << 2), DR0) & ~(length - 1);
    if (!overlaps(address, size, start, length)) continue;
    bits |= (<u32>1) << n;
    if (enabled(dr7, n)) hit = true;
  }
  return hit ? bits : 0;
}

/**
 * DR6 bits of the instruction breakpoints at linear address `lin`, 0 = none. The run loop asks before an instruction
 * with EFLAGS.RF = 0 and raises #DB with them.
 */
export function codeBreakpoints(vcpu: i32, lin: u32): u32 {
  return breakpointsEnabled(vcpu) ? matches(vcpu, lin, 1, 1 << ON_EXECUTE) : 0;
}

/** Records the data breakpoints, and the debugger's watches, that an access to linear memory touches. */
export function checkDataBreakpoint(vcpu: i32, lin: u32, size: u32, write: bool): void {
  if (load<u32>(vcpu, WATCH_COUNT) != 0) checkWatches(vcpu, lin, size, write ? WATCH_WRITE : WATCH_READ);
  if (!breakpointsEnabled(vcpu)) return;
  const bits = matches(vcpu, lin, size, write ? (1 << ON_WRITE) | (1 << ON_ACCESS) : 1 << ON_ACCESS);
  store<u32>(vcpu, load<u32>(vcpu, PENDING_DB) | bits, PENDING_DB);
}

/** Records the I/O breakpoints (CR4.DE) that a port access touches. */
export function checkPortBreakpoint(vcpu: i32, port: u32, size: u32): void {
  if (!(load<u32>(vcpu, CR4) & CR4_DE) || !breakpointsEnabled(vcpu)) return;
  store<u32>(vcpu, load<u32>(vcpu, PENDING_DB) | matches(vcpu, port, size, 1 << ON_IO), PENDING_DB);
}

function watchAt(vcpu: i32, n: u32): i32 {
  return vcpu + WATCH_RANGES + <i32>n * WATCH_STRIDE;
}

/** True when one of the debugger's watches touches the page of `lin`. */
export function pageHasWatch(vcpu: i32, lin: u32): bool {
  const count = load<u32>(vcpu, WATCH_COUNT);
  const page = lin & ~0xfff;
  for (let n: u32 = 0; n < count; n++) {
    const at = watchAt(vcpu, n);
    if (overlaps(page, 0x1000, load<u32>(at, WATCH_START), load<u32>(at, WATCH_LENGTH))) return true;
  }
  return false;
}

/** Ranges as distances, so that the end of the address space does not matter. */
function overlaps(a: u32, aSize: u32, b: u32, bSize: u32): bool {
  return a - b < bSize || b - a < aSize;
}

/** The guest stops behind the instruction (run.ts), so the first access is kept and the kinds of all. */
function checkWatches(vcpu: i32, lin: u32, size: u32, access: u32): void {
  const count = load<u32>(vcpu, WATCH_COUNT);
  for (let n: u32 = 0; n < count; n++) {
    const at = watchAt(vcpu, n);
    if (!(load<u32>(at, WATCH_ACCESS) & access)) continue;
    if (!overlaps(lin, size, load<u32>(at, WATCH_START), load<u32>(at, WATCH_LENGTH))) continue;
    const hit = load<u32>(vcpu, WATCH_HIT);
    if (hit == 0) {
      store<u32>(vcpu, lin, WATCH_HIT_ADDR);
      store<u32>(vcpu, size, WATCH_HIT_SIZE);
    }
    store<u32>(vcpu, hit | access, WATCH_HIT);
    recheck(vcpu);
    return;
  }
}
