// RDMSR and WRMSR. SDM volume 4 for the registers, 3A 11.11 (MTRRs), 11.12 (PAT), 3B, Performance Monitoring (P6 Family Processor). An MSR that the core does not have is
// the host's: the instruction exits (Exit.MsrRead, Exit.MsrWrite) and takes the answer when it is executed again.
import {
  APIC_BASE, BIOS_SIGN_ID, CPL, CTRL_FLAGS, CTRLF_MSR_BITMAP, EAX, ECX, EDX, EFER, EXIT_DATA, EXIT_NR, EXIT_QUAL, MISC_ENABLE, MSR_BITMAP,
  MTRR_DEF_TYPE, MTRR_FIX, MTRR_VAR, P6_EVNTSEL, P6_PERFCTR, PAT, SYSENTER_CS, SYSENTER_EIP, SYSENTER_ESP, TSC_AUX, TSC_OFFSET,
} from "../../../spec/layout";
import { Exit } from "../../../spec/exits";
import { Feature } from "../../../spec/features";
import * as M from "../../../spec/msrs";
import { EFER_NXE } from "../../../spec/registers";
import { exitBefore, raiseGP, recheck } from "../../cpu/fault";
import { hasFeature } from "../../cpu/features";
import { PHYSICAL_ADDRESS_BITS } from "../../cpu/paging";
import { replayTake, replayValue } from "../../cpu/replay";
import { lapicBaseChanged, lapicGetTscDeadline, lapicSetTscDeadline } from "../../irq/lapic";
import { flushTlbAll } from "../../mmu/tlb";
import { publishClock } from "../../pv/clock";
import { pvMsrStorage, writePvMsr } from "../../pv/msr";
import { readTsc } from "../../time/clock";

/** Outcome of an access: performed, #GP(0), or an MSR that the core does not have. */
const DONE = 0;
const BAD = 1;
const UNKNOWN = 2;

const PHYSICAL_MASK: u64 = ((<u64>1) << PHYSICAL_ADDRESS_BITS) - 1;
/** 8 variable ranges, fixed ranges, write combining. */
const MTRRCAP: u64 = 0x508;
/** Width of a P6 performance counter. */
const COUNTER_MASK: u64 = ((<u64>1) << 40) - 1;
const APIC_BASE_BSP: u64 = 0x100;
const APIC_BASE_ENABLE: u64 = 0x800;
/** BTS and PEBS are unavailable: read-only ones. */
export const MISC_ENABLE_FIXED: u64 = 0x1800;
/** Fast strings, thermal monitor, MONITOR, CPUID limit, xTPR: kept as written, without effect here. */
const MISC_ENABLE_WRITABLE: u64 = 0xc40009;

export function readMsr(vcpu: i32): void {
  if (load<u32>(vcpu, CPL) != 0) return raiseGP(vcpu, 0);
  const nr = load<u32>(vcpu, ECX);
  if (!intercepted(vcpu, nr, 0)) {
    const at = storage(vcpu, nr);
    if (at != 0) return result(vcpu, load<u64>(vcpu + at));
    const outcome = readSpecial(vcpu, nr);
    if (outcome == DONE) return;
    if (outcome == BAD) return raiseGP(vcpu, 0);
  }
  if (!replayTake(vcpu, Exit.MsrRead, nr)) {
    store<u32>(vcpu, nr, EXIT_NR);
    store<u32>(vcpu, 0, EXIT_QUAL);
    return exitBefore(vcpu, Exit.MsrRead);
  }
  if (load<u32>(vcpu, EXIT_QUAL) == 1) return raiseGP(vcpu, 0);
  result(vcpu, replayValue(vcpu));
}

export function writeMsr(vcpu: i32): void {
  if (load<u32>(vcpu, CPL) != 0) return raiseGP(vcpu, 0);
  const nr = load<u32>(vcpu, ECX);
  const value = ((<u64>load<u32>(vcpu, EDX)) << 32) | load<u32>(vcpu, EAX);
  if (!intercepted(vcpu, nr, 0x800)) {
    const outcome = write(vcpu, nr, value);
    if (outcome == DONE) return recheck(vcpu);
    if (outcome == BAD) return raiseGP(vcpu, 0);
  }
  if (!replayTake(vcpu, Exit.MsrWrite, nr)) {
    store<u32>(vcpu, nr, EXIT_NR);
    store<u64>(vcpu, value, EXIT_DATA);
    store<u32>(vcpu, 0, EXIT_QUAL);
    return exitBefore(vcpu, Exit.MsrWrite);
  }
  if (load<u32>(vcpu, EXIT_QUAL) == 1) return raiseGP(vcpu, 0);
  recheck(vcpu);
}

function result(vcpu: i32, value: u64): void {
  store<u64>(vcpu, value & 0xffffffff, EAX);
  store<u64>(vcpu, value >> 32, EDX);
}

