// Guest-physical pages of the chipset that are answered inside Wasm, as far as VM_KERNEL_DEVICES puts them there.
import { APIC_BASE, KDEV_IOAPIC, VM_BASE, VM_KERNEL_DEVICES } from "../../spec/layout";
import { IOAPIC_ADDRESS } from "../../spec/chipset";
import { ioapicMmioRead, ioapicMmioWrite } from "./ioapic";
import { lapicOn } from "./pending";
import { lapicMmioRead, lapicMmioWrite } from "./registers";

const IOAPIC_PAGE: u32 = <u32>IOAPIC_ADDRESS;

/** The local APIC's page, where IA32_APIC_BASE puts it while it is switched on. */
function isLapicPage(vcpu: i32, page: u32): bool {
  return page == (load<u32>(vcpu, APIC_BASE) & 0xfffff000) && lapicOn(vcpu);
}

/** True when a controller in Wasm answers at this guest-physical address. */
export function isChipsetMmio(vcpu: i32, gpa: u32): bool {
  const page = gpa & 0xfffff000;
  if (isLapicPage(vcpu, page)) return true;
  return page == IOAPIC_PAGE && (load<u32>(VM_BASE, VM_KERNEL_DEVICES) & KDEV_IOAPIC) != 0;
}

/** Reads `size` bytes (1 2 4 8) at an address that isChipsetMmio accepts; accesses the chips do not define read 0. */
export function chipsetMmioRead(vcpu: i32, gpa: u32, size: u32): u64 {
  if (isLapicPage(vcpu, gpa & 0xfffff000)) return <u64>lapicMmioRead(vcpu, gpa & 0xfff, size);
  return <u64>ioapicMmioRead(gpa & 0xfff, size);
}

/** Writes likewise; accesses the chips do not define are dropped. */
export function chipsetMmioWrite(vcpu: i32, gpa: u32, size: u32, value: u64): void {
  if (isLapicPage(vcpu, gpa & 0xfffff000)) lapicMmioWrite(vcpu, gpa & 0xfff, size, <u32>value);
  else ioapicMmioWrite(gpa & 0xfff, size, <u32>value);
}

/** For the host, which emulates an access that came out: the value, or -1 where no controller answers. */
export function chipsetRead(vcpu: i32, gpa: u32, size: u32): i64 {
  return isChipsetMmio(vcpu, gpa) ? <i64>(chipsetMmioRead(vcpu, gpa, size) & 0xffffffff) : -1;
}

/** Likewise: 1 when a controller has taken it. */
export function chipsetWrite(vcpu: i32, gpa: u32, size: u32, value: u32): u32 {
  if (!isChipsetMmio(vcpu, gpa)) return 0;
  chipsetMmioWrite(vcpu, gpa, size, value);
  return 1;
}
