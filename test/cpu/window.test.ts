// The interrupt window: the host asks, or an interrupt that has to wait does, and the vCPU exits when one can be taken.
import { expect, it } from "vitest";
import { Exit } from "../../spec/exits.ts";
import * as L from "../../spec/layout.ts";
import { CODE, Machine } from "./machine.ts";

const IF = 0x200;
const NOP = 0x90;
const STI = 0xfb;

async function machine(controls: number): Promise<Machine> {
  const m = (await Machine.create()).protect(0);
  m.setField(L.CTRL_FLAGS, controls);
  return m;
}

it("exits at once where interrupts are open, once", async () => {
  const m = await machine(L.CTRLF_WINDOW);
  m.eflags = 2 | IF;
  m.code([NOP, 0xf4]);
  expect(m.run()).toBe(Exit.InterruptWindow);
  expect(m.eip).toBe(CODE);
  expect(m.run()).toBe(Exit.Hlt);
  expect(m.eip).toBe(CODE + 2);
});

it("waits for STI, and for the instruction in its shadow", async () => {
  const m = await machine(L.CTRLF_WINDOW);
  m.code([NOP, STI, NOP, NOP, 0xf4]);
  expect(m.run()).toBe(Exit.InterruptWindow);
  expect(m.eip).toBe(CODE + 3);
  expect(m.field(L.CTRL_FLAGS) & L.CTRLF_WINDOW).toBe(0);
});

it("an interrupt that has to wait asks by itself, and one that need not does not", async () => {
  const m = await machine(L.CTRLF_INTERRUPTS);
  // both 8259s: vectors from 20h, everything but IRQ 4 masked
  const out = (port: number, value: number): number[] => [0xb0, value, 0xe6, port];
  m.code([...out(0x20, 0x11), ...out(0x21, 0x20), ...out(0x21, 4), ...out(0x21, 1), ...out(0x21, 0xef), NOP, 0xf4]);
  expect(m.run()).toBe(Exit.Hlt);
  m.code([NOP, NOP, STI, NOP, NOP, 0xf4]);
  m.setField(L.HALTED, 0);
  m.setField(L.EIP, CODE);
  m.core.setIrqLine(4, 1);
  expect(m.run()).toBe(Exit.InterruptWindow);
  expect(m.eip).toBe(CODE + 4);
  expect(m.runToHandler()).toBe(0x24);
});