/** The host asked for this MSR (CTRLF_MSR_BITMAP); `half` is the offset of the read or write bitmaps. */
function intercepted(vcpu: i32, nr: u32, half: i32): bool {
  if (!(load<u32>(vcpu, CTRL_FLAGS) & CTRLF_MSR_BITMAP)) return false;
  // The paravirtual MSRs, which VMX has no bits for, share those of numbers that nobody uses.
  const low = nr & 0x1fff;
  const at = vcpu + MSR_BITMAP + half + (nr < 0xc0000000 ? 0 : 0x400) + <i32>(low >> 3);
  return ((<u32>load<u8>(at) >> (low & 7)) & 1) != 0;
}

/** Offset in the vCPU block of an MSR that reads as it was stored, or 0. */
function storage(vcpu: i32, nr: u32): i32 {
  switch (nr) {
    case M.MSR_SYSENTER_CS: return hasFeature(vcpu, Feature.Sep) ? SYSENTER_CS : 0;
    case M.MSR_SYSENTER_ESP: return hasFeature(vcpu, Feature.Sep) ? SYSENTER_ESP : 0;
    case M.MSR_SYSENTER_EIP: return hasFeature(vcpu, Feature.Sep) ? SYSENTER_EIP : 0;
    case M.MSR_PAT: return hasFeature(vcpu, Feature.Pat) ? PAT : 0;
    case M.MSR_APIC_BASE: return hasFeature(vcpu, Feature.Apic) ? APIC_BASE : 0;
    case M.MSR_EFER: return hasFeature(vcpu, Feature.Nx) ? EFER : 0;
    case M.MSR_TSC_AUX: return hasFeature(vcpu, Feature.Rdtscp) ? TSC_AUX : 0;
    case M.MSR_MISC_ENABLE: return MISC_ENABLE;
    case M.MSR_BIOS_SIGN_ID: return BIOS_SIGN_ID;
    case M.MSR_P6_PERFCTR0: return hasFeature(vcpu, Feature.P6Counters) ? P6_PERFCTR : 0;
    case M.MSR_P6_PERFCTR1: return hasFeature(vcpu, Feature.P6Counters) ? P6_PERFCTR + 8 : 0;
    default: {
      const mtrr = hasFeature(vcpu, Feature.Mtrr) ? mtrrStorage(nr) : 0;
      return mtrr != 0 ? mtrr : pvMsrStorage(vcpu, nr);
    }
  }
}

function mtrrStorage(nr: u32): i32 {
  if (nr == M.MSR_MTRR_DEF_TYPE) return MTRR_DEF_TYPE;
  if (nr - M.MSR_MTRR_PHYSBASE0 < 16) return MTRR_VAR + <i32>((nr - M.MSR_MTRR_PHYSBASE0) << 3);
  if (nr == M.MSR_MTRR_FIX64K_00000) return MTRR_FIX;
  if (nr == M.MSR_MTRR_FIX16K_80000) return MTRR_FIX + 8;
  if (nr == M.MSR_MTRR_FIX16K_A0000) return MTRR_FIX + 16;
  if (nr - M.MSR_MTRR_FIX4K_C0000 < 8) return MTRR_FIX + 24 + <i32>((nr - M.MSR_MTRR_FIX4K_C0000) << 3);
  return 0;
}

/** MSRs that are computed when they are read. */
function readSpecial(vcpu: i32, nr: u32): i32 {
  switch (nr) {
    case M.MSR_TSC:
      if (!hasFeature(vcpu, Feature.Tsc)) return UNKNOWN;
      result(vcpu, readTsc(vcpu));
      return DONE;
    case M.MSR_TSC_DEADLINE:
      if (!hasFeature(vcpu, Feature.TscDeadline)) return UNKNOWN;
      result(vcpu, lapicGetTscDeadline(vcpu));
      return DONE;
    case M.MSR_MTRRCAP:
      if (!hasFeature(vcpu, Feature.Mtrr)) return UNKNOWN;
      result(vcpu, MTRRCAP);
      return DONE;
    case M.MSR_P5_MC_ADDR:
    case M.MSR_P5_MC_TYPE:
      if (!hasFeature(vcpu, Feature.Mce)) return UNKNOWN;
      result(vcpu, 0);
      return DONE;
    case M.MSR_MCG_CAP:
    case M.MSR_MCG_STATUS:
      // no banks
      if (!hasFeature(vcpu, Feature.Mca)) return UNKNOWN;
      result(vcpu, 0);
      return DONE;
    case M.MSR_PLATFORM_ID:
    case M.MSR_DEBUGCTL:
      result(vcpu, 0);
      return DONE;
    case M.MSR_P6_EVNTSEL0:
    case M.MSR_P6_EVNTSEL1:
      if (!hasFeature(vcpu, Feature.P6Counters)) return UNKNOWN;
      result(vcpu, <u64>load<u32>(vcpu + <i32>((nr - M.MSR_P6_EVNTSEL0) << 2), P6_EVNTSEL));
      return DONE;
    default:
      return UNKNOWN;
  }
}

/** UC WC WT WP WB; `uncachedMinus` allows UC- (7), which only the PAT has. */
function isMemoryType(type: u32, uncachedMinus: bool): bool {
  return type <= 1 || (type >= 4 && type <= 6) || (uncachedMinus && type == 7);
}

