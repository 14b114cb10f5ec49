// One counter of the 8254 (Intel datasheet 231164), advanced lazily: the state holds at clock pulse PIT_TICK and
// counterSync brings it to a later pulse in closed form, however many periods have passed. A counter is a pointer to its
// PIT_STRIDE bytes. The counting element keeps plain integers; BCD only changes its modulus and how it is read and written.
import {
  PITF_ARMED,
  PITF_HOLD,
  PITF_LOAD,
  PITF_LOADED,
  PITF_NULL,
  PITF_WRITTEN,
  PIT_CE,
  PIT_CONTROL,
  PIT_COUNT,
  PIT_CR,
  PIT_FLAGS,
  PIT_GATE,
  PIT_OUT,
  PIT_TICK,
} from "../../spec/chipset";
import { NEVER } from "./clock";

/** Mode 0..5 of a counter (6 and 7 are 2 and 3). */
// @ts-ignore: decorator
@inline
export function counterMode(c: i32): i32 {
  const mode = (<i32>load<u8>(c, PIT_CONTROL) >> 1) & 7;
  return mode > 5 ? mode - 4 : mode;
}

// @ts-ignore: decorator
@inline
function modulus(c: i32): u32 {
  return load<u8>(c, PIT_CONTROL) & 1 ? 10000 : 65536;
}

// @ts-ignore: decorator
@inline
export function counterHas(c: i32, flag: u32): bool {
  return (<u32>load<u8>(c, PIT_FLAGS) & flag) != 0;
}

// @ts-ignore: decorator
@inline
export function counterSet(c: i32, flags: u32): void {
  store<u8>(c, <u8>(<u32>load<u8>(c, PIT_FLAGS) | flags), PIT_FLAGS);
}

// @ts-ignore: decorator
@inline
export function counterClear(c: i32, flags: u32): void {
  store<u8>(c, <u8>(<u32>load<u8>(c, PIT_FLAGS) & ~flags), PIT_FLAGS);
}

/** Modes 0, 2, 3 and 4 count only while GATE is high; mode 0 also waits between the two bytes of a count. */
function counting(c: i32, mode: i32): bool {
  if (!counterHas(c, PITF_LOADED) || counterHas(c, PITF_HOLD)) return false;
  return mode == 1 || mode == 5 || load<u8>(c, PIT_GATE) != 0;
}

/**
 * Mode 3 counts down by two from an even value. In the high half of an odd count there is one more pulse, at 0.
 * Pulses left until OUT toggles.
 */
function halfLeft(c: i32): u32 {
  return (load<u32>(c, PIT_CE) >> 1) + (load<u8>(c, PIT_OUT) != 0 ? load<u32>(c, PIT_COUNT) & 1 : 0);
}

/** Takes the count register into the counting element. */
function reload(c: i32, mode: i32): void {
  const count = load<u32>(c, PIT_CR);
  store<u32>(c, count, PIT_COUNT);
  store<u32>(c, mode == 3 ? count & ~1 : count, PIT_CE);
  counterClear(c, PITF_NULL);
}

/** The clock pulse that loads the counter, after a count was written or a trigger arrived. */
function loadPulse(c: i32, mode: i32): void {
  reload(c, mode);
  counterClear(c, PITF_LOAD);
  counterSet(c, PITF_ARMED | PITF_LOADED);
  store<u8>(c, mode == 0 || mode == 1 ? 0 : 1, PIT_OUT);
}

/** Brings the counter to clock pulse `tick`. Returns how often OUT rose on the way; PIT_OUT is its level at the end. */
export function counterSync(c: i32, tick: i64): u32 {
  let left = tick - load<i64>(c, PIT_TICK);
  if (left <= 0) return 0;
  store<i64>(c, tick, PIT_TICK);
  const mode = counterMode(c);
  const before = load<u8>(c, PIT_OUT);
  let rises: u32 = 0;
  if (counterHas(c, PITF_LOAD)) {
    loadPulse(c, mode);
    left--;
    if (!before && load<u8>(c, PIT_OUT)) rises++;
  }
  if (left == 0 || !counting(c, mode)) return rises;
  if (mode == 2) return rises + countPeriodic(c, left);
  if (mode == 3) return rises + countSquare(c, left);
  return rises + countOnce(c, mode, left);
}

/** Modes 0, 1, 4 and 5: down through 0 and on; OUT goes high at 0 (0, 1) or is low for the one pulse at 0 (4, 5). */
function countOnce(c: i32, mode: i32, pulses: i64): u32 {
  const ce = load<u32>(c, PIT_CE);
  const size = modulus(c);
  const rest = <u32>(pulses % <i64>size);
  const start = ce % size;
  store<u32>(c, start >= rest ? start - rest : start + size - rest, PIT_CE);
  if (!counterHas(c, PITF_ARMED)) return 0;
  const zeroAt = <i64>ce;
  if (mode < 2) {
    if (pulses < zeroAt) return 0;
    counterClear(c, PITF_ARMED);
    store<u8>(c, 1, PIT_OUT);
    return 1;
  }
  if (!load<u8>(c, PIT_OUT)) {
    counterClear(c, PITF_ARMED);
    store<u8>(c, 1, PIT_OUT);
    return 1;
  }
  if (pulses < zeroAt) return 0;
  if (pulses == zeroAt) {
    store<u8>(c, 0, PIT_OUT);
    return 0;
  }
  counterClear(c, PITF_ARMED);
  return 1;
}

