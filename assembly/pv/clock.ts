// kvm-clock: a page from which a guest reads system time without an exit, and the wall clock at system time 0.
// Linux Documentation/virt/kvm/x86/msr.rst, MSR_KVM_SYSTEM_TIME_NEW and MSR_KVM_WALL_CLOCK_NEW.
//
// System time is the VM's clock (time/clock.ts), and the TSC derives from the same clock. So the page holds from the
// moment it is written: it changes only when the guest moves its TSC or the host says that it stopped the guest.
import { KVM_SYSTEM_TIME, KVM_WALL_CLOCK, LAPIC_PRIVATE, VM_BASE, VM_TSC_KHZ, VM_WALL_NS } from "../../spec/layout";
import { PV_FLAGS, PVF_OLD_CLOCK } from "../../spec/chipset";
import { Feature } from "../../spec/features";
import {
  KVM_MSR_ENABLED, PVCLOCK_FLAGS, PVCLOCK_GUEST_STOPPED, PVCLOCK_SIZE, PVCLOCK_SYSTEM_TIME, PVCLOCK_TSC_SHIFT, PVCLOCK_TSC_STABLE,
  PVCLOCK_TSC_TIMESTAMP, PVCLOCK_TSC_TO_SYSTEM_MUL, PVCLOCK_VERSION, WALL_CLOCK_NANOSECONDS, WALL_CLOCK_SECONDS, WALL_CLOCK_SIZE,
  WALL_CLOCK_VERSION,
} from "../../spec/paravirt";
import { hasFeature } from "../cpu/features";
import { nowNs, tscAt } from "../time/clock";
import { beforeLentWrite, beginVersion, lentArea, put32, put64 } from "./area";

const NS_PER_SECOND: u64 = 1000000000;

/** The guest lends the page (bit 0 set) or takes it back. `old`: through the MSR of before 2010, without a stable flag. */
export function writeSystemTime(vcpu: i32, value: u64, old: bool): void {
  store<u64>(vcpu, value, KVM_SYSTEM_TIME);
  const flags = load<u32>(vcpu, LAPIC_PRIVATE + PV_FLAGS);
  store<u32>(vcpu, old ? flags | PVF_OLD_CLOCK : flags & ~PVF_OLD_CLOCK, LAPIC_PRIVATE + PV_FLAGS);
  publishClock(vcpu, 0);
}

/** Wasm address of the page, or 0: none is lent, or not in RAM, or not aligned to 4 bytes as the interface wants it. */
function timePage(vcpu: i32): i32 {
  const value = load<u64>(vcpu, KVM_SYSTEM_TIME);
  const gpa = value & ~(<u64>KVM_MSR_ENABLED);
  return value & KVM_MSR_ENABLED && !(gpa & 3) ? lentArea(gpa, PVCLOCK_SIZE) : 0;
}

/**
 * Writes the page anew, with `flags` (PVCLOCK_*) added to those that the guest has not yet cleared. Another vCPU may be
 * reading: the version is odd meanwhile. False where there is no page.
 */
export function publishClock(vcpu: i32, flags: u32): bool {
  const page = timePage(vcpu);
  if (page == 0) return false;
  const khz = <u64>load<u32>(VM_BASE, VM_TSC_KHZ);
  if (khz == 0) return false;
  // 1e9 / hz as a fraction of 32 bits and a power of two
  let numerator = NS_PER_SECOND;
  let denominator = khz * 1000;
  let shift = 0;
  for (; denominator >> 32; denominator >>= 1) shift--;
  for (; numerator >= denominator; denominator <<= 1) shift++;
  for (; numerator << 1 < denominator; numerator <<= 1) shift--;
  const now = nowNs(vcpu);
  const stable = hasFeature(vcpu, Feature.KvmClockStable) && !(load<u32>(vcpu, LAPIC_PRIVATE + PV_FLAGS) & PVF_OLD_CLOCK);
  const kept = <u32>load<u8>(page, PVCLOCK_FLAGS) & PVCLOCK_GUEST_STOPPED;

  beforeLentWrite(vcpu, page, PVCLOCK_SIZE);
  const version = beginVersion(page, PVCLOCK_VERSION);
  put64(page, PVCLOCK_TSC_TIMESTAMP, tscAt(vcpu, now));
  put64(page, PVCLOCK_SYSTEM_TIME, <u64>now);
  put32(page, PVCLOCK_TSC_TO_SYSTEM_MUL, <u32>((numerator << 32) / denominator));
  // tscShift in the lowest byte, the flags in the next, padding
  put32(page, PVCLOCK_TSC_SHIFT, (<u32>shift & 0xff) | (((stable ? PVCLOCK_TSC_STABLE : 0) | kept | flags) << 8));
  put32(page, PVCLOCK_VERSION, version);
  return true;
}

/** The wall clock at system time 0, once, to where the guest asks for it. */
export function writeWallClock(vcpu: i32, value: u64): void {
  store<u64>(vcpu, value, KVM_WALL_CLOCK);
  const at = value & 3 ? 0 : lentArea(value, WALL_CLOCK_SIZE);
  if (at == 0) return;
  const wall = load<u64>(VM_BASE, VM_WALL_NS);
  beforeLentWrite(vcpu, at, WALL_CLOCK_SIZE);
  const version = beginVersion(at, WALL_CLOCK_VERSION);
  put32(at, WALL_CLOCK_SECONDS, <u32>(wall / NS_PER_SECOND));
  put32(at, WALL_CLOCK_NANOSECONDS, <u32>(wall % NS_PER_SECOND));
  put32(at, WALL_CLOCK_VERSION, version);
}
