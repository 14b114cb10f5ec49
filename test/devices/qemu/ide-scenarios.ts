// Register scripts for the IDE function, a disk and a CD drive. QEMU works on its images beside the script: a lapse of time
// follows each command.
import { pattern } from "../../backends/block/tools.ts";
import type { Scenario, Step } from "./scenarios.ts";

const DISK_BYTES = 8 << 20;
const CD_BYTES = 512 << 10;
export const diskImage = (): Uint8Array => pattern(DISK_BYTES, 11);
export const cdImage = (): Uint8Array => pattern(CD_BYTES, 12);

const PRIMARY = 0x1f0;
const SECONDARY = 0x170;
const CONTROL = 0x206;
const BUS_MASTER = 0xc000;
const PRD = 0x8000;
const BUFFER = 0x10000;
const LAST_SECTOR = DISK_BYTES / 512 - 1;

const inb = (port: number): Step => ["in", port, 1];
const inw = (port: number): Step => ["in", port, 2];
const outb = (port: number, value: number): Step => ["out", port, 1, value];
const outw = (port: number, value: number): Step => ["out", port, 2, value];
const wait: Step = ["wait", 3e6];

const config = (register: number, size: 1 | 2 | 4, value: number): Step[] => [
  ["out", 0xcf8, 4, (0x80000000 | (1 << 11) | (1 << 8) | (register & 0xfc)) >>> 0],
  ["out", 0xcfc + (register & 3), size, value],
];
/** What firmware does: decode the channels, place the bus masters, allow them. */
const setUp: Step[] = [...config(0x40, 4, 0x80008000), ...config(0x20, 4, BUS_MASTER), ...config(0x04, 2, 5)];

/** Error, count, LBA low to high, device, and status by the alternate register. */
const registers = (base: number): Step[] => [...[1, 2, 3, 4, 5, 6].map((i) => inb(base + i)), inb(base + CONTROL)];
/**
 * The same without count and address, which after a transfer are the last sector's here (ATA-3, 6.2), the next one's in QEMU,
 * and since ATA-4 nobody's.
 */
const outcome = (base: number): Step[] => [inb(base + 1), inb(base + 6), inb(base + CONTROL)];
const repeat = (count: number, step: Step): Step[] => Array.from({ length: count }, () => step);
/** The first words of a sector, the rest unseen through the status it leads to. */
const words = (base: number, count: number): Step[] => repeat(count, inw(base));

interface Command {
  readonly base?: number;
  readonly device?: number;
  readonly features?: number;
  readonly count?: number;
  readonly lba?: number;
}
const command = (
  code: number,
  { base = PRIMARY, device = 0xe0, features = 0, count = 1, lba = 0 }: Command = {},
): Step[] => [
  outb(base + 6, device | ((lba >>> 24) & 0x0f)),
  outb(base + 1, features),
  outb(base + 2, count & 0xff),
  outb(base + 3, lba & 0xff),
  outb(base + 4, (lba >>> 8) & 0xff),
  outb(base + 5, (lba >>> 16) & 0xff),
  outb(base + 7, code),
  wait,
];
/** With the high halves written first. */
const wide = (code: number, { count = 1, lba = 0 }: Command): Step[] => [
  outb(PRIMARY + 6, 0xe0),
  outb(PRIMARY + 2, count >> 8),
  outb(PRIMARY + 3, (lba >>> 24) & 0xff),
  outb(PRIMARY + 4, 0),
  outb(PRIMARY + 5, 0),
  ...command(code, { count, lba: lba & 0xffffff }),
];
const highHalves: Step[] = [
  outb(PRIMARY + CONTROL, 0x80),
  ...[2, 3, 4, 5].map((i) => inb(PRIMARY + i)),
  outb(PRIMARY + CONTROL, 0),
];
const skip = (port: number): Step => ["skip", port, 2];
/** Sense data: key and additional codes; QEMU claims that the information field is valid. */
const sense: Step[] = [skip(SECONDARY), ...repeat(8, inw(SECONDARY))];
const status = (base = PRIMARY): Step => inb(base + 7);

