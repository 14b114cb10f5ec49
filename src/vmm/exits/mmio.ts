import { EXIT_ADDR, EXIT_DATA, EXIT_SIZE } from "../../../spec/layout.ts";
import { type ExitContext, Next } from "./handler.ts";

/** A read of guest-physical memory that no slot backs; 8 bytes are two accesses of 4, low half first. */
export function mmioRead(machine: ExitContext): Next {
  const { vcpu, mmio } = machine;
  const address = vcpu.getU32(EXIT_ADDR);
  const size = vcpu.getU32(EXIT_SIZE);
  if (size === 8) {
    const low = mmio.read(address, 4);
    const high = mmio.read((address + 4) >>> 0, 4);
    vcpu.setU32(EXIT_DATA, low);
    vcpu.setU32(EXIT_DATA + 4, high);
  } else {
    vcpu.setLow64(EXIT_DATA, mmio.read(address, size));
  }
  return Next.Run;
}

/** A write outside RAM, or to ROM (which swallows it). */
export function mmioWrite(machine: ExitContext): Next {
  const { vcpu, mmio } = machine;
  const address = vcpu.getU32(EXIT_ADDR);
  const size = vcpu.getU32(EXIT_SIZE);
  const low = vcpu.getU32(EXIT_DATA);
  if (size === 8) {
    mmio.write(address, 4, low);
    mmio.write((address + 4) >>> 0, 4, vcpu.getU32(EXIT_DATA + 4));
  } else {
    mmio.write(address, size, size === 4 ? low : low & (size === 2 ? 0xffff : 0xff));
  }
  return Next.Look;
}
