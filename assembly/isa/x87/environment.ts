// Images of the FPU state in memory: FLDENV, FNSTENV, FRSTOR, FNSAVE (SDM 1 8.1.10, figures 8-9 to 8-12), FXSAVE and
// FXRSTOR (SDM 1 10.5), and the control instructions.
import {
  CR4, EAX, FPU_FCS, FPU_FCW, FPU_FDP, FPU_FDS, FPU_FERR, FPU_FIP, FPU_FOP, FPU_FSW, FPU_R, FPU_R_STRIDE, FPU_TAG,
  MODE, MODE_PROTECTED, MXCSR, PFX_OP16, REC_PFX, XMM,
} from "../../../spec/layout";
import { CR4_OSFXSR } from "../../../spec/registers";
import { faulted, raiseGP } from "../../cpu/fault";
import { Mem } from "../../mmu/access";
import { linearAddress, readOperand, writeOperand } from "../operand";
import { isUnsupported } from "./nan";
import { setTop, topOf } from "./stack";
import { available, begin, BUSY, commit, ES, EXCEPTIONS, SF, updateSummary, W_WIDE, waiting } from "./status";

/** FCW bits that exist; bit 6 reads as one. */
const FCW_BITS: u32 = 0x1f3f;
const FCW_FIXED: u32 = 0x40;
const FCW_INIT: u32 = 0x37f;
/** MXCSR bits that exist, and the mask that FXSAVE reports. */
const MXCSR_BITS: u32 = 0xffff;

function op16(rec: i32): bool {
  return (<u32>load<u8>(rec, REC_PFX) & PFX_OP16) != 0;
}

function setControl(vcpu: i32, fcw: u32): void {
  store<u16>(vcpu, <u16>((fcw & FCW_BITS) | FCW_FIXED), FPU_FCW);
}

/** The state FNINIT and FNSAVE leave: everything masked, nearest, 64 bits, all registers empty. */
export function resetFpu(vcpu: i32): void {
  store<u16>(vcpu, <u16>FCW_INIT, FPU_FCW);
  store<u16>(vcpu, 0, FPU_FSW);
  store<u8>(vcpu, 0, FPU_TAG);
  store<u16>(vcpu, 0, FPU_FOP);
  store<u32>(vcpu, 0, FPU_FIP);
  store<u16>(vcpu, 0, FPU_FCS);
  store<u32>(vcpu, 0, FPU_FDP);
  store<u16>(vcpu, 0, FPU_FDS);
  store<u32>(vcpu, 0, FPU_FERR);
}

export function fninit(vcpu: i32): void {
  if (available(vcpu)) resetFpu(vcpu);
}

export function fnclex(vcpu: i32): void {
  if (!available(vcpu)) return;
  store<u16>(vcpu, load<u16>(vcpu, FPU_FSW) & <u16>~(EXCEPTIONS | SF | ES | BUSY), FPU_FSW);
  store<u32>(vcpu, 0, FPU_FERR);
}

export function fldcw(vcpu: i32, rec: i32): void {
  if (!waiting(vcpu)) return;
  const fcw = <u32>readOperand<u16>(vcpu, rec);
  if (faulted(vcpu)) return;
  setControl(vcpu, fcw);
  updateSummary(vcpu);
}

export function fnstcw(vcpu: i32, rec: i32): void {
  if (available(vcpu)) writeOperand<u16>(vcpu, rec, load<u16>(vcpu, FPU_FCW));
}

export function fnstsw(vcpu: i32, rec: i32): void {
  if (available(vcpu)) writeOperand<u16>(vcpu, rec, load<u16>(vcpu, FPU_FSW));
}

export function fnstswAx(vcpu: i32): void {
  if (available(vcpu)) store<u16>(vcpu, load<u16>(vcpu, FPU_FSW), EAX);
}

/** FINCSTP and FDECSTP: TOP moves, tags stay, C1 is cleared. */
export function rotate(vcpu: i32, rec: i32, by: u32): void {
  if (!waiting(vcpu)) return;
  begin(vcpu, rec);
  commit(vcpu, rec);
  setTop(vcpu, topOf(vcpu) + by);
}

/** Full tag word: two bits a physical register, 0 valid, 1 zero, 2 special, 3 empty. */
function tagWord(vcpu: i32): u32 {
  const used = <u32>load<u8>(vcpu, FPU_TAG);
  let word: u32 = 0;
  for (let i: i32 = 0; i < 8; i++) {
    let tag: u32 = 3;
    if ((used >> i) & 1) {
      const r = vcpu + FPU_R + i * FPU_R_STRIDE;
      const sig = load<u64>(r);
      const exp = <u32>load<u16>(r, 8) & 0x7fff;
      if (exp == 0) tag = sig ? 2 : 1;
      else tag = exp == 0x7fff || isUnsupported(sig, exp) ? 2 : 0;
    }
    word |= tag << (2 * i);
  }
  return word;
}

