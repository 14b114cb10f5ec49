// Page walks for 32-bit and PAE paging, written level by level so that four levels need no rewrite (SDM 3A 4.3, 4.4).
import { CPL, CR0, CR2, CR3, CR4, EFER, EFLAGS_SYS, IMPLICIT_ACCESS, PDPTE, WALK_FLAGS, WALK_GPA } from "../../spec/layout";
import { Feature } from "../../spec/features";
import { CR0_PG, CR0_WP, CR4_PAE, CR4_PGE, CR4_PSE, CR4_SMAP, CR4_SMEP, EFER_NXE, FLAG_AC } from "../../spec/registers";
import { Vector } from "../../spec/vectors";
import { raise } from "../cpu/fault";
import { hasFeature } from "../cpu/features";
import { readPhysical32, readPhysical64, writePhysical32 } from "./physical";

export const ACCESS_READ: u32 = 0;
export const ACCESS_WRITE: u32 = 1;
export const ACCESS_EXEC: u32 = 2;

const PTE_P: u32 = 1;
const PTE_W: u32 = 2;
const PTE_U: u32 = 4;
const PTE_A: u32 = 32;
const PTE_D: u32 = 64;
const PTE_PS: u32 = 128;
const PTE_G: u32 = 256;

/** What a walk found (WALK_FLAGS in the vCPU block): rights of the page for any privilege. */
export const WALK_USER: u32 = 1;
export const WALK_WRITABLE: u32 = 2;
export const WALK_NX: u32 = 4;
export const WALK_DIRTY: u32 = 8;
export const WALK_GLOBAL: u32 = 16;
export const WALK_LARGE: u32 = 32;

// Without paging every access is allowed; CR4.SMAP and SMEP do not apply.
export const UNPAGED: u32 = WALK_WRITABLE | WALK_DIRTY | 64;

export const ERROR_P: u32 = 1;
const ERROR_W: u32 = 2;
const ERROR_U: u32 = 4;
const ERROR_RSVD: u32 = 8;
const ERROR_I: u32 = 16;

// 32-bit entries of 4 MiB pages: PSE-36 has address bits 32..35 in 13..16 (SDM 3A table 4-4); the others up to 21 are
// reserved with 36 address bits, and all of them without PSE-36.
const PSE36_FRAME: u32 = 0x1e000;
const PDE_HIGH: u32 = 0x3fe000;

function reservedOfLarge(vcpu: i32): u32 {
  return hasFeature(vcpu, Feature.Pse36) ? PDE_HIGH & ~PSE36_FRAME : PDE_HIGH;
}

// Bits 36..62 of a PAE entry (CPUID 80000008h says 36 address bits): beyond the physical address width, reserved.
const PAE_RESERVED: u64 = 0x7ffffff000000000;
const NX: u64 = 0x8000000000000000;

export function pageFault(vcpu: i32, lin: u32, error: u32, access: u32, user: bool, quiet: bool): bool {
  if (quiet) return false;
  let e = error;
  if (access == ACCESS_WRITE) e |= ERROR_W;
  if (user) e |= ERROR_U;
  if (access == ACCESS_EXEC) {
    const nx = load<u32>(vcpu, CR4) & CR4_PAE && load<u32>(vcpu, EFER) & EFER_NXE;
    if (nx || load<u32>(vcpu, CR4) & CR4_SMEP) e |= ERROR_I;
  }
  store<u32>(vcpu, lin, CR2);
  raise(vcpu, Vector.PF, e);
  return false;
}

/** True when a page with these rights may be accessed so. */
export function accessAllowed(vcpu: i32, rights: u32, access: u32, user: bool): bool {
  if (user) {
    if (!(rights & WALK_USER)) return false;
    if (access == ACCESS_WRITE) return (rights & WALK_WRITABLE) != 0;
    if (access == ACCESS_EXEC) return !(rights & WALK_NX);
    return true;
  }
  if (access == ACCESS_EXEC) {
    if (rights & WALK_NX) return false;
    return !(rights & WALK_USER && load<u32>(vcpu, CR4) & CR4_SMEP);
  }
  if (rights & WALK_USER && load<u32>(vcpu, CR4) & CR4_SMAP) {
    // EFLAGS.AC excuses explicit accesses only
    if (load<u32>(vcpu, CPL) == 3 || load<u32>(vcpu, IMPLICIT_ACCESS) != 0 || !(load<u32>(vcpu, EFLAGS_SYS) & FLAG_AC)) return false;
  }
  if (access == ACCESS_WRITE && !(rights & WALK_WRITABLE)) return !(load<u32>(vcpu, CR0) & CR0_WP);
  return true;
}

