// `dest = dest op source` on packed integers in XMM registers.
import { Op } from "../../../spec/op.gen";
import {
  evenDwords, evenWords, maddUnsignedSigned, mulEvenU32, mulHighRound, mulHighS, mulHighU, oddDwords, oddWords,
  shiftArithmetic16, shiftArithmetic32, shiftLeft16, shiftLeft32, shiftLeft64, shiftRight16, shiftRight32,
  shiftRight64, sign16, sign32, sign8, sumAbsDifferences,
} from "./lanes";

/** The result of a two-operand packed-integer instruction: a is the destination, b the source. */
export function packedXmm(op: i32, a: v128, b: v128): v128 {
  switch (op) {
    case Op.PaddbXmm: return i8x16.add(a, b);
    case Op.PaddwXmm: return i16x8.add(a, b);
    case Op.PadddXmm: return i32x4.add(a, b);
    case Op.PaddqXmm: return i64x2.add(a, b);
    case Op.PsubbXmm: return i8x16.sub(a, b);
    case Op.PsubwXmm: return i16x8.sub(a, b);
    case Op.PsubdXmm: return i32x4.sub(a, b);
    case Op.PsubqXmm: return i64x2.sub(a, b);
    case Op.PaddsbXmm: return i8x16.add_sat_s(a, b);
    case Op.PaddswXmm: return i16x8.add_sat_s(a, b);
    case Op.PaddusbXmm: return i8x16.add_sat_u(a, b);
    case Op.PadduswXmm: return i16x8.add_sat_u(a, b);
    case Op.PsubsbXmm: return i8x16.sub_sat_s(a, b);
    case Op.PsubswXmm: return i16x8.sub_sat_s(a, b);
    case Op.PsubusbXmm: return i8x16.sub_sat_u(a, b);
    case Op.PsubuswXmm: return i16x8.sub_sat_u(a, b);
    case Op.PcmpgtbXmm: return i8x16.gt_s(a, b);
    case Op.PcmpgtwXmm: return i16x8.gt_s(a, b);
    case Op.PcmpgtdXmm: return i32x4.gt_s(a, b);
    case Op.PcmpeqbXmm: return i8x16.eq(a, b);
    case Op.PcmpeqwXmm: return i16x8.eq(a, b);
    case Op.PcmpeqdXmm: return i32x4.eq(a, b);
    case Op.PminubXmm: return i8x16.min_u(a, b);
    case Op.PmaxubXmm: return i8x16.max_u(a, b);
    case Op.PminswXmm: return i16x8.min_s(a, b);
    case Op.PmaxswXmm: return i16x8.max_s(a, b);
    case Op.PavgbXmm: return i8x16.avgr_u(a, b);
    case Op.PavgwXmm: return i16x8.avgr_u(a, b);
    case Op.PmullwXmm: return i16x8.mul(a, b);
    case Op.PmaddwdXmm: return i32x4.dot_i16x8_s(a, b);
    case Op.PandXmm: return v128.and(a, b);
    case Op.PorXmm: return v128.or(a, b);
    case Op.PxorXmm: return v128.xor(a, b);
    case Op.PmulhwXmm: return mulHighS(a, b);
    case Op.PmulhuwXmm: return mulHighU(a, b);
    case Op.PmulhrswXmm: return mulHighRound(a, b);
    case Op.PmaddubswXmm: return maddUnsignedSigned(a, b);
    case Op.PsadbwXmm: return sumAbsDifferences(a, b);
    case Op.PmuludqXmm: return mulEvenU32(a, b);
    case Op.PsignbXmm: return sign8(a, b);
    case Op.PsignwXmm: return sign16(a, b);
    case Op.PsigndXmm: return sign32(a, b);
    case Op.PandnXmm: return v128.andnot(b, a);
    case Op.PabsbXmm: return i8x16.abs(b);
    case Op.PabswXmm: return i16x8.abs(b);
    case Op.PabsdXmm: return i32x4.abs(b);
    case Op.PsrlwXmm: return shiftRight16(a, i64x2.extract_lane(b, 0));
    case Op.PsrldXmm: return shiftRight32(a, i64x2.extract_lane(b, 0));
    case Op.PsrlqXmm: return shiftRight64(a, i64x2.extract_lane(b, 0));
    case Op.PsllwXmm: return shiftLeft16(a, i64x2.extract_lane(b, 0));
    case Op.PslldXmm: return shiftLeft32(a, i64x2.extract_lane(b, 0));
    case Op.PsllqXmm: return shiftLeft64(a, i64x2.extract_lane(b, 0));
    case Op.PsrawXmm: return shiftArithmetic16(a, i64x2.extract_lane(b, 0));
    case Op.PsradXmm: return shiftArithmetic32(a, i64x2.extract_lane(b, 0));
    case Op.PunpcklbwXmm: return v128.shuffle<i8>(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    case Op.PunpckhbwXmm: return v128.shuffle<i8>(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
    case Op.PunpcklwdXmm: return v128.shuffle<i16>(a, b, 0, 8, 1, 9, 2, 10, 3, 11);
    case Op.PunpckhwdXmm: return v128.shuffle<i16>(a, b, 4, 12, 5, 13, 6, 14, 7, 15);
    case Op.PunpckldqXmm: return v128.shuffle<i32>(a, b, 0, 4, 1, 5);
    case Op.PunpckhdqXmm: return v128.shuffle<i32>(a, b, 2, 6, 3, 7);
    case Op.PacksswbXmm: return i8x16.narrow_i16x8_s(a, b);
    case Op.PackuswbXmm: return i8x16.narrow_i16x8_u(a, b);
    case Op.PackssdwXmm: return i16x8.narrow_i32x4_s(a, b);
    case Op.PshufbXmm: return i8x16.swizzle(a, v128.and(b, i8x16.splat(-113)));
    case Op.PhaddwXmm: return i16x8.add(evenWords(a, b), oddWords(a, b));
    case Op.PhadddXmm: return i32x4.add(evenDwords(a, b), oddDwords(a, b));
    case Op.PhaddswXmm: return i16x8.add_sat_s(evenWords(a, b), oddWords(a, b));
    case Op.PhsubwXmm: return i16x8.sub(evenWords(a, b), oddWords(a, b));
    case Op.PhsubdXmm: return i32x4.sub(evenDwords(a, b), oddDwords(a, b));
    case Op.PhsubswXmm: return i16x8.sub_sat_s(evenWords(a, b), oddWords(a, b));
    default: return unreachable();
  }
}
