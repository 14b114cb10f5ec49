// 8254 programmable interval timer at ports 40h..43h and the gate, speaker and refresh bits of port 61h.
// Clock pulse k of the 1.193182 MHz input is at ceil(k * 10^9 / 1193182) guest ns. OUT0 drives IRQ 0.
//
// Missed ticks: when several edges of OUT0 passed since the last look (a descheduled vCPU under the real clock), the
// interrupt controllers see one edge; there is never a burst of catch-up ticks. Under the virtual clock the run loop
// stops at every deadline, so no edge is missed.
import { CHIPSET_BASE } from "../../spec/layout";
import {
  PITF_HOLD,
  PITF_NULL,
  PITL_COUNT,
  PITL_STATUS,
  PIT_CONTROL,
  PIT_COUNTER,
  PIT_DEADLINE,
  PIT_FLAGS,
  PIT_GATE,
  PIT_LATCH,
  PIT_LATCHED,
  PIT_OUT,
  PIT_READ_HALF,
  PIT_REPLACED,
  PIT_STATUS,
  PIT_STRIDE,
  PIT_TICK,
  PIT_WRITE_HALF,
  PIT_WRITE_LOW,
  PORT_61,
} from "../../spec/chipset";
import { isaIrq } from "../irq/lines";
import { NEVER, scaleDown, scaleUp } from "./clock";
import {
  counterGate,
  counterHas,
  counterMode,
  counterNextEdge,
  counterProgram,
  counterSet,
  counterSync,
  counterValue,
  counterWrite,
} from "./counter";

export const PIT_HZ: u64 = 1193182;
const NS_PER_SECOND: u64 = 1000000000;
const COUNTER0 = CHIPSET_BASE + PIT_COUNTER;
const COUNTER2 = COUNTER0 + 2 * PIT_STRIDE;

/** Pulses between two DRAM refresh requests, as counter 1 made them on the first PCs (about 15 us). */
const REFRESH_PULSES: i64 = 18;

const ACCESS_LATCH = 0;
const ACCESS_LOW = 1;
const ACCESS_HIGH = 2;

function tickAt(ns: i64): i64 {
  return <i64>scaleDown(<u64>ns, PIT_HZ, NS_PER_SECOND);
}

function nsAt(tick: i64): i64 {
  return <i64>scaleUp(<u64>tick, NS_PER_SECOND, PIT_HZ);
}

/** Brings a counter up to `nowNs`; edges of OUT0 go to IRQ 0. */
function sync(counter: i32, ns: i64): void {
  const was = load<u8>(counter, PIT_OUT) != 0;
  const rises = counterSync(counter, tickAt(ns));
  if (counter == COUNTER0) driveIrq0(was, rises);
}

function driveIrq0(was: bool, rises: u32): void {
  if (load<u32>(CHIPSET_BASE, PIT_REPLACED) != 0) return;
  const out = load<u8>(COUNTER0, PIT_OUT) != 0;
  if (was && out && rises != 0) isaIrq(0, false);
  if (!was && !out && rises != 0) isaIrq(0, true);
  if (was != out || rises != 0) isaIrq(0, out);
}

/** IRQ 0 leaves counter 0, or comes back to it: legacy replacement of an HPET. */
export function pitReplace(replaced: bool, ns: i64): void {
  sync(COUNTER0, ns);
  store<u32>(CHIPSET_BASE, replaced ? 1 : 0, PIT_REPLACED);
  isaIrq(0, !replaced && load<u8>(COUNTER0, PIT_OUT) != 0);
}

/** Recomputes the deadline after counter 0 changed. */
function schedule(): void {
  const ahead = counterNextEdge(COUNTER0);
  store<i64>(CHIPSET_BASE, ahead == NEVER ? NEVER : nsAt(load<i64>(COUNTER0, PIT_TICK) + ahead), PIT_DEADLINE);
}

/** Guest ns at which pitAdvance next has an edge to deliver, or NEVER. */
export function pitNextDeadline(): i64 {
  return load<i64>(CHIPSET_BASE, PIT_DEADLINE);
}

/** Delivers the edges of OUT0 up to `nowNs`. */
export function pitAdvance(ns: i64): void {
  if (ns < load<i64>(CHIPSET_BASE, PIT_DEADLINE)) return;
  sync(COUNTER0, ns);
  schedule();
}

/** Reads 40h..43h. The control port cannot be read: the bus floats. */
export function pitRead(port: u32, ns: i64): u32 {
  const n = port & 3;
  if (n == 3) return 0xff;
  const counter = COUNTER0 + <i32>n * PIT_STRIDE;
  pitTouch(counter, ns);
  const latched = load<u8>(counter, PIT_LATCHED);
  if (latched & PITL_STATUS) {
    store<u8>(counter, latched & ~PITL_STATUS, PIT_LATCHED);
    return <u32>load<u8>(counter, PIT_STATUS);
  }
  const value = latched & PITL_COUNT ? <u32>load<u16>(counter, PIT_LATCH) : counterValue(counter);
  const access = load<u8>(counter, PIT_CONTROL) >> 4;
  const half = load<u8>(counter, PIT_READ_HALF);
  if (access == ACCESS_LOW || access == ACCESS_HIGH) {
    store<u8>(counter, 0, PIT_LATCHED);
    return access == ACCESS_LOW ? value & 0xff : value >> 8;
  }
  store<u8>(counter, half ^ 1, PIT_READ_HALF);
  if (!half) return value & 0xff;
  store<u8>(counter, 0, PIT_LATCHED);
  return value >> 8;
}

/** Syncs a counter before an access; counter 0 keeps its deadline in step. */
function pitTouch(counter: i32, ns: i64): void {
  sync(counter, ns);
  if (counter == COUNTER0) schedule();
}