function finish(vcpu: i32, gpa: u32, rights: u32): bool {
  store<u32>(vcpu, gpa, WALK_GPA);
  store<u32>(vcpu, rights, WALK_FLAGS);
  return true;
}

function walk32(vcpu: i32, lin: u32, access: u32, user: bool, quiet: bool): bool {
  const cr4 = load<u32>(vcpu, CR4);
  const pdeAddr = (load<u32>(vcpu, CR3) & 0xfffff000) | ((lin >> 20) & 0xffc);
  const pde = readPhysical32(pdeAddr);
  if (!(pde & PTE_P)) return pageFault(vcpu, lin, 0, access, user, quiet);
  const global = (cr4 & CR4_PGE) != 0;
  if (pde & PTE_PS && cr4 & CR4_PSE) {
    if (pde & PDE_HIGH && pde & reservedOfLarge(vcpu)) return pageFault(vcpu, lin, ERROR_P | ERROR_RSVD, access, user, quiet);
    let rights = WALK_LARGE | (pde & PTE_U ? WALK_USER : 0) | (pde & PTE_W ? WALK_WRITABLE : 0);
    if (!accessAllowed(vcpu, rights, access, user)) return pageFault(vcpu, lin, ERROR_P, access, user, quiet);
    let bits = PTE_A;
    if (access == ACCESS_WRITE) bits |= PTE_D;
    if (!quiet && (pde & bits) != bits) writePhysical32(vcpu, pdeAddr, pde | bits);
    if ((pde | bits) & PTE_D) rights |= WALK_DIRTY;
    if (pde & PTE_G && global) rights |= WALK_GLOBAL;
    return finish36(vcpu, (<u64>(pde & PSE36_FRAME) << 19) | <u64>(pde & 0xffc00000), lin & 0x3fffff, rights);
  }
  const pteAddr = (pde & 0xfffff000) | ((lin >> 10) & 0xffc);
  const pte = readPhysical32(pteAddr);
  if (!(pte & PTE_P)) return pageFault(vcpu, lin, 0, access, user, quiet);
  const both = pde & pte;
  let rights: u32 = (both & PTE_U ? WALK_USER : 0) | (both & PTE_W ? WALK_WRITABLE : 0);
  if (!accessAllowed(vcpu, rights, access, user)) return pageFault(vcpu, lin, ERROR_P, access, user, quiet);
  let bits = PTE_A;
  if (access == ACCESS_WRITE) bits |= PTE_D;
  if (!quiet) {
    if (!(pde & PTE_A)) writePhysical32(vcpu, pdeAddr, pde | PTE_A);
    if ((pte & bits) != bits) writePhysical32(vcpu, pteAddr, pte | bits);
  }
  if ((pte | bits) & PTE_D) rights |= WALK_DIRTY;
  if (pte & PTE_G && global) rights |= WALK_GLOBAL;
  return finish(vcpu, (pte & 0xfffff000) | (lin & 0xfff), rights);
}

