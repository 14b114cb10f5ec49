// What reset and INIT do to the paravirtual interface: everything that was lent is the guest's again.
import { KVM_PV_EOI_EN, KVM_STEAL_TIME, KVM_SYSTEM_TIME, KVM_WALL_CLOCK, LAPIC_PRIVATE } from "../../spec/layout";
import { PV_FLAGS } from "../../spec/chipset";

export function resetPv(vcpu: i32): void {
  store<u64>(vcpu, 0, KVM_WALL_CLOCK);
  store<u64>(vcpu, 0, KVM_SYSTEM_TIME);
  store<u64>(vcpu, 0, KVM_STEAL_TIME);
  store<u64>(vcpu, 0, KVM_PV_EOI_EN);
  store<u32>(vcpu, 0, LAPIC_PRIVATE + PV_FLAGS);
}
