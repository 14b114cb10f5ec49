// The smallest and the largest RAM: the same program finds its end, and addresses have no sign.
import { describe, expect, it } from "vitest";
import { Vm } from "../../src/index.ts";

const MIB = 1 << 20;
const GIB = 1024 * MIB;

const le32 = (value: number): number[] => [value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, value >>> 24];

/**
 * Flat protected mode: fills the last 8 KiB of RAM with REP STOSD, copies 4 KiB of them over a page border with REP MOVSB,
 * compares with REPE CMPSB, adds to a doubleword across a page border, runs code there, and reads one byte behind RAM.
 * Ends with code 0x31 << 1 | 1 when all is as it must be.
 */
function program(ramEnd: number): number[] {
  const fail = [0xb0, 0x7f, 0xe6, 0xf4, 0xf4];
  const code: number[] = [0xbc, ...le32(0x7000)];
  const failUnlessEqual = (): void => void code.push(0x74, fail.length, ...fail); // je past
  code.push(0xfc, 0xb8, ...le32(0x12345678), 0xbf, ...le32(ramEnd - 0x2000), 0xb9, ...le32(0x800), 0xf3, 0xab);
  code.push(0x81, 0xff, ...le32(ramEnd)); // cmp edi, ramEnd
  failUnlessEqual();
  code.push(0xbe, ...le32(ramEnd - 0x2000), 0xbf, ...le32(ramEnd - 0x3800), 0xb9, ...le32(0x1000), 0xf3, 0xa4);
  code.push(0xbe, ...le32(ramEnd - 0x2000), 0xbf, ...le32(ramEnd - 0x3800), 0xb9, ...le32(0x1000), 0xf3, 0xa6);
  failUnlessEqual();
  code.push(0x81, 0x05, ...le32(ramEnd - 0x1002), ...le32(0x11111111)); // add dword [across], imm
  code.push(0x81, 0x3d, ...le32(ramEnd - 0x1002), ...le32(0x67892345)); // 0x56781234 + 0x11111111
  failUnlessEqual();
  code.push(0xc6, 0x05, ...le32(ramEnd - 1), 0xc3, 0xb8, ...le32(ramEnd - 1), 0xff, 0xd0); // ret at the last byte, called
  code.push(0x80, 0x3d, ...le32(ramEnd), 0xff); // cmp byte [ramEnd], 0xff: nothing is there
  failUnlessEqual();
  code.push(0xb0, 0x31, 0xe6, 0xf4, 0xf4);
  return code;
}

describe("RAM", () => {
  it.each([
    ["1 MiB", MIB],
    ["2 GiB less a page", 2 * GIB - 4096],
    ["2 GiB", 2 * GIB],
    ["2 GiB and a page", 2 * GIB + 4096],
    ["3 GiB", 3 * GIB],
  ])("of %s is usable to its last byte", { timeout: 30_000 }, async (_, memoryBytes) => {
    await using vm = await Vm.create({
      memoryBytes,
      clock: "virtual",
      boot: { kind: "flat", image: Uint8Array.from(program(memoryBytes)), address: 0x7c00 },
      timeoutMs: 20_000,
    });
    vm.start();
    expect(await vm.exited).toEqual({ kind: "guest-exit", code: (0x31 << 1) | 1 });
  });
});
