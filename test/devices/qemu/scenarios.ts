// Register-level scripts that run both on our devices and, by its qtest interface, on QEMU's: record.ts records what
// QEMU answers, replay.test.ts compares. Each step is an access or a lapse of time.

export type Step =
  | readonly ["in", port: number, size: 1 | 2 | 4]
  /** Read, and not compared. */
  | readonly ["skip", port: number, size: 1 | 2 | 4]
  | readonly ["out", port: number, size: 1 | 2 | 4, value: number]
  /** A 32-bit word of guest memory. */
  | readonly ["load", gpa: number]
  | readonly ["store", gpa: number, value: number]
  /** Nanoseconds of guest time; QEMU waits in real time, so sums keep clear of whole seconds. */
  | readonly ["wait", ns: number];

/** Bits by port in which hardware and QEMU differ, with what hardware does; they are not compared. */
export const DIFFERENCES: readonly { readonly port: number; readonly bits: number; readonly why: string }[] = [
  {
    port: 0x3fe,
    bits: 0x0f,
    why: "16550: loopback changes set the modem deltas (datasheet 8.8); QEMU leaves them alone",
  },
  ...[0x1f7, 0x3f6, 0x177, 0x376].map((port) => ({
    port,
    bits: 0x10,
    why: "ATA status: bit 4 says that the heads stand still, obsolete since ATA-4; QEMU drops it with every error",
  })),
  { port: 0x64, bits: 0x08, why: "8042: bit 3 tells whether the last write was a command or data; QEMU keeps it set" },
];

export interface Scenario {
  readonly name: string;
  /** Drives that the machine has: a disk and a CD (ide-scenarios.ts), or a floppy (floppy-scenarios.ts). */
  readonly drives?: "ide" | "floppy";
  readonly steps: readonly Step[];
}

/** QEMU's and our RTC start at this second. */
export const WALL_START = "2001-01-03T04:05:06";

const inb = (port: number): Step => ["in", port, 1];
const outb = (port: number, value: number): Step => ["out", port, 1, value];
const wait = (ns: number): Step => ["wait", ns];

const cmosRead = (index: number): Step[] => [outb(0x70, index), inb(0x71)];
const cmosWrite = (index: number, value: number): Step[] => [outb(0x70, index), outb(0x71, value)];
const allTime = (): Step[] => [0, 2, 4, 6, 7, 8, 9, 0x32].flatMap(cmosRead);
const setTime = (...values: number[]): Step[] =>
  [0, 2, 4, 6, 7, 8, 9, 0x32].flatMap((index, i) => cmosWrite(index, values[i] ?? 0));
const SECOND = 1e9;

const configAddress = (device: number, fn: number, register: number): number =>
  (0x80000000 | (device << 11) | (fn << 8) | (register & 0xfc)) >>> 0;
const configRead = (device: number, fn: number, register: number, size: 1 | 2 | 4): Step[] => [
  ["out", 0xcf8, 4, configAddress(device, fn, register)],
  ["in", 0xcfc + (register & 3), size],
];
const configWrite = (device: number, fn: number, register: number, size: 1 | 2 | 4, value: number): Step[] => [
  ["out", 0xcf8, 4, configAddress(device, fn, register)],
  ["out", 0xcfc + (register & 3), size, value],
];
/** Which bits of a register can be changed. */
const configProbe = (device: number, fn: number, register: number, size: 1 | 2 | 4): Step[] => [
  ...configRead(device, fn, register, size),
  ...configWrite(device, fn, register, size, size === 4 ? 0xffffffff : size === 2 ? 0xffff : 0xff),
  ...configRead(device, fn, register, size),
  ...configWrite(device, fn, register, size, 0),
  ...configRead(device, fn, register, size),
];

const COM1 = 0x3f8;
/** All registers but the data port (which would consume input) and the modem deltas. */
const uartState = (): Step[] => [1, 2, 3, 4, 5].map((offset) => inb(COM1 + offset));

