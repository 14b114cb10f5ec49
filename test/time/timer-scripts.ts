// Scripts for timers and the local APIC that run as a guest program under QEMU: see test/irq/replay.ts.

/** 8259s with vectors 20h and 28h and only IRQ 0 unmasked. */
const PICS = [
  "out 20 11",
  "out 21 20",
  "out 21 4",
  "out 21 1",
  "out a0 11",
  "out a1 28",
  "out a1 2",
  "out a1 1",
  "out 21 fe",
  "out a1 ff",
];
const APIC = (offset: string) => `fee00${offset.padStart(3, "0")}`;
const set = (offset: string, value: string) => `wr ${APIC(offset)} ${value}`;
const get = (offset: string) => `rd ${APIC(offset)}`;
const ENABLE = [set("f0", "1ff"), set("80", "0")];
/** Takes and ends one interrupt of the 8259s. */
const PIC_TICK = ["window", "out 20 20"];
const latch = (n: number) => [`out 43 ${(n << 6).toString(16)}`, `in 4${n}`, `in 4${n}`];
const load = (n: number, mode: number, count: number) => [
  `out 43 ${((n << 6) | 0x30 | (mode << 1)).toString(16)}`,
  `out 4${n} ${(count & 0xff).toString(16)}`,
  `out 4${n} ${(count >> 8).toString(16)}`,
];
const repeat = (n: number, steps: string[]) => Array.from({ length: n }, () => steps).flat();

/** QEMU loads a count at the write, not at the next clock pulse: its counts are up to two pulses ahead. */
export const PIT_COUNTS: Record<string, string[]> = {
  "mode 2 counts": [...load(1, 2, 0x1234), ...repeat(12, ["wait 777000", ...latch(1)])],
  "mode 0 counts on past zero": [...load(1, 0, 0x0200), ...repeat(8, ["wait 100000", ...latch(1)])],
  "mode 3 counts by two": [...load(1, 3, 0x4000), ...repeat(12, ["wait 1234567", ...latch(1)])],
  "gate and mode 2 of counter 2": [
    "out 61 1",
    ...load(2, 2, 0x3000),
    "wait 50000",
    ...latch(2),
    "out 61 0",
    "wait 30000",
    "out 61 1",
    "wait 40000",
    ...latch(2),
  ],
};

/**
 * OUT2 in bit 5 of port 61h, far from its edges; the refresh bit is not compared (QEMU toggles it at each read). QEMU's
 * OUT is inverted in modes 1, 4 and 5: test/time/pit.test.ts holds the datasheet's waveforms for those.
 */
export const PIT_OUTPUTS: Record<string, string[]> = {
  "mode 0 output": ["out 61 1", ...load(2, 0, 0x0400), ...repeat(10, ["wait 100000", "in 61"])],
  "mode 3 output": ["out 61 1", ...load(2, 3, 0x2000), ...repeat(20, ["wait 500000", "in 61"])],
};

export const IRQ0: Record<string, string[]> = {
  "mode 2 interrupts at 1 kHz": [
    ...PICS,
    ...load(0, 2, 1193),
    ...repeat(6, PIC_TICK),
    ...repeat(40, ["wait 299000", ...PIC_TICK]),
  ],
  "mode 0 interrupts once": [...PICS, ...load(0, 0, 1193), ...repeat(12, ["wait 250000", ...PIC_TICK])],
  "mode 3 interrupts at once, and once a period": [
    "out 43 30",
    ...PICS,
    ...load(0, 3, 11930),
    ...repeat(4, PIC_TICK),
    ...repeat(40, ["wait 1499000", ...PIC_TICK]),
  ],
};

/** QEMU's periodic timer takes one count more a period than the SDM's "reloads at 0"; scripts stay short. */
const TIMER_PICS_OFF = ["out 21 ff", "out a1 ff", ...ENABLE];
export const APIC_TIMER: Record<string, string[]> = {
  "one-shot": [
    ...TIMER_PICS_OFF,
    set("3e0", "b"),
    set("320", "40"),
    set("380", "186a0"),
    ...repeat(6, ["wait 30000", get("390"), "window", set("b0", "0")]),
  ],
  periodic: [
    ...TIMER_PICS_OFF,
    set("3e0", "3"),
    set("320", "20040"),
    set("380", "2000"),
    ...repeat(16, ["wait 50000", get("390"), "window", set("b0", "0")]),
    set("380", "0"),
    "wait 500000",
    get("390"),
    "window",
  ],
  divisors: ["0", "1", "2", "3", "8", "9", "a", "b"].flatMap((divide) => [
    set("320", "10040"),
    set("3e0", divide),
    set("380", "ffffff"),
    "wait 70000",
    get("390"),
  ]),
};

const SELF = (vector: string) => set("300", `400${vector}`);
const PRIORITIES = [
  get("80"),
  get("a0"),
  ...["20", "30", "40", "50", "60", "70"].flatMap((w) => [get(`1${w}`), get(`2${w}`)]),
];
export const APIC_STATE: Record<string, string[]> = {
  "self IPIs by priority": [
    ...TIMER_PICS_OFF,
    SELF("41"),
    SELF("62"),
    SELF("61"),
    SELF("e0"),
    ...PRIORITIES,
    "window",
    ...PRIORITIES,
    "window",
    "window",
    ...PRIORITIES,
    set("b0", "0"),
    ...PRIORITIES,
    "window",
    "window",
    set("b0", "0"),
    "window",
    set("b0", "0"),
    "window",
    set("b0", "0"),
    ...PRIORITIES,
  ],
  "task priority": [
    ...TIMER_PICS_OFF,
    set("80", "50"),
    SELF("5f"),
    SELF("31"),
    ...PRIORITIES,
    "window",
    set("80", "4f"),
    "window",
    ...PRIORITIES,
    set("80", "5a"),
    get("a0"),
    set("80", "60"),
    get("a0"),
    set("b0", "0"),
    set("80", "0"),
    "window",
    set("b0", "0"),
    "window",
  ],
  "registers keep their writable bits": [
    ...TIMER_PICS_OFF,
    set("d0", "a5000000"),
    get("d0"),
    set("310", "12000000"),
    get("310"),
    set("80", "7f"),
    get("80"),
    set("80", "0"),
    set("3e0", "b"),
    get("3e0"),
    set("370", "100fe"),
    get("370"),
    set("350", "10700"),
    get("350"),
  ],
  "ExtINT through LINT0, and cut off by its mask": [
    ...PICS,
    ...ENABLE,
    set("350", "700"),
    ...load(0, 2, 11930),
    ...repeat(3, PIC_TICK),
    "wait 11000000",
    ...PIC_TICK,
    set("350", "10700"),
    "wait 22000000",
    "window",
    set("350", "700"),
    "window",
    "out 20 20",
  ],
  "8254 through the I/O APIC, pin 2": [
    ...TIMER_PICS_OFF,
    "wr fec00000 15",
    "wr fec00010 0",
    "wr fec00000 14",
    "wr fec00010 51",
    ...load(0, 2, 11930),
    "window",
    set("b0", "0"),
    "wait 10500000",
    "window",
    ...PRIORITIES,
    "window",
    set("b0", "0"),
    "wait 10000000",
    "window",
    set("b0", "0"),
    "window",
  ],
};

export const ALL = { ...PIT_COUNTS, ...PIT_OUTPUTS, ...IRQ0, ...APIC_TIMER, ...APIC_STATE };
