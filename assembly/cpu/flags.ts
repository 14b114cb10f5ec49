// Lazy arithmetic flags. An ALU operation stores two words:
//   FLAG_RES  the result, sign-extended to 32 bits
//   FLAG_AUX  the carry out of each bit, moved so that the carry out of the top bit is bit 31 and the one of the
//             bit below it is bit 30; the carry out of bit 3 stays at bit 3
// so CF = AUX bit 31, OF = AUX bit 31 ^ bit 30, AF = AUX bit 3, ZF = (RES == 0), SF = sign of RES, PF = parity of its
// low byte: no record of the operation is needed and every flag is one or two machine operations away.
// Combinations that no result can have (ZF and SF both set, say) are stored as corrections:
//   AUX bit 16 inverts SF; AUX bits 8..15 are XORed into the byte that PF is taken from.
import { closeSmapOpen } from "../mmu/tlb";
import { FLAG_AUX, FLAG_RES, EFLAGS_SYS, SMAP_OPEN_COUNT } from "../../spec/layout";
import { FLAG_AC, FLAG_AF, FLAG_CF, FLAG_OF, FLAG_PF, FLAG_SF, FLAG_ZF, FLAGS_ARITH } from "../../spec/registers";

const AUX_SF = 0x10000;

export class Flags {
  // @ts-ignore: decorator
  @inline static cf(vcpu: i32): u32 {
    return load<u32>(vcpu, FLAG_AUX) >> 31;
  }
  // @ts-ignore: decorator
  @inline static zf(vcpu: i32): bool {
    return load<u32>(vcpu, FLAG_RES) == 0;
  }
  // @ts-ignore: decorator
  @inline static sf(vcpu: i32): u32 {
    return (load<u32>(vcpu, FLAG_RES) >> 31) ^ ((load<u32>(vcpu, FLAG_AUX) >> 16) & 1);
  }
  // @ts-ignore: decorator
  @inline static of(vcpu: i32): u32 {
    const aux = load<u32>(vcpu, FLAG_AUX);
    return (aux ^ (aux << 1)) >> 31;
  }
  // @ts-ignore: decorator
  @inline static af(vcpu: i32): u32 {
    return (load<u32>(vcpu, FLAG_AUX) >> 3) & 1;
  }
  // @ts-ignore: decorator
  @inline static pf(vcpu: i32): u32 {
    const b = (load<u32>(vcpu, FLAG_RES) ^ (load<u32>(vcpu, FLAG_AUX) >> 8)) & 0xff;
    return (i32.popcnt(b) & 1) ^ 1;
  }
  /** Stores result and carries of an operation of T's width. `carries` is in the width's own bit positions. */
  // @ts-ignore: decorator
  @inline static set<T>(vcpu: i32, res: u32, carries: u32): void {
    if (sizeof<T>() == 4) {
      store<u32>(vcpu, res, FLAG_RES);
      store<u32>(vcpu, carries & 0xc0000008, FLAG_AUX);
    } else if (sizeof<T>() == 2) {
      store<i32>(vcpu, <i32>(<i16>res), FLAG_RES);
      store<u32>(vcpu, ((carries << 16) & 0xc0000000) | (carries & 8), FLAG_AUX);
    } else {
      store<i32>(vcpu, <i32>(<i8>res), FLAG_RES);
      store<u32>(vcpu, ((carries << 24) & 0xc0000000) | (carries & 8), FLAG_AUX);
    }
  }
  /** Result with CF and OF (0 or 1 each) given and AF clear: shifts, multiplications. */
  // @ts-ignore: decorator
  @inline static result<T>(vcpu: i32, res: u32, cf: u32, ovf: u32): void {
    if (sizeof<T>() == 4) store<u32>(vcpu, res, FLAG_RES);
    else if (sizeof<T>() == 2) store<i32>(vcpu, <i32>(<i16>res), FLAG_RES);
    else store<i32>(vcpu, <i32>(<i8>res), FLAG_RES);
    store<u32>(vcpu, (cf << 31) | ((cf ^ ovf) << 30), FLAG_AUX);
  }
  /** Flags of AND, OR, XOR, TEST: CF = OF = AF = 0. */
  // @ts-ignore: decorator
  @inline static logic<T>(vcpu: i32, res: u32): void {
    if (sizeof<T>() == 4) store<u32>(vcpu, res, FLAG_RES);
    else if (sizeof<T>() == 2) store<i32>(vcpu, <i32>(<i16>res), FLAG_RES);
    else store<i32>(vcpu, <i32>(<i8>res), FLAG_RES);
    store<u32>(vcpu, 0, FLAG_AUX);
  }
}