/** Only empty (3) counts: the hardware finds the other kinds out from the registers. */
function setTagWord(vcpu: i32, word: u32): void {
  let used: u32 = 0;
  for (let i: i32 = 0; i < 8; i++) if (((word >> (2 * i)) & 3) != 3) used |= 1 << i;
  store<u8>(vcpu, <u8>used, FPU_TAG);
}

/** Linear address of an image of `size` bytes; for a write, both of its pages are writable. 0 = faulted. */
function image(vcpu: i32, rec: i32, size: u32, write: bool): u32 {
  const lin = linearAddress(vcpu, rec, 0, size, write);
  if (faulted(vcpu)) return 0;
  if (write) {
    Mem.readForUpdate<u8>(vcpu, lin);
    Mem.readForUpdate<u8>(vcpu, lin + size - 1);
  } else {
    // Both ends are reachable before any register changes; what lies between is in the same pages.
    Mem.read<u8>(vcpu, lin);
    Mem.read<u8>(vcpu, lin + size - 1);
  }
  return lin;
}

// Field offsets of the images are multiples of this unit
function environmentSize(rec: i32): u32 {
  return op16(rec) ? 14 : 28;
}

/** Writes field n of an environment, the unused upper half as ones. */
function putField(vcpu: i32, lin: u32, n: u32, narrow: bool, value: u32): void {
  if (narrow) Mem.write<u16>(vcpu, lin + 2 * n, <u16>value);
  else Mem.write<u32>(vcpu, lin + 4 * n, value | 0xffff0000);
}

function writeEnvironment(vcpu: i32, rec: i32, lin: u32): void {
  const narrow = op16(rec);
  putField(vcpu, lin, 0, narrow, <u32>load<u16>(vcpu, FPU_FCW));
  putField(vcpu, lin, 1, narrow, <u32>load<u16>(vcpu, FPU_FSW));
  putField(vcpu, lin, 2, narrow, tagWord(vcpu));
  let ip = load<u32>(vcpu, FPU_FIP);
  let dp = load<u32>(vcpu, FPU_FDP);
  const cs = <u32>load<u16>(vcpu, FPU_FCS);
  const ds = <u32>load<u16>(vcpu, FPU_FDS);
  const opcode = <u32>load<u16>(vcpu, FPU_FOP) & 0x7ff;
  if (load<u32>(vcpu, MODE) & MODE_PROTECTED) {
    if (narrow) {
      putField(vcpu, lin, 3, true, ip);
      putField(vcpu, lin, 4, true, cs);
      putField(vcpu, lin, 5, true, dp);
      putField(vcpu, lin, 6, true, ds);
    } else {
      Mem.write<u32>(vcpu, lin + 12, ip);
      Mem.write<u32>(vcpu, lin + 16, cs | (opcode << 16));
      Mem.write<u32>(vcpu, lin + 20, dp);
      putField(vcpu, lin, 6, false, ds);
    }
    return;
  }
  // Real and virtual-8086 mode keep linear addresses.
  ip += cs << 4;
  dp += ds << 4;
  putField(vcpu, lin, 3, narrow, ip & 0xffff);
  putField(vcpu, lin, 5, narrow, dp & 0xffff);
  if (narrow) {
    putField(vcpu, lin, 4, true, ((ip >> 4) & 0xf000) | opcode);
    putField(vcpu, lin, 6, true, (dp >> 4) & 0xf000);
  } else {
    Mem.write<u32>(vcpu, lin + 16, ((ip >> 4) & 0x0ffff000) | opcode);
    Mem.write<u32>(vcpu, lin + 24, (dp >> 4) & 0x0ffff000);
  }
}

function getField(vcpu: i32, lin: u32, n: u32, narrow: bool): u32 {
  return narrow ? <u32>Mem.read<u16>(vcpu, lin + 2 * n) : Mem.read<u32>(vcpu, lin + 4 * n);
}

