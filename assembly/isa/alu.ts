// Semantics of the integer arithmetic instructions for one width T (u8 u16 u32): value in, value out, flags stored.
// Shared by the interpreter's specialised operations and the general ones. SDM volume 2.
// Carries: for a sum s = a + b (+ c) the carry out of bit i is bit i of (a & b) | ((a | b) & ~s);
// for a difference d = a - b (- c) the borrow is (~a & b) | (~(a ^ b) & d).
import { FLAG_AUX, FLAG_RES } from "../../spec/layout";
import { FLAG_AF, FLAG_CF } from "../../spec/registers";
import { arithFlags, Flags, setArithFlags, setCfOf } from "../cpu/flags";

export class Alu {
  // @ts-ignore: decorator
  @inline static add<T>(vcpu: i32, a: u32, b: u32): u32 {
    const s = a + b;
    Flags.set<T>(vcpu, s, (a & b) | ((a | b) & ~s));
    return s;
  }
  // @ts-ignore: decorator
  @inline static adc<T>(vcpu: i32, a: u32, b: u32): u32 {
    const s = a + b + Flags.cf(vcpu);
    Flags.set<T>(vcpu, s, (a & b) | ((a | b) & ~s));
    return s;
  }
  // @ts-ignore: decorator
  @inline static sub<T>(vcpu: i32, a: u32, b: u32): u32 {
    const d = a - b;
    Flags.set<T>(vcpu, d, (~a & b) | (~(a ^ b) & d));
    return d;
  }
  // @ts-ignore: decorator
  @inline static sbb<T>(vcpu: i32, a: u32, b: u32): u32 {
    const d = a - b - Flags.cf(vcpu);
    Flags.set<T>(vcpu, d, (~a & b) | (~(a ^ b) & d));
    return d;
  }
  // @ts-ignore: decorator
  @inline static and<T>(vcpu: i32, a: u32, b: u32): u32 {
    const r = a & b;
    Flags.logic<T>(vcpu, r);
    return r;
  }
  // @ts-ignore: decorator
  @inline static or<T>(vcpu: i32, a: u32, b: u32): u32 {
    const r = a | b;
    Flags.logic<T>(vcpu, r);
    return r;
  }
  // @ts-ignore: decorator
  @inline static xor<T>(vcpu: i32, a: u32, b: u32): u32 {
    const r = a ^ b;
    Flags.logic<T>(vcpu, r);
    return r;
  }
  /** CF is kept. */
  // @ts-ignore: decorator
  @inline static inc<T>(vcpu: i32, a: u32): u32 {
    const s = a + 1;
    Alu.step<T>(vcpu, s, s, (s & 15) == 0);
    return s;
  }
  /** CF is kept. */
  // @ts-ignore: decorator
  @inline static dec<T>(vcpu: i32, a: u32): u32 {
    const d = a - 1;
    Alu.step<T>(vcpu, d, a, (a & 15) == 0);
    return d;
  }
  /** Flags of INC and DEC: OF when `edge` (the larger of the two values) is the most negative number. */
  // @ts-ignore: decorator
  @inline static step<T>(vcpu: i32, res: u32, edge: u32, af: bool): void {
    const cf = load<u32>(vcpu, FLAG_AUX) >> 31;
    const bits: u32 = sizeof<T>() * 8;
    const min: u32 = 1 << (bits - 1);
    const ovf = <u32>((sizeof<T>() == 4 ? edge : edge & ((1 << bits) - 1)) == min);
    if (sizeof<T>() == 4) store<u32>(vcpu, res, FLAG_RES);
    else if (sizeof<T>() == 2) store<i32>(vcpu, <i32>(<i16>res), FLAG_RES);
    else store<i32>(vcpu, <i32>(<i8>res), FLAG_RES);
    store<u32>(vcpu, (cf << 31) | ((cf ^ ovf) << 30) | (<u32>af << 3), FLAG_AUX);
  }
  // @ts-ignore: decorator
  @inline static neg<T>(vcpu: i32, a: u32): u32 {
    return Alu.sub<T>(vcpu, 0, a);
  }
  /** Operation `k` of group 1 in encoding order; CMP returns the difference, which the caller drops. */
  // @ts-ignore: decorator
  @inline static group1<T>(vcpu: i32, k: u32, a: u32, b: u32): u32 {
    switch (k) {
      case 0: return Alu.add<T>(vcpu, a, b);
      case 1: return Alu.or<T>(vcpu, a, b);
      case 2: return Alu.adc<T>(vcpu, a, b);
      case 3: return Alu.sbb<T>(vcpu, a, b);
      case 4: return Alu.and<T>(vcpu, a, b);
      case 6: return Alu.xor<T>(vcpu, a, b);
      default: return Alu.sub<T>(vcpu, a, b);
    }
  }

