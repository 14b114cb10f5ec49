// `dest = dest op source` on packed integers in MMX registers: as for XMM registers, on vectors with the operand in
// both halves; where halves meet (pack, unpack, horizontal) the low half of the result is what counts.
import { Op } from "../../../spec/op.gen";
import {
  evenDwords, evenWords, maddUnsignedSigned, mulEvenU32, mulHighRound, mulHighS, mulHighU, oddDwords, oddWords,
  shiftArithmetic16, shiftArithmetic32, shiftLeft16, shiftLeft32, shiftLeft64, shiftRight16, shiftRight32,
  shiftRight64, sign16, sign32, sign8, sumAbsDifferences,
} from "./lanes";

/** The eight bytes of a, then those of b. */
// @ts-ignore: decorator
@inline
function both(a: v128, b: v128): v128 {
  return v128.shuffle<i64>(a, b, 0, 2);
}

/** The result (low half) of a two-operand packed-integer instruction: a is the destination, b the source. */
export function packedMmx(op: i32, a: v128, b: v128): v128 {
  switch (op) {
    case Op.PaddbMm: return i8x16.add(a, b);
    case Op.PaddwMm: return i16x8.add(a, b);
    case Op.PadddMm: return i32x4.add(a, b);
    case Op.PaddqMm: return i64x2.add(a, b);
    case Op.PsubbMm: return i8x16.sub(a, b);
    case Op.PsubwMm: return i16x8.sub(a, b);
    case Op.PsubdMm: return i32x4.sub(a, b);
    case Op.PsubqMm: return i64x2.sub(a, b);
    case Op.PaddsbMm: return i8x16.add_sat_s(a, b);
    case Op.PaddswMm: return i16x8.add_sat_s(a, b);
    case Op.PaddusbMm: return i8x16.add_sat_u(a, b);
    case Op.PadduswMm: return i16x8.add_sat_u(a, b);
    case Op.PsubsbMm: return i8x16.sub_sat_s(a, b);
    case Op.PsubswMm: return i16x8.sub_sat_s(a, b);
    case Op.PsubusbMm: return i8x16.sub_sat_u(a, b);
    case Op.PsubuswMm: return i16x8.sub_sat_u(a, b);
    case Op.PcmpgtbMm: return i8x16.gt_s(a, b);
    case Op.PcmpgtwMm: return i16x8.gt_s(a, b);
    case Op.PcmpgtdMm: return i32x4.gt_s(a, b);
    case Op.PcmpeqbMm: return i8x16.eq(a, b);
    case Op.PcmpeqwMm: return i16x8.eq(a, b);
    case Op.PcmpeqdMm: return i32x4.eq(a, b);
    case Op.PminubMm: return i8x16.min_u(a, b);
    case Op.PmaxubMm: return i8x16.max_u(a, b);
    case Op.PminswMm: return i16x8.min_s(a, b);
    case Op.PmaxswMm: return i16x8.max_s(a, b);
    case Op.PavgbMm: return i8x16.avgr_u(a, b);
    case Op.PavgwMm: return i16x8.avgr_u(a, b);
    case Op.PmullwMm: return i16x8.mul(a, b);
    case Op.PmaddwdMm: return i32x4.dot_i16x8_s(a, b);
    case Op.PandMm: return v128.and(a, b);
    case Op.PorMm: return v128.or(a, b);
    case Op.PxorMm: return v128.xor(a, b);
    case Op.PmulhwMm: return mulHighS(a, b);
    case Op.PmulhuwMm: return mulHighU(a, b);
    case Op.PmulhrswMm: return mulHighRound(a, b);
    case Op.PmaddubswMm: return maddUnsignedSigned(a, b);
    case Op.PsadbwMm: return sumAbsDifferences(a, b);
    case Op.PmuludqMm: return mulEvenU32(a, b);
    case Op.PsignbMm: return sign8(a, b);
    case Op.PsignwMm: return sign16(a, b);
    case Op.PsigndMm: return sign32(a, b);
    case Op.PandnMm: return v128.andnot(b, a);
    case Op.PabsbMm: return i8x16.abs(b);
    case Op.PabswMm: return i16x8.abs(b);
    case Op.PabsdMm: return i32x4.abs(b);
    case Op.PsrlwMm: return shiftRight16(a, i64x2.extract_lane(b, 0));
    case Op.PsrldMm: return shiftRight32(a, i64x2.extract_lane(b, 0));
    case Op.PsrlqMm: return shiftRight64(a, i64x2.extract_lane(b, 0));
    case Op.PsllwMm: return shiftLeft16(a, i64x2.extract_lane(b, 0));
    case Op.PslldMm: return shiftLeft32(a, i64x2.extract_lane(b, 0));
    case Op.PsllqMm: return shiftLeft64(a, i64x2.extract_lane(b, 0));
    case Op.PsrawMm: return shiftArithmetic16(a, i64x2.extract_lane(b, 0));
    case Op.PsradMm: return shiftArithmetic32(a, i64x2.extract_lane(b, 0));
    case Op.PunpcklbwMm: return v128.shuffle<i8>(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    case Op.PunpckhbwMm: return v128.shuffle<i8>(a, b, 4, 20, 5, 21, 6, 22, 7, 23, 4, 20, 5, 21, 6, 22, 7, 23);
    case Op.PunpcklwdMm: return v128.shuffle<i16>(a, b, 0, 8, 1, 9, 2, 10, 3, 11);
    case Op.PunpckhwdMm: return v128.shuffle<i16>(a, b, 2, 10, 3, 11, 2, 10, 3, 11);
    case Op.PunpckldqMm: return v128.shuffle<i32>(a, b, 0, 4, 1, 5);
    case Op.PunpckhdqMm: return v128.shuffle<i32>(a, b, 1, 5, 1, 5);
    case Op.PacksswbMm: return i8x16.narrow_i16x8_s(both(a, b), b);
    case Op.PackuswbMm: return i8x16.narrow_i16x8_u(both(a, b), b);
    case Op.PackssdwMm: return i16x8.narrow_i32x4_s(both(a, b), b);
    case Op.PshufbMm: return i8x16.swizzle(a, v128.and(b, i8x16.splat(-121)));
    case Op.PhaddwMm: return i16x8.add(evenWords(both(a, b), b), oddWords(both(a, b), b));
    case Op.PhadddMm: return i32x4.add(evenDwords(both(a, b), b), oddDwords(both(a, b), b));
    case Op.PhaddswMm: return i16x8.add_sat_s(evenWords(both(a, b), b), oddWords(both(a, b), b));
    case Op.PhsubwMm: return i16x8.sub(evenWords(both(a, b), b), oddWords(both(a, b), b));
    case Op.PhsubdMm: return i32x4.sub(evenDwords(both(a, b), b), oddDwords(both(a, b), b));
    case Op.PhsubswMm: return i16x8.sub_sat_s(evenWords(both(a, b), b), oddWords(both(a, b), b));
    default: return unreachable();
  }
}
