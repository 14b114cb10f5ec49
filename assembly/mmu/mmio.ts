// Accesses to guest-physical addresses that no memory slot backs: the controllers that live in Wasm, then the host.
import { CTRL_FLAGS, CTRLF_APIC, EXIT_ADDR, EXIT_DATA, EXIT_SIZE } from "../../spec/layout";
import { Exit } from "../../spec/exits";
import { exitBefore, faulted } from "../cpu/fault";
import { replayTake, replayValue } from "../cpu/replay";
import { chipsetMmioRead, chipsetMmioWrite, isChipsetMmio } from "../irq/mmio";

/** The APICs are the host's to emulate (which asks the core for the answer). */
function apicExits(vcpu: i32): bool {
  return (load<u32>(vcpu, CTRL_FLAGS) & CTRLF_APIC) != 0;
}

/** Reads `size` bytes (1 2 4 8) of device memory. */
export function mmioRead(vcpu: i32, gpa: u32, size: u32): u64 {
  if (faulted(vcpu)) return 0;
  if (isChipsetMmio(vcpu, gpa) && !apicExits(vcpu)) return chipsetMmioRead(vcpu, gpa, size);
  if (replayTake(vcpu, Exit.MmioRead | (size << 8), gpa)) {
    const mask: u64 = size == 8 ? 0xffffffffffffffff : (<u64>1 << (<u64>size << 3)) - 1;
    return replayValue(vcpu) & mask;
  }
  store<u64>(vcpu, <u64>gpa, EXIT_ADDR);
  store<u32>(vcpu, size, EXIT_SIZE);
  exitBefore(vcpu, Exit.MmioRead);
  return 0;
}

export function mmioWrite(vcpu: i32, gpa: u32, size: u32, value: u64): void {
  if (faulted(vcpu)) return;
  if (isChipsetMmio(vcpu, gpa) && !apicExits(vcpu)) {
    chipsetMmioWrite(vcpu, gpa, size, value);
    return;
  }
  if (replayTake(vcpu, Exit.MmioWrite | (size << 8), gpa)) return;
  store<u64>(vcpu, <u64>gpa, EXIT_ADDR);
  store<u32>(vcpu, size, EXIT_SIZE);
  store<u64>(vcpu, value, EXIT_DATA);
  exitBefore(vcpu, Exit.MmioWrite);
}
