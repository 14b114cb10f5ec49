// Register scripts for the ISA DMA controllers and the floppy controller with one 1.44 MB disk.
import { pattern } from "../../backends/block/tools.ts";
import type { Scenario, Step } from "./scenarios.ts";

export const floppyImage = (): Uint8Array => pattern(1_474_560, 13);

const inb = (port: number): Step => ["in", port, 1];
const outb = (port: number, value: number): Step => ["out", port, 1, value];
const wait: Step = ["wait", 3e6];
/** QEMU lets a sector's address come by after 20 ms. */
const turn: Step = ["wait", 80e6];
const BUFFER = 0x20000;

/** Bytes to the FIFO, each when the controller asks for it. */
const send = (...bytes: number[]): Step[] => bytes.flatMap((byte) => [inb(0x3f4), outb(0x3f5, byte)]);
const results = (count: number): Step[] => [
  ...Array.from({ length: count }, () => [inb(0x3f4), inb(0x3f5)]).flat(),
  inb(0x3f4),
];
const senseInterrupt = (): Step[] => [...send(0x08), ...results(2)];
/** Out of reset, interrupts on, data rate of a 1.44 MB disk; the four results of the reset fetched. */
const ready = (): Step[] => [
  outb(0x3f2, 0x00),
  wait,
  outb(0x3f2, 0x1c),
  wait,
  outb(0x3f7, 0x00),
  ...[0, 1, 2, 3].flatMap(senseInterrupt),
];
const recalibrate = (): Step[] => [...send(0x07, 0), wait, ...senseInterrupt()];
const seek = (track: number): Step[] => [...send(0x0f, 0, track), wait, ...senseInterrupt()];
/** Channel 2: one transfer of `count` bytes at BUFFER, to memory or from it. */
const program = (mode: number, count: number): Step[] => [
  outb(0x0a, 0x06),
  outb(0x0c, 0x00),
  outb(0x0b, mode),
  outb(0x04, BUFFER & 0xff),
  outb(0x04, (BUFFER >> 8) & 0xff),
  outb(0x81, BUFFER >> 16),
  outb(0x05, (count - 1) & 0xff),
  outb(0x05, (count - 1) >> 8),
  outb(0x0a, 0x02),
];
const counters = (): Step[] => [outb(0x0c, 0), inb(0x04), inb(0x04), inb(0x05), inb(0x05), inb(0x08)];
const load = (...offsets: number[]): Step[] => offsets.map((offset) => ["load", BUFFER + offset]);
const TO_MEMORY = 0x46;
const FROM_MEMORY = 0x4a;

const scenario = (name: string, ...steps: Step[]): Scenario => ({ name, drives: "floppy", steps });

export const floppyScenarios: readonly Scenario[] = [
  scenario(
    "dma: counters by halves, flip-flop, pages, masks",
    outb(0x0c, 0),
    ...[0x34, 0x12, 0x78, 0x56].flatMap((value, i) => [outb(0x04 + (i >> 1), value)]),
    ...counters(),
    outb(0x81, 0xab),
    inb(0x81),
    ...[0x82, 0x83, 0x87, 0x89, 0x8a, 0x8b].flatMap((port, i) => [outb(port, 0x10 + i), inb(port)]),
    outb(0xd8, 0),
    outb(0xc4, 0x11),
    outb(0xc4, 0x22),
    outb(0xd8, 0),
    inb(0xc4),
    inb(0xc4),
    outb(0x0d, 0),
    inb(0x08),
  ),
  scenario("floppy: reset and its four results", ...ready(), inb(0x3f2), inb(0x3f7)),
  scenario(
    "floppy: version, an invalid command, sense without interrupt",
    ...ready(),
    ...send(0x10),
    ...results(1),
    ...send(0x1f),
    ...results(1),
    ...send(0x08),
    ...results(1),
  ),
  scenario(
    "floppy: recalibrate, seek, drive status",
    ...ready(),
    ...recalibrate(),
    ...seek(5),
    ...send(0x04, 0),
    ...results(1),
    ...recalibrate(),
    ...send(0x04, 0),
    ...results(1),
    inb(0x3f7),
  ),
  scenario(
    "floppy: configure, specify, lock",
    ...ready(),
    ...send(0x13, 0, 0x57, 0),
    ...send(0x03, 0xaf, 0x02),
    ...send(0x94),
    ...results(1),
    ...send(0x14),
    ...results(1),
  ),
  scenario("floppy: READ ID", ...ready(), ...recalibrate(), ...send(0x4a, 0), turn, ...results(7)),
  scenario(
    "floppy: READ of one sector by DMA",
    ...ready(),
    ...recalibrate(),
    ...program(TO_MEMORY, 512),
    ...send(0x46, 0, 0, 0, 3, 2, 18, 0x1b, 0xff),
    wait,
    ...results(7),
    ...load(0, 508, 512),
    ...counters(),
  ),
  scenario(
    "floppy: READ over both heads of a track",
    ...ready(),
    ...seek(2),
    ...program(TO_MEMORY, 20 * 512),
    ...send(0xc6, 0, 2, 0, 10, 2, 18, 0x1b, 0xff),
    wait,
    ...results(7),
    ...load(0, 9 * 512, 20 * 512 - 4),
    ...counters(),
  ),
  scenario(
    "floppy: WRITE is read again",
    ...ready(),
    ...recalibrate(),
    ...Array.from({ length: 128 }, (_, i): Step => ["store", BUFFER + 4 * i, (i * 0x01030507) >>> 0]),
    ...program(FROM_MEMORY, 512),
    ...send(0x45, 0, 0, 0, 7, 2, 18, 0x1b, 0xff),
    wait,
    ...results(7),
    ["store", BUFFER, 0],
    ...program(TO_MEMORY, 512),
    ...send(0x46, 0, 0, 0, 7, 2, 18, 0x1b, 0xff),
    wait,
    ...results(7),
    ...load(0, 4, 508),
  ),
];
