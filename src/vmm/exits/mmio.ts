import { EXIT_ADDR, EXIT_DATA, EXIT_SIZE } from "../../../spec/layout.ts";
import { type ExitContext, Next } from "./handler.ts";

/** A read of guest-physical memory that no slot backs; 8 bytes are two accesses of 4, low half first. */
export function mmioRead(machine: ExitContext): Next {
  const { vcpu, mmio } = machine;
  const address = vcpu.getU32(EXIT_ADDR);
  const size = vcpu.getU32(EXIT_SIZE);
  if (size === 8) {
    const low = readFour(machine, address);
    const high = readFour(machine, (address + 4) >>> 0);
    vcpu.setU32(EXIT_DATA, low);
    vcpu.setU32(EXIT_DATA + 4, high);
  } else {
    vcpu.setLow64(EXIT_DATA, machine.readChipset(address, size) ?? mmio.read(address, size));
  }
  return Next.Run;
}

/** A write outside RAM, or to ROM (which swallows it). */
export function mmioWrite(machine: ExitContext): Next {
  const { vcpu, mmio } = machine;
  const address = vcpu.getU32(EXIT_ADDR);
  const size = vcpu.getU32(EXIT_SIZE);
  const low = vcpu.getU32(EXIT_DATA);
  if (machine.writeChipset(address, size, low)) return Next.Run;
  if (size === 8) {
    mmio.write(address, 4, low);
    mmio.write((address + 4) >>> 0, 4, vcpu.getU32(EXIT_DATA + 4));
  } else {
    mmio.write(address, size, size === 4 ? low : low & (size === 2 ? 0xffff : 0xff));
  }
  return Next.Look;
}

function readFour(machine: ExitContext, address: number): number {
  return machine.readChipset(address, 4) ?? machine.mmio.read(address, 4);
}
