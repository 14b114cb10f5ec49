// Decodes one instruction into a 16-byte record (REC_* in spec/layout.ts). Everything that can be known from the bytes
// and the decode mode is decided here; see docs/ARCHITECTURE.md for how records are executed.
import { Op } from "../../spec/op.gen";
import {
  ATTR_ACC, ATTR_E8, ATTR_END, ATTR_FEATURE_SHIFT, ATTR_G8, ATTR_GROUP, ATTR_IMM_MASK, ATTR_IMM_SHIFT, ATTR_LOCK, ATTR_MODRM,
  ATTR_OP_MASK, ATTR_OPREG, ATTR_PROTECTED, ATTR_REG_ALWAYS, IMM_B, IMM_FAR, IMM_JB, IMM_JZ, IMM_MOFFS, IMM_ONE, IMM_SB, IMM_W, IMM_WB, IMM_Z,
} from "../../spec/opcodes/attributes";
import {
  EA_ADDR16, EA_CHECKED, EA_INDEX, EA_SEG_SHIFT, EAX, EBP, EBX, EDI, ESI, ESP, FEATURES, GPR_ZERO, MODE_CS32, MODE_FLAT_DATA, MODE_PROTECTED,
  PFX_66, PFX_ADDR16, PFX_LOCK, PFX_OP16, PFX_REG, PFX_REP, PFX_REPNE, PFX_SEG, REC_BASE, REC_DISP, REC_EA, REC_IMM, REC_INDEX,
  REC_OP, REC_PFX, REC_REG, SEG_DS, SEG_SS,
} from "../../spec/layout";
import { GROUPS, PRIMARY } from "./decode-table.gen";
import { specialise } from "./specialise";

/** Result bit of `decode`: the instruction ends its block. */
export const DECODE_END = 0x100;
/** Result of `decode`: the bytes end before the instruction does. */
export const DECODE_MORE = 0;

const MAX_LENGTH = 15;
const NO_SEGMENT = -1;

function byteRegister(n: u32): u32 {
  return ((n & 3) << 3) + (n >> 2);
}

function hasFeature(vcpu: i32, bit: u32): bool {
  return bit == 0 || ((load<u32>(vcpu + <i32>((bit >> 5) << 2), FEATURES) >> (bit & 31)) & 1) != 0;
}

/** Writes the memory operand into the record and returns the address after it, or 0 when bytes are missing. */
function decodeMemory(rec: i32, p: i32, end: i32, modrm: u32, addr16: bool, segOverride: i32, mode: u32): i32 {
  const mod = modrm >> 6;
  const rm = modrm & 7;
  let base: u32 = GPR_ZERO;
  let index: u32 = GPR_ZERO;
  let scale: u32 = 0;
  let disp: u32 = 0;
  let dispSize = mod == 1 ? 1 : 0;
  let seg = SEG_DS;
  let ea: u32 = 0;
  if (addr16) {
    ea = EA_ADDR16;
    switch (rm) {
      case 0: base = EBX; index = ESI; break;
      case 1: base = EBX; index = EDI; break;
      case 2: base = EBP; index = ESI; seg = SEG_SS; break;
      case 3: base = EBP; index = EDI; seg = SEG_SS; break;
      case 4: base = ESI; break;
      case 5: base = EDI; break;
      case 6:
        if (mod == 0) dispSize = 2;
        else { base = EBP; seg = SEG_SS; }
        break;
      default: base = EBX; break;
    }
    if (mod == 2) dispSize = 2;
  } else {
    if (mod == 2) dispSize = 4;
    if (rm == 4) {
      if (end - p <= 0) return 0;
      const sib = <u32>load<u8>(p++);
      scale = sib >> 6;
      if (((sib >> 3) & 7) != 4) index = ((sib >> 3) & 7) << 3;
      if ((sib & 7) == 5 && mod == 0) dispSize = 4;
      else base = (sib & 7) << 3;
    } else if (rm == 5 && mod == 0) {
      dispSize = 4;
    } else {
      base = rm << 3;
    }
    if (base == ESP || base == EBP) seg = SEG_SS;
  }
  if (end - p < dispSize) return 0;
  if (dispSize == 1) disp = <u32>(<i32>load<i8>(p));
  else if (dispSize == 2) disp = <u32>(<i32>load<i16>(p));
  else if (dispSize == 4) disp = load<u32>(p);
  p += dispSize;
  if (segOverride != NO_SEGMENT) seg = segOverride;
  // ES SS DS are flat together; CS, FS and GS are always checked
  const flat = (mode & MODE_FLAT_DATA) != 0 && (seg == 0 || seg == SEG_SS || seg == SEG_DS);
  if (!flat) ea |= EA_CHECKED;
  if (index != GPR_ZERO) ea |= EA_INDEX | scale;
  if (ea) ea |= (<u32>seg) << EA_SEG_SHIFT;
  store<u8>(rec, base, REC_BASE);
  store<u8>(rec, index, REC_INDEX);
  store<u8>(rec, ea, REC_EA);
  store<u32>(rec, disp, REC_DISP);
  return p;
}

