// State images against a real FPU: a random image loaded by FRSTOR (32- and 16-bit) or FXRSTOR, then FNSTENV, FXSAVE and
// FNSAVE of it. Recorded by `x87-oracle images`. Then the formats of real mode, which SDM 1 figures 8-10 and 8-12 give.
import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { beforeAll, describe, expect, it } from "vitest";
import * as L from "../../../spec/layout.ts";
import { compileX87 } from "./compile.ts";
import { PAGE, rowNamed, X87Machine } from "./machine.ts";
import { ten } from "./values.ts";

const FIXTURE = new URL("../fixtures/x87-images.bin.gz", import.meta.url);
const hex = (b: Uint8Array): string => Buffer.from(b).toString("hex");
const OUT = PAGE + 0x400;

let machine: X87Machine;
beforeAll(async () => {
  machine = new X87Machine(await compileX87());
});

/** Runs an instruction on memory and returns `size` bytes of OUT. */
function store(op: string, size: number, prefixes = 0): Uint8Array {
  machine.guest(OUT, 512).fill(0);
  expect(machine.run(rowNamed(op), 0, OUT, prefixes)).toBe(0);
  return Uint8Array.from(machine.guest(OUT, size));
}

describe("x87 state images", () => {
  it("load and store as the hardware's do", () => {
    const file = gunzipSync(readFileSync(FIXTURE));
    const size = 1 + 160 + 28 + 160 + 108;
    expect(file.length % size).toBe(0);
    expect(file.length / size).toBeGreaterThanOrEqual(300);
    const seen = [0, 0, 0];
    for (let at = 0; at < file.length; at += size) {
      const form = file[at] as number;
      seen[form] = (seen[form] as number) + 1;
      const input = file.subarray(at + 1, at + 161);
      const environment = file.subarray(at + 161, at + 189);
      const fx = file.subarray(at + 189, at + 349);
      const save = file.subarray(at + 349, at + size);
      const narrow = form === 1 ? L.PFX_OP16 : 0;
      machine.reset(0x37f, [], 0);
      machine.guest(PAGE, 512).fill(0);
      machine.guest(PAGE, 160).set(input);
      const load = form === 2 ? "FXRSTOR" : "FRSTOR";
      expect(machine.run(rowNamed(load), 0, PAGE, narrow)).toBe(0);
      expect(hex(store("FNSTENV", 28, narrow))).toBe(hex(environment));
      machine.reset(0x37f, [], 0);
      machine.run(rowNamed(load), 0, PAGE, narrow);
      const ours = store("FXSAVE", 160);
      // With no exception pending this vendor's FXSAVE leaves the pointers out; Intel's stores them always.
      if (!((fx[2] as number) & 0x80)) ours.fill(0, 6, 24);
      // The opcode is not part of 16-bit protected-mode images; MXCSR_MASK differs by vendor.
      ours.copyWithin(28, 24, 28);
      const theirs = Uint8Array.from(fx);
      theirs.copyWithin(28, 24, 28);
      expect(hex(ours)).toBe(hex(theirs));
      expect(hex(store("FNSAVE", 108, narrow))).toBe(hex(save));
      // FNSAVE initialises
      expect([machine.get16(L.FPU_FCW), machine.get16(L.FPU_FSW), machine.get8(L.FPU_TAG)]).toEqual([0x37f, 0, 0]);
    }
    expect(Math.min(...seen)).toBeGreaterThanOrEqual(100);
  });

  it("masks all exceptions after FNSTENV", () => {
    machine.reset(0x340, [ten("3fff:8000000000000000")], 1);
    store("FNSTENV", 28);
    expect(machine.get16(L.FPU_FCW)).toBe(0x37f);
  });

  function pointers(): void {
    machine.reset(0x37f, [], 0);
    machine.set16(L.FPU_FOP, 0x5a5);
    machine.set32(L.FPU_FIP, 0x89ab);
    machine.set16(L.FPU_FCS, 0x1234);
    machine.set32(L.FPU_FDP, 0x4567);
    machine.set16(L.FPU_FDS, 0xf00f);
  }
  const PROTECTED = L.MODE_CS32 | L.MODE_SS32 | L.MODE_FLAT_DATA | L.MODE_FLAT_CODE | L.MODE_PROTECTED;

  it("keep linear addresses in real and virtual-8086 mode", () => {
    // 1234:89ab = 1 aceb, f00f:4567 = f 4657
    machine.set32(L.MODE, L.MODE_FLAT_DATA);
    pointers();
    expect(hex(store("FNSTENV", 14, L.PFX_OP16))).toBe("7f030000ffffebaca515574600f0");
    pointers();
    expect(hex(store("FNSTENV", 28))).toBe(
      ["7f03ffff", "0000ffff", "ffffffff", "ebacffff", "a5150000", "5746ffff", "00f00000"].join(""),
    );
    machine.set32(L.MODE, PROTECTED);
  });

  it("come back from a real-mode image", () => {
    machine.set32(L.MODE, L.MODE_FLAT_DATA);
    pointers();
    const image = store("FNSTENV", 28);
    machine.guest(PAGE, 28).set(image);
    expect(machine.run(rowNamed("FLDENV"), 0, PAGE)).toBe(0);
    expect(machine.get32(L.FPU_FIP)).toBe(0x1aceb);
    expect(machine.get32(L.FPU_FDP)).toBe(0xf4657);
    expect(machine.get16(L.FPU_FOP)).toBe(0x5a5);
    machine.set32(L.MODE, PROTECTED);
  });

  it("refuse a misaligned FXSAVE area and reserved MXCSR bits with #GP", () => {
    machine.reset(0x37f, [], 0);
    expect(machine.run(rowNamed("FXSAVE"), 0, PAGE + 8)).toBe(L.FAULT_EXCEPTION);
    expect(machine.get32(L.FAULT_VECTOR)).toBe(13);
    machine.guest(PAGE, 512).fill(0);
    machine.guest(PAGE, 512)[26] = 1;
    expect(machine.run(rowNamed("FXRSTOR"), 0, PAGE)).toBe(L.FAULT_EXCEPTION);
    expect(machine.get32(L.FAULT_VECTOR)).toBe(13);
    expect(machine.get16(L.FPU_FCW)).toBe(0x37f);
  });

  it("carry the XMM registers and MXCSR under CR4.OSFXSR only", () => {
    machine.reset(0x37f, [], 0);
    for (let i = 0; i < 128; i++) machine.set8(L.XMM + i, i + 1);
    machine.set32(L.MXCSR, 0x1fa0);
    const image = store("FXSAVE", 512);
    expect(hex(image.subarray(160, 288))).toBe(hex(Uint8Array.from({ length: 128 }, (_, i) => i + 1)));
    for (let i = 0; i < 128; i++) machine.set8(L.XMM + i, 0);
    machine.set32(L.MXCSR, 0x1f80);
    machine.guest(PAGE, 512).set(image);
    expect(machine.run(rowNamed("FXRSTOR"), 0, PAGE)).toBe(0);
    expect(machine.get32(L.MXCSR)).toBe(0x1fa0);
    expect(machine.get8(L.XMM + 127)).toBe(128);
    machine.set32(L.CR4, 0);
    machine.set32(L.MXCSR, 0x1f80);
    expect(machine.run(rowNamed("FXRSTOR"), 0, PAGE)).toBe(0);
    expect(machine.get32(L.MXCSR)).toBe(0x1f80);
    expect(hex(store("FXSAVE", 512).subarray(160, 288))).toBe("00".repeat(128));
    machine.set32(L.CR4, 0x600);
  });
});