/** Writes 40h..43h. */
export function pitWrite(port: u32, value: u32, ns: i64): void {
  const n = port & 3;
  if (n == 3) {
    writeControl(value, ns);
    return;
  }
  const counter = COUNTER0 + <i32>n * PIT_STRIDE;
  sync(counter, ns);
  const was = load<u8>(counter, PIT_OUT) != 0;
  writeCount(counter, value);
  changed(counter, was);
}

/** After a write: what it did to OUT at once, and to the next deadline. */
function changed(counter: i32, was: bool): void {
  if (counter != COUNTER0) return;
  driveIrq0(was, 0);
  schedule();
}

function writeCount(counter: i32, value: u32): void {
  const access = load<u8>(counter, PIT_CONTROL) >> 4;
  if (access == ACCESS_LOW) {
    counterWrite(counter, value);
  } else if (access == ACCESS_HIGH) {
    counterWrite(counter, value << 8);
  } else if (!load<u8>(counter, PIT_WRITE_HALF)) {
    store<u8>(counter, <u8>value, PIT_WRITE_LOW);
    store<u8>(counter, 1, PIT_WRITE_HALF);
    if (counterMode(counter) == 0) {
      // The first byte stops mode 0 and takes OUT low without a clock pulse.
      counterSet(counter, PITF_HOLD);
      store<u8>(counter, 0, PIT_OUT);
    }
  } else {
    store<u8>(counter, 0, PIT_WRITE_HALF);
    counterWrite(counter, (value << 8) | <u32>load<u8>(counter, PIT_WRITE_LOW));
  }
}

function writeControl(value: u32, ns: i64): void {
  const select = value >> 6;
  if (select == 3) {
    readBack(value, ns);
    return;
  }
  const counter = COUNTER0 + <i32>select * PIT_STRIDE;
  sync(counter, ns);
  if (((value >> 4) & 3) == ACCESS_LATCH) {
    latchCount(counter);
    if (counter == COUNTER0) schedule();
    return;
  }
  const was = load<u8>(counter, PIT_OUT) != 0;
  counterProgram(counter, value);
  store<u8>(counter, 0, PIT_WRITE_HALF);
  store<u8>(counter, 0, PIT_READ_HALF);
  store<u8>(counter, 0, PIT_LATCHED);
  changed(counter, was);
}

/** Read-back command: bit 5 clear latches counts, bit 4 clear latches status, bits 3..1 select counters 2..0. */
function readBack(value: u32, ns: i64): void {
  for (let n = 0; n < 3; n++) {
    if (!(value & (2 << n))) continue;
    const counter = COUNTER0 + n * PIT_STRIDE;
    pitTouch(counter, ns);
    if (!(value & 0x20)) latchCount(counter);
    if (!(value & 0x10)) latchStatus(counter);
  }
}

/** A count that is latched already stays until it has been read. */
function latchCount(counter: i32): void {
  const latched = load<u8>(counter, PIT_LATCHED);
  if (latched & PITL_COUNT) return;
  store<u16>(counter, <u16>counterValue(counter), PIT_LATCH);
  store<u8>(counter, latched | PITL_COUNT, PIT_LATCHED);
}

function latchStatus(counter: i32): void {
  const latched = load<u8>(counter, PIT_LATCHED);
  if (latched & PITL_STATUS) return;
  const out: u32 = load<u8>(counter, PIT_OUT) ? 0x80 : 0;
  const nullCount: u32 = counterHas(counter, PITF_NULL) ? 0x40 : 0;
  store<u8>(counter, <u8>(out | nullCount | <u32>load<u8>(counter, PIT_CONTROL)), PIT_STATUS);
  store<u8>(counter, latched | PITL_STATUS, PIT_LATCHED);
}

/** Port 61h: bits 3..0 as written, bit 4 toggles with each memory refresh, bit 5 is OUT2; no parity or channel check. */
export function pit61Read(ns: i64): u32 {
  sync(COUNTER2, ns);
  const refresh = (<u32>((tickAt(ns) / REFRESH_PULSES) & 1)) << 4;
  const out: u32 = load<u8>(COUNTER2, PIT_OUT) ? 0x20 : 0;
  return load<u32>(CHIPSET_BASE, PORT_61) | refresh | out;
}

/** Port 61h: bit 0 is the gate of counter 2, bit 1 lets its output through to the speaker, bits 2 and 3 mask NMI sources. */
export function pit61Write(value: u32, ns: i64): void {
  sync(COUNTER2, ns);
  store<u32>(CHIPSET_BASE, value & 0x0f, PORT_61);
  counterGate(COUNTER2, (value & 1) != 0);
}

/**
 * Power-on: the datasheet leaves counters undefined until programmed. Here they stand still in mode 3 with OUT high,
 * the gates of 0 and 1 are tied high, and port 61h is 0.
 */
export function pitReset(ns: i64): void {
  for (let n = 0; n < 3; n++) {
    const counter = COUNTER0 + n * PIT_STRIDE;
    memory.fill(counter, 0, PIT_STRIDE);
    store<i64>(counter, tickAt(ns), PIT_TICK);
    store<u8>(counter, 0x36, PIT_CONTROL);
    store<u8>(counter, PITF_NULL, PIT_FLAGS);
    store<u8>(counter, 1, PIT_OUT);
    store<u8>(counter, n < 2 ? 1 : 0, PIT_GATE);
  }
  store<u32>(CHIPSET_BASE, 0, PORT_61);
  store<u32>(CHIPSET_BASE, 0, PIT_REPLACED);
  isaIrq(0, true);
  schedule();
}
