// Interrupt messages between I/O APIC, MSI writers and local APICs: destinations and delivery modes (SDM 3A 11.6, 11.11).
import { CHIPSET_BASE, LAPIC } from "../../spec/layout";
import {
  APIC_DFR,
  APIC_ID,
  APIC_LAST_LOWEST,
  APIC_LDR,
  APIC_PPR,
  DELIVER_EXTINT,
  DELIVER_FIXED,
  DELIVER_INIT,
  DELIVER_LOWEST,
  DELIVER_NMI,
  DELIVER_SIPI,
  IRQ_FROM_EXTINT,
} from "../../spec/chipset";
import { lapicEnabled, lapicReceive } from "./lapic";
import { lapicOn, raiseNmi, requestInit, requestStartup, setSummary, vcpuAt, vcpuCount } from "./pending";

/** True if a message with this destination is for the vCPU. 0xff is everyone in both destination modes. */
export function addressed(vcpu: i32, destination: u32, logical: bool): bool {
  if (!lapicOn(vcpu)) return false;
  if (destination == 0xff) return true;
  if (!logical) return load<u32>(vcpu, LAPIC + APIC_ID) >> 24 == destination;
  const ldr = load<u32>(vcpu, LAPIC + APIC_LDR) >> 24;
  const model = load<u32>(vcpu, LAPIC + APIC_DFR) >> 28;
  if (model == 0xf) return (ldr & destination) != 0;
  if (model != 0) return false;
  const cluster = destination >> 4;
  return (cluster == 0xf || cluster == ldr >> 4) && (ldr & destination & 0xf) != 0;
}

/** One message to one vCPU. True if it was accepted. */
export function deliverTo(vcpu: i32, mode: i32, vector: u32, level: bool): bool {
  if (mode == DELIVER_FIXED || mode == DELIVER_LOWEST) return lapicReceive(vcpu, vector, level);
  if (mode == DELIVER_NMI) raiseNmi(vcpu);
  else if (mode == DELIVER_INIT) requestInit(vcpu);
  else if (mode == DELIVER_SIPI) requestStartup(vcpu, vector);
  else if (mode == DELIVER_EXTINT) setSummary(vcpu, IRQ_FROM_EXTINT, true);
  // SMI: there is no system management mode; the message is consumed.
  return true;
}

/** A message to all it addresses, or to the one with the lowest priority. True if at least one took it. */
export function deliver(destination: u32, logical: bool, mode: i32, vector: u32, level: bool): bool {
  if (mode == DELIVER_LOWEST) return deliverLowest(destination, logical, vector, level);
  const count = vcpuCount();
  let taken = false;
  for (let i = 0; i < count; i++) {
    const vcpu = vcpuAt(i);
    if (addressed(vcpu, destination, logical) && deliverTo(vcpu, mode, vector, level)) taken = true;
  }
  return taken;
}

/** Arbitration: the lowest processor priority class, in turn among equals. Disabled APICs do not take part. */
function deliverLowest(destination: u32, logical: bool, vector: u32, level: bool): bool {
  const count = vcpuCount();
  const after = load<u32>(CHIPSET_BASE, APIC_LAST_LOWEST) + 1;
  let chosen = -1;
  let lowest: u32 = 0x100;
  for (let n = 0; n < count; n++) {
    const i = <i32>((after + <u32>n) % <u32>count);
    const vcpu = vcpuAt(i);
    if (!addressed(vcpu, destination, logical) || !lapicEnabled(vcpu)) continue;
    const priority = load<u32>(vcpu, LAPIC + APIC_PPR) & 0xf0;
    if (priority >= lowest) continue;
    lowest = priority;
    chosen = i;
  }
  if (chosen < 0) return false;
  store<u32>(CHIPSET_BASE, <u32>chosen, APIC_LAST_LOWEST);
  return lapicReceive(vcpuAt(chosen), vector, level);
}
