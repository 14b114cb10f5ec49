// When an x87 instruction must not run, and what is left behind when it stops: #NM, #MF and FERR#, page faults.
import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import { Exit } from "../../../spec/exits.ts";
import * as L from "../../../spec/layout.ts";
import { x87Rows } from "../../../spec/opcodes/x87.ts";
import { compileX87 } from "./compile.ts";
import { PAGE, rowNamed, X87Machine } from "./machine.ts";
import { ten, text } from "./values.ts";

const [PE, MP, EM, TS, NE] = [0x1, 0x2, 0x4, 0x8, 0x20];
const [NM, MF, PF] = [7, 16, 14];
const ONE = ten("3fff:8000000000000000");
const ZERO = ten("0000:0000000000000000");
const TWO = ten("4000:8000000000000000");
/** Not mapped, and follows the mapped page. */
const HOLE = PAGE + 0x1000;

/** Instructions that do not look for a pending exception. */
const NO_WAIT = new Set([
  "FNINIT",
  "FNCLEX",
  "FNSTCW",
  "FNSTSW_M16",
  "FNSTSW_AX",
  "FNSTENV",
  "FNSAVE",
  "FNENI",
  "FNDISI",
  "FNSETPM",
  "FXSAVE",
  "FXRSTOR",
]);

let machine: X87Machine;
beforeAll(async () => {
  machine = new X87Machine(await compileX87());
});
beforeEach(() => {
  machine.set32(L.CR0, PE | NE);
  machine.guest(PAGE, 512).fill(0);
});

const run = (op: string, address = PAGE, rm = 1): number => {
  const row = rowNamed(op);
  return machine.run(
    row,
    row.mod === "mem" ? (row.ext ?? 0) << 3 : 0xc0 | ((row.ext ?? 0) << 3) | (row.rm ?? rm),
    address,
  );
};
const vector = (): number => machine.get32(L.FAULT_VECTOR);
const st = (i: number): string => text(machine.register((((machine.get16(L.FPU_FSW) >> 11) & 7) + i) & 7));
const state = (): string => Buffer.from(machine.state()).toString("hex");

/** Leaves an unmasked division by zero pending. */
function pend(): void {
  machine.reset(0x37b, [ONE, ZERO], 2);
  expect(run("FDIV_ST0_STI")).toBe(0);
  expect(machine.get16(L.FPU_FSW) & 0x8084).toBe(0x8084);
}

describe("x87 availability", () => {
  it.each([EM, TS])("raises #NM for every instruction but FWAIT with CR0 bit %i", (bit) => {
    machine.set32(L.CR0, PE | NE | bit);
    for (const row of x87Rows) {
      machine.reset(0x37f, [ONE, TWO], 2);
      const before = state();
      const fault = run(row.op);
      if (row.op === "FWAIT") {
        expect(fault, row.op).toBe(0);
        continue;
      }
      expect([row.op, fault, vector()]).toEqual([row.op, L.FAULT_EXCEPTION, NM]);
      expect(state(), row.op).toBe(before);
    }
  });

  it("raises #NM for FWAIT only with both MP and TS", () => {
    machine.reset(0x37f, [], 0);
    machine.set32(L.CR0, PE | NE | MP);
    expect(run("FWAIT")).toBe(0);
    machine.set32(L.CR0, PE | NE | MP | TS);
    expect(run("FWAIT")).toBe(L.FAULT_EXCEPTION);
    expect(vector()).toBe(NM);
  });
});