  // ------------------------------------------------------------------ shifts; count is 1..31, value zero-extended
  /** SHL. OF for counts above 1 is what the SDM leaves undefined; like recent processors: MSB of result ^ CF. */
  // @ts-ignore: decorator
  @inline static shl<T>(vcpu: i32, a: u32, n: u32): u32 {
    const bits: u32 = sizeof<T>() * 8;
    const r = a << n;
    if (sizeof<T>() == 4) {
      // the last bit shifted out arrives at bit 0 of the rotation
      store<u32>(vcpu, r, FLAG_RES);
      store<u32>(vcpu, (rotl<u32>(a, n) << 31) | ((r >> 1) & 0x40000000), FLAG_AUX);
      return r;
    }
    const cf = <u32>(((<u64>a << n) >> bits) & 1);
    Flags.result<T>(vcpu, r, cf, ((r >> (bits - 1)) & 1) ^ cf);
    return r;
  }
  // @ts-ignore: decorator
  @inline static shr<T>(vcpu: i32, a: u32, n: u32): u32 {
    const bits: u32 = sizeof<T>() * 8;
    const r = a >> n;
    if (sizeof<T>() == 4) {
      // the last bit shifted out arrives at bit 31 of the rotation
      const t = rotr<u32>(a, n);
      store<u32>(vcpu, r, FLAG_RES);
      store<u32>(vcpu, (t & 0x80000000) | (((t >> 31) ^ (r >> 30)) << 30), FLAG_AUX);
      return r;
    }
    // OF: the two top bits of the result differ (for a count of 1 that is the old top bit)
    Flags.result<T>(vcpu, r, (a >> (n - 1)) & 1, ((r >> (bits - 1)) ^ (r >> (bits - 2))) & 1);
    return r;
  }
  // @ts-ignore: decorator
  @inline static sar<T>(vcpu: i32, a: u32, n: u32): u32 {
    if (sizeof<T>() == 4) {
      const t = rotr<u32>(a, n);
      store<u32>(vcpu, <u32>(<i32>a >> n), FLAG_RES);
      store<u32>(vcpu, (t & 0x80000000) | ((t >> 1) & 0x40000000), FLAG_AUX);
      return <u32>(<i32>a >> n);
    }
    let s: i32 = <i32>a;
    if (sizeof<T>() == 1) s = <i32>(<i8>a);
    else if (sizeof<T>() == 2) s = <i32>(<i16>a);
    const r = <u32>(s >> n);
    Flags.result<T>(vcpu, r, (s >> (n - 1)) & 1, 0);
    return r;
  }
  /** ROL by any masked count (1..31). Only CF and OF change. */
  // @ts-ignore: decorator
  @inline static rol<T>(vcpu: i32, a: u32, n: u32): u32 {
    const bits: u32 = sizeof<T>() * 8;
    const k = n & (bits - 1);
    let r: u32;
    if (sizeof<T>() == 4) r = rotl<u32>(a, k);
    else r = (k == 0 ? a : (a << k) | (a >> (bits - k))) & ((1 << bits) - 1);
    setCfOf(vcpu, r & 1, ((r >> (bits - 1)) ^ r) & 1);
    return r;
  }
  // @ts-ignore: decorator
  @inline static ror<T>(vcpu: i32, a: u32, n: u32): u32 {
    const bits: u32 = sizeof<T>() * 8;
    const k = n & (bits - 1);
    let r: u32;
    if (sizeof<T>() == 4) r = rotr<u32>(a, k);
    else r = (k == 0 ? a : (a >> k) | (a << (bits - k))) & ((1 << bits) - 1);
    setCfOf(vcpu, (r >> (bits - 1)) & 1, ((r >> (bits - 1)) ^ (r >> (bits - 2))) & 1);
    return r;
  }
}

/** RCL: rotate through CF, count taken modulo width + 1. */
export function rcl<T>(vcpu: i32, a: u32, count: u32): u32 {
  const bits: u32 = sizeof<T>() * 8;
  const n = count % (bits + 1);
  if (n == 0) {
    // no flag changes for a masked count of 0; for 9 (17) the value and CF return to where they were, OF is undefined
    return a;
  }
  const wide = (<u64>a) | (<u64>Flags.cf(vcpu) << bits);
  const r = (wide << n) | (wide >> (bits + 1 - n));
  const cf = <u32>((r >> bits) & 1);
  const out = <u32>(r & ((<u64>1 << bits) - 1));
  setCfOf(vcpu, cf, ((out >> (bits - 1)) & 1) ^ cf);
  return out;
}

