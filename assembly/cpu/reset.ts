// Power-on, INIT and start-up IPI. SDM 3A table 9-1, 8.4.
import {
  APIC_BASE, BIOS_SIGN_ID, CPL, CR0, CR2, CR3, CR4, DEBUGCTL, DR0, DR6, DR7, EDX, EFER, EFLAGS_SYS, EIP, EVENT, FAULT, FLAG_AUX, FLAG_RES,
  FPU_FCW, FPU_R, FPU_TAG, GDTR_BASE, GDTR_LIMIT, GPR, GPR_ZERO, HALTED, IDTR_BASE, IDTR_LIMIT, INHIBIT, MISC_ENABLE, MTRR_DEF_TYPE, P6_EVNTSEL,
  MXCSR, NMI_BLOCKED, NMI_PENDING, PAT, PDPTE, PENDING_DB, SEG_ATTR, SEG_BASE, SEG_CS, SEG_ES, SEG_GS, SEG_LDTR, SEG_LIMIT,
  SEG_SELECTOR, SEG_TR, SYSENTER_CS, SYSENTER_EIP, SYSENTER_ESP, TSC_AUX, TSC_OFFSET, VCPU_ID, VECTORING, XMM, MTRR_FIX, LAPIC_PRIVATE,
} from "../../spec/layout";
import { STEAL_NS } from "../../spec/chipset";
import { Feature } from "../../spec/features";
import { CR0_CD, CR0_ET, CR0_NW } from "../../spec/registers";
import { signature } from "../isa/system/cpuid";
import { MISC_ENABLE_FIXED } from "../isa/system/msr";
import { flushTlbAll } from "../mmu/tlb";
import { resetPv } from "../pv/reset";
import { readTsc } from "../time/clock";
import { hasFeature } from "./features";
import { segAddress, updateMode, updateSegment } from "./segment";

const APIC_BASE_RESET: u64 = 0xfee00800;
const APIC_BASE_BSP: u64 = 0x100;
const PAT_RESET: u64 = 0x0007040600070406;
/** Fast strings on. */
const MISC_ENABLE_RESET: u64 = 1;
// attributes of the caches after reset: accessed code, accessed writable data, LDT, busy 32-bit TSS; all present
const RESET_CODE: u32 = 0x9b;
const RESET_DATA: u32 = 0x93;
const RESET_LDT: u32 = 0x82;
const RESET_TSS: u32 = 0x8b;

function resetSegment(vcpu: i32, seg: i32, selector: u32, base: u32, attr: u32): void {
  const s = segAddress(vcpu, seg);
  store<u32>(s, selector, SEG_SELECTOR);
  store<u32>(s, base, SEG_BASE);
  store<u32>(s, 0xffff, SEG_LIMIT);
  store<u32>(s, attr, SEG_ATTR);
  updateSegment(vcpu, seg);
}