describe("x87 pending exceptions", () => {
  it("raise #MF at the next waiting instruction and let the others run", () => {
    for (const row of x87Rows) {
      pend();
      const before = state();
      const fault = run(row.op);
      if (NO_WAIT.has(row.op)) {
        expect(fault, row.op).toBe(0);
        continue;
      }
      expect([row.op, fault, vector()]).toEqual([row.op, L.FAULT_EXCEPTION, MF]);
      expect(state(), row.op).toBe(before);
    }
  });

  it("keep the operands of a stopped division", () => {
    pend();
    expect([st(0), st(1)]).toEqual([text(ONE), text(ZERO)]);
  });

  it("end with FNCLEX, with FNINIT, and with a control word that masks them", () => {
    pend();
    run("FNCLEX");
    expect(machine.get16(L.FPU_FSW) & 0x80ff).toBe(0);
    expect(run("FWAIT")).toBe(0);
    pend();
    run("FNINIT");
    expect(run("FWAIT")).toBe(0);
    pend();
    machine.guest(PAGE, 2).set([0x7f, 0x03]);
    run("FNSTENV", PAGE + 32); // masks all
    expect(run("FLDCW")).toBe(0);
    expect(run("FWAIT")).toBe(0);
  });

  it("begin when FLDCW unmasks a flag that is set", () => {
    machine.reset(0x37f, [ONE, ZERO], 2);
    expect(run("FDIV_ST0_STI")).toBe(0);
    machine.guest(PAGE, 2).set([0x7b, 0x03]);
    expect(run("FLDCW")).toBe(0);
    expect(run("FWAIT")).toBe(L.FAULT_EXCEPTION);
    expect(vector()).toBe(MF);
  });

  it("assert FERR# and exit instead with CR0.NE = 0, until the host asserts IGNNE#", () => {
    machine.set32(L.CR0, PE);
    pend();
    expect(run("FLD1")).toBe(L.FAULT_EXIT);
    expect(machine.get32(L.EXIT_REASON)).toBe(Exit.Ferr);
    expect(machine.get32(L.FPU_FERR)).toBe(1);
    machine.set32(L.FPU_FERR, 3);
    expect(run("FLD1")).toBe(0);
    expect(st(0)).toBe(text(ONE));
    expect(run("FNCLEX")).toBe(0);
    expect(machine.get32(L.FPU_FERR)).toBe(0);
  });

  it("keep the opcode of the instruction that caused them, and only of such", () => {
    machine.reset(0x37f, [ONE, TWO], 2);
    machine.set16(L.FPU_FOP, 0);
    run("FADD_ST0_STI");
    expect(machine.get16(L.FPU_FOP)).toBe(0);
    pend();
    expect(machine.get16(L.FPU_FOP)).toBe(0x0f1);
  });
});

describe("x87 pointers", () => {
  it("name the last instruction that was not a control instruction", () => {
    machine.reset(0x37f, [ONE, TWO], 2);
    machine.set32(L.FPU_FIP, 0);
    run("FADD_M32", PAGE + 4);
    expect([machine.get32(L.FPU_FIP), machine.get16(L.FPU_FCS)]).toEqual([0x1000, 0x08]);
    expect([machine.get32(L.FPU_FDP), machine.get16(L.FPU_FDS)]).toEqual([PAGE + 4, 0x10]);
    machine.set32(L.FPU_FIP, 0);
    for (const op of ["FNSTCW", "FNSTSW_M16", "FNSTSW_AX", "FLDCW", "FNSTENV", "FLDENV", "FNCLEX", "FWAIT"])
      run(op, PAGE + 64);
    expect(machine.get32(L.FPU_FIP)).toBe(0);
  });
});

describe("x87 memory faults", () => {
  const memoryOps = x87Rows.filter((r) => r.mod === "mem").map((r) => r.op);

  it.each(memoryOps)("%s changes nothing on a page fault", (op) => {
    machine.reset(0x37f, [ONE, TWO], 2);
    const before = state();
    expect(run(op, HOLE)).toBe(L.FAULT_EXCEPTION);
    expect(vector()).toBe(PF);
    expect(state()).toBe(before);
  });

  it.each(memoryOps)("%s changes nothing, in memory either, when its last byte is on a missing page", (op) => {
    machine.reset(0x37f, [ONE, TWO], 2);
    machine.guest(PAGE + 0xe00, 0x200).fill(0xcc);
    const before = state();
    const aligned = op.startsWith("FX") ? 16 : 1;
    expect(run(op, HOLE - aligned)).toBe(L.FAULT_EXCEPTION);
    expect(vector()).toBe(PF);
    expect(state()).toBe(before);
    expect(machine.guest(PAGE + 0xe00, 0x200).every((b) => b === 0xcc)).toBe(true);
  });

  it("writes nothing when an unmasked exception forbids the store", () => {
    // beyond single precision, overflow unmasked
    machine.reset(0x377, [ten("7f00:8000000000000000")], 1);
    machine.guest(PAGE, 8).fill(0xcc);
    expect(run("FSTP_M32")).toBe(0);
    expect(machine.guest(PAGE, 8).every((b) => b === 0xcc)).toBe(true);
    expect(st(0)).toBe("7f00:8000000000000000");
    expect(machine.get16(L.FPU_FSW) & 0x80ff).toBe(0x8088);
  });
});
