// The register stack: ST(i), tags, push and pop (SDM 1 8.1.2). Stack faults are reported through W_EXC.
import { FPU_FSW, FPU_R, FPU_TAG } from "../../../spec/layout";
import { C1, IE, SF, signal, W_SE, W_SIG } from "./status";

/** Real indefinite, the QNaN that stands for a masked invalid operation. */
export const INDEFINITE_SIG: u64 = 0xc000000000000000;
export const INDEFINITE_SE: u32 = 0xffff;

export function topOf(vcpu: i32): u32 {
  return (<u32>load<u16>(vcpu, FPU_FSW) >> 11) & 7;
}

export function setTop(vcpu: i32, top: u32): void {
  store<u16>(vcpu, <u16>((<u32>load<u16>(vcpu, FPU_FSW) & ~0x3800) | ((top & 7) << 11)), FPU_FSW);
}

/** Address of ST(i): u64 significand, then u16 sign and exponent. */
// @ts-ignore: decorator
@inline
export function st(vcpu: i32, i: u32): i32 {
  return vcpu + FPU_R + <i32>((((<u32>load<u16>(vcpu, FPU_FSW) >> 11) + i) & 7) << 4);
}

// @ts-ignore: decorator
@inline
export function isEmpty(vcpu: i32, i: u32): bool {
  return !((<u32>load<u8>(vcpu, FPU_TAG) >> (((<u32>load<u16>(vcpu, FPU_FSW) >> 11) + i) & 7)) & 1);
}

export function setSt(vcpu: i32, i: u32, sig: u64, se: u32): void {
  const slot = ((<u32>load<u16>(vcpu, FPU_FSW) >> 11) + i) & 7;
  const r = vcpu + FPU_R + <i32>(slot << 4);
  store<u64>(r, sig);
  store<u16>(r, <u16>se, 8);
  store<u8>(vcpu, load<u8>(vcpu, FPU_TAG) | <u8>((<u32>1) << slot), FPU_TAG);
}

export function free(vcpu: i32, i: u32): void {
  const slot = ((<u32>load<u16>(vcpu, FPU_FSW) >> 11) + i) & 7;
  store<u8>(vcpu, load<u8>(vcpu, FPU_TAG) & ~<u8>((<u32>1) << slot), FPU_TAG);
}

export function pop(vcpu: i32): void {
  const fsw = <u32>load<u16>(vcpu, FPU_FSW);
  const slot = (fsw >> 11) & 7;
  store<u8>(vcpu, load<u8>(vcpu, FPU_TAG) & ~<u8>((<u32>1) << slot), FPU_TAG);
  store<u16>(vcpu, <u16>((fsw & ~0x3800) | (((slot + 1) & 7) << 11)), FPU_FSW);
}

/** Pushes the value; the caller has dealt with overflow. */
export function push(vcpu: i32, sig: u64, se: u32): void {
  setTop(vcpu, topOf(vcpu) - 1);
  setSt(vcpu, 0, sig, se);
}

/** Pushes what was stored in ST(7) beforehand. */
export function pushStored(vcpu: i32): void {
  const fsw = <u32>load<u16>(vcpu, FPU_FSW);
  const slot = ((fsw >> 11) - 1) & 7;
  store<u8>(vcpu, load<u8>(vcpu, FPU_TAG) | <u8>((<u32>1) << slot), FPU_TAG);
  store<u16>(vcpu, <u16>((fsw & ~0x3800) | (slot << 11)), FPU_FSW);
}

export function setResult(vcpu: i32, sig: u64, se: u32): void {
  store<u64>(vcpu, sig, W_SIG);
  store<u32>(vcpu, se, W_SE);
}

/** Invalid operation: the result is the real indefinite. */
export function invalid(vcpu: i32): void {
  signal(vcpu, IE);
  setResult(vcpu, INDEFINITE_SIG, INDEFINITE_SE);
}

/** An empty register was to be read: #IS with C1 = 0, the result is the real indefinite. */
export function stackUnderflow(vcpu: i32): void {
  signal(vcpu, IE | SF);
  setResult(vcpu, INDEFINITE_SIG, INDEFINITE_SE);
}

/** A register in use was to be pushed over: #IS with C1 = 1, the result is the real indefinite. */
export function stackOverflow(vcpu: i32): void {
  signal(vcpu, IE | SF | C1);
  setResult(vcpu, INDEFINITE_SIG, INDEFINITE_SE);
}