const descriptors = (...rows: (readonly [address: number, bytes: number])[]): Step[] =>
  rows.flatMap(([address, bytes], i): Step[] => [
    ["store", PRD + 8 * i, address],
    ["store", PRD + 8 * i + 4, ((bytes & 0xffff) | (i === rows.length - 1 ? 0x80000000 : 0)) >>> 0],
  ]);
const startDma = (toMemory: boolean): Step[] => [
  ["out", BUS_MASTER + 4, 4, PRD],
  outb(BUS_MASTER + 2, 0x06),
  outb(BUS_MASTER, toMemory ? 0x08 : 0x00),
];
const runDma = (toMemory: boolean): Step[] => [outb(BUS_MASTER, toMemory ? 0x09 : 0x01), wait];
const dmaState: Step[] = [inb(BUS_MASTER), inb(BUS_MASTER + 2), ...outcome(PRIMARY), status()];
const memory = (...addresses: number[]): Step[] => addresses.map((gpa) => ["load", gpa]);

const packet = (bytes: readonly number[], limit = 0xfffe, features = 0): Step[] => {
  const padded = [...bytes, ...new Array<number>(12 - bytes.length).fill(0)];
  return [
    outb(SECONDARY + 6, 0xa0),
    outb(SECONDARY + 1, features),
    outb(SECONDARY + 4, limit & 0xff),
    outb(SECONDARY + 5, limit >> 8),
    outb(SECONDARY + 7, 0xa0),
    wait,
    inb(SECONDARY + 2),
    status(SECONDARY),
    ...[0, 2, 4, 6, 8, 10].map((i) => outw(SECONDARY, (padded[i] ?? 0) | ((padded[i + 1] ?? 0) << 8))),
    wait,
  ];
};
/** QEMU lets the lead-out be copied. */
const tocWords: Step[] = [...words(SECONDARY, 6), skip(SECONDARY), ...words(SECONDARY, 3)];
const packetState: Step[] = [2, 4, 5].map((i) => inb(SECONDARY + i)).concat([status(SECONDARY), inb(SECONDARY + 1)]);

const scenario = (name: string, ...steps: Step[]): Scenario => ({
  name: `ide: ${name}`,
  drives: "ide",
  steps: [...setUp, ...steps],
});

