// MOV to and from control registers, LMSW, SMSW, CLTS, INVLPG. SDM 2A-2B; 3A 2.5, 4.1.2, 4.10.4.
import {
  CPL, CR0, CR2, CR3, CR4, PFX_OP16, PFX_REG, REC_BASE, REC_PFX, REC_REG, SEG, SEG_BASE, SEG_STRIDE, REC_EA,
} from "../../../spec/layout";
import {
  CR0_AM, CR0_CD, CR0_EM, CR0_ET, CR0_MP, CR0_NE, CR0_NW, CR0_PE, CR0_PG, CR0_TS, CR0_WP, CR4_DE, CR4_MCE, CR4_OSFXSR, CR4_OSXMMEXCPT,
  CR4_PAE, CR4_PCE, CR4_PGE, CR4_PSE, CR4_PVI, CR4_SMAP, CR4_SMEP, CR4_TSD, CR4_UMIP, CR4_VME,
} from "../../../spec/registers";
import { Feature } from "../../../spec/features";
import { hasFeature } from "../../cpu/features";
import { faulted, raiseGP, raiseUD, recheck, updateCurrentTlb } from "../../cpu/fault";
import { isPae, loadCr3, loadPdptes } from "../../cpu/paging";
import { updateMode } from "../../cpu/segment";
import { rootAllowed, tablesHeld } from "../../mmu/para";
import { flushTlbAll, invalidatePage } from "../../mmu/tlb";
import { effectiveOffset, operandSegment, readE, writeE } from "../operand";
import { cr3Exit, invlpgExit } from "./exit-controls";
import { umipBlocks } from "./tables";

/** Bits of CR0 that exist; the others read as zero and writes of them are ignored. */
const CR0_BITS: u32 =
  CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_NW | CR0_CD | CR0_PG;
/** Changes that make cached translations wrong (PG), or their rights (WP). */
const CR0_FLUSH: u32 = CR0_PG | CR0_WP | CR0_PE;
/** MOV to CR0 that changes one of these reloads the PDPTEs under PAE paging. */
const CR0_PDPTE: u32 = CR0_PG | CR0_CD | CR0_NW;
const CR4_FLUSH: u32 = CR4_PAE | CR4_PGE | CR4_PSE | CR4_SMEP | CR4_SMAP;
const CR4_PDPTE: u32 = CR4_PAE | CR4_PGE | CR4_PSE | CR4_SMEP;

/** Address of the general register that MOV CRn/DRn names in ModRM.rm. */
export function moveRegister(vcpu: i32, rec: i32): i32 {
  return vcpu + <i32>load<u8>(rec, REC_BASE);
}

/** CRn or DRn number: ModRM.reg. */
export function moveNumber(rec: i32): u32 {
  return <u32>load<u8>(rec, REC_REG) >> 3;
}

export function readControl(vcpu: i32, rec: i32): void {
  const n = moveNumber(rec);
  if (n == 1 || n > 4) return raiseUD(vcpu);
  if (load<u32>(vcpu, CPL) != 0) return raiseGP(vcpu, 0);
  let value: u32 = 0;
  if (n == 0) value = load<u32>(vcpu, CR0);
  else if (n == 2) value = load<u32>(vcpu, CR2);
  else if (n == 3) value = load<u32>(vcpu, CR3);
  else value = load<u32>(vcpu, CR4);
  store<u32>(moveRegister(vcpu, rec), value);
}

export function writeControl(vcpu: i32, rec: i32): void {
  const n = moveNumber(rec);
  if (n == 1 || n > 4) return raiseUD(vcpu);
  if (load<u32>(vcpu, CPL) != 0) return raiseGP(vcpu, 0);
  const value = load<u32>(moveRegister(vcpu, rec));
  if (n == 0) writeCr0(vcpu, value);
  else if (n == 2) store<u32>(vcpu, value, CR2);
  else if (n == 3) {
    if (cr3Exit(vcpu, value)) return;
    if (!loadCr3(vcpu, value)) return raiseGP(vcpu, 0);
    recheck(vcpu);
  } else writeCr4(vcpu, value);
}

/** Loads CR0 with its checks: #GP(0) for PG without PE, NW without CD, and bad PDPTEs. */
export function writeCr0(vcpu: i32, written: u32): void {
  const value = (written & CR0_BITS) | CR0_ET;
  if (value & CR0_PG && !(value & CR0_PE)) return raiseGP(vcpu, 0);
  if (value & CR0_NW && !(value & CR0_CD)) return raiseGP(vcpu, 0);
  const old = load<u32>(vcpu, CR0);
  const changed = old ^ value;
  if (changed & value & CR0_PG && tablesHeld(vcpu) && !rootAllowed(vcpu, load<u32>(vcpu, CR3))) return raiseGP(vcpu, 0);
  if (changed & CR0_PDPTE && isPae(value, load<u32>(vcpu, CR4)) && !loadPdptes(vcpu, load<u32>(vcpu, CR3)))
    return raiseGP(vcpu, 0);
  store<u32>(vcpu, value, CR0);
  if (changed & CR0_FLUSH) flushTlbAll(vcpu);
  updateMode(vcpu);
  recheck(vcpu);
}

