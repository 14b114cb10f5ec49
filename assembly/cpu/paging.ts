// What loading CR0, CR3 and CR4 means for paging: the PDPTE registers and the flushes. SDM 3A 4.1.2, 4.4.1, 4.10.4.
import { CR0, CR3, CR4, CTRL_PAGING, PAGING_PARA, PAGING_SHADOW, PDPTE } from "../../spec/layout";
import { CR0_PG, CR4_PAE } from "../../spec/registers";
import { rootAllowed } from "../mmu/para";
import { readPhysical64 } from "../mmu/physical";
import { loadShadowRoots } from "../mmu/shadow";
import { flushTlb } from "../mmu/tlb";

/** Physical-address width that CPUID reports; entries with higher bits set are reserved. */
export const PHYSICAL_ADDRESS_BITS = 36;
const PDPTE_RESERVED: u64 = (~(((<u64>1) << PHYSICAL_ADDRESS_BITS) - 1)) | 0x1e6;

/** True when control registers of these values select PAE paging. */
export function isPae(cr0: u32, cr4: u32): bool {
  return (cr0 & CR0_PG) != 0 && (cr4 & CR4_PAE) != 0;
}

/** Loads the four PDPTE registers from the table at `cr3`. False, with nothing loaded, when one has reserved bits set. */
export function loadPdptes(vcpu: i32, cr3: u32): bool {
  const table = cr3 & ~31;
  for (let i = 0; i < 4; i++) {
    const entry = readPhysical64(table + <u32>(i << 3));
    if (entry & 1 && entry & PDPTE_RESERVED) return false;
  }
  for (let i = 0; i < 4; i++) store<u64>(vcpu + (i << 3), readPhysical64(table + <u32>(i << 3)), PDPTE);
  return true;
}

/** Loads CR3 and drops the translations that are not global. False (the caller raises #GP) when PDPTEs are bad, or under para paging when the root is not registered. */
export function loadCr3(vcpu: i32, value: u32): bool {
  const paging = load<u32>(vcpu, CTRL_PAGING);
  if (paging == PAGING_PARA && load<u32>(vcpu, CR0) & CR0_PG && !rootAllowed(vcpu, value)) return false;
  if (isPae(load<u32>(vcpu, CR0), load<u32>(vcpu, CR4)) && !loadPdptes(vcpu, value)) return false;
  store<u32>(vcpu, value, CR3);
  flushTlb(vcpu);
  if (paging == PAGING_SHADOW) loadShadowRoots(vcpu);
  return true;
}