export function rcr<T>(vcpu: i32, a: u32, count: u32): u32 {
  const bits: u32 = sizeof<T>() * 8;
  const n = count % (bits + 1);
  if (n == 0) return a;
  const wide = (<u64>a) | (<u64>Flags.cf(vcpu) << bits);
  const r = (wide >> n) | (wide << (bits + 1 - n));
  const out = <u32>(r & ((<u64>1 << bits) - 1));
  setCfOf(vcpu, <u32>((r >> bits) & 1), ((out >> (bits - 1)) ^ (out >> (bits - 2))) & 1);
  return out;
}

/** Shift or rotate `k` of group 2 by `count` (unmasked); a masked count of 0 changes nothing. */
export function shift<T>(vcpu: i32, k: u32, a: u32, count: u32): u32 {
  const n = count & 31;
  if (n == 0) return a;
  switch (k) {
    case 0: return Alu.rol<T>(vcpu, a, n);
    case 1: return Alu.ror<T>(vcpu, a, n);
    case 2: return rcl<T>(vcpu, a, n);
    case 3: return rcr<T>(vcpu, a, n);
    case 5: return Alu.shr<T>(vcpu, a, n);
    case 7: return Alu.sar<T>(vcpu, a, n);
    default: return Alu.shl<T>(vcpu, a, n);
  }
}

/** SHLD of width T; counts above the width are undefined and behave as recent processors do (the pair rotates on). */
export function shld<T>(vcpu: i32, a: u32, b: u32, count: u32): u32 {
  const n = count & 31;
  if (n == 0) return a;
  const bits: u32 = sizeof<T>() * 8;
  let r: u32;
  let cf: u32;
  if (sizeof<T>() == 4) {
    r = (a << n) | (b >> (32 - n));
    cf = (a >> (32 - n)) & 1;
  } else {
    // a:b:a, so that word counts above 16 shift the destination in again
    const wide = (<u64>(a & 0xffff) << 32) | (<u64>(b & 0xffff) << 16) | <u64>(a & 0xffff);
    r = <u32>((wide << n) >> 32) & 0xffff;
    cf = <u32>((wide << (n - 1)) >> 47) & 1;
  }
  Flags.result<T>(vcpu, r, cf, ((r >> (bits - 1)) ^ (a >> (bits - 1))) & 1);
  return r;
}

export function shrd<T>(vcpu: i32, a: u32, b: u32, count: u32): u32 {
  const n = count & 31;
  if (n == 0) return a;
  const bits: u32 = sizeof<T>() * 8;
  let r: u32;
  let cf: u32;
  if (sizeof<T>() == 4) {
    r = (a >> n) | (b << (32 - n));
    cf = (a >> (n - 1)) & 1;
  } else {
    const wide = (<u64>(a & 0xffff) << 32) | (<u64>(b & 0xffff) << 16) | <u64>(a & 0xffff);
    r = <u32>(wide >> n) & 0xffff;
    cf = <u32>(wide >> (n - 1)) & 1;
  }
  Flags.result<T>(vcpu, r, cf, ((r >> (bits - 1)) ^ (a >> (bits - 1))) & 1);
  return r;
}

/** Flags after MUL and IMUL: CF = OF = `overflow`; the others are undefined and follow the low half of the product. */
export function mulFlags<T>(vcpu: i32, low: u32, overflow: bool): void {
  Flags.result<T>(vcpu, low, <u32>overflow, <u32>overflow);
}

/** DAA and DAS (SDM 2A): AL and the flags in, AL out. */
export function decimalAdjust(vcpu: i32, al: u32, subtract: bool): u32 {
  const f = arithFlags(vcpu);
  const cf = f & FLAG_CF;
  let carry: u32 = 0;
  let af: u32 = 0;
  let r = al;
  if ((al & 15) > 9 || f & FLAG_AF) {
    af = FLAG_AF;
    r = subtract ? al - 6 : al + 6;
    carry = cf | (subtract ? <u32>(al < 6) : <u32>(r > 0xff));
  }
  if (al > 0x99 || cf) {
    r = subtract ? r - 0x60 : r + 0x60;
    carry = 1;
  }
  Flags.logic<u8>(vcpu, r);
  setArithFlags(vcpu, (arithFlags(vcpu) & ~(FLAG_AF | FLAG_CF)) | af | carry);
  return r & 0xff;
}

/** AAA and AAS: AX in, AX out. OF, SF, ZF and PF are undefined; they follow AL. */
export function asciiAdjust(vcpu: i32, ax: u32, subtract: bool): u32 {
  const adjust = (ax & 15) > 9 || Flags.af(vcpu) != 0;
  let r = ax;
  if (adjust) r = subtract ? ax - 0x106 : ax + 0x106;
  r = (r & 0xff00) | (r & 15);
  Flags.logic<u8>(vcpu, r);
  setArithFlags(vcpu, (arithFlags(vcpu) & ~(FLAG_AF | FLAG_CF)) | (adjust ? FLAG_AF | FLAG_CF : 0));
  return r & 0xffff;
}
