// When the run loop must next look at a timer, and the look itself.
import {
  EVENT,
  EVENT_RECHECK, EVENT_TIMER,
  KDEV_LAPIC,
  KDEV_PIT,
  VM_BASE,
  VM_HOST_DEADLINE_NS,
  VM_KERNEL_DEVICES,
} from "../../spec/layout";
import { lapicAdvance, lapicNextDeadline } from "./apictimer";
import { pitAdvance, pitNextDeadline } from "./pit";

/** Earliest of 8254, local APIC timer and the devices in the host; guest ns, i64.MAX_VALUE = none. */
export function nextDeadlineNs(vcpu: i32): i64 {
  const devices = load<u32>(VM_BASE, VM_KERNEL_DEVICES);
  let next = load<i64>(VM_BASE, VM_HOST_DEADLINE_NS);
  if (devices & KDEV_PIT) {
    const pit = pitNextDeadline();
    if (pit < next) next = pit;
  }
  if (devices & KDEV_LAPIC) {
    const apic = lapicNextDeadline(vcpu);
    if (apic < next) next = apic;
  }
  return next;
}

/** Expires what is due at `nowNs`. The host looks after its own deadline. */
export function advanceTimers(vcpu: i32, ns: i64): void {
  const devices = load<u32>(VM_BASE, VM_KERNEL_DEVICES);
  if (devices & KDEV_PIT) pitAdvance(ns);
  if (devices & KDEV_LAPIC) lapicAdvance(vcpu, ns);
}

/** The guest moved a deadline: the block loop must come back, because its budget was made for the old one. */
export function deadlineMoved(vcpu: i32): void {
  store<u32>(vcpu, load<u32>(vcpu, EVENT) | EVENT_RECHECK | EVENT_TIMER, EVENT);
}
