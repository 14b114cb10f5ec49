// Scripts for the 8259As. The directed ones are written from the datasheet; the random ones are made while running on our
// chipset, which tells which steps QEMU cannot follow. Where QEMU 7.2 leaves the datasheet, scripts stay away from it and
// test/irq/pic.test.ts holds the datasheet's behaviour instead:
//  - an edge-triggered request whose line falls before the acknowledge stays in QEMU's IRR (also the slave's, on IR2);
//  - special fully nested mode in QEMU ignores IR2 in service altogether, so lower inputs interrupt too;
//  - a non-specific EOI in special mask mode ends masked levels as well.

import { PIC_ELCR, PIC_IRR, PIC_LINES, PIC_MASTER, PIC_SLAVE } from "../../spec/chipset.ts";
import { CHIPSET_BASE } from "../../spec/layout.ts";
import { Chipset } from "./machine.ts";
import { runScript } from "./script.ts";

const INIT = [
  "out 20 11",
  "out 21 20",
  "out 21 4",
  "out 21 1",
  "out a0 11",
  "out a1 28",
  "out a1 2",
  "out a1 1",
  "out 21 0",
  "out a1 0",
];
/** Poll: acknowledge by a read. Then IRR and ISR. */
const poll = (port: string) => [`out ${port} c`, `in ${port}`];
const state = (port: string) => [`out ${port} a`, `in ${port}`, `out ${port} b`, `in ${port}`];
const pulse = (line: number) => [`irq ${line} 1`];

export const DIRECTED: Record<string, string[]> = {
  "priorities are fixed with IR0 first": [
    ...INIT,
    ...pulse(5),
    ...pulse(3),
    ...pulse(7),
    ...poll("20"),
    ...state("20"),
    ...poll("20"),
    ...state("20"),
    "out 20 20",
    ...state("20"),
    ...poll("20"),
    ...state("20"),
    "irq 3 0",
    "irq 3 1",
    ...poll("20"),
    ...state("20"),
  ],
  "the mask holds requests back without losing them": [
    ...INIT,
    "out 21 28",
    "in 21",
    ...pulse(3),
    ...pulse(5),
    ...poll("20"),
    ...state("20"),
    "out 21 20",
    ...poll("20"),
    ...state("20"),
    "out 21 0",
    "in 21",
    "out 20 20",
    ...poll("20"),
    ...state("20"),
  ],
  "specific EOI ends any level": [
    ...INIT,
    ...pulse(4),
    ...poll("20"),
    ...pulse(1),
    ...poll("20"),
    ...state("20"),
    "out 20 64",
    ...state("20"),
    "out 20 61",
    ...state("20"),
  ],
  "rotation on EOI makes the level served last": [
    ...INIT,
    ...pulse(3),
    ...poll("20"),
    "out 20 a0",
    ...pulse(4),
    ...pulse(1),
    ...poll("20"),
    ...state("20"),
    "out 20 20",
    ...poll("20"),
    "out 20 e1",
    "irq 3 0",
    "irq 3 1",
    "irq 1 0",
    "irq 1 1",
    ...poll("20"),
    ...state("20"),
  ],
  "set priority and no-operation": [
    ...INIT,
    "out 20 c4",
    ...pulse(4),
    ...pulse(5),
    ...pulse(1),
    ...poll("20"),
    "out 20 40",
    ...state("20"),
    "out 20 20",
    ...poll("20"),
    ...state("20"),
  ],
  "automatic EOI, with and without rotation": [
    "out 20 11",
    "out 21 20",
    "out 21 4",
    "out 21 3",
    "out 21 0",
    ...pulse(3),
    ...pulse(5),
    ...poll("20"),
    ...state("20"),
    ...poll("20"),
    ...state("20"),
    "out 20 80",
    "irq 3 0",
    "irq 3 1",
    ...poll("20"),
    "irq 3 0",
    "irq 3 1",
    "irq 6 1",
    ...poll("20"),
    ...poll("20"),
    "out 20 0",
    ...state("20"),
  ],
  "special mask mode lets lower levels through": [
    ...INIT,
    ...pulse(3),
    ...poll("20"),
    "out 21 8",
    "out 20 68",
    ...pulse(5),
    ...poll("20"),
    ...state("20"),
    "out 20 48",
    ...pulse(6),
    ...poll("20"),
    ...state("20"),
  ],
  "level-triggered inputs follow the line": [
    ...INIT,
    "out 4d0 20",
    "in 4d0",
    "irq 5 1",
    ...state("20"),
    "irq 5 0",
    ...state("20"),
    ...poll("20"),
    "irq 5 1",
    ...poll("20"),
    ...state("20"),
    "out 20 20",
    ...poll("20"),
    "irq 5 0",
    "out 20 20",
    ...poll("20"),
    ...state("20"),
  ],
  "ELCR cannot change the lines that are always edge triggered": [
    "out 4d0 ff",
    "in 4d0",
    "out 4d1 ff",
    "in 4d1",
    "out 4d0 0",
    "in 4d0",
    "out 4d1 0",
    "in 4d1",
  ],
  "ICW1 clears mask, latches and priorities": [
    ...INIT,
    ...pulse(3),
    ...poll("20"),
    ...pulse(6),
    "out 21 ff",
    "out 20 c3",
    "out 20 b",
    "out 20 11",
    "in 21",
    "in 20",
    "out 21 20",
    "out 21 4",
    "out 21 1",
    ...state("20"),
    "in 21",
    ...poll("20"),
  ],
  "the slave asks through IR2": [
    ...INIT,
    ...pulse(12),
    ...state("20"),
    ...state("a0"),
    ...poll("20"),
    ...poll("a0"),
    ...state("20"),
    ...state("a0"),
    ...pulse(9),
    ...state("a0"),
    "out a0 20",
    ...state("a0"),
    "out 20 20",
    ...state("20"),
  ],
  "a poll with nothing to report": [...INIT, ...poll("20"), ...poll("a0"), "out 20 c", "in 21", "in 21"],
  "both read registers survive a poll": [
    ...INIT,
    "out 20 b",
    ...pulse(2 + 1),
    ...poll("20"),
    "in 20",
    "out 20 8",
    "in 20",
  ],
};

