// The memory types that PC firmware leaves behind, for guests that start without any (SDM 3A 11.11). Caching has no effect
// here, but a kernel that finds the MTRRs off takes the machine for a broken one and does without PAT too.
import { PHYSICAL_BITS } from "../../spec/cpuid.ts";
import { MTRR_DEF_TYPE, MTRR_FIX, MTRR_VAR } from "../../spec/layout.ts";
import { PCI_MEMORY_WINDOW } from "../devices/pci/firmware-setup.ts";
import type { Vcpu } from "../vcpu/vcpu.ts";

const UNCACHEABLE = 0;
const WRITE_PROTECTED = 5;
const WRITE_BACK = 6;
/** IA32_MTRR_DEF_TYPE: MTRRs on, the fixed ranges too. */
const ENABLE = 0x800;
const ENABLE_FIXED = 0x400;
/** IA32_MTRR_PHYSMASK: this pair counts. */
const VALID = 0x800n;
const PHYSICAL_ADDRESSES = 1n << BigInt(PHYSICAL_BITS);
const FOUR_GIB = 1n << 32n;

/** Write-back by default; the video hole and the devices below 4 GiB uncacheable, the ROM area write-protected. */
export function leaveMtrrsAsFirmware(vcpu: Vcpu): void {
  const fixed = (index: number, type: number): void => {
    vcpu.setU64(MTRR_FIX + 8 * index, BigInt(type) * 0x0101_0101_0101_0101n);
  };
  // In the order of the registers: 64K at 0, 16K at 80000h and A0000h, 4K at C0000h to F8000h.
  fixed(0, WRITE_BACK);
  fixed(1, WRITE_BACK);
  fixed(2, UNCACHEABLE);
  for (let index = 3; index < 11; index++) fixed(index, WRITE_PROTECTED);
  const window = BigInt(PCI_MEMORY_WINDOW);
  vcpu.setU64(MTRR_VAR, window | BigInt(UNCACHEABLE));
  vcpu.setU64(MTRR_VAR + 8, (PHYSICAL_ADDRESSES - (FOUR_GIB - window)) | VALID);
  vcpu.setU64(MTRR_DEF_TYPE, BigInt(ENABLE | ENABLE_FIXED | WRITE_BACK));
}
