// Steal time: how long the vCPU could have run and was not let, told to the guest, which charges it to nobody.
// Linux Documentation/virt/kvm/x86/msr.rst, MSR_KVM_STEAL_TIME. Who counts is the host's scheduler.
import { KVM_STEAL_TIME, LAPIC_PRIVATE } from "../../spec/layout";
import { STEAL_NS } from "../../spec/chipset";
import {
  KVM_MSR_ENABLED, PREEMPTED, STEAL_TIME_FLAGS, STEAL_TIME_PREEMPTED, STEAL_TIME_RESERVED, STEAL_TIME_SIZE, STEAL_TIME_STEAL,
  STEAL_TIME_VERSION,
} from "../../spec/paravirt";
import { beforeLentWrite, beginVersion, lentArea, put32, put64 } from "./area";

function stealArea(vcpu: i32): i32 {
  const value = load<u64>(vcpu, KVM_STEAL_TIME);
  return value & KVM_MSR_ENABLED ? lentArea(value & ~(<u64>KVM_MSR_ENABLED), STEAL_TIME_SIZE) : 0;
}

/** False for a value with reserved bits (#GP). */
export function writeStealTime(vcpu: i32, value: u64): bool {
  if (value & STEAL_TIME_RESERVED) return false;
  store<u64>(vcpu, value, KVM_STEAL_TIME);
  publish(vcpu);
  setPreempted(vcpu, 0);
  return true;
}

/** The whole account, so that what the guest does to its copy does not matter. The version is odd meanwhile. */
function publish(vcpu: i32): void {
  const area = stealArea(vcpu);
  if (area == 0) return;
  beforeLentWrite(vcpu, area, STEAL_TIME_SIZE);
  const version = beginVersion(area, STEAL_TIME_VERSION);
  put64(area, STEAL_TIME_STEAL, load<u64>(vcpu, LAPIC_PRIVATE + STEAL_NS));
  put32(area, STEAL_TIME_FLAGS, 0);
  put32(area, STEAL_TIME_VERSION, version);
}

/** The vCPU could have run for `ns` more and did not. Before it runs again. */
export function addStealNs(vcpu: i32, ns: i64): void {
  if (ns <= 0) return;
  store<u64>(vcpu, load<u64>(vcpu, LAPIC_PRIVATE + STEAL_NS) + <u64>ns, LAPIC_PRIVATE + STEAL_NS);
  publish(vcpu);
}

/** The vCPU lost its pCPU while it could run (1), or has one again (0): other vCPUs need not spin for its locks. */
export function setPreempted(vcpu: i32, preempted: u32): void {
  const area = stealArea(vcpu);
  if (area == 0) return;
  beforeLentWrite(vcpu, area + STEAL_TIME_PREEMPTED, 1);
  atomic.store<u8>(area, preempted ? PREEMPTED : 0, STEAL_TIME_PREEMPTED);
}