/** OF SF ZF AF PF CF in their EFLAGS positions. */
export function arithFlags(vcpu: i32): u32 {
  return (
    Flags.cf(vcpu) |
    (Flags.pf(vcpu) << 2) |
    (Flags.af(vcpu) << 4) |
    ((<u32>Flags.zf(vcpu)) << 6) |
    (Flags.sf(vcpu) << 7) |
    (Flags.of(vcpu) << 11)
  );
}

/** Sets OF SF ZF AF PF CF from their EFLAGS positions; other bits of `f` are ignored. */
export function setArithFlags(vcpu: i32, f: u32): void {
  const cf = f & FLAG_CF;
  const ovf = (f & FLAG_OF) >> 11;
  const zf = (f & FLAG_ZF) != 0;
  const pf = (f & FLAG_PF) != 0;
  const sf = (f & FLAG_SF) >> 7;
  // ZF set: result 0 (parity even); clear: result 1 (parity odd).
  const res: u32 = zf ? 0 : 1;
  let aux: u32 = (cf << 31) | ((cf ^ ovf) << 30) | ((f & FLAG_AF) >> 1);
  if (sf) aux |= AUX_SF;
  if (pf != zf) aux |= 0x100;
  store<u32>(vcpu, res, FLAG_RES);
  store<u32>(vcpu, aux, FLAG_AUX);
}

/** Changes CF and OF, leaving SF, ZF, AF and PF as they are. */
export function setCfOf(vcpu: i32, cf: u32, ovf: u32): void {
  const aux = load<u32>(vcpu, FLAG_AUX) & 0x3fffffff;
  store<u32>(vcpu, aux | (cf << 31) | ((cf ^ ovf) << 30), FLAG_AUX);
}

export function setCf(vcpu: i32, cf: u32): void {
  setCfOf(vcpu, cf, Flags.of(vcpu));
}

/** Changes ZF only (ARPL, LAR, LSL, VERR, CMPXCHG8B, BSF...). */
export function setZf(vcpu: i32, zf: bool): void {
  setArithFlags(vcpu, (arithFlags(vcpu) & ~FLAG_ZF) | (zf ? FLAG_ZF : 0));
}

/** The whole EFLAGS as PUSHF sees it (VM and RF included; the caller masks). */
export function getEflags(vcpu: i32): u32 {
  return load<u32>(vcpu, EFLAGS_SYS) | arithFlags(vcpu) | 2;
}

/** Sets the whole EFLAGS. The caller has merged the bits that must not change, and calls updateMode and recheck. */
export function setEflags(vcpu: i32, f: u32): void {
  setArithFlags(vcpu, f);
  store<u32>(vcpu, (f & ~FLAGS_ARITH & 0x003f7fd5) | 2, EFLAGS_SYS);
  if (load<u32>(vcpu, SMAP_OPEN_COUNT) != 0 && !(f & FLAG_AC)) closeSmapOpen(vcpu);
}

/** Condition `cc` of Jcc, SETcc, CMOVcc (the low four bits of the opcode). */
export function condition(vcpu: i32, cc: u32): bool {
  let r: bool = false;
  switch (cc >> 1) {
    case 0: r = Flags.of(vcpu) != 0; break;
    case 1: r = Flags.cf(vcpu) != 0; break;
    case 2: r = Flags.zf(vcpu); break;
    case 3: r = Flags.cf(vcpu) != 0 || Flags.zf(vcpu); break;
    case 4: r = Flags.sf(vcpu) != 0; break;
    case 5: r = Flags.pf(vcpu) != 0; break;
    case 6: r = Flags.sf(vcpu) != Flags.of(vcpu); break;
    default: r = Flags.zf(vcpu) || Flags.sf(vcpu) != Flags.of(vcpu); break;
  }
  return (cc & 1) != 0 ? !r : r;
}