function invalid(rec: i32, length: i32): i32 {
  store<u16>(rec, Op.INVALID, REC_OP);
  store<u32>(rec, 0, REC_IMM);
  return length | DECODE_END;
}

/** An instruction longer than 15 bytes: #GP(0). */
function tooLong(rec: i32): i32 {
  invalid(rec, MAX_LENGTH);
  store<u32>(rec, 1, REC_IMM);
  return MAX_LENGTH | DECODE_END;
}

/**
 * Decodes the instruction at Wasm address `start`, of which bytes up to `end` (exclusive) may be read, into `rec`.
 * `general` keeps the table's general operation. Returns its length, with DECODE_END set when it ends the block, or DECODE_MORE.
 */
export function decode(vcpu: i32, rec: i32, start: i32, end: i32, mode: u32, general: bool): i32 {
  let p = start;
  const last = start + MAX_LENGTH;
  let op16 = (mode & MODE_CS32) == 0;
  let addr16 = op16;
  const code32 = !op16;
  let segOverride = NO_SEGMENT;
  let pfx: u32 = 0;
  let column = 0;
  let b: u32 = 0;
  store<u64>(rec, 0);
  store<u64>(rec, 0, 8);
  while (true) {
    if (end - p <= 0) return p - start >= MAX_LENGTH ? tooLong(rec) : DECODE_MORE;
    if (last - p <= 0) return tooLong(rec);
    b = <u32>load<u8>(p++);
    if (b == 0x66) { op16 = code32; pfx |= PFX_66; }
    else if (b == 0x67) { addr16 = code32; }
    else if (b == 0xf3) pfx = (pfx & ~PFX_REPNE) | PFX_REP;
    else if (b == 0xf2) pfx = (pfx & ~PFX_REP) | PFX_REPNE;
    else if (b == 0xf0) pfx |= PFX_LOCK;
    else if ((b & 0xe7) == 0x26) { segOverride = <i32>((b >> 3) & 3); pfx |= PFX_SEG; }
    else if ((b & 0xfe) == 0x64) { segOverride = <i32>(b - 0x60); pfx |= PFX_SEG; }
    else break;
  }
  if (pfx & PFX_REP) column = 2;
  else if (pfx & PFX_REPNE) column = 3;
  else if (pfx & PFX_66) column = 1;

  let e: u32;
  if (b != 0x0f) {
    e = load<u32>(PRIMARY + <i32>(b << 2));
  } else {
    if (end - p <= 0) return DECODE_MORE;
    b = <u32>load<u8>(p++);
    let map = 0;
    if (b == 0x38 || b == 0x3a) {
      map = b == 0x38 ? 1 : 2;
      if (end - p <= 0) return DECODE_MORE;
      b = <u32>load<u8>(p++);
    }
    e = load<u32>(PRIMARY + ((256 + (map * 4 + column) * 256 + <i32>b) << 2));
  }
  if (e == 0) return invalid(rec, p - start);

  if (op16) pfx |= PFX_OP16;
  if (addr16) pfx |= PFX_ADDR16;
  let modrm: u32 = 0;
  let memory = false;
  if (e & ATTR_MODRM) {
    if (end - p <= 0) return DECODE_MORE;
    modrm = <u32>load<u8>(p++);
    while (e & ATTR_GROUP) {
      const g = <i32>(e & ATTR_OP_MASK) << 6;
      // first level: ModRM.reg and form; second level (register forms only): ModRM.rm
      const at = pfx & PFX_REG ? modrm & 7 : (((modrm >> 3) & 7) << 1) | (modrm >= 0xc0 ? 1 : 0);
      if (modrm >= 0xc0) pfx |= PFX_REG;
      e = load<u32>(GROUPS + g + <i32>(at << 2));
    }
    if (e == 0) return invalid(rec, p - start);
    const reg = (modrm >> 3) & 7;
    store<u8>(rec, e & ATTR_G8 ? byteRegister(reg) : reg << 3, REC_REG);
    if (modrm >= 0xc0 || e & ATTR_REG_ALWAYS) {
      pfx |= PFX_REG;
      store<u8>(rec, e & ATTR_E8 ? byteRegister(modrm & 7) : (modrm & 7) << 3, REC_BASE);
      store<u32>(rec, modrm, REC_DISP);
      // MASKMOVQ and MASKMOVDQU have a register form only and yet an operand in memory
      if (segOverride != NO_SEGMENT) store<u8>(rec, (<u32>segOverride) << EA_SEG_SHIFT, REC_EA);
    } else {
      p = decodeMemory(rec, p, end, modrm, addr16, segOverride, mode);
      if (p == 0) return DECODE_MORE;
      memory = true;
    }
  } else {
    // string and other implicit memory operands find their segment here
    const seg = segOverride == NO_SEGMENT ? SEG_DS : segOverride;
    store<u8>(rec, ((<u32>seg) << EA_SEG_SHIFT) | EA_CHECKED, REC_EA);
    if (e & ATTR_OPREG) {
      const r = e & ATTR_E8 ? byteRegister(b & 7) : (b & 7) << 3;
      store<u8>(rec, r, REC_REG);
      store<u8>(rec, r, REC_BASE);
      pfx |= PFX_REG;
    } else if (e & ATTR_ACC) {
      store<u8>(rec, EAX, REC_REG);
      store<u8>(rec, EAX, REC_BASE);
      pfx |= PFX_REG;
    }
    store<u32>(rec, b, REC_DISP);
  }

  const feature = e >> ATTR_FEATURE_SHIFT;
  const op = e & ATTR_OP_MASK;
  if (!hasFeature(vcpu, feature) || (e & ATTR_PROTECTED && !(mode & MODE_PROTECTED)) || (pfx & PFX_LOCK && (!(e & ATTR_LOCK) || pfx & PFX_REG)))
    return invalid(rec, p - start);

  // without an immediate: opcode and ModRM, for the x87 opcode register and for handlers that share an operation
  let imm: u32 = b | (modrm << 8);
  const left = end - p;
  switch ((e >> ATTR_IMM_SHIFT) & ATTR_IMM_MASK) {
    case IMM_B:
      if (left < 1) return DECODE_MORE;
      imm = <u32>load<u8>(p++);
      break;
    case IMM_SB:
    case IMM_JB:
      if (left < 1) return DECODE_MORE;
      imm = <u32>(<i32>load<i8>(p++));
      break;
    case IMM_W:
      if (left < 2) return DECODE_MORE;
      imm = <u32>load<u16>(p);
      p += 2;
      break;
    case IMM_Z:
      if (op16) {
        if (left < 2) return DECODE_MORE;
        imm = <u32>load<u16>(p);
        p += 2;
      } else {
        if (left < 4) return DECODE_MORE;
        imm = load<u32>(p);
        p += 4;
      }
      break;
    case IMM_JZ:
      if (op16) {
        if (left < 2) return DECODE_MORE;
        imm = <u32>(<i32>load<i16>(p));
        p += 2;
      } else {
        if (left < 4) return DECODE_MORE;
        imm = load<u32>(p);
        p += 4;
      }
      break;
    case IMM_MOFFS: {
      const size = addr16 ? 2 : 4;
      if (left < size) return DECODE_MORE;
      const seg = segOverride == NO_SEGMENT ? SEG_DS : segOverride;
      const flat = (mode & MODE_FLAT_DATA) != 0 && (seg == 0 || seg == SEG_SS || seg == SEG_DS);
      store<u8>(rec, GPR_ZERO, REC_BASE);
      store<u8>(rec, GPR_ZERO, REC_INDEX);
      store<u8>(rec, flat ? 0 : EA_CHECKED | ((<u32>seg) << EA_SEG_SHIFT), REC_EA);
      store<u32>(rec, addr16 ? <u32>load<u16>(p) : load<u32>(p), REC_DISP);
      pfx &= ~PFX_REG;
      memory = true;
      p += size;
      break;
    }
    case IMM_FAR: {
      const size = op16 ? 4 : 6;
      if (left < size) return DECODE_MORE;
      imm = op16 ? <u32>load<u16>(p) : load<u32>(p);
      store<u32>(rec, <u32>load<u16>(p + size - 2), REC_DISP);
      p += size;
      break;
    }
    case IMM_WB:
      if (left < 3) return DECODE_MORE;
      imm = <u32>load<u16>(p) | ((<u32>load<u8>(p + 2)) << 16);
      p += 3;
      break;
    case IMM_ONE:
      imm = 1;
      break;
    default:
      break;
  }
  if (last - p < 0) return tooLong(rec);
  const length = p - start;
  store<u16>(rec, op, REC_OP);
  store<u8>(rec, pfx, REC_PFX);
  store<u32>(rec, imm, REC_IMM);
  if (!general) specialise(rec, op, mode, b, memory);
  return e & ATTR_END ? length | DECODE_END : length;
}