/** Reads everything, then changes the state if nothing faulted. The summary bits follow from flags and masks. */
function readEnvironment(vcpu: i32, rec: i32, lin: u32): void {
  const narrow = op16(rec);
  const fcw = getField(vcpu, lin, 0, narrow);
  const fsw = getField(vcpu, lin, 1, narrow);
  const tags = getField(vcpu, lin, 2, narrow);
  const ip = getField(vcpu, lin, 3, narrow);
  const code = getField(vcpu, lin, 4, narrow);
  const dp = getField(vcpu, lin, 5, narrow);
  const data = getField(vcpu, lin, 6, narrow);
  if (faulted(vcpu)) return;
  setControl(vcpu, fcw);
  store<u16>(vcpu, <u16>fsw, FPU_FSW);
  setTagWord(vcpu, tags);
  if (load<u32>(vcpu, MODE) & MODE_PROTECTED) {
    store<u32>(vcpu, ip, FPU_FIP);
    store<u16>(vcpu, <u16>code, FPU_FCS);
    store<u32>(vcpu, dp, FPU_FDP);
    store<u16>(vcpu, <u16>data, FPU_FDS);
    if (!narrow) store<u16>(vcpu, <u16>(code >> 16) & 0x7ff, FPU_FOP);
  } else {
    const high: u32 = narrow ? 0xf000 : 0x0ffff000;
    store<u32>(vcpu, (ip & 0xffff) | ((code & high) << 4), FPU_FIP);
    store<u16>(vcpu, 0, FPU_FCS);
    store<u32>(vcpu, (dp & 0xffff) | ((data & high) << 4), FPU_FDP);
    store<u16>(vcpu, 0, FPU_FDS);
    store<u16>(vcpu, <u16>code & 0x7ff, FPU_FOP);
  }
  updateSummary(vcpu);
}

export function fldenv(vcpu: i32, rec: i32): void {
  if (!waiting(vcpu)) return;
  const lin = image(vcpu, rec, environmentSize(rec), false);
  if (faulted(vcpu)) return;
  readEnvironment(vcpu, rec, lin);
}

/** FNSTENV masks every exception afterwards, so that a handler can use the FPU. */
export function fnstenv(vcpu: i32, rec: i32): void {
  if (!available(vcpu)) return;
  const lin = image(vcpu, rec, environmentSize(rec), true);
  if (faulted(vcpu)) return;
  writeEnvironment(vcpu, rec, lin);
  if (faulted(vcpu)) return;
  store<u16>(vcpu, load<u16>(vcpu, FPU_FCW) | <u16>EXCEPTIONS, FPU_FCW);
  updateSummary(vcpu);
}

export function fnsave(vcpu: i32, rec: i32): void {
  if (!available(vcpu)) return;
  const environment = environmentSize(rec);
  const lin = image(vcpu, rec, environment + 80, true);
  if (faulted(vcpu)) return;
  writeEnvironment(vcpu, rec, lin);
  for (let i: u32 = 0; i < 8; i++) {
    const r = vcpu + FPU_R + <i32>(((topOf(vcpu) + i) & 7) << 4);
    Mem.write<u64>(vcpu, lin + environment + 10 * i, load<u64>(r));
    Mem.write<u16>(vcpu, lin + environment + 10 * i + 8, load<u16>(r, 8));
  }
  if (faulted(vcpu)) return;
  resetFpu(vcpu);
}

export function frstor(vcpu: i32, rec: i32): void {
  if (!waiting(vcpu)) return;
  const environment = environmentSize(rec);
  const lin = image(vcpu, rec, environment + 80, false);
  if (faulted(vcpu)) return;
  stageRegisters(vcpu, lin + environment, 10);
  if (faulted(vcpu)) return;
  readEnvironment(vcpu, rec, lin);
  if (faulted(vcpu)) return;
  // TOP is the new one by now
  unstageRegisters(vcpu);
}

/** Copies ST(0)..ST(7) of an image to the scratch area: nothing changes before every read has succeeded. */
function stageRegisters(vcpu: i32, lin: u32, stride: u32): void {
  for (let i: u32 = 0; i < 8; i++) {
    const slot = vcpu + <i32>(16 * i);
    store<u64>(slot, Mem.read<u64>(vcpu, lin + stride * i), W_WIDE);
    store<u16>(slot, Mem.read<u16>(vcpu, lin + stride * i + 8), W_WIDE + 8);
  }
}

function unstageRegisters(vcpu: i32): void {
  for (let i: u32 = 0; i < 8; i++) {
    const slot = vcpu + <i32>(16 * i);
    const r = vcpu + FPU_R + <i32>(((topOf(vcpu) + i) & 7) << 4);
    store<u64>(r, load<u64>(slot, W_WIDE));
    store<u16>(r, load<u16>(slot, W_WIDE + 8), 8);
  }
}

