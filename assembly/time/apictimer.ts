// The local APIC's timer (SDM 3A 11.5.4): one-shot, periodic and TSC-deadline mode. Its clock is 1 GHz, one guest
// nanosecond a count, divided as the divide configuration register says; hypervisors have settled on that rate.
//
// Missed periods: several expiries since the last look make one interrupt, and the phase is kept.
import { LAPIC, LAPIC_PRIVATE, TSC_DEADLINE } from "../../spec/layout";
import {
  APIC_LVT_TIMER,
  APIC_TIMER_AT,
  APIC_TIMER_COUNT,
  APIC_TIMER_DIVIDE,
  APIC_TIMER_INITIAL,
  LVT_TIMER_DEADLINE,
  LVT_TIMER_MODE,
  LVT_TIMER_PERIODIC,
} from "../../spec/chipset";
import { lapicHere, lapicLocal } from "../irq/lapic";
import { NEVER, nowNs, tscToNs } from "./clock";
import { deadlineMoved } from "./deadline";

function timerMode(vcpu: i32): u32 {
  return load<u32>(vcpu, LAPIC + APIC_LVT_TIMER) & LVT_TIMER_MODE;
}

/** Nanoseconds a count lasts: divide configuration bits 3, 1 and 0 are 2, 4, ... 128, 1. */
function countNs(vcpu: i32): i64 {
  const divide = load<u32>(vcpu, LAPIC + APIC_TIMER_DIVIDE);
  return (<i64>1) << ((((divide & 3) | ((divide >> 1) & 4)) + 1) & 7);
}

/** When the timer next expires, guest ns, or NEVER. */
export function lapicNextDeadline(vcpu: i32): i64 {
  if (timerMode(vcpu) == LVT_TIMER_DEADLINE) {
    const tsc = load<u64>(vcpu, TSC_DEADLINE);
    return tsc == 0 ? NEVER : tscToNs(vcpu, tsc);
  }
  const count = load<u32>(vcpu, LAPIC_PRIVATE + APIC_TIMER_COUNT);
  return count == 0 ? NEVER : load<i64>(vcpu, LAPIC_PRIVATE + APIC_TIMER_AT) + <i64>count * countNs(vcpu);
}

/** Expires the timer if it is due at `nowNs`. */
export function lapicAdvance(vcpu: i32, ns: i64): void {
  if (!lapicHere()) return;
  const deadline = lapicNextDeadline(vcpu);
  if (ns < deadline || deadline == NEVER) return;
  if (timerMode(vcpu) == LVT_TIMER_DEADLINE) {
    store<u64>(vcpu, 0, TSC_DEADLINE);
  } else if (timerMode(vcpu) == LVT_TIMER_PERIODIC) {
    const initial = load<u32>(vcpu, LAPIC + APIC_TIMER_INITIAL);
    const period = <i64>initial * countNs(vcpu);
    const missed = period > 0 ? (ns - deadline) / period : 0;
    store<i64>(vcpu, deadline + missed * period, LAPIC_PRIVATE + APIC_TIMER_AT);
    store<u32>(vcpu, initial, LAPIC_PRIVATE + APIC_TIMER_COUNT);
  } else {
    store<u32>(vcpu, 0, LAPIC_PRIVATE + APIC_TIMER_COUNT);
  }
  lapicLocal(vcpu, APIC_LVT_TIMER);
}

/** Current count register. 0 in TSC-deadline mode and when stopped. */
export function apicTimerCurrent(vcpu: i32): u32 {
  const ns = nowNs(vcpu);
  lapicAdvance(vcpu, ns);
  const count = load<u32>(vcpu, LAPIC_PRIVATE + APIC_TIMER_COUNT);
  if (count == 0 || timerMode(vcpu) == LVT_TIMER_DEADLINE) return 0;
  const run = (ns - load<i64>(vcpu, LAPIC_PRIVATE + APIC_TIMER_AT)) / countNs(vcpu);
  // Another vCPU may have a later idea of now than this one: then nothing has been counted yet.
  return run <= 0 ? count : count - <u32>run;
}

/** Initial count register: starts the timer, 0 stops it; ignored in TSC-deadline mode. */
export function apicTimerStart(vcpu: i32, initial: u32): void {
  const ns = nowNs(vcpu);
  lapicAdvance(vcpu, ns);
  if (timerMode(vcpu) == LVT_TIMER_DEADLINE) return;
  store<u32>(vcpu, initial, LAPIC + APIC_TIMER_INITIAL);
  store<u32>(vcpu, initial, LAPIC_PRIVATE + APIC_TIMER_COUNT);
  store<i64>(vcpu, ns, LAPIC_PRIVATE + APIC_TIMER_AT);
}

/** Divide configuration register: the count goes on at the new rate. */
export function apicTimerSetDivide(vcpu: i32, divide: u32): void {
  const count = apicTimerCurrent(vcpu);
  store<u32>(vcpu, divide & 0xb, LAPIC + APIC_TIMER_DIVIDE);
  store<u32>(vcpu, count, LAPIC_PRIVATE + APIC_TIMER_COUNT);
  store<i64>(vcpu, nowNs(vcpu), LAPIC_PRIVATE + APIC_TIMER_AT);
}

/** LVT timer register. Going to or from TSC-deadline mode disarms the timer; one-shot and periodic run on. */
export function apicTimerSetLvt(vcpu: i32, entry: u32): void {
  lapicAdvance(vcpu, nowNs(vcpu));
  if ((timerMode(vcpu) ^ entry) & LVT_TIMER_DEADLINE) apicTimerStop(vcpu);
  store<u32>(vcpu, entry, LAPIC + APIC_LVT_TIMER);
}

function apicTimerStop(vcpu: i32): void {
  store<u64>(vcpu, 0, TSC_DEADLINE);
  store<u32>(vcpu, 0, LAPIC + APIC_TIMER_INITIAL);
  store<u32>(vcpu, 0, LAPIC_PRIVATE + APIC_TIMER_COUNT);
}

export function apicTimerReset(vcpu: i32): void {
  apicTimerStop(vcpu);
  store<i64>(vcpu, 0, LAPIC_PRIVATE + APIC_TIMER_AT);
}

/** WRMSR IA32_TSC_DEADLINE: arms the timer for that TSC value, 0 disarms; ignored in the other modes. */
export function lapicSetTscDeadline(vcpu: i32, tsc: u64): void {
  lapicAdvance(vcpu, nowNs(vcpu));
  if (timerMode(vcpu) != LVT_TIMER_DEADLINE) return;
  store<u64>(vcpu, tsc, TSC_DEADLINE);
  deadlineMoved(vcpu);
}

/** RDMSR IA32_TSC_DEADLINE: 0 once it has expired. */
export function lapicGetTscDeadline(vcpu: i32): u64 {
  lapicAdvance(vcpu, nowNs(vcpu));
  return load<u64>(vcpu, TSC_DEADLINE);
}
