// Guest memory that the guest has lent to the hypervisor: structures of KVM's interface at addresses that the guest chose.
// Any address may come; where it does not lie in RAM there is no structure, and the guest gets no answer.
import { beforeWrite, ramAt } from "../mmu/physical";

/** Wasm address of a structure at `gpa`, or 0. */
export function lentArea(gpa: u64, size: u32): i32 {
  return <i32>ramAt(gpa, size);
}

/** Bookkeeping before `size` bytes at the Wasm address `at` are written: decoded code, dirty log. */
export function beforeLentWrite(vcpu: i32, at: i32, size: u32): void {
  const here = min<u32>(size, 0x1000 - (<u32>at & 0xfff));
  beforeWrite(vcpu, <u32>at, here);
  if (here < size) beforeWrite(vcpu, <u32>at + here, size - here);
}

/**
 * Writes a u32 or u64 (4-byte aligned) of a structure that another thread may read by its version: sequentially consistent,
 * so that the order of these calls is the order in which the stores are seen.
 */
export function put32(at: i32, offset: i32, value: u32): void {
  atomic.store<u32>(at + offset, value);
}

export function put64(at: i32, offset: i32, value: u64): void {
  put32(at, offset, <u32>value);
  put32(at, offset + 4, <u32>(value >> 32));
}

/** Makes the version odd, whatever the guest left there: the structure is being written. Returns the version that ends it. */
export function beginVersion(at: i32, offset: i32): u32 {
  const odd = (atomic.load<u32>(at + offset) + 1) | 1;
  put32(at, offset, odd);
  return odd + 1;
}
