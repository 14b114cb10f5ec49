// Paravirtual end of interrupt: a bit in guest memory that says "clear me, and you need not write to the APIC".
// Linux Documentation/virt/kvm/x86/msr.rst, MSR_KVM_PV_EOI_EN.
//
// The bit is offered where an EOI has no side effect: one edge-triggered vector in service and no other requested. Whatever
// would make one (another request, a look at the APIC) first takes the offer back and learns whether the guest has taken it.
import { KVM_PV_EOI_EN, LAPIC, LAPIC_PRIVATE } from "../../spec/layout";
import { APIC_IRR, APIC_ISR, APIC_TMR, PV_FLAGS, PVF_EOI_OFFERED } from "../../spec/chipset";
import { KVM_MSR_ENABLED } from "../../spec/paravirt";
import { vectorHighest, vectorTest } from "../irq/bits";
import { lapicEoi } from "../irq/lapic";
import { beforeLentWrite, lentArea } from "./area";

/** Bytes of the shared word that are touched. */
const SIZE: u32 = 1;

function eoiArea(value: u64): i32 {
  return value & KVM_MSR_ENABLED ? lentArea(value & ~(<u64>KVM_MSR_ENABLED), SIZE) : 0;
}

/** False (#GP) for an address that is not RAM or not aligned to 4 bytes. */
export function writePvEoi(vcpu: i32, value: u64): bool {
  if (value & 2 || (value & KVM_MSR_ENABLED && eoiArea(value) == 0)) return false;
  settlePvEoi(vcpu);
  store<u64>(vcpu, value, KVM_PV_EOI_EN);
  return true;
}

/** A vector went into service: offers the bit if nothing but the end of this one is to come. */
export function offerPvEoi(vcpu: i32, vector: u32): void {
  const area = eoiArea(load<u64>(vcpu, KVM_PV_EOI_EN));
  if (area == 0 || vectorHighest(vcpu + LAPIC + APIC_IRR) >= 0 || vectorTest(vcpu + LAPIC + APIC_TMR, vector)) return;
  if (!isAlone(vcpu, vector)) return;
  beforeLentWrite(vcpu, area, SIZE);
  store<u8>(area, <u8>(<u32>load<u8>(area) | 1));
  store<u32>(vcpu, load<u32>(vcpu, LAPIC_PRIVATE + PV_FLAGS) | PVF_EOI_OFFERED, LAPIC_PRIVATE + PV_FLAGS);
}

/** No other vector is in service. */
function isAlone(vcpu: i32, vector: u32): bool {
  for (let i: u32 = 0; i < 8; i++) {
    const expected: u32 = i == vector >> 5 ? 1 << (vector & 31) : 0;
    if (load<u32>(vcpu + LAPIC + APIC_ISR + <i32>(i << 4)) != expected) return false;
  }
  return true;
}

/** Before anything that an EOI could change: takes the offer back, and does what the guest has left undone. */
// @ts-ignore: decorator
@inline
export function settlePvEoi(vcpu: i32): void {
  if (load<u32>(vcpu, LAPIC_PRIVATE + PV_FLAGS) & PVF_EOI_OFFERED) settle(vcpu);
}

function settle(vcpu: i32): void {
  withdrawPvEoi(vcpu);
  const area = eoiArea(load<u64>(vcpu, KVM_PV_EOI_EN));
  // The memory may have gone (a slot removed): then the guest has not been able to answer.
  if (area == 0) return;
  const word = <u32>load<u8>(area);
  if (word & 1) {
    beforeLentWrite(vcpu, area, SIZE);
    store<u8>(area, <u8>(word & ~1));
  } else lapicEoi(vcpu);
}

/** Forgets the offer: the APIC lost its state. */
export function withdrawPvEoi(vcpu: i32): void {
  store<u32>(vcpu, load<u32>(vcpu, LAPIC_PRIVATE + PV_FLAGS) & ~PVF_EOI_OFFERED, LAPIC_PRIVATE + PV_FLAGS);
}
