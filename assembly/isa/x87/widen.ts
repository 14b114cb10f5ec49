// Conversions to extended precision: from single, double, integers and packed BCD. All are exact.
import { SE_DENORMAL, W_MEM_SE, W_MEM_SIG } from "./status";

function setMemory(vcpu: i32, sig: u64, se: u32): void {
  store<u64>(vcpu, sig, W_MEM_SIG);
  store<u32>(vcpu, se, W_MEM_SE);
}

/** Single precision to W_MEM. NaNs keep their kind; a denormal is normalised and marked SE_DENORMAL. */
export function fromSingle(vcpu: i32, bits: u32): void {
  const sign = (bits >> 16) & 0x8000;
  const exp = (bits >> 23) & 0xff;
  const fraction = <u64>(bits & 0x7fffff) << 40;
  if (exp - 1 < 0xfe) setMemory(vcpu, fraction | 0x8000000000000000, sign | (exp + (0x3fff - 0x7f)));
  else if (exp) setMemory(vcpu, fraction | 0x8000000000000000, sign | 0x7fff);
  else if (!fraction) setMemory(vcpu, 0, sign);
  else setMemory(vcpu, fraction << clz(fraction), sign | (0x3fff - 0x7f + 1 - <u32>clz(fraction)) | SE_DENORMAL);
}

/** Double precision to W_MEM, in the same way. */
export function fromDouble(vcpu: i32, bits: u64): void {
  const sign = <u32>(bits >> 48) & 0x8000;
  const exp = <u32>(bits >> 52) & 0x7ff;
  const fraction = (bits & 0xfffffffffffff) << 11;
  if (exp - 1 < 0x7fe) setMemory(vcpu, fraction | 0x8000000000000000, sign | (exp + (0x3fff - 0x3ff)));
  else if (exp) setMemory(vcpu, fraction | 0x8000000000000000, sign | 0x7fff);
  else if (!fraction) setMemory(vcpu, 0, sign);
  else setMemory(vcpu, fraction << clz(fraction), sign | (0x3fff - 0x3ff + 1 - <u32>clz(fraction)) | SE_DENORMAL);
}

export function fromInteger(vcpu: i32, value: i64): void {
  if (!value) {
    setMemory(vcpu, 0, 0);
    return;
  }
  const magnitude = <u64>(value < 0 ? -value : value);
  const n = clz(magnitude);
  setMemory(vcpu, magnitude << n, (value < 0 ? 0x8000 : 0) | (0x403e - <u32>n));
}

/**
 * Eighteen BCD digits (`low`: the first sixteen) and the sign byte in the top of `high`. Nibbles above nine count
 * with their binary value, as the processors do with such undefined input.
 */
export function fromBcd(vcpu: i32, low: u64, high: u32): void {
  let value: u64 = 0;
  for (let shift: i32 = 4; shift >= 0; shift -= 4) value = value * 10 + <u64>((high >> shift) & 15);
  for (let shift: i32 = 60; shift >= 0; shift -= 4) value = value * 10 + ((low >> shift) & 15);
  fromInteger(vcpu, <i64>value);
  store<u32>(vcpu, (load<u32>(vcpu, W_MEM_SE) & 0x7fff) | (high & 0x8000), W_MEM_SE);
}
