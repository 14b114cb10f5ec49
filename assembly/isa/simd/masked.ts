// The implicit memory operand of MASKMOVQ and MASKMOVDQU: DS:(E)DI, byte by byte.
import {
  EA_SEG, EA_SEG_SHIFT, EDI, PFX_ADDR16, PFX_SEG, REC_EA, REC_PFX, SEG, SEG_BASE, SEG_DS, SEG_STRIDE,
} from "../../../spec/layout";
import { checkSegment } from "../../cpu/segment";
import { Mem } from "../../mmu/access";
import { probeWrite } from "../../mmu/slow";

/** Linear address of `size` bytes at DS:(E)DI, or in the overriding segment. Check `faulted`. */
export function maskAddress(vcpu: i32, rec: i32, size: u32): u32 {
  const pfx = <u32>load<u8>(rec, REC_PFX);
  let offset = load<u32>(vcpu, EDI);
  if (pfx & PFX_ADDR16) offset &= 0xffff;
  const seg = pfx & PFX_SEG ? (<i32>load<u8>(rec, REC_EA) & EA_SEG) >> EA_SEG_SHIFT : SEG_DS;
  if (!checkSegment(vcpu, seg, offset, size, true)) return 0;
  return offset + load<u32>(vcpu + SEG + seg * SEG_STRIDE, SEG_BASE);
}

/**
 * False, with the fault raised, when one of the eight bytes whose mask byte has its top bit set cannot be written.
 * Bytes that are not stored are not probed: whether they fault is implementation specific (SDM 2, MASKMOVQ).
 */
export function probeMasked(vcpu: i32, lin: u32, mask: u64): bool {
  for (let i: u32 = 0; i < 8; i++) {
    if ((mask >> (i << 3)) & 0x80 && !probeWrite(vcpu, lin + i, 1)) return false;
  }
  return true;
}

/** Stores the selected bytes. They were probed: this does not fault. */
export function storeMasked(vcpu: i32, lin: u32, value: u64, mask: u64): void {
  for (let i: u32 = 0; i < 8; i++) {
    if ((mask >> (i << 3)) & 0x80) Mem.write<u8>(vcpu, lin + i, <u8>(value >> (i << 3)));
  }
}