/** xorshift32: the same scripts whenever they are recorded. */
function random(seed: number): (below: number) => number {
  let s = seed;
  return (below) => {
    s ^= s << 13;
    s ^= s >>> 17;
    s ^= s << 5;
    return (s >>> 0) % below;
  };
}

/** A random script for one chip, without the steps on which QEMU leaves the datasheet. */
export function randomScript(seed: number, steps: number): string[] {
  const next = random(seed);
  const chip = next(2);
  const port = chip ? 0xa0 : 0x20;
  const at = CHIPSET_BASE + (chip ? PIC_SLAVE : PIC_MASTER);
  const chipset = new Chipset();
  const script: string[] = [];
  let specialMask = false;
  const step = (line: string) => {
    script.push(line);
    runScript(chipset, [line]);
  };
  const p = (n: number) => (port + n).toString(16);
  const init = () => {
    step(`out ${p(0)} 11`);
    step(`out ${p(1)} ${(next(32) << 3).toString(16)}`);
    step(`out ${p(1)} ${chip ? 2 : 4}`);
    step(`out ${p(1)} ${next(4) ? 1 : 3}`);
    specialMask = false;
  };
  init();
  while (script.length < steps) {
    const kind = next(64);
    const n = next(8);
    if (kind < 20) {
      const line = chip * 8 + n;
      if (line === 2) continue;
      // Only changes: a repeated level makes an edge in QEMU after ICW1.
      const bit = 1 << n;
      const level = chipset.view.getUint8(at + PIC_LINES) & bit ? 0 : 1;
      const latched = chipset.view.getUint8(at + PIC_IRR) & bit && !(chipset.view.getUint8(at + PIC_ELCR) & bit);
      if (!level && latched) continue;
      step(`irq ${line} ${level}`);
    } else if (kind < 36) {
      step(`out ${p(0)} c`);
      step(`in ${p(next(2))}`);
    } else if (kind < 46) {
      const command = next(8);
      // 1 and 5 are the non-specific EOIs.
      if (specialMask && (command === 1 || command === 5)) continue;
      step(`out ${p(0)} ${((command << 5) | n).toString(16)}`);
    } else if (kind < 52) {
      step(`out ${p(1)} ${(next(256) & next(256)).toString(16)}`);
      step(`in ${p(1)}`);
    } else if (kind < 54) {
      specialMask = next(2) === 1;
      step(`out ${p(0)} ${specialMask ? "68" : "48"}`);
    } else if (kind < 56) {
      const elcr = next(256) & next(256);
      // QEMU leaves IRR alone when ELCR changes: only with every line low is there nothing to leave.
      for (let i = chip * 8; i < chip * 8 + 8; i++) if (i !== 2) step(`irq ${i} 0`);
      init();
      step(`out ${chip ? "4d1" : "4d0"} ${(elcr & (chip ? 0xde : 0xf8)).toString(16)}`);
    } else if (kind < 57) {
      init();
    } else {
      step(`out ${p(0)} ${next(2) ? "a" : "b"}`);
      step(`in ${p(0)}`);
    }
  }
  return script;
}

const RANDOM_SCRIPTS = 24;

/** Everything that is recorded, by name. */
export function picScripts(): [string, string[]][] {
  const all = Object.entries(DIRECTED);
  for (let i = 1; i <= RANDOM_SCRIPTS; i++) all.push([`random ${i}`, randomScript(i * 7919, 300)]);
  return all;
}
