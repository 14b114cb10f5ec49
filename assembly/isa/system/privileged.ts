// HLT, RDTSC, RDTSCP, RDPMC, WBINVD, MONITOR, MWAIT, SYSENTER, SYSEXIT and BOUND. SDM 2A-2B.
import {
  ATTR_CODE, ATTR_DB, ATTR_G, ATTR_PRESENT, ATTR_S, CPL, CR0, CR4, EAX, ECX, EDX, EIP, ESP, HALTED, P6_PERFCTR, PFX_ADDR16,
  PFX_OP16, PFX_SEG, REC_PFX, SEG_ATTR, SEG_BASE, SEG_CS, SEG_DS, SEG_LIMIT, SEG_SELECTOR, SEG_SS, SYSENTER_CS, SYSENTER_EIP,
  SYSENTER_ESP, TSC_AUX,
} from "../../../spec/layout";
import { Feature } from "../../../spec/features";
import { CR0_PE, CR4_PCE, CR4_TSD, FLAG_IF, FLAG_VM } from "../../../spec/registers";
import { Vector } from "../../../spec/vectors";
import { faulted, raise, raiseGP, raiseUD, recheck } from "../../cpu/fault";
import { hasFeature } from "../../cpu/features";
import { getEflags, setEflags } from "../../cpu/flags";
import { checkSegment, segAddress, updateMode, updateSegment } from "../../cpu/segment";
import { Mem } from "../../mmu/access";
import { readTsc } from "../../time/clock";
import { operandSegment, readG, readOperand } from "../operand";
import { rdtscExit } from "./exit-controls";

export function halt(vcpu: i32): void {
  if (load<u32>(vcpu, CPL) != 0) return raiseGP(vcpu, 0);
  store<u32>(vcpu, 1, HALTED);
  recheck(vcpu);
}

/** INVD and WBINVD: there is no cache to write back. */
export function writeBackCaches(vcpu: i32): void {
  if (load<u32>(vcpu, CPL) != 0) raiseGP(vcpu, 0);
}

export function readTimeStamp(vcpu: i32, withAux: bool): void {
  if (load<u32>(vcpu, CR4) & CR4_TSD && load<u32>(vcpu, CPL) != 0) return raiseGP(vcpu, 0);
  if (rdtscExit(vcpu)) return;
  const tsc = readTsc(vcpu);
  store<u32>(vcpu, <u32>tsc, EAX);
  store<u32>(vcpu, <u32>(tsc >> 32), EDX);
  if (withAux) store<u32>(vcpu, load<u32>(vcpu, TSC_AUX), ECX);
  recheck(vcpu);
}

/** RDPMC: ECX numbers the counter. Only the P6 family's two exist, so every other index is out of range. */
export function readCounter(vcpu: i32): void {
  const index = load<u32>(vcpu, ECX);
  const allowed = load<u32>(vcpu, CPL) == 0 || (load<u32>(vcpu, CR4) & CR4_PCE) != 0 || !(load<u32>(vcpu, CR0) & CR0_PE);
  if (!allowed || index > 1 || !hasFeature(vcpu, Feature.P6Counters)) return raiseGP(vcpu, 0);
  const value = load<u64>(vcpu + <i32>(index << 3), P6_PERFCTR);
  store<u64>(vcpu, value & 0xffffffff, EAX);
  store<u64>(vcpu, value >> 32, EDX);
}

/** MONITOR reads its byte as a load would; extensions and hints do not exist. */
export function monitor(vcpu: i32, rec: i32): void {
  if (load<u32>(vcpu, CPL) != 0) return raiseUD(vcpu);
  if (load<u32>(vcpu, ECX) != 0) return raiseGP(vcpu, 0);
  const prefixes = <u32>load<u8>(rec, REC_PFX);
  const seg = prefixes & PFX_SEG ? operandSegment(rec) : SEG_DS;
  const offset = load<u32>(vcpu, EAX) & (prefixes & PFX_ADDR16 ? 0xffff : 0xffffffff);
  if (!checkSegment(vcpu, seg, offset, 1, false)) return;
  Mem.read<u8>(vcpu, load<u32>(segAddress(vcpu, seg), SEG_BASE) + offset);
}

