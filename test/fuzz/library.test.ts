// Anything at all as configuration or image: the library answers with a VmError, never with another exception, and a boot
// source never writes outside the guest.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { prepareBoot } from "../../src/boot/index.ts";
import { checkConfig } from "../../src/vmm/check-config.ts";
import type { BootSource, VmConfig } from "../../src/vmm/config.ts";
import { VmError } from "../../src/vmm/error.ts";
import { FakeMachine } from "../boot/fake-machine.ts";
import { makeBzImage, makeElf } from "../boot/made-images.ts";

const MIB = 1 << 20;
const FIELDS = [
  "name",
  "memoryBytes",
  "cpu",
  "clock",
  "nsPerInstruction",
  "boot",
  "postPort",
  "apic",
  "acpi",
  "wallSeconds",
  "serialPorts",
  "debugExitPort",
  "testDevice",
  "onReset",
  "onTripleFault",
  "timeoutMs",
  "signal",
  "trace",
] as const;

const odd = fc.oneof(
  fc.anything(),
  fc.constantFrom(
    Number.NaN,
    Number.POSITIVE_INFINITY,
    -0,
    -1,
    0.5,
    2 ** 31,
    2 ** 32,
    2 ** 53,
    1e308,
    "",
    "0",
    "\0",
    null,
    [],
    {},
    1n,
  ),
  fc.double(),
  fc.integer(),
  fc.string(),
);

function oneSentence(error: unknown, field?: string): void {
  expect(error).toBeInstanceOf(VmError);
  const { message } = error as VmError;
  expect(message).not.toMatch(/\n|\[object|undefined is not|Cannot read/);
  expect(message.length).toBeGreaterThan(10);
  if (field !== undefined) expect(message).toContain(field);
}

describe("a configuration", () => {
  const good: VmConfig = { boot: { kind: "flat", image: new Uint8Array(16), address: 0x7c00 } };
  for (const field of FIELDS) {
    it(`with anything as ${field}`, () => {
      fc.assert(
        fc.property(odd, (value) => {
          try {
            checkConfig({ ...good, [field]: value } as VmConfig);
          } catch (error) {
            oneSentence(error, field);
          }
        }),
        { numRuns: 300 },
      );
    });
  }

  it("that is no object, or one with an unknown field", () => {
    for (const config of [undefined, null, 5, "x", [], () => 0]) {
      let error: unknown;
      try {
        checkConfig(config as unknown as VmConfig);
      } catch (caught) {
        error = caught;
      }
      oneSentence(error);
    }
  });
});

/** An image with some bytes changed, cut off anywhere. */
const spoilt = (image: Uint8Array): fc.Arbitrary<Uint8Array> =>
  fc
    .record({
      cut: fc.oneof(fc.constant(image.length), fc.nat(image.length)),
      changes: fc.array(
        fc.record({
          at: fc.oneof(fc.nat(Math.min(image.length, 2048) - 1), fc.nat(image.length - 1)),
          to: fc.constantFrom(0, 1, 0x7f, 0x80, 0xff),
        }),
        { maxLength: 12 },
      ),
    })
    .map(({ cut, changes }) => {
      const copy = image.slice();
      for (const { at, to } of changes) copy[at] = to;
      return copy.slice(0, cut);
    });

describe("an image", () => {
  const code = Uint8Array.of(0xf4, 0xeb, 0xfd);
  const elf = makeElf({
    entry: 0x100000,
    segments: [{ vaddr: 0xc0100000, paddr: 0x100000, data: code, memoryBytes: code.length }],
  });
  const bzImage = makeBzImage(elf);
  const multiboot = new Uint8Array(8192);
  for (const [i, word] of [
    0x1badb002,
    0x10003,
    -(0x1badb002 + 0x10003),
    0x100000,
    0x100000,
    0x101000,
    0x102000,
    0x100020,
  ].entries())
    new DataView(multiboot.buffer).setUint32(i * 4, word >>> 0, true);
  const bytes = fc.uint8Array({ maxLength: 4096 });
  const sources: readonly (readonly [string, fc.Arbitrary<BootSource>])[] = [
    ["linux", spoilt(bzImage).map((kernel) => ({ kind: "linux", kernel }))],
    [
      "linux, unpacked by the guest",
      spoilt(bzImage).map((kernel) => ({ kind: "linux", kernel, guestDecompress: true })),
    ],
    [
      "linux with any initrd",
      bytes.map((initrd) => ({ kind: "linux", kernel: bzImage, initrd, append: "x".repeat(initrd.length) })),
    ],
    ["multiboot", spoilt(multiboot).map((kernel) => ({ kind: "multiboot", kernel }))],
    [
      "multiboot with any module",
      bytes.map((image) => ({ kind: "multiboot", kernel: multiboot, modules: [{ image, append: "a" }] })),
    ],
    ["elf", spoilt(elf).map((kernel) => ({ kind: "elf", kernel }))],
    ["firmware", bytes.map((image) => ({ kind: "firmware", image }))],
    [
      "flat",
      fc.record({
        kind: fc.constant("flat" as const),
        image: bytes,
        address: fc.oneof(fc.nat(), fc.double(), fc.integer()),
      }),
    ],
    ["linux from noise", bytes.map((kernel) => ({ kind: "linux", kernel }))],
    ["elf from noise", bytes.map((kernel) => ({ kind: "elf", kernel }))],
    ["multiboot from noise", bytes.map((kernel) => ({ kind: "multiboot", kernel }))],
  ];
  for (const [name, source] of sources) {
    it(name, async () => {
      // the machine is used again: filling 4 MiB for each run would be most of the test
      const machine = new FakeMachine(4 * MIB);
      await fc.assert(
        fc.asyncProperty(source, async (boot) => {
          machine.writes.length = 0;
          try {
            checkConfig({ boot });
            await prepareBoot(boot, machine);
          } catch (error) {
            oneSentence(error);
          }
          for (const { base, end } of machine.writes) {
            expect(base).toBeGreaterThanOrEqual(0);
            expect(end).toBeLessThanOrEqual(machine.ram.length);
          }
        }),
        { numRuns: 200 },
      );
    });
  }
});
