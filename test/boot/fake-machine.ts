// A machine that is only memory and registers: what boot code writes can be looked at, or handed to another emulator.
import type { BootMachine, E820Entry, StartState } from "../../src/boot/machine.ts";
import { E820_RAM, E820_RESERVED } from "../../src/boot/machine.ts";

const EBDA = 0x9fc00;
const MIB = 1 << 20;

export class FakeMachine implements BootMachine {
  readonly ram: Uint8Array;
  readonly e820: readonly E820Entry[];
  readonly acpiRsdp: number = 0;
  registers: Partial<StartState> = {};
  firmware: Uint8Array | undefined;
  /** Every write, for tests that look for strays. */
  readonly writes: { base: number; end: number }[] = [];
  readonly memory: BootMachine["memory"];

  constructor(ramBytes = 64 * MIB) {
    // Filled with a pattern: boot code may not count on cleared memory.
    this.ram = new Uint8Array(ramBytes).fill(0xa5);
    this.e820 = [
      { base: 0, size: EBDA, type: E820_RAM },
      { base: EBDA, size: 0xa0000 - EBDA, type: E820_RESERVED },
      { base: 0xf0000, size: 0x10000, type: E820_RESERVED },
      ...(ramBytes > MIB ? [{ base: MIB, size: ramBytes - MIB, type: E820_RAM } as const] : []),
    ];
    this.memory = {
      sizeBytes: ramBytes,
      ramBytes,
      read: (gpa, into) => {
        into.fill(0xff);
        into.set(this.ram.subarray(gpa, gpa + into.length));
      },
      write: (gpa, from) => {
        this.writes.push({ base: gpa, end: gpa + from.length });
        if (gpa < ramBytes) this.ram.set(from.subarray(0, ramBytes - gpa), gpa);
      },
    };
  }

  setRegisters(state: Partial<StartState>): void {
    this.registers = { ...this.registers, ...state };
  }

  loadFirmware(image: Uint8Array): void {
    this.firmware = image;
  }

  addFwCfgFile(): void {}

  u16(address: number): number {
    return new DataView(this.ram.buffer).getUint16(address, true);
  }

  u32(address: number): number {
    return new DataView(this.ram.buffer).getUint32(address, true);
  }

  /** The NUL-ended string at an address. */
  text(address: number): string {
    return new TextDecoder().decode(this.ram.subarray(address, this.ram.indexOf(0, address)));
  }
}