/** MWAIT may wake at any time, and does at once: plain stores by other vCPUs cannot be watched. */
export function monitorWait(vcpu: i32): void {
  if (load<u32>(vcpu, CPL) != 0) return raiseUD(vcpu);
  if (load<u32>(vcpu, ECX) & ~1) return raiseGP(vcpu, 0);
  recheck(vcpu);
}

/** Loads CS or SS with the flat 32-bit segment that SYSENTER and SYSEXIT imply. */
function loadFlat(vcpu: i32, seg: i32, selector: u32, cpl: u32): void {
  const s = segAddress(vcpu, seg);
  // type: accessed, readable code or writable data
  const type: u32 = seg == SEG_CS ? ATTR_CODE | 3 : 3;
  store<u32>(s, selector, SEG_SELECTOR);
  store<u32>(s, 0, SEG_BASE);
  store<u32>(s, 0xffffffff, SEG_LIMIT);
  store<u32>(s, type | ATTR_S | (cpl << 5) | ATTR_PRESENT | ATTR_DB | ATTR_G, SEG_ATTR);
  updateSegment(vcpu, seg);
}

export function systemEnter(vcpu: i32): void {
  const cs = load<u32>(vcpu, SYSENTER_CS);
  if (!(load<u32>(vcpu, CR0) & CR0_PE) || (cs & 0xfffc) == 0) return raiseGP(vcpu, 0);
  setEflags(vcpu, getEflags(vcpu) & ~(FLAG_VM | FLAG_IF));
  loadFlat(vcpu, SEG_CS, cs & 0xfffc, 0);
  loadFlat(vcpu, SEG_SS, ((cs & 0xfffc) + 8) & 0xffff, 0);
  store<u32>(vcpu, 0, CPL);
  store<u32>(vcpu, load<u32>(vcpu, SYSENTER_ESP), ESP);
  store<u64>(vcpu, load<u32>(vcpu, SYSENTER_EIP), EIP);
  updateMode(vcpu);
  recheck(vcpu);
}

export function systemExit(vcpu: i32): void {
  const cs = load<u32>(vcpu, SYSENTER_CS);
  if (!(load<u32>(vcpu, CR0) & CR0_PE) || (cs & 0xfffc) == 0 || load<u32>(vcpu, CPL) != 0) return raiseGP(vcpu, 0);
  loadFlat(vcpu, SEG_CS, ((cs + 16) & 0xffff) | 3, 3);
  loadFlat(vcpu, SEG_SS, ((cs + 24) & 0xffff) | 3, 3);
  store<u32>(vcpu, 3, CPL);
  store<u32>(vcpu, load<u32>(vcpu, ECX), ESP);
  store<u64>(vcpu, load<u32>(vcpu, EDX), EIP);
  updateMode(vcpu);
  recheck(vcpu);
}

/** BOUND: signed index against the pair of bounds in memory. */
export function bound(vcpu: i32, rec: i32): void {
  let index: i32;
  let lower: i32;
  let upper: i32;
  if (load<u8>(rec, REC_PFX) & PFX_OP16) {
    index = <i32>readG<i16>(vcpu, rec);
    lower = <i32>readOperand<i16>(vcpu, rec);
    upper = <i32>readOperand<i16>(vcpu, rec, 2);
  } else {
    index = readG<i32>(vcpu, rec);
    lower = readOperand<i32>(vcpu, rec);
    upper = readOperand<i32>(vcpu, rec, 4);
  }
  if (faulted(vcpu)) return;
  if (index < lower || index > upper) raise(vcpu, Vector.BR, 0);
}