/** Mode 2: OUT is low for the pulse at 1, then the counter reloads. A count of 1 (not allowed) keeps OUT low. */
function countPeriodic(c: i32, pulses: i64): u32 {
  const ce = load<u32>(c, PIT_CE);
  let rises: u32 = 0;
  if (pulses < <i64>ce) {
    store<u32>(c, ce - <u32>pulses, PIT_CE);
  } else {
    const rest = pulses - <i64>ce;
    reload(c, 2);
    const count = load<u32>(c, PIT_COUNT);
    const periods = rest / <i64>count;
    store<u32>(c, count - <u32>(rest % <i64>count), PIT_CE);
    // Edges are only told apart as none or some: nothing between two of them could have seen the first.
    rises = count == 1 ? 0 : periods > 0 ? 2 : 1;
  }
  store<u8>(c, load<u32>(c, PIT_CE) != 1 ? 1 : 0, PIT_OUT);
  return rises;
}

/** Mode 3: a square wave, high for (N + 1) / 2 and low for (N - 1) / 2 pulses. A count of 1 (not allowed) keeps OUT high. */
function countSquare(c: i32, pulses: i64): u32 {
  let rises: u32 = 0;
  let left = pulses;
  for (;;) {
    const half = <i64>halfLeft(c);
    if (left < half) break;
    left -= half;
    const out = load<u8>(c, PIT_OUT) ^ 1;
    store<u8>(c, out, PIT_OUT);
    reload(c, 3);
    const count = <i64>load<u32>(c, PIT_COUNT);
    if (out) {
      rises++;
      if (left >= count) rises++;
      left %= count;
    } else if (count == 1) {
      // The low half has no length.
      store<u8>(c, 1, PIT_OUT);
      left = 0;
    }
  }
  store<u32>(c, load<u32>(c, PIT_CE) - ((<u32>left) << 1), PIT_CE);
  return rises;
}

/** Clock pulses until OUT next changes in a way the interrupt controller can see, or NEVER. */
export function counterNextEdge(c: i32): i64 {
  const mode = counterMode(c);
  const ahead: i64 = counterHas(c, PITF_LOAD) ? 1 : 0;
  if (ahead == 0 && !counting(c, mode)) return NEVER;
  if (ahead != 0 && mode != 1 && mode != 5 && (!load<u8>(c, PIT_GATE) || counterHas(c, PITF_HOLD))) return NEVER;
  const count = ahead ? load<u32>(c, PIT_CR) : load<u32>(c, PIT_COUNT);
  const ce = ahead ? (mode == 3 ? count & ~1 : count) : load<u32>(c, PIT_CE);
  if (mode == 2) return count == 1 && load<u32>(c, PIT_CR) == 1 ? NEVER : ahead + <i64>ce;
  if (mode == 3) {
    if (count == 1 && load<u32>(c, PIT_CR) == 1) return NEVER;
    return ahead ? 1 + <i64>((count + 1) >> 1) : <i64>halfLeft(c);
  }
  if (!ahead && !counterHas(c, PITF_ARMED)) return NEVER;
  if (mode < 2) return ahead + <i64>ce;
  // The strobe of modes 4 and 5 is one pulse long and its end is the rising edge.
  return !ahead && !load<u8>(c, PIT_OUT) ? 1 : ahead + <i64>ce + 1;
}

/** Drives GATE. A rising edge is the trigger of modes 1, 2, 3 and 5. */
export function counterGate(c: i32, level: bool): void {
  const was = load<u8>(c, PIT_GATE) != 0;
  if (was == level) return;
  store<u8>(c, level ? 1 : 0, PIT_GATE);
  const mode = counterMode(c);
  if (mode == 0 || mode == 4) return;
  if (level) {
    if (counterHas(c, PITF_WRITTEN)) counterSet(c, PITF_LOAD);
  } else if (mode == 2 || mode == 3) {
    store<u8>(c, 1, PIT_OUT);
  }
}

/** A control word for this counter: the old count is void, OUT takes the mode's idle level. */
export function counterProgram(c: i32, control: u32): void {
  store<u8>(c, <u8>(control & 0x3f), PIT_CONTROL);
  store<u8>(c, PITF_NULL, PIT_FLAGS);
  store<u8>(c, counterMode(c) == 0 ? 0 : 1, PIT_OUT);
}

/** A whole count (as written, BCD if programmed so; 0 is the modulus) arrives in the count register. */
export function counterWrite(c: i32, written: u32): void {
  const count = load<u8>(c, PIT_CONTROL) & 1 ? fromBcd(written) : written;
  const mode = counterMode(c);
  const first = !counterHas(c, PITF_WRITTEN);
  store<u32>(c, count ? count : modulus(c), PIT_CR);
  counterClear(c, PITF_HOLD);
  counterSet(c, PITF_WRITTEN | PITF_NULL);
  if (mode == 0) store<u8>(c, 0, PIT_OUT);
  // Modes 1 and 5 wait for the trigger, modes 2 and 3 for the end of the period once they run.
  if (mode == 0 || mode == 4 || (first && (mode == 2 || mode == 3))) counterSet(c, PITF_LOAD);
}

/** The counting element as the CPU reads it. */
export function counterValue(c: i32): u32 {
  const value = load<u32>(c, PIT_CE);
  return load<u8>(c, PIT_CONTROL) & 1 ? toBcd(value % 10000) : value & 0xffff;
}

/** Digits above 9 count as what they are worth, modulo 10000, as the decrementer borrows through them. */
function fromBcd(v: u32): u32 {
  return ((v & 15) + ((v >> 4) & 15) * 10 + ((v >> 8) & 15) * 100 + ((v >> 12) & 15) * 1000) % 10000;
}

function toBcd(v: u32): u32 {
  return (v % 10) | (((v / 10) % 10) << 4) | (((v / 100) % 10) << 8) | ((v / 1000) << 12);
}