function bitsOf(vcpu: i32, feature: u32, bits: u32): u32 {
  return hasFeature(vcpu, feature) ? bits : 0;
}

/** Bits of CR4 that the CPU model has. */
function cr4Bits(vcpu: i32): u32 {
  return (
    CR4_PCE |
    bitsOf(vcpu, Feature.Vme, CR4_VME | CR4_PVI) |
    bitsOf(vcpu, Feature.Tsc, CR4_TSD) |
    bitsOf(vcpu, Feature.De, CR4_DE) |
    bitsOf(vcpu, Feature.Pse, CR4_PSE) |
    bitsOf(vcpu, Feature.Pae, CR4_PAE) |
    bitsOf(vcpu, Feature.Mce, CR4_MCE) |
    bitsOf(vcpu, Feature.Pge, CR4_PGE) |
    bitsOf(vcpu, Feature.Fxsr, CR4_OSFXSR) |
    bitsOf(vcpu, Feature.Sse, CR4_OSXMMEXCPT) |
    bitsOf(vcpu, Feature.Umip, CR4_UMIP) |
    bitsOf(vcpu, Feature.Smep, CR4_SMEP) |
    bitsOf(vcpu, Feature.Smap, CR4_SMAP)
  );
}

/** Loads CR4: #GP(0) for bits that the CPU model does not have and for bad PDPTEs. */
export function writeCr4(vcpu: i32, value: u32): void {
  if (value & ~cr4Bits(vcpu)) return raiseGP(vcpu, 0);
  const changed = load<u32>(vcpu, CR4) ^ value;
  if (changed & (CR4_PAE | CR4_PSE) && tablesHeld(vcpu)) return raiseGP(vcpu, 0);
  if (changed & CR4_PDPTE && isPae(load<u32>(vcpu, CR0), value) && !loadPdptes(vcpu, load<u32>(vcpu, CR3)))
    return raiseGP(vcpu, 0);
  store<u32>(vcpu, value, CR4);
  if (changed & CR4_FLUSH) flushTlbAll(vcpu);
  if (changed & CR4_SMAP) updateCurrentTlb(vcpu);
  recheck(vcpu);
}

/** LMSW: PE, MP, EM and TS; PE can be set but not cleared. */
export function loadMachineStatus(vcpu: i32, rec: i32): void {
  if (load<u32>(vcpu, CPL) != 0) return raiseGP(vcpu, 0);
  const value = <u32>readE<u16>(vcpu, rec);
  if (faulted(vcpu)) return;
  const old = load<u32>(vcpu, CR0);
  writeCr0(vcpu, (old & ~(CR0_MP | CR0_EM | CR0_TS)) | (value & (CR0_PE | CR0_MP | CR0_EM | CR0_TS)));
}

/** SMSW: all of CR0 to a 32-bit register, 16 bits otherwise. */
export function storeMachineStatus(vcpu: i32, rec: i32): void {
  if (umipBlocks(vcpu)) return;
  const prefixes = <u32>load<u8>(rec, REC_PFX);
  if (prefixes & PFX_REG && !(prefixes & PFX_OP16)) store<u32>(vcpu + <i32>load<u8>(rec, REC_BASE), load<u32>(vcpu, CR0));
  else writeE<u16>(vcpu, rec, <u16>load<u32>(vcpu, CR0));
}

export function clearTaskSwitched(vcpu: i32): void {
  if (load<u32>(vcpu, CPL) != 0) return raiseGP(vcpu, 0);
  store<u32>(vcpu, load<u32>(vcpu, CR0) & ~CR0_TS, CR0);
  recheck(vcpu);
}

/** INVLPG takes the address without any segment check. */
export function invalidate(vcpu: i32, rec: i32): void {
  if (load<u32>(vcpu, CPL) != 0) return raiseGP(vcpu, 0);
  let lin = effectiveOffset(vcpu, rec);
  if (load<u8>(rec, REC_EA)) lin += load<u32>(vcpu + SEG + operandSegment(rec) * SEG_STRIDE, SEG_BASE);
  if (invlpgExit(vcpu, lin)) return;
  invalidatePage(vcpu, lin);
  recheck(vcpu);
}
