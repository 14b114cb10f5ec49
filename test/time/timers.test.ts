import { describe, expect, test } from "vitest";
import { Chipset } from "../irq/machine.ts";
import { recordedReplay, replayOnChipset } from "../irq/replay.ts";
import { APIC_STATE, APIC_TIMER, IRQ0, PIT_COUNTS, PIT_OUTPUTS } from "./timer-scripts.ts";

/** Our answers and QEMU's to the steps that have one. */
function compare(name: string, script: readonly string[]): { line: string; ours: number; qemu: number }[] {
  const qemu = recordedReplay(name, script);
  const c = new Chipset();
  c.wait(1_000_000);
  const ours = replayOnChipset(c, script, qemu);
  const compared = script
    .map((line, i) => ({ line, ours: ours[i]!, qemu: qemu[i]!.value }))
    .filter(({ line }) => /^(in|rd|window)/.test(line));
  expect(compared.length).toBeGreaterThan(0);
  return compared;
}

describe("8254 counts against QEMU: at most two pulses behind", () => {
  for (const [name, script] of Object.entries(PIT_COUNTS)) {
    test(name, () => {
      const bytes = compare(name, script);
      for (let i = 0; i < bytes.length; i += 2) {
        const [low, high] = [bytes[i]!, bytes[i + 1]!];
        const behind = (low.ours + high.ours * 256 - low.qemu - high.qemu * 256) & 0xffff;
        expect(behind, `count ${i / 2}`).toBeLessThanOrEqual(name.startsWith("mode 3") ? 4 : 2);
      }
    });
  }
});

describe("8254 outputs against QEMU", () => {
  for (const [name, script] of Object.entries(PIT_OUTPUTS)) {
    test(name, () => {
      const levels = compare(name, script);
      expect(levels.map(({ ours }) => ours & 0xef)).toEqual(levels.map(({ qemu }) => qemu & 0xef));
      expect(new Set(levels.map(({ ours }) => ours & 0x20)).size).toBe(2);
    });
  }
});

describe("IRQ 0, local APIC and I/O APIC against QEMU: the same answers and interrupts at the same times", () => {
  for (const [name, script] of Object.entries({ ...IRQ0, ...APIC_STATE })) {
    test(name, () => {
      const answers = compare(name, script);
      for (const { line, ours, qemu } of answers) expect(ours, line).toBe(qemu);
      if (script.includes("window"))
        expect(answers.some(({ line, ours }) => line === "window" && ours >= 0x20)).toBe(true);
    });
  }
});

describe("local APIC timer against QEMU", () => {
  for (const [name, script] of Object.entries(APIC_TIMER)) {
    test(name, () => {
      for (const { line, ours, qemu } of compare(name, script)) {
        if (line === "window") expect(ours, line).toBe(qemu);
        // One count for each period so far; see timer-scripts.ts.
        else expect(Math.abs(ours - qemu), line).toBeLessThanOrEqual(name === "periodic" ? 8 : 0);
      }
    });
  }
});