/** What power-on, reset and INIT have in common: execution begins at FFFF0000:FFF0 in real mode. */
function resetCore(vcpu: i32, cr0: u32): void {
  memory.fill(vcpu + GPR, 0, GPR_ZERO - GPR + 8);
  store<u64>(vcpu, signature(vcpu), EDX);
  store<u64>(vcpu, 0xfff0, EIP);
  store<u32>(vcpu, 1, FLAG_RES);
  store<u32>(vcpu, 0, FLAG_AUX); // all arithmetic flags clear: result 1, no carries
  store<u32>(vcpu, 2, EFLAGS_SYS);
  for (let seg = SEG_ES; seg <= SEG_GS; seg++) resetSegment(vcpu, seg, 0, 0, RESET_DATA);
  resetSegment(vcpu, SEG_CS, 0xf000, 0xffff0000, RESET_CODE);
  resetSegment(vcpu, SEG_LDTR, 0, 0, RESET_LDT);
  resetSegment(vcpu, SEG_TR, 0, 0, RESET_TSS);
  store<u32>(vcpu, 0, GDTR_BASE);
  store<u32>(vcpu, 0xffff, GDTR_LIMIT);
  store<u32>(vcpu, 0, IDTR_BASE);
  store<u32>(vcpu, 0xffff, IDTR_LIMIT);
  store<u32>(vcpu, cr0, CR0);
  store<u32>(vcpu, 0, CR2);
  store<u32>(vcpu, 0, CR3);
  store<u32>(vcpu, 0, CR4);
  memory.fill(vcpu + PDPTE, 0, 32);
  memory.fill(vcpu + DR0, 0, 16);
  store<u32>(vcpu, 0xffff0ff0, DR6);
  store<u32>(vcpu, 0x400, DR7);
  store<u32>(vcpu, 0, CPL);
  store<u32>(vcpu, 0, FAULT);
  store<u32>(vcpu, 0, EVENT);
  store<u32>(vcpu, 0, INHIBIT);
  store<u32>(vcpu, 0, HALTED);
  store<u32>(vcpu, 0, NMI_PENDING);
  store<u32>(vcpu, 0, NMI_BLOCKED);
  store<u32>(vcpu, 0, PENDING_DB);
  store<u32>(vcpu, 0, VECTORING);
  resetPv(vcpu);
  updateMode(vcpu);
  flushTlbAll(vcpu);
}

/** Power-on state. The host has set VCPU_ID, FEATURES, the CPUID table and the TLB addresses. */
export function resetVcpu(vcpu: i32): void {
  resetCore(vcpu, CR0_CD | CR0_NW | CR0_ET);
  // x87 after reset: FCW 0040h and eight registers +0.0, all tagged as in use
  memory.fill(vcpu + FPU_R, 0, MXCSR - FPU_R);
  store<u16>(vcpu, 0x40, FPU_FCW);
  store<u8>(vcpu, 0xff, FPU_TAG);
  store<u32>(vcpu, 0x1f80, MXCSR);
  memory.fill(vcpu + XMM, 0, 256);
  store<u64>(vcpu, 0, EFER);
  store<u64>(vcpu, 0, SYSENTER_CS);
  store<u64>(vcpu, 0, SYSENTER_ESP);
  store<u64>(vcpu, 0, SYSENTER_EIP);
  store<u64>(vcpu, PAT_RESET, PAT);
  const bsp = load<u32>(vcpu, VCPU_ID) == 0 ? APIC_BASE_BSP : 0;
  store<u64>(vcpu, hasFeature(vcpu, Feature.Apic) ? APIC_BASE_RESET | bsp : 0, APIC_BASE);
  store<u64>(vcpu, 0, TSC_AUX);
  store<u64>(vcpu, MISC_ENABLE_RESET | MISC_ENABLE_FIXED, MISC_ENABLE);
  store<u64>(vcpu, 0, BIOS_SIGN_ID);
  store<u64>(vcpu, 0, DEBUGCTL);
  memory.fill(vcpu + P6_EVNTSEL, 0, 2 * 4 + 2 * 8);
  store<u64>(vcpu, 0, MTRR_DEF_TYPE);
  store<u64>(vcpu, 0, LAPIC_PRIVATE + STEAL_NS);
  memory.fill(vcpu + MTRR_FIX, 0, (11 + 16) * 8);
  // the TSC starts at 0
  store<u64>(vcpu, load<u64>(vcpu, TSC_OFFSET) - readTsc(vcpu), TSC_OFFSET);
}

/** INIT: as reset, but x87, SSE, MSRs and the caching bits of CR0 stay. */
export function initVcpu(vcpu: i32): void {
  resetCore(vcpu, (load<u32>(vcpu, CR0) & (CR0_CD | CR0_NW)) | CR0_ET);
}

/** Start-up IPI after INIT: real mode at vector * 4 KiB. */
export function startVcpu(vcpu: i32, vector: u32): void {
  resetSegment(vcpu, SEG_CS, vector << 8, vector << 12, RESET_CODE);
  store<u64>(vcpu, 0, EIP);
  store<u32>(vcpu, 0, HALTED);
  updateMode(vcpu);
}
