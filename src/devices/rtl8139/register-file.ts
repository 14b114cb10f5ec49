// Which register lies where, and how wide it is. Accesses of other widths are made of those: a narrow write changes its bytes
// of the register, a wide one writes one register after the other.
import type { IoHandler } from "../../vmm/device.ts";
import type { DescriptorMode, DescriptorRing } from "./descriptor-mode.ts";
import * as reg from "./registers.ts";
import { DESCRIPTORS, type RingMode } from "./ring-mode.ts";
import { LOCKED_BYTES, type Settings } from "./settings.ts";

interface Register {
  readonly at: number;
  readonly bytes: 1 | 2 | 4;
  read(): number;
  write(value: number): void;
  /** A narrow write leaves its other bytes 0, as for bits that are cleared by writing 1, rather than as they read. */
  readonly alone?: boolean;
}

const TALLY_START = 0x08;
const TALLY_ADDRESS = 0xffff_ffc0;

export class RegisterFile implements IoHandler {
  /** By the offset of each of its bytes. */
  readonly #registers: (Register | undefined)[] = new Array(reg.REGISTER_BYTES).fill(undefined);
  #tallyHigh = 0;

  constructor(settings: Settings, ring: RingMode, descriptors: DescriptorMode, plus: boolean) {
    for (const register of [
      ...addressRegisters(settings),
      ...ringRegisters(settings, ring),
      ...ownRegisters(settings, ring),
      ...(plus ? this.#plusRegisters(settings, ring, descriptors) : []),
    ])
      for (let i = 0; i < register.bytes; i++) this.#registers[register.at + i] = register;
  }

  read(offset: number, size: number): number {
    let value = 0;
    for (let i = 0; i < size; ) {
      const register = this.#registers[offset + i];
      if (register === undefined) {
        i++;
        continue;
      }
      const from = offset + i - register.at;
      const bytes = Math.min(size - i, register.bytes - from);
      const read = (register.read() >>> (8 * from)) & maskOf(bytes);
      value = (value | (read << (8 * i))) >>> 0;
      i += bytes;
    }
    return value;
  }

  write(offset: number, size: number, value: number): void {
    for (let i = 0; i < size; ) {
      const register = this.#registers[offset + i];
      if (register === undefined) {
        i++;
        continue;
      }
      const from = offset + i - register.at;
      const bytes = Math.min(size - i, register.bytes - from);
      const mask = (maskOf(bytes) << (8 * from)) >>> 0;
      const part = ((value >>> (8 * i)) << (8 * from)) & mask;
      const others = register.alone || bytes === register.bytes ? 0 : register.read() & ~mask;
      register.write((others | part) >>> 0);
      i += bytes;
    }
  }

  /** Of C+ mode; some lie where the first mode has others, which are hidden while the second is on. */
  #plusRegisters(settings: Settings, ring: RingMode, { normal, high, receiveRing }: DescriptorMode): Register[] {
    const either = (at: number, first: Register, second: Omit<Register, "at" | "bytes">): Register => ({
      at,
      bytes: 4,
      read: () => (settings.transmitsPlus ? second.read() : first.read()),
      write: (value) => (settings.transmitsPlus ? second.write(value) : first.write(value)),
    });
    const firsts = ringRegisters(settings, ring);
    const first = (at: number): Register => firsts.find((register) => register.at === at) as Register;
    const low = (of: DescriptorRing) => ({
      read: () => of.low,
      write: (value: number) => {
        of.low = value & ~0xf;
        of.low >>>= 0;
        of.next = 0;
      },
    });
    const upper = (of: DescriptorRing) => ({
      read: () => of.high,
      write: (value: number) => {
        of.high = value;
        of.next = 0;
      },
    });
    return [
      either(reg.TSD, first(reg.TSD), {
        read: () => 0,
        write: (value) => {
          if (value & TALLY_START) settings.tally(this.#tallyHigh * 2 ** 32 + ((value & TALLY_ADDRESS) >>> 0));
        },
      }),
      either(reg.TSD + 4, first(reg.TSD + 4), {
        read: () => this.#tallyHigh,
        write: (value) => {
          this.#tallyHigh = value;
        },
      }),
      either(reg.TSAD, first(reg.TSAD), low(normal)),
      either(reg.TSAD + 4, first(reg.TSAD + 4), upper(normal)),
      either(reg.TSAD + 8, first(reg.TSAD + 8), low(high)),
      either(reg.TSAD + 12, first(reg.TSAD + 12), upper(high)),
      { at: reg.TPPOLL, bytes: 1, read: () => 0, write: (value) => settings.pollTransmit(value), alone: true },
      {
        at: reg.CPCR,
        bytes: 2,
        read: () => settings.cpcr,
        write: (value) => {
          settings.cpcr = value & reg.CPCR_WRITABLE;
        },
      },
      { at: reg.RDSAR, bytes: 4, ...low(receiveRing) },
      { at: reg.RDSAR + 4, bytes: 4, ...upper(receiveRing) },
    ];
  }
}

function maskOf(bytes: number): number {
  return bytes === 4 ? 0xffff_ffff : (1 << (8 * bytes)) - 1;
}

function addressRegisters({ mac, multicast }: Settings): Register[] {
  const byte = (at: number, array: Uint8Array, i: number): Register => ({
    at,
    bytes: 1,
    read: () => array[i] ?? 0,
    write: (value) => {
      array[i] = value;
    },
  });
  return [
    ...Array.from(mac, (_, i) => byte(reg.IDR + i, mac, i)),
    ...Array.from(multicast, (_, i) => byte(reg.MAR + i, multicast, i)),
  ];
}

function ringRegisters(settings: Settings, ring: RingMode): Register[] {
  const registers: Register[] = [
    {
      at: reg.RBSTART,
      bytes: 4,
      read: () => ring.start,
      write: (value) => {
        ring.start = value & ~3;
        ring.start >>>= 0;
        ring.restart();
      },
    },
    { at: reg.CAPR, bytes: 2, read: () => ring.capr, write: (value) => ring.setCapr(value, settings.rcr) },
    { at: reg.CBR, bytes: 2, read: () => ring.cbr & 0xffff, write: () => {} },
    { at: reg.TSAD_ALL, bytes: 2, read: () => summary(ring), write: () => {} },
  ];
  for (let i = 0; i < DESCRIPTORS; i++) {
    registers.push(
      {
        at: reg.TSD + 4 * i,
        bytes: 4,
        read: () => ring.status[i] ?? 0,
        write: (value) => {
          ring.status[i] = value & (reg.TSD_SIZE | reg.TSD_OWN | reg.TSD_THRESHOLD);
          settings.descriptorWritten();
        },
      },
      {
        at: reg.TSAD + 4 * i,
        bytes: 4,
        read: () => ring.addresses[i] ?? 0,
        write: (value) => {
          ring.addresses[i] = value;
        },
      },
    );
  }
  return registers;
}

/** Four bits each: owned, aborted, underrun, sent. */
function summary({ status }: RingMode): number {
  let value = 0;
  for (const [i, each] of status.entries()) {
    for (const [shift, bit] of [reg.TSD_OWN, reg.TSD_ABORTED, reg.TSD_UNDERRUN, reg.TSD_SENT].entries())
      if (each & bit) value |= 1 << (4 * shift + i);
  }
  return value;
}

function ownRegisters(settings: Settings, ring: RingMode): Register[] {
  const constant = (at: number, bytes: 1 | 2 | 4, value: () => number): Register => ({
    at,
    bytes,
    read: value,
    write: () => {},
  });
  const locked = (at: number): Register => ({
    at,
    bytes: 1,
    read: () => settings.bytes.get(at) ?? 0,
    write: (value) => {
      if (settings.unlocked) settings.bytes.set(at, value);
    },
  });
  type Word = "imr" | "rcr" | "tcr" | "timerInt" | "lock" | "bmcr" | "anar";
  const word = (at: number, bytes: 1 | 2 | 4, field: Word, mask = 0xffff_ffff): Register => ({
    at,
    bytes,
    read: () => settings[field],
    write: (value) => {
      settings[field] = value & mask;
    },
  });
  return [
    {
      at: reg.CR,
      bytes: 1,
      read: () => settings.readCommand(ring.isEmpty),
      write: (value) => settings.writeCommand(value),
    },
    word(reg.IMR, 2, "imr"),
    { at: reg.ISR, bytes: 2, read: () => settings.isr, write: (value) => settings.acknowledge(value), alone: true },
    { ...word(reg.TCR, 4, "tcr", reg.TCR_WRITABLE), read: () => settings.version },
    word(reg.RCR, 4, "rcr", reg.RCR_WRITABLE),
    { at: reg.TCTR, bytes: 4, read: () => settings.count, write: () => settings.restartCount() },
    { at: reg.MPC, bytes: 4, read: () => settings.missedCount, write: () => settings.clearMissed() },
    word(reg.CR9346, 1, "lock"),
    ...LOCKED_BYTES.map(locked),
    word(reg.TIMER_INT, 4, "timerInt"),
    constant(reg.MSR, 1, () => settings.mediaStatus),
    word(reg.BMCR, 2, "bmcr"),
    constant(reg.BMSR, 2, () => settings.bmsr),
    word(reg.ANAR, 2, "anar"),
    constant(reg.ANLPAR, 2, () => (settings.linkUp ? reg.ANLPAR_DEFAULT : 0)),
    constant(reg.ANER, 2, () => (settings.linkUp ? 1 : 0)),
    constant(reg.REVISION, 1, () => 0x10),
  ];
}
