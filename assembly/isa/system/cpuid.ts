// CPUID from the table that the host has set (CPUID_TABLE, as KVM_SET_CPUID2). SDM 2A CPUID.
import { APIC_BASE, CPUID_COUNT, CPUID_MAX, CPUID_STRIDE, CPUID_TABLE, EAX, EBX, ECX, EDX, VCPU_ID } from "../../../spec/layout";
import { cpuidExit } from "./exit-controls";

const EDX_APIC: u32 = 0x200;
const APIC_ENABLED: u32 = 0x800;

/** Table entry of a leaf, or 0. */
function find(vcpu: i32, leaf: u32, subleaf: u32): i32 {
  const count = min<u32>(load<u32>(vcpu, CPUID_COUNT), CPUID_MAX);
  let entry = vcpu + CPUID_TABLE;
  for (let i: u32 = 0; i < count; i++) {
    if (load<u32>(entry) == leaf && (!(load<u32>(entry, 8) & 1) || load<u32>(entry, 4) == subleaf)) return entry;
    entry += CPUID_STRIDE;
  }
  return 0;
}

/** Highest leaf of the range that `leaf` is in: EAX of the range's first leaf, 0 when there is no such range. */
function highest(vcpu: i32, leaf: u32): u32 {
  // hypervisors have ranges of 256 leaves
  const entry = find(vcpu, leaf >> 16 == 0x4000 ? leaf & 0xffffff00 : leaf & 0xffff0000, 0);
  return entry == 0 ? 0 : load<u32>(entry, 12);
}

export function cpuid(vcpu: i32): void {
  if (cpuidExit(vcpu)) return;
  let leaf = load<u32>(vcpu, EAX);
  const subleaf = load<u32>(vcpu, ECX);
  // a leaf beyond every range answers as the highest basic one
  if (leaf > highest(vcpu, leaf)) leaf = highest(vcpu, 0);
  const entry = find(vcpu, leaf, subleaf);
  let eax: u32 = 0;
  let ebx: u32 = 0;
  let ecx: u32 = 0;
  let edx: u32 = 0;
  if (entry != 0) {
    eax = load<u32>(entry, 12);
    ebx = load<u32>(entry, 16);
    ecx = load<u32>(entry, 20);
    edx = load<u32>(entry, 24);
  }
  if (leaf == 1) {
    // initial APIC ID; the APIC bit follows IA32_APIC_BASE
    ebx = (ebx & 0x00ffffff) | (load<u32>(vcpu, VCPU_ID) << 24);
    if (!(load<u32>(vcpu, APIC_BASE) & APIC_ENABLED)) edx &= ~EDX_APIC;
  }
  store<u32>(vcpu, eax, EAX);
  store<u32>(vcpu, ebx, EBX);
  store<u32>(vcpu, ecx, ECX);
  store<u32>(vcpu, edx, EDX);
}

/** EAX of leaf 1: the processor signature, which reset leaves in EDX. */
export function signature(vcpu: i32): u32 {
  const entry = find(vcpu, 1, 0);
  return entry == 0 ? 0 : load<u32>(entry, 12);
}
