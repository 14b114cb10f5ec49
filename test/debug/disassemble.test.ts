import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import type { OpcodeRow } from "../../spec/opcodes/row.ts";
import { allRows } from "../../spec/opcodes/table.ts";
import { disassemble } from "../../src/debug/disassemble.ts";

const folder = mkdtempSync(join(tmpdir(), "paravane-disassemble-"));
afterAll(() => rmSync(folder, { recursive: true }));
const hasObjdump = spawnSync("objdump", ["--version"]).status === 0;

function text(hex: string, is32 = true, address = 0x1000): string {
  const bytes = Buffer.from(hex.replace(/ /g, ""), "hex");
  const { text, length } = disassemble(bytes, address, is32);
  expect(length).toBe(bytes.length);
  return text;
}

describe("disassembly", () => {
  it.each([
    ["fa", "cli"],
    ["89 d8", "mov eax, ebx"],
    ["66 89 d8", "mov ax, bx"],
    ["8b 44 8e fc", "mov eax, dword [esi+ecx*4-0x4]"],
    ["8b 05 78 56 34 12", "mov eax, dword [0x12345678]"],
    ["64 a1 14 00 00 00", "mov eax, fs:[0x14]"],
    ["83 c0 ff", "add eax, 0xffffffff"],
    ["66 83 c0 ff", "add ax, 0xffff"],
    ["74 fe", "jz 0x1000"],
    ["e8 fb ff ff ff", "call 0x1000"],
    ["0f 84 00 01 00 00", "jz 0x1106"],
    ["f3 a5", "rep movsd"],
    ["f3 66 a5", "rep movsw"],
    ["f2 ae", "repne scasb"],
    ["f3 a6", "repe cmpsb"],
    ["f0 0f b1 0b", "lock cmpxchg dword [ebx], ecx"],
    ["0f 22 c0", "mov cr0, eax"],
    ["8e d8", "mov ds, ax"],
    ["ea 20 00 10 00 08 00", "jmpf 0x8:0x100020"],
    ["98", "cwde"],
    ["66 98", "cbw"],
    ["0f 28 c1", "movaps xmm0, xmm1"],
    ["66 0f 6f 06", "movdqa xmm0, xmmword [esi]"],
    ["d8 c1", "fadd st0, st1"],
    ["dd 45 08", "fld qword [ebp+0x8]"],
    ["0f a2", "cpuid"],
    ["90", "nop"],
    ["cd 80", "int 0x80"],
  ])("%s is %s", (hex, expected) => {
    // The table calls the condition by either of its names.
    expect(text(hex).replace(/^je /, "jz ")).toBe(expected);
  });

  it("follows the mode: 16-bit code has 16-bit operands and addresses", () => {
    expect(text("8b 46 fe", false)).toBe("mov ax, word [bp-0x2]");
    expect(text("66 8b 46 fe", false)).toBe("mov eax, dword [bp-0x2]");
    expect(text("67 8b 03", false)).toBe("mov ax, word [ebx]");
    expect(text("eb fe", false, 0xfff0)).toBe("jmp 0xfff0");
    expect(text("e9 0d 00", false, 0xfff0)).toBe("jmp 0x0");
  });

  it("says a byte of data for what is no instruction, and for what is cut off", () => {
    expect(disassemble(Uint8Array.of(0x0f, 0xff), 0)).toEqual({ text: "db 0x0f", length: 1 });
    expect(disassemble(Uint8Array.of(0xb8, 1, 2), 0)).toEqual({ text: "db 0xb8", length: 1 });
    expect(disassemble(new Uint8Array(0), 0)).toEqual({ text: "db 0x00", length: 1 });
    expect(disassemble(new Uint8Array(20).fill(0x66), 0)).toEqual({ text: "db 0x66", length: 1 });
  });

  it.skipIf(!hasObjdump)("finds the same lengths as objdump, for every row of the opcode table in both modes", () => {
    const wrong: string[] = [];
    for (const is32 of [true, false]) {
      const samples = allRows.flatMap((row) => encodings(row));
      const lengths = objdumpLengths(samples, is32);
      samples.forEach((bytes, i) => {
        const own = disassemble(bytes, 0, is32);
        if (own.length !== lengths[i])
          wrong.push(
            `${is32 ? 32 : 16}: ${Buffer.from(bytes).toString("hex")} ${own.text}: ${own.length}, objdump ${lengths[i]}`,
          );
      });
      expect(samples.length).toBeGreaterThan(2000);
    }
    expect(wrong).toEqual([]);
  });
});

/** Several encodings of a row: register form, and memory forms with each length of displacement. */
function encodings(row: OpcodeRow): Uint8Array[] {
  const prefix = row.prefix && row.prefix !== "none" ? [Number.parseInt(row.prefix, 16)] : [];
  // Where objdump of binutils 2.40 is stricter than the CPU: MPX and PREFETCHW registers, rm of the fences.
  if (["0F 0D", "0F 1A", "0F 1B"].includes(row.code)) return [];
  const rm = row.rm ?? (row.mnemonic.endsWith("fence") ? 0 : 3);
  const opcode = row.code
    .replace("+", "")
    .split(" ")
    .map((byte) => Number.parseInt(byte, 16));
  const reg = (row.ext ?? 1) << 3;
  const modrms: number[][] = [];
  if (row.mod !== "mem") modrms.push([0xc0 | reg | rm]);
  // MOV CRn and DRn take any mod as a register.
  if (row.mod !== "reg" && row.rm === undefined && !row.operands.includes("Rd")) {
    modrms.push(
      [0x03 | reg],
      [0x45 | reg],
      [0x86 | reg],
      [0x04 | reg, 0x25],
      [0x44 | reg, 0x8b],
      [0x05 | reg],
      [0x06 | reg],
    );
  }
  return modrms.map((modrm) =>
    Uint8Array.from([...prefix, ...opcode, ...modrm, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]).subarray(0, 15),
  );
}

/** objdump decodes each sample at an address of its own; the bytes that it shows are the length. */
function objdumpLengths(samples: readonly Uint8Array[], is32: boolean): number[] {
  const stride = 32;
  const image = Buffer.alloc(samples.length * stride, 0x90);
  for (const [i, sample] of samples.entries()) image.set(sample, i * stride);
  const file = join(folder, is32 ? "32.bin" : "16.bin");
  writeFileSync(file, image);
  const { stdout } = spawnSync(
    "objdump",
    ["-D", "-b", "binary", "-m", is32 ? "i386" : "i8086", "-w", "--insn-width=16", file],
    { encoding: "utf8", maxBuffer: 1 << 28 },
  );
  const lengths: number[] = [];
  for (const line of stdout.split("\n")) {
    const match = /^ *([0-9a-f]+):\t((?:[0-9a-f]{2} )+)/.exec(line);
    if (!match) continue;
    const address = Number.parseInt(match[1] ?? "", 16);
    // Samples are padded with more bytes than any instruction has, then NOPs up to the next one: always in step.
    if (address % stride === 0) lengths[address / stride] = (match[2] ?? "").trim().split(" ").length;
  }
  return lengths;
}