/** Eight memory types, one a byte. */
function areMemoryTypes(value: u64, uncachedMinus: bool): bool {
  for (let i = 0; i < 8; i++) {
    if (!isMemoryType(<u32>((value >> (i << 3)) & 0xff), uncachedMinus)) return false;
  }
  return true;
}

function write(vcpu: i32, nr: u32, value: u64): i32 {
  switch (nr) {
    case M.MSR_TSC:
      if (!hasFeature(vcpu, Feature.Tsc)) return UNKNOWN;
      store<u64>(vcpu, load<u64>(vcpu, TSC_OFFSET) + value - readTsc(vcpu), TSC_OFFSET);
      publishClock(vcpu, 0);
      return DONE;
    case M.MSR_TSC_DEADLINE:
      if (!hasFeature(vcpu, Feature.TscDeadline)) return UNKNOWN;
      lapicSetTscDeadline(vcpu, value);
      return DONE;
    case M.MSR_BIOS_UPDT_TRIG:
      // a microcode update is accepted and does nothing
      return DONE;
    case M.MSR_MTRRCAP:
    case M.MSR_PLATFORM_ID:
      return BAD;
    case M.MSR_P5_MC_ADDR:
    case M.MSR_P5_MC_TYPE:
      return hasFeature(vcpu, Feature.Mce) ? DONE : UNKNOWN;
    case M.MSR_MCG_CAP:
      return BAD;
    case M.MSR_MCG_STATUS:
      if (!hasFeature(vcpu, Feature.Mca)) return UNKNOWN;
      return value == 0 ? DONE : BAD;
    case M.MSR_DEBUGCTL:
      // neither branch records nor branch tracing
      return value == 0 ? DONE : BAD;
    case M.MSR_P6_EVNTSEL0:
    case M.MSR_P6_EVNTSEL1:
      // the selection is kept; no event that can be selected ever occurs here, so the counters stand still
      if (!hasFeature(vcpu, Feature.P6Counters)) return UNKNOWN;
      if (value >> 32) return BAD;
      store<u32>(vcpu + <i32>((nr - M.MSR_P6_EVNTSEL0) << 2), <u32>value, P6_EVNTSEL);
      return DONE;
    default:
      break;
  }
  const at = storage(vcpu, nr);
  if (at == 0) return UNKNOWN;
  if (pvMsrStorage(vcpu, nr) != 0) return writePvMsr(vcpu, nr, value) ? DONE : BAD;
  return writeStored(vcpu, nr, at, value);
}

function writeStored(vcpu: i32, nr: u32, at: i32, value: u64): i32 {
  const p = vcpu + at;
  switch (nr) {
    case M.MSR_SYSENTER_CS:
    case M.MSR_SYSENTER_ESP:
    case M.MSR_SYSENTER_EIP:
      store<u64>(p, value & 0xffffffff);
      return DONE;
    case M.MSR_BIOS_SIGN_ID:
      store<u64>(p, value);
      return DONE;
    case M.MSR_P6_PERFCTR0:
    case M.MSR_P6_PERFCTR1:
      // 40 bits, of which a write gives 32, sign-extended
      store<u64>(p, <u64>(<i64>(<i32>value)) & COUNTER_MASK);
      return DONE;
    case M.MSR_TSC_AUX:
      if (value >> 32) return BAD;
      store<u64>(p, value);
      return DONE;
    case M.MSR_PAT:
      if (!areMemoryTypes(value, true)) return BAD;
      store<u64>(p, value);
      return DONE;
    case M.MSR_EFER: {
      if (value & ~(<u64>EFER_NXE)) return BAD;
      const changed = load<u64>(p) != value;
      store<u64>(p, value);
      if (changed) flushTlbAll(vcpu);
      return DONE;
    }
    case M.MSR_APIC_BASE:
      if (value & ~(PHYSICAL_MASK & ~(<u64>0xfff)) & ~(APIC_BASE_BSP | APIC_BASE_ENABLE)) return BAD;
      store<u64>(p, value);
      lapicBaseChanged(vcpu);
      return DONE;
    case M.MSR_MISC_ENABLE:
      if (value & ~(MISC_ENABLE_FIXED | MISC_ENABLE_WRITABLE)) return BAD;
      store<u64>(p, value | MISC_ENABLE_FIXED);
      return DONE;
    default:
      return writeMtrr(nr, p, value);
  }
}

function writeMtrr(nr: u32, p: i32, value: u64): i32 {
  const index = nr - M.MSR_MTRR_PHYSBASE0;
  if (nr == M.MSR_MTRR_DEF_TYPE) {
    if (value & ~(<u64>0xcff) || !isMemoryType(<u32>(value & 0xff), false)) return BAD;
  } else if (index < 16) {
    if (value & ~PHYSICAL_MASK) return BAD;
    // PHYSBASE: type and base; PHYSMASK: valid bit and mask
    if (index & 1 ? value & 0x7ff : value & 0xf00 || !isMemoryType(<u32>(value & 0xff), false)) return BAD;
  } else if (!areMemoryTypes(value, false)) return BAD;
  store<u64>(p, value);
  return DONE;
}