// biome-ignore format: scripts read better in lines of related accesses
export const scenarios: readonly Scenario[] = [
  {
    name: "rtc: BCD and binary, 24 and 12 hours",
    steps: [
      ...allTime(),
      ...cmosWrite(0x0b, 0x06), ...allTime(),
      ...cmosWrite(0x0b, 0x04), ...allTime(),
      ...cmosWrite(0x0b, 0x00), ...allTime(),
      // 4 p.m. in twelve hours
      ...cmosWrite(0x04, 0x84), ...allTime(), ...cmosWrite(0x0b, 0x02), ...allTime(), ...cmosWrite(0x04, 0x00), ...cmosWrite(0x0b, 0x00), ...cmosRead(0x04),
    ],
  },
  {
    name: "rtc: set across the turn of a century and a leap day",
    steps: [
      ...cmosWrite(0x0b, 0x82), ...setTime(0x58, 0x59, 0x23, 0x06, 0x31, 0x12, 0x99, 0x19), ...cmosWrite(0x0b, 0x02),
      ...allTime(), wait(2.5 * SECOND), ...allTime(),
      ...cmosWrite(0x0b, 0x82), ...setTime(0x59, 0x59, 0x23, 0x03, 0x28, 0x02, 0x24, 0x20), ...cmosWrite(0x0b, 0x02),
      wait(2 * SECOND), ...allTime(),
      ...cmosWrite(0x0b, 0x80), ...setTime(0x59, 0x59, 0x91, 0x03, 0x28, 0x02, 0x23, 0x20), ...cmosWrite(0x0b, 0x00),
      ...allTime(), wait(2 * SECOND), ...allTime(),
    ],
  },
  {
    name: "rtc: SET holds the time",
    steps: [...cmosWrite(0x0b, 0x82), ...cmosRead(0), wait(2.5 * SECOND), ...cmosRead(0), ...cmosWrite(0x0b, 0x02), wait(2 * SECOND), ...cmosRead(0)],
  },
  {
    name: "rtc: update, alarm and periodic flags",
    steps: [
      // Periodic ticks off: by the datasheet PF is set whether PIE is or not; QEMU sets it only then.
      ...cmosWrite(0x0a, 0x20), ...cmosRead(0x0c), ...cmosRead(0x0c),
      ...cmosWrite(0x0b, 0x12), ...cmosRead(0x0c), wait(1.5 * SECOND), ...cmosRead(0x0c), ...cmosRead(0x0c),
      // An alarm at any hour and minute, second 9.
      ...cmosWrite(0x01, 0x09), ...cmosWrite(0x03, 0xff), ...cmosWrite(0x05, 0xff), ...cmosWrite(0x0b, 0x22), ...cmosRead(0x0c),
      wait(SECOND), ...cmosRead(0x0c), wait(SECOND), ...cmosRead(0x0c), ...cmosRead(0x0c),
      ...cmosWrite(0x0b, 0x42), ...cmosWrite(0x0a, 0x26), ...cmosRead(0x0c), wait(0.1 * SECOND), ...cmosRead(0x0c), ...cmosRead(0x0d),
    ],
  },
  {
    name: "rtc: registers D and A, NVRAM",
    steps: [
      ...cmosRead(0x0d), ...cmosRead(0x0a), ...cmosWrite(0x0a, 0x2f), ...cmosRead(0x0a), ...cmosWrite(0x0a, 0x26),
      ...cmosWrite(0x0f, 0x5a), ...cmosRead(0x0f), ...cmosWrite(0x50, 0xa5), ...cmosRead(0x50),
      ...[0x15, 0x16, 0x17, 0x18, 0x30, 0x31, 0x34, 0x35, 0x5b, 0x5c, 0x5d].flatMap(cmosRead),
    ],
  },
  {
    name: "pci: configuration mechanism",
    steps: [
      ["out", 0xcf8, 4, 0x80000000], ["in", 0xcf8, 4], ["in", 0xcfc, 4], ["in", 0xcfc, 2], ["in", 0xcfe, 2], ["in", 0xcfd, 1], ["in", 0xcff, 1],
      ["out", 0xcf8, 4, 0x80001008], ["in", 0xcfc, 4],
      // A device, a function and a bus that are not there; the enable bit off.
      ["out", 0xcf8, 4, 0x8000f800], ["in", 0xcfc, 4], ["in", 0xcfc, 2], ["in", 0xcfc, 1],
      ["out", 0xcf8, 4, 0x80010000], ["in", 0xcfc, 4],
      ["out", 0xcf8, 4, 0x00000000], ["in", 0xcfc, 4],
    ],
  },
  {
    name: "pci: headers",
    steps: [
      ...[[0, 0], [1, 0], [1, 3]].flatMap(([device = 0, fn = 0]) => [
        ...[0x00, 0x08, 0x2c, 0x34].flatMap((register) => configRead(device, fn, register, 4)),
        ...configRead(device, fn, 0x0e, 1), ...configRead(device, fn, 0x3d, 1),
        ...configProbe(device, fn, 0x10, 4), ...configProbe(device, fn, 0x00, 4), ...configProbe(device, fn, 0x30, 4),
      ]),
      // Interrupt routing: bit 7 off and four bits of IRQ, as far as 82371SB has them.
      ...[0x60, 0x61, 0x62, 0x63].flatMap((register) => [...configRead(1, 0, register, 1), ...configWrite(1, 0, register, 1, 0x0b), ...configRead(1, 0, register, 1)]),
      ...configProbe(1, 3, 0x3c, 1),
    ],
  },
  {
    name: "pci: PAM registers remember what firmware writes",
    steps: [0x5a, 0x5b, 0x5f].flatMap((register) => [...configWrite(0, 0, register, 1, 0x33), ...configRead(0, 0, register, 1), ...configWrite(0, 0, register, 1, 0x10), ...configRead(0, 0, register, 1)]),
  },
  {
    name: "uart: registers at rest",
    steps: [...[1, 2, 3, 5, 7].map((offset) => inb(COM1 + offset))],
  },
  {
    name: "uart: masks, divisor, scratch",
    steps: [
      outb(COM1 + 1, 0xff), inb(COM1 + 1), outb(COM1 + 1, 0), outb(COM1 + 4, 0xff), inb(COM1 + 4), outb(COM1 + 4, 0), inb(COM1 + 4), inb(COM1 + 6), inb(COM1 + 6),
      outb(COM1 + 7, 0x5a), inb(COM1 + 7), outb(COM1 + 3, 0xff), inb(COM1 + 3), outb(COM1, 0x12), outb(COM1 + 1, 0x34), inb(COM1), inb(COM1 + 1), outb(COM1 + 3, 0x03), inb(COM1 + 1),
    ],
  },
  {
    name: "uart: FIFO control shows in IIR",
    steps: [0x01, 0x81, 0xc7, 0x00, 0xc0, 0x07].flatMap((value) => [outb(COM1 + 2, value), inb(COM1 + 2)]),
  },
  {
    name: "uart: transmitter interrupt",
    steps: [
      outb(COM1 + 3, 0x03), outb(COM1 + 4, 0x0b), outb(COM1 + 1, 0x02), inb(COM1 + 2), inb(COM1 + 2), outb(COM1, 0x41), wait(1e6), inb(COM1 + 2), inb(COM1 + 5),
      outb(COM1 + 1, 0), outb(COM1 + 1, 0x02), inb(COM1 + 2), ...uartState(),
    ],
  },
  {
    name: "uart: loopback data and modem lines",
    steps: [
      outb(COM1 + 3, 0x83), outb(COM1, 1), outb(COM1 + 1, 0), outb(COM1 + 3, 0x03), outb(COM1 + 2, 0x07), outb(COM1 + 4, 0x10), inb(COM1 + 6), inb(COM1 + 6),
      ...[0x11, 0x12, 0x14, 0x18, 0x1f, 0x10].flatMap((value) => [outb(COM1 + 4, value), inb(COM1 + 6), inb(COM1 + 6)]),
      outb(COM1, 0x55), wait(1e6), inb(COM1 + 5), inb(COM1), inb(COM1 + 5),
      outb(COM1 + 4, 0), inb(COM1 + 6), inb(COM1 + 6),
    ],
  },
  {
    name: "i8042: controller commands",
    steps: [
      inb(0x64), outb(0x64, 0xaa), inb(0x64), inb(0x60), inb(0x64), outb(0x64, 0xab), inb(0x60), outb(0x64, 0xa9), inb(0x60), outb(0x64, 0x20), inb(0x60),
      outb(0x64, 0x60), outb(0x60, 0x74), outb(0x64, 0x20), inb(0x60), outb(0x64, 0xa7), outb(0x64, 0x20), inb(0x60), outb(0x64, 0xa8), outb(0x64, 0x20), inb(0x60),
      outb(0x64, 0xad), outb(0x64, 0x20), inb(0x60), outb(0x64, 0xae), outb(0x64, 0x20), inb(0x60),
      outb(0x64, 0xd2), outb(0x60, 0x5a), inb(0x64), inb(0x60), outb(0x64, 0xd3), outb(0x60, 0xa5), inb(0x64), inb(0x60),
    ],
  },
  {
    name: "i8042: keyboard commands, untranslated and translated",
    steps: [
      outb(0x64, 0x60), outb(0x60, 0x00),
      outb(0x60, 0xff), inb(0x60), inb(0x60), outb(0x60, 0xf2), inb(0x60), inb(0x60), inb(0x60), outb(0x60, 0xee), inb(0x60),
      outb(0x60, 0xed), inb(0x60), outb(0x60, 0x07), inb(0x60), outb(0x60, 0xf3), inb(0x60), outb(0x60, 0x20), inb(0x60),
      outb(0x60, 0xf0), inb(0x60), outb(0x60, 0x00), inb(0x60), inb(0x60), outb(0x60, 0xf5), inb(0x60), outb(0x60, 0xf4), inb(0x60), inb(0x64),
      outb(0x64, 0x60), outb(0x60, 0x40), outb(0x60, 0xf2), inb(0x60), inb(0x60), inb(0x60),
    ],
  },
  {
    name: "i8042: mouse commands and the wheel's knock",
    steps: [
      outb(0x64, 0x60), outb(0x60, 0x00),
      ...[0xff, 0xf2].flatMap((value) => [outb(0x64, 0xd4), outb(0x60, value), inb(0x64), inb(0x60), inb(0x60), inb(0x60)]),
      ...[200, 100, 80].flatMap((rate) => [outb(0x64, 0xd4), outb(0x60, 0xf3), inb(0x60), outb(0x64, 0xd4), outb(0x60, rate), inb(0x60)]),
      outb(0x64, 0xd4), outb(0x60, 0xf2), inb(0x60), inb(0x60),
      outb(0x64, 0xd4), outb(0x60, 0xe9), inb(0x60), inb(0x60), inb(0x60), inb(0x60),
    ],
  },
  {
    name: "port 92h and the A20 bit of the output port",
    steps: [outb(0x92, 0x02), inb(0x92), outb(0x92, 0x00), inb(0x92), outb(0x92, 0x02), inb(0x92)],
  },
  {
    name: "debug console and debug exit answer reads",
    steps: [inb(0xe9), inb(0xf4), ["in", 0xf4, 4]],
  },
  {
    name: "test device: register of every width",
    steps: [
      ["out", 0xe0, 4, 0x12345678], ["in", 0xe0, 4], ["in", 0xe0, 1], ["in", 0xe1, 1], ["in", 0xe2, 2], ["out", 0xe1, 1, 0xaa], ["in", 0xe0, 4], ["out", 0xe2, 2, 0xbeef], ["in", 0xe0, 4],
      ["in", 0xe8, 4], ["in", 0xe9 + 1, 1], ["out", 0xe8, 4, 0x01020304], ["in", 0xe0, 4], ["in", 0xe8, 2],
    ],
  },
  {
    name: "fw_cfg: signature, features, sizes, an item that does not exist",
    steps: [
      ...[0x00, 0x01, 0x05, 0x0f, 0x7777].flatMap((item): Step[] => [["out", 0x510, 2, item], ...Array.from({ length: 5 }, () => inb(0x511))]),
      ["in", 0x514, 4], ["in", 0x518, 4],
    ],
  },
  {
    name: "nobody there",
    steps: [["in", 0x2e0, 1], ["in", 0x2e0, 2], ["in", 0x2e0, 4], ["out", 0x2e0, 4, 0x1234]],
  },
];
