// PCMPESTRI, PCMPESTRM, PCMPISTRI, PCMPISTRM. SDM 1 12.3 and SDM 2 4.1, whose names (IntRes1, IntRes2) are used.
import { EAX, ECX, EDX, XMM } from "../../../spec/layout";
import { Op } from "../../../spec/op.gen";
import { FLAG_CF, FLAG_OF, FLAG_SF, FLAG_ZF } from "../../../spec/registers";
import { setArithFlags } from "../../cpu/flags";

const WORDS: u32 = 1;
const SIGNED: u32 = 2;
const MOST_SIGNIFICANT: u32 = 0x40;

/** Element i as the immediate says: byte or word, signed or not. */
function element(v: v128, i: i32, imm: u32): i32 {
  const half = <u64>(i < (imm & WORDS ? 4 : 8) ? i64x2.extract_lane(v, 0) : i64x2.extract_lane(v, 1));
  if (imm & WORDS) {
    const word = <u16>(half >> (<u64>(i & 3) << 4));
    return imm & SIGNED ? <i32>(<i16>word) : <i32>word;
  }
  const byte = <u8>(half >> (<u64>(i & 7) << 3));
  return imm & SIGNED ? <i32>(<i8>byte) : <i32>byte;
}

/** Explicit length: the magnitude of a register, at most n. */
function explicitLength(register: i32, n: i32): i32 {
  const magnitude = <u32>(register < 0 ? -register : register);
  return magnitude > <u32>n ? n : <i32>magnitude;
}

/** Implicit length: elements before the first that is 0. */
function implicitLength(v: v128, imm: u32, n: i32): i32 {
  const zeros = <u32>(imm & WORDS ? i16x8.bitmask(i16x8.eq(v, i16x8.splat(0))) : i8x16.bitmask(i8x16.eq(v, i8x16.splat(0))));
  return min<i32>(<i32>ctz(zeros), n);
}

/** Bit j: what the aggregation says of element j of b. */
function intRes1(a: v128, lengthA: i32, b: v128, lengthB: i32, imm: u32, n: i32): u32 {
  let result: u32 = 0;
  const aggregation = (imm >> 2) & 3;
  for (let j = 0; j < n; j++) {
    let hit = false;
    if (aggregation == 0) {
      // Equal any: b[j] is in the set a.
      if (j < lengthB) {
        const x = element(b, j, imm);
        for (let i = 0; i < lengthA; i++) hit = hit || element(a, i, imm) == x;
      }
    } else if (aggregation == 1) {
      // Ranges: b[j] is between a pair of a.
      if (j < lengthB) {
        const x = element(b, j, imm);
        for (let i = 0; i + 1 < lengthA; i += 2) hit = hit || (element(a, i, imm) <= x && x <= element(a, i + 1, imm));
      }
    } else if (aggregation == 2) {
      // Equal each: pairwise; two invalid elements are equal.
      if (j < lengthA && j < lengthB) hit = element(a, j, imm) == element(b, j, imm);
      else hit = j >= lengthA && j >= lengthB;
    } else {
      // Equal ordered: a begins at b[j], as far as the register goes.
      hit = true;
      for (let i = 0; i < lengthA && j + i < n; i++) {
        if (j + i >= lengthB || element(a, i, imm) != element(b, j + i, imm)) hit = false;
      }
    }
    if (hit) result |= <u32>1 << j;
  }
  return result;
}

/** Spreads the low n bits to bytes or words of all ones. */
function expandMask(bits: u32, imm: u32): v128 {
  if (imm & WORDS) {
    return i16x8.ne(v128.and(i16x8.splat(<i16>bits), i16x8(1, 2, 4, 8, 16, 32, 64, 128)), i16x8.splat(0));
  }
  const bytes = i64x2.replace_lane(i64x2.splat(<i64>(bits & 0xff) * 0x0101010101010101), 1, <i64>(bits >> 8) * 0x0101010101010101);
  const selector = i64x2.splat(0x8040201008040201);
  return i8x16.eq(v128.and(bytes, selector), selector);
}

/** a is the register operand, b the register or memory operand. */
export function execStringCompare(vcpu: i32, op: i32, a: v128, b: v128, imm: u32): void {
  const n = imm & WORDS ? 8 : 16;
  const explicit = op == Op.Pcmpestrm || op == Op.Pcmpestri;
  const lengthA = explicit ? explicitLength(load<i32>(vcpu, EAX), n) : implicitLength(a, imm, n);
  const lengthB = explicit ? explicitLength(load<i32>(vcpu, EDX), n) : implicitLength(b, imm, n);
  let res = intRes1(a, lengthA, b, lengthB, imm, n);
  const polarity = (imm >> 4) & 3;
  // IntRes2: negated everywhere, or only where b has elements.
  if (polarity == 1) res ^= (<u32>1 << n) - 1;
  else if (polarity == 3) res ^= (<u32>1 << lengthB) - 1;
  if (op == Op.Pcmpestri || op == Op.Pcmpistri) {
    const index = res == 0 ? n : <i32>(imm & MOST_SIGNIFICANT ? 31 - clz(res) : ctz(res));
    store<u32>(vcpu, index, ECX);
  } else {
    v128.store(vcpu, imm & MOST_SIGNIFICANT ? expandMask(res, imm) : i32x4.replace_lane(i32x4.splat(0), 0, res), XMM);
  }
  let flags: u32 = 0;
  if (res != 0) flags |= FLAG_CF;
  if (lengthB < n) flags |= FLAG_ZF;
  if (lengthA < n) flags |= FLAG_SF;
  if (res & 1) flags |= FLAG_OF;
  setArithFlags(vcpu, flags);
}