/** Address of a 512-byte FXSAVE area: #GP(0) unless aligned to 16 bytes. */
function fxArea(vcpu: i32, rec: i32, write: bool): u32 {
  const lin = linearAddress(vcpu, rec, 0, 512, write);
  if (faulted(vcpu)) return 0;
  if (lin & 15) {
    raiseGP(vcpu, 0);
    return 0;
  }
  // Aligned to 16, the area may still cross a page.
  if (write) {
    Mem.readForUpdate<u8>(vcpu, lin);
    Mem.readForUpdate<u8>(vcpu, lin + 511);
  } else {
    Mem.read<u8>(vcpu, lin);
    Mem.read<u8>(vcpu, lin + 511);
  }
  return lin;
}

/** Without CR4.OSFXSR the XMM registers and MXCSR are left out. */
export function fxsave(vcpu: i32, rec: i32): void {
  if (!available(vcpu)) return;
  const lin = fxArea(vcpu, rec, true);
  if (faulted(vcpu)) return;
  Mem.write<u16>(vcpu, lin, load<u16>(vcpu, FPU_FCW));
  Mem.write<u16>(vcpu, lin + 2, load<u16>(vcpu, FPU_FSW));
  Mem.write<u16>(vcpu, lin + 4, <u16>load<u8>(vcpu, FPU_TAG));
  Mem.write<u16>(vcpu, lin + 6, load<u16>(vcpu, FPU_FOP) & 0x7ff);
  Mem.write<u32>(vcpu, lin + 8, load<u32>(vcpu, FPU_FIP));
  Mem.write<u32>(vcpu, lin + 12, <u32>load<u16>(vcpu, FPU_FCS));
  Mem.write<u32>(vcpu, lin + 16, load<u32>(vcpu, FPU_FDP));
  Mem.write<u32>(vcpu, lin + 20, <u32>load<u16>(vcpu, FPU_FDS));
  Mem.write<u32>(vcpu, lin + 24, load<u32>(vcpu, MXCSR));
  Mem.write<u32>(vcpu, lin + 28, MXCSR_BITS);
  for (let i: u32 = 0; i < 8; i++) {
    const r = vcpu + FPU_R + <i32>(((topOf(vcpu) + i) & 7) << 4);
    Mem.write<u64>(vcpu, lin + 32 + 16 * i, load<u64>(r));
    Mem.write<u64>(vcpu, lin + 40 + 16 * i, <u64>load<u16>(r, 8));
  }
  if (load<u32>(vcpu, CR4) & CR4_OSFXSR) {
    for (let i: u32 = 0; i < 16; i++) Mem.write<u64>(vcpu, lin + 160 + 8 * i, load<u64>(vcpu + <i32>(8 * i), XMM));
  }
}

/** Does not wait: a pending exception is replaced by whatever the image holds. */
export function fxrstor(vcpu: i32, rec: i32): void {
  if (!available(vcpu)) return;
  const lin = fxArea(vcpu, rec, false);
  const control = Mem.read<u32>(vcpu, lin);
  const tags = Mem.read<u8>(vcpu, lin + 4);
  const opcode = Mem.read<u16>(vcpu, lin + 6);
  const ip = Mem.read<u32>(vcpu, lin + 8);
  const cs = Mem.read<u16>(vcpu, lin + 12);
  const dp = Mem.read<u32>(vcpu, lin + 16);
  const ds = Mem.read<u16>(vcpu, lin + 20);
  const sse = (load<u32>(vcpu, CR4) & CR4_OSFXSR) != 0;
  const mxcsr = Mem.read<u32>(vcpu, lin + 24);
  stageRegisters(vcpu, lin + 32, 16);
  if (sse) {
    for (let i: u32 = 0; i < 16; i++) {
      store<u64>(vcpu + <i32>(8 * i), Mem.read<u64>(vcpu, lin + 160 + 8 * i), W_WIDE + 128);
    }
  }
  if (faulted(vcpu)) return;
  if (sse && (mxcsr & ~MXCSR_BITS) != 0) {
    raiseGP(vcpu, 0);
    return;
  }
  setControl(vcpu, control);
  store<u16>(vcpu, <u16>(control >> 16), FPU_FSW);
  store<u8>(vcpu, tags, FPU_TAG);
  store<u16>(vcpu, opcode & 0x7ff, FPU_FOP);
  store<u32>(vcpu, ip, FPU_FIP);
  store<u16>(vcpu, cs, FPU_FCS);
  store<u32>(vcpu, dp, FPU_FDP);
  store<u16>(vcpu, ds, FPU_FDS);
  unstageRegisters(vcpu);
  if (sse) {
    store<u32>(vcpu, mxcsr, MXCSR);
    for (let i: u32 = 0; i < 16; i++) {
      const at = vcpu + <i32>(8 * i);
      store<u64>(at, load<u64>(at, W_WIDE + 128), XMM);
    }
  }
  updateSummary(vcpu);
}
