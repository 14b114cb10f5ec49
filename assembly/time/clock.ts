// The VM clock: guest nanoseconds since power-on, from the host's monotonic clock (real) or from the number of
// instructions retired (virtual, replay). Every timer and counter of the machine derives from nowNs.
import {
  BLOCK_RECORDS,
  CHIPSET_BASE,
  CLOCK_REAL,
  CUR_BLOCK,
  CUR_REC,
  LAPIC_PRIVATE,
  REC_STRIDE,
  RETIRED,
  TSC_OFFSET,
  VM_BASE,
  VM_CLOCK_MODE,
  VM_CLOCK_NS,
  VM_CLOCK_OFFSET_NS,
  VM_PS_PER_INSTRUCTION,
  VM_SLEW_LENGTH_NS,
  VM_SLEW_PPM,
  VM_SLEW_START_NS,
  VM_TSC_KHZ,
} from "../../spec/layout";
import { CLOCK_LAST_NS, CLOCK_RETIRED_BASE, CLOCK_SKIPPED_NS } from "../../spec/chipset";
import { hostNowNs } from "../host";

/** No deadline. */
export const NEVER: i64 = i64.MAX_VALUE;

/** floor(value * multiplier / divisor) without a 128-bit product; the result is modulo 2^64. */
export function scaleDown(value: u64, multiplier: u64, divisor: u64): u64 {
  return (value / divisor) * multiplier + ((value % divisor) * multiplier) / divisor;
}

/** ceil(value * multiplier / divisor), saturating at i64.MAX_VALUE. `multiplier` and `divisor` are below 2^32, not 0. */
export function scaleUp(value: u64, multiplier: u64, divisor: u64): u64 {
  const whole = value / divisor;
  if (whole >= <u64>i64.MAX_VALUE / multiplier - 1) return <u64>i64.MAX_VALUE;
  return whole * multiplier + ((value % divisor) * multiplier + divisor - 1) / divisor;
}

/** True when time is counted in instructions. */
export function clockIsVirtual(): bool {
  return load<u32>(VM_BASE, VM_CLOCK_MODE) != CLOCK_REAL;
}

/** Instructions retired before the current one; inside a block, RETIRED counts only up to the block's first. */
export function retiredNow(vcpu: i32): u64 {
  const block = load<u32>(vcpu, CUR_BLOCK);
  const retired = load<u64>(vcpu, RETIRED);
  if (block == 0) return retired;
  return retired + <u64>((load<u32>(vcpu, CUR_REC) - block - BLOCK_RECORDS) / REC_STRIDE);
}

/** Guest nanoseconds since power-on as this vCPU sees them; never less than it returned before. */
export function nowNs(vcpu: i32): i64 {
  return clockIsVirtual() ? virtualNs(vcpu) : realNs();
}

function realNs(): i64 {
  // The host may resynchronise VM_CLOCK_OFFSET_NS backwards: then time stands still until it has caught up.
  const host = <i64>hostNowNs();
  const now = host + load<i64>(VM_BASE, VM_CLOCK_OFFSET_NS) + slewedNs(host);
  const last = load<i64>(CHIPSET_BASE, CLOCK_LAST_NS);
  if (now <= last) return last;
  store<i64>(CHIPSET_BASE, now, CLOCK_LAST_NS);
  return now;
}

/** What the slew has gained (or lost) by host time `host`. */
function slewedNs(host: i64): i64 {
  const ppm = <i64>load<i32>(VM_BASE, VM_SLEW_PPM);
  if (ppm == 0) return 0;
  const passed = max<i64>(0, min<i64>(host - load<i64>(VM_BASE, VM_SLEW_START_NS), load<i64>(VM_BASE, VM_SLEW_LENGTH_NS)));
  return (passed * ppm) / 1000000;
}

function virtualNs(vcpu: i32): i64 {
  const run = retiredNow(vcpu) - load<u64>(vcpu, LAPIC_PRIVATE + CLOCK_RETIRED_BASE);
  return (
    load<i64>(VM_BASE, VM_CLOCK_NS) +
    load<i64>(vcpu, LAPIC_PRIVATE + CLOCK_SKIPPED_NS) +
    <i64>scaleDown(run, <u64>load<u32>(VM_BASE, VM_PS_PER_INSTRUCTION), 1000)
  );
}

/**
 * Virtual clock: instructions after which nowNs first reaches `deadlineNs`: 0 if it has, u64.MAX_VALUE for NEVER and
 * for a clock that stands still.
 */
export function instructionsUntil(vcpu: i32, deadlineNs: i64): u64 {
  if (deadlineNs == NEVER) return u64.MAX_VALUE;
  const start = load<i64>(VM_BASE, VM_CLOCK_NS) + load<i64>(vcpu, LAPIC_PRIVATE + CLOCK_SKIPPED_NS);
  if (deadlineNs <= start) return 0;
  const ps = <u64>load<u32>(VM_BASE, VM_PS_PER_INSTRUCTION);
  if (ps == 0) return u64.MAX_VALUE;
  const target = scaleUp(<u64>(deadlineNs - start), 1000, ps);
  const run = retiredNow(vcpu) - load<u64>(vcpu, LAPIC_PRIVATE + CLOCK_RETIRED_BASE);
  return target > run ? target - run : 0;
}

/** Virtual clock: skips `ns` for the whole VM, as when every vCPU is halted. The real clock moves by itself. */
export function advanceClock(vcpu: i32, ns: i64): void {
  if (ns <= 0 || !clockIsVirtual()) return;
  store<i64>(VM_BASE, load<i64>(VM_BASE, VM_CLOCK_NS) + ns, VM_CLOCK_NS);
}

/** Virtual clock: skips `ns` for one vCPU, which was halted while others ran. */
export function advanceVcpuClock(vcpu: i32, ns: i64): void {
  if (ns <= 0 || !clockIsVirtual()) return;
  store<i64>(vcpu, load<i64>(vcpu, LAPIC_PRIVATE + CLOCK_SKIPPED_NS) + ns, LAPIC_PRIVATE + CLOCK_SKIPPED_NS);
}

/** Time-stamp counter (SDM 3B 18.17): VM_TSC_KHZ times nowNs, plus the vCPU's TSC_OFFSET, modulo 2^64. */
export function readTsc(vcpu: i32): u64 {
  return tscAt(vcpu, nowNs(vcpu));
}

/** What readTsc returns at guest time `ns`. */
export function tscAt(vcpu: i32, ns: i64): u64 {
  return scaleDown(<u64>ns, <u64>load<u32>(VM_BASE, VM_TSC_KHZ), 1000000) + load<u64>(vcpu, TSC_OFFSET);
}

/** First nanosecond at which readTsc is at or past `tsc`: 0 when that is long ago, NEVER when it is out of reach. */
export function tscToNs(vcpu: i32, tsc: u64): i64 {
  const khz = <u64>load<u32>(VM_BASE, VM_TSC_KHZ);
  if (khz == 0) return NEVER;
  const offset = load<u64>(vcpu, TSC_OFFSET);
  const ticks = tsc - offset;
  if (<i64>offset >= 0) return tsc <= offset ? 0 : <i64>scaleUp(ticks, 1000000, khz);
  // The counter was set back: a deadline that would need more than 2^64 ticks since power-on cannot be reached.
  return ticks < tsc ? NEVER : <i64>scaleUp(ticks, 1000000, khz);
}