function walkPae(vcpu: i32, lin: u32, access: u32, user: bool, quiet: bool): bool {
  const nxe = (load<u64>(vcpu, EFER) & EFER_NXE) != 0;
  const reserved: u64 = nxe ? PAE_RESERVED : PAE_RESERVED | NX;
  const pdpte = load<u64>(vcpu + <i32>((lin >> 30) << 3), PDPTE);
  if (!(pdpte & 1)) return pageFault(vcpu, lin, 0, access, user, quiet);
  const pdeAddr = (<u32>pdpte & 0xfffff000) | ((lin >> 18) & 0xff8);
  const pde = (<u64>(pdpte >> 32) & 0xff) != 0 ? <u64>0xffffffffffffffff : readPhysical64(pdeAddr);
  if (!(pde & 1)) return pageFault(vcpu, lin, 0, access, user, quiet);
  if (pde & reserved) return pageFault(vcpu, lin, ERROR_P | ERROR_RSVD, access, user, quiet);
  const global = (load<u32>(vcpu, CR4) & CR4_PGE) != 0;
  if (<u32>pde & PTE_PS) {
    if (pde & 0x1fe000) return pageFault(vcpu, lin, ERROR_P | ERROR_RSVD, access, user, quiet);
    const low = <u32>pde;
    let rights: u32 = WALK_LARGE | (low & PTE_U ? WALK_USER : 0) | (low & PTE_W ? WALK_WRITABLE : 0) | (pde & NX ? WALK_NX : 0);
    if (!accessAllowed(vcpu, rights, access, user)) return pageFault(vcpu, lin, ERROR_P, access, user, quiet);
    let bits = PTE_A;
    if (access == ACCESS_WRITE) bits |= PTE_D;
    if (!quiet && (low & bits) != bits) writePhysical32(vcpu, pdeAddr, low | bits);
    if ((low | bits) & PTE_D) rights |= WALK_DIRTY;
    if (low & PTE_G && global) rights |= WALK_GLOBAL;
    return finish36(vcpu, pde & 0xfffe00000, lin & 0x1fffff, rights);
  }
  const pteAddr = (<u32>pde & 0xfffff000) | ((lin >> 9) & 0xff8);
  const pte = (<u64>(pde >> 32) & 0xff) != 0 ? <u64>0xffffffffffffffff : readPhysical64(pteAddr);
  if (!(pte & 1)) return pageFault(vcpu, lin, 0, access, user, quiet);
  if (pte & reserved) return pageFault(vcpu, lin, ERROR_P | ERROR_RSVD, access, user, quiet);
  const both = <u32>(pde & pte);
  let rights: u32 = (both & PTE_U ? WALK_USER : 0) | (both & PTE_W ? WALK_WRITABLE : 0) | ((pde | pte) & NX ? WALK_NX : 0);
  if (!accessAllowed(vcpu, rights, access, user)) return pageFault(vcpu, lin, ERROR_P, access, user, quiet);
  let bits = PTE_A;
  if (access == ACCESS_WRITE) bits |= PTE_D;
  if (!quiet) {
    if (!(<u32>pde & PTE_A)) writePhysical32(vcpu, pdeAddr, <u32>pde | PTE_A);
    if ((<u32>pte & bits) != bits) writePhysical32(vcpu, pteAddr, <u32>pte | bits);
  }
  if ((<u32>pte | bits) & PTE_D) rights |= WALK_DIRTY;
  if (<u32>pte & PTE_G && global) rights |= WALK_GLOBAL;
  return finish36(vcpu, pte & 0xffffff000, lin & 0xfff, rights);
}

/** Where frames above 4 GiB are sent, which have no memory behind them: no slot covers it. */
export const BEYOND_MEMORY: u32 = 0xfee01000;


function finish36(vcpu: i32, frame: u64, offset: u32, rights: u32): bool {
  if (frame >> 32) return finish(vcpu, BEYOND_MEMORY | (offset & 0xfff), rights);
  return finish(vcpu, <u32>frame | offset, rights);
}

/**
 * Translates `lin` for an access. On success WALK_GPA and WALK_FLAGS hold the result; else #PF is recorded with CR2.
 * `quiet` (debugger) neither faults nor sets accessed and dirty bits.
 */
export function walk(vcpu: i32, lin: u32, access: u32, user: bool, quiet: bool): bool {
  if (!(load<u32>(vcpu, CR0) & CR0_PG)) return finish(vcpu, lin, UNPAGED);
  if (load<u32>(vcpu, CR4) & CR4_PAE) return walkPae(vcpu, lin, access, user, quiet);
  return walk32(vcpu, lin, access, user, quiet);
}
