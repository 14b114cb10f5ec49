// What reset and INIT do to the paravirtual interface: everything that was lent is the guest's again.
import { KVM_ASYNC_PF_EN, KVM_ASYNC_PF_INT, KVM_PV_EOI_EN, KVM_STEAL_TIME, KVM_SYSTEM_TIME, KVM_WALL_CLOCK, LAPIC_PRIVATE } from "../../spec/layout";
import { PV_FLAGS } from "../../spec/chipset";
import { resetAsyncPf } from "./async-pf";

export function resetPv(vcpu: i32): void {
  store<u64>(vcpu, 0, KVM_WALL_CLOCK);
  store<u64>(vcpu, 0, KVM_SYSTEM_TIME);
  store<u64>(vcpu, 0, KVM_STEAL_TIME);
  store<u64>(vcpu, 0, KVM_PV_EOI_EN);
  store<u64>(vcpu, 0, KVM_ASYNC_PF_EN);
  store<u64>(vcpu, 0, KVM_ASYNC_PF_INT);
  resetAsyncPf(vcpu);
  store<u32>(vcpu, 0, LAPIC_PRIVATE + PV_FLAGS);
}