export const ideScenarios: readonly Scenario[] = [
  scenario(
    "software reset leaves the signature of a disk and of a CD drive",
    outb(PRIMARY + CONTROL, 0x04),
    outb(SECONDARY + CONTROL, 0x04),
    wait,
    outb(PRIMARY + CONTROL, 0x00),
    outb(SECONDARY + CONTROL, 0x00),
    wait,
    ...registers(PRIMARY),
    ...registers(SECONDARY),
  ),
  scenario(
    "diagnostics",
    ...command(0x90),
    ...registers(PRIMARY),
    ...command(0x90, { base: SECONDARY }),
    ...registers(SECONDARY),
  ),
  scenario(
    "a device 1 that is not there",
    outb(PRIMARY + 6, 0xb0),
    inb(PRIMARY + 7),
    inb(PRIMARY + CONTROL),
    outb(PRIMARY + 2, 0x55),
    outb(PRIMARY + 7, 0xec),
    inb(PRIMARY + 7),
    outb(PRIMARY + 6, 0xa0),
    inb(PRIMARY + 2),
    inb(PRIMARY + CONTROL),
  ),
  scenario(
    "registers remember what is written",
    ...[1, 2, 3, 4, 5].flatMap((i) => [outb(PRIMARY + i, 0x5a + i)]),
    ...registers(PRIMARY),
  ),
  scenario(
    "PIO read of two sectors by LBA",
    ...command(0x20, { count: 2, lba: 0x123 }),
    ...outcome(PRIMARY),
    ...words(PRIMARY, 256),
    wait,
    ...outcome(PRIMARY),
    ...words(PRIMARY, 256),
    wait,
    ...outcome(PRIMARY),
  ),
  scenario(
    "PIO read by 32-bit accesses",
    ...command(0x20, { lba: 5 }),
    ...repeat(128, ["in", PRIMARY, 4]),
    wait,
    inb(PRIMARY + CONTROL),
  ),
  scenario(
    "PIO read by CHS",
    ...command(0x20, { device: 0xa3, count: 1, lba: 0x000511 }),
    ...outcome(PRIMARY),
    ...words(PRIMARY, 256),
    ...outcome(PRIMARY),
  ),
  scenario("CHS sector 0", ...command(0x20, { device: 0xa0, lba: 0 }), status()),
  scenario(
    "48-bit read and its high halves",
    ...wide(0x24, { count: 1, lba: 0x3f01 }),
    ...words(PRIMARY, 256),
    wait,
    ...outcome(PRIMARY),
    ...highHalves,
  ),
  scenario(
    "READ MULTIPLE in blocks of four",
    ...command(0xc6, { count: 4 }),
    ...outcome(PRIMARY),
    ...command(0xc4, { count: 6, lba: 9 }),
    ...words(PRIMARY, 1024),
    wait,
    ...outcome(PRIMARY),
    ...words(PRIMARY, 512),
    wait,
    ...outcome(PRIMARY),
  ),
  scenario("SET MULTIPLE of three", ...command(0xc6, { count: 3 }), ...registers(PRIMARY)),
  scenario(
    "PIO write is read again",
    ...command(0x30, { count: 2, lba: 77 }),
    inb(PRIMARY + CONTROL),
    ...Array.from({ length: 256 }, (_, i) => outw(PRIMARY, i * 3)),
    wait,
    ...outcome(PRIMARY),
    ...Array.from({ length: 256 }, (_, i) => outw(PRIMARY, i * 5)),
    wait,
    ...outcome(PRIMARY),
    ...command(0x20, { count: 2, lba: 77 }),
    ...words(PRIMARY, 256),
    wait,
    ...words(PRIMARY, 256),
  ),
  scenario(
    "the last sector, and one beyond",
    ...command(0x20, { lba: LAST_SECTOR }),
    ...words(PRIMARY, 256),
    wait,
    ...outcome(PRIMARY),
    ...command(0x20, { lba: LAST_SECTOR + 1 }),
    status(),
  ),
  scenario(
    "a range that runs over the end",
    ...command(0xc8, { lba: LAST_SECTOR - 1, count: 8 }),
    ...startDma(true),
    ...descriptors([BUFFER, 4096]),
    ...runDma(true),
    status(),
  ),
  scenario(
    "commands that do not exist",
    ...[0x00, 0x22, 0x50, 0xfe].flatMap((code) => [...command(code), inb(PRIMARY + 1), status()]),
  ),
  scenario(
    "verify, seek, flush, power",
    ...[0x40, 0x70, 0xe7, 0xea, 0xe0, 0xe1].flatMap((code) => [
      ...command(code, { lba: 3 }),
      inb(PRIMARY + 1),
      status(),
    ]),
  ),
  scenario(
    "native maximum",
    ...command(0xf8),
    ...registers(PRIMARY),
    ...command(0x27),
    ...registers(PRIMARY),
    ...highHalves,
  ),
  scenario(
    "SET FEATURES",
    ...[0x02, 0x82, 0x55, 0xaa, 0xfe].flatMap((features) => [
      ...command(0xef, { features }),
      inb(PRIMARY + 1),
      status(),
    ]),
    ...[0x00, 0x0c, 0x22, 0x45].flatMap((count) => [
      ...command(0xef, { features: 3, count }),
      inb(PRIMARY + 1),
      status(),
    ]),
  ),
  scenario(
    "DMA read into two regions",
    ...descriptors([BUFFER, 1024], [BUFFER + 0x4000, 3072]),
    ...startDma(true),
    ...command(0xc8, { count: 8, lba: 40 }),
    ...runDma(true),
    ...dmaState,
    ...memory(BUFFER, BUFFER + 1020, BUFFER + 1024, BUFFER + 0x4000, BUFFER + 0x4000 + 3068, BUFFER + 0x4000 + 3072),
    outb(BUS_MASTER, 0),
    outb(BUS_MASTER + 2, 0x04),
    ...dmaState,
  ),
  scenario(
    "DMA write is read again by PIO",
    ...Array.from({ length: 128 }, (_, i): Step => ["store", BUFFER + 4 * i, (i * 0x01020304) >>> 0]),
    ...descriptors([BUFFER, 512]),
    ...startDma(false),
    ...command(0xca, { lba: 900 }),
    ...runDma(false),
    ...dmaState,
    outb(BUS_MASTER, 0),
    ...command(0x20, { lba: 900 }),
    ...words(PRIMARY, 256),
  ),
  scenario(
    "48-bit DMA",
    ...descriptors([BUFFER, 0]),
    ...startDma(true),
    ...wide(0x25, { count: 128, lba: 0x1000 }),
    ...runDma(true),
    ...dmaState,
    ...memory(BUFFER, BUFFER + 65532),
  ),
  scenario(
    "descriptors that say more than the command moves",
    ...descriptors([BUFFER, 4096]),
    ...startDma(true),
    ...command(0xc8, { count: 1, lba: 7 }),
    ...runDma(true),
    ...dmaState,
    outb(BUS_MASTER, 0),
    inb(BUS_MASTER + 2),
  ),
  scenario(
    "descriptors that say less",
    ...descriptors([BUFFER, 512]),
    ...startDma(true),
    ...command(0xc8, { count: 4, lba: 7 }),
    ...runDma(true),
    inb(BUS_MASTER),
    inb(BUS_MASTER + 2),
    outb(BUS_MASTER, 0),
    inb(BUS_MASTER + 2),
  ),
  scenario(
    "bus master registers",
    ...[0, 2, 4, 5, 6, 7, 8, 10].map((i) => inb(BUS_MASTER + i)),
    ["out", BUS_MASTER + 4, 4, 0x12345677],
    ["in", BUS_MASTER + 4, 4],
    outb(BUS_MASTER + 2, 0xff),
    inb(BUS_MASTER + 2),
    outb(BUS_MASTER, 0xf6),
    inb(BUS_MASTER),
  ),
  scenario(
    "IDENTIFY to a CD drive, and packets' phases",
    ...command(0xec, { base: SECONDARY, device: 0xa0 }),
    ...registers(SECONDARY),
    ...packet([0x00]),
    ...packetState,
  ),
  scenario(
    "READ CAPACITY in one block",
    ...packet([0x25]),
    ...packetState,
    ...words(SECONDARY, 4),
    wait,
    ...packetState,
  ),
  scenario(
    "an unknown packet and its sense",
    ...packet([0xf1]),
    ...packetState,
    ...packet([0x03, 0, 0, 0, 18]),
    ...packetState,
    ...sense,
    wait,
    ...packetState,
  ),
  scenario(
    "READ (10) of two sectors in blocks of 2048",
    ...packet([0x28, 0, 0, 0, 0, 16, 0, 0, 2], 2048),
    ...packetState,
    ...words(SECONDARY, 1024),
    wait,
    ...packetState,
    ...words(SECONDARY, 1024),
    wait,
    ...packetState,
  ),
  scenario(
    "READ (12) beyond the end",
    ...packet([0xa8, 0, 0, 0, 0x10, 0, 0, 0, 0, 1]),
    ...packetState,
    ...packet([0x03, 0, 0, 0, 18]),
    ...sense,
  ),
  scenario("TOC", ...packet([0x43, 0, 0, 0, 0, 0, 0, 0, 20]), ...packetState, ...tocWords, wait, ...packetState),
  scenario("TOC in minutes, seconds, frames", ...packet([0x43, 2, 0, 0, 0, 0, 0, 0, 20]), ...tocWords),
  scenario(
    "tray",
    ...packet([0x1e, 0, 0, 0, 1]),
    ...packetState,
    // The reason is not compared: MMC-3 says illegal request, QEMU not ready.
    ...packet([0x1b, 0, 0, 0, 2]),
    status(SECONDARY),
    ...packet([0x1e, 0, 0, 0, 0]),
    ...packetState,
  ),
];
