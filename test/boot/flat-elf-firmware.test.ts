import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { prepareBoot } from "../../src/boot/index.ts";
import type { BootSource } from "../../src/vmm/config.ts";
import { FakeMachine } from "./fake-machine.ts";
import { makeElf } from "./made-images.ts";
import { qemuIsInstalled, runInQemu } from "./qemu-handover.ts";

const MIB = 1 << 20;
const boot = async (source: BootSource, machine = new FakeMachine(8 * MIB)): Promise<FakeMachine> => {
  await prepareBoot(source, machine);
  return machine;
};
// mov dx, 3f8h; mov al, 'K'; out dx, al; hlt; jmp $ (32-bit code)
const printK = Uint8Array.of(0x66, 0xba, 0xf8, 0x03, 0xb0, 0x4b, 0xee, 0xf4, 0xeb, 0xfd);

describe("flat binaries", () => {
  it("start in real mode as a BIOS starts a boot sector", async () => {
    const { registers, ram } = await boot({ kind: "flat", image: printK, address: 0x7c00, mode: "real" });
    expect(registers).toMatchObject({ eip: 0x7c00, esp: 0x7c00, edx: 0x80, eflags: 2, cr0: 0x10 });
    expect(registers.cs).toEqual({ selector: 0, base: 0, limit: 0xffff, attr: 0x9b });
    expect(registers.ss).toEqual({ selector: 0, base: 0, limit: 0xffff, attr: 0x93 });
    expect([...ram.subarray(0x7c00, 0x7c0a)]).toEqual([...printK]);
  });

  it("start in real mode above 64 KiB by their 64 KiB frame", async () => {
    const { registers } = await boot({
      kind: "flat",
      image: new Uint8Array(64),
      address: 0x31230,
      entry: 0x31234,
      mode: "real",
    });
    expect(registers).toMatchObject({ eip: 0x1234, cs: { selector: 0x3000, base: 0x30000 }, ds: { selector: 0x3000 } });
  });

  it("start in protected mode with a GDT, unless they cover it themselves", async () => {
    const high = await boot({ kind: "flat", image: printK, address: 0x100000 });
    expect(high.registers).toMatchObject({
      eip: 0x100000,
      esp: 0,
      cr0: 0x11,
      cs: { selector: 8 },
      ds: { selector: 16 },
    });
    expect(high.u32(0x1000 + 12)).toBe(0x00cf9b00);
    const low = await boot({ kind: "flat", image: new Uint8Array(0x2000).fill(0x90), address: 0x800 });
    expect(low.u32(0x1000)).toBe(0x90909090);
  });

  it.each([
    ["an entry outside", { address: 0x100000, entry: 0x200000 }, /boot\.entry 0x200000 lies outside.*0x100000/],
    ["a negative address", { address: -4 }, /boot\.address is -4; an integer from 0/],
    ["a fraction", { address: 0.5 }, /boot\.address is 0\.5/],
    ["real mode above 1 MiB", { address: 0x100000, mode: "real" as const }, /cannot be reached in real mode/],
    ["memory that is not there", { address: 0x7ffff8 }, /needs memory 0x7ffff8.*RAM ends at 0x800000/],
    ["the video memory", { address: 0xa0000 }, /needs memory 0xa0000/],
  ])("are refused with %s", async (_, fields, message) => {
    await expect(boot({ kind: "flat", image: printK, ...fields })).rejects.toThrow(message);
  });

  it.skipIf(!qemuIsInstalled)("run in QEMU as handed over", async () => {
    expect(await runInQemu(await boot({ kind: "flat", image: printK, address: 0x200000 }), /K/, 10_000)).toBe("K");
  });
});

describe("ELF programs", () => {
  const elf = (
    overrides: Partial<{ vaddr: number; paddr: number; memoryBytes: number; entry: number }> = {},
  ): Uint8Array => {
    const { vaddr = 0x100000, paddr = 0x100000, memoryBytes = 0x100, entry = vaddr } = overrides;
    return makeElf({ entry, segments: [{ vaddr, paddr, data: printK, memoryBytes }] });
  };

  it("linked high and loaded low are entered at the physical address", async () => {
    const { registers } = await boot({ kind: "elf", kernel: elf({ vaddr: 0xc0100000, entry: 0xc0100002 }) });
    expect(registers.eip).toBe(0x100002);
  });

  it("whose header page lies below 1 MiB, as GNU ld makes them, leave the BIOS area alone", async () => {
    const data = new Uint8Array(0x1010).fill(0x77);
    const image = makeElf({
      entry: 0x100000,
      segments: [{ vaddr: 0xff000, paddr: 0xff000, data, memoryBytes: 0x1020 }],
    });
    new DataView(image.buffer).setUint32(52 + 4, 0, true);
    const machine = await boot({ kind: "elf", kernel: image });
    expect(machine.writes.every((write) => write.end <= 0xa0000 || write.base >= 0x100000)).toBe(true);
    expect(machine.ram[0x10000f]).toBe(0x77);
    expect([...machine.ram.subarray(0x100010, 0x100021)]).toEqual([...new Array(16).fill(0), 0xa5]);
  });

  it("with many segments are loaded or refused in a moment", async () => {
    const segments = Array.from({ length: 5000 }, (_, index) => ({
      vaddr: 0x200000 + index * 32,
      paddr: 0x200000 + index * 32,
      data: Uint8Array.of(index),
      memoryBytes: 1,
    }));
    const start = performance.now();
    await expect(boot({ kind: "elf", kernel: makeElf({ entry: 0x200000, segments }) })).rejects.toThrow(
      /5000 separate memory regions/,
    );
    expect(performance.now() - start).toBeLessThan(2000);
  });

  const change = (offset: number, value: number, bytes = 2): Uint8Array => {
    const image = elf();
    if (bytes === 2) new DataView(image.buffer).setUint16(offset, value, true);
    else new DataView(image.buffer).setUint32(offset, value, true);
    return image;
  };
  it.each([
    ["another machine", change(18, 40), /e_machine 40; 3 is accepted/],
    ["a shared object", change(16, 3), /e_type 3; 2 is accepted.*without -pie/],
    ["no program headers", change(44, 0), /e_phnum 0/],
    ["a table outside the file", change(28, 0xfffffff0, 4), /ends too early: the program header table/],
    ["a segment outside the file", change(52 + 4, 0xfffff000, 4), /ends too early: the segment of program header 0/],
    ["more in the file than in memory", change(52 + 20, 1, 4), /p_filesz 0xa above p_memsz 0x1/],
    ["a segment of 4 GiB", change(52 + 20, 0xffffffff, 4), /needs memory 0x100000.*give the VM at least 4097 MiB/],
  ])("are refused with %s, naming the field", async (_, kernel, message) => {
    await expect(boot({ kind: "elf", kernel })).rejects.toThrow(message);
  });

  it("with overlapping segments are refused", async () => {
    const segment = { vaddr: 0x100000, paddr: 0x100000, data: printK, memoryBytes: 64 };
    const kernel = makeElf({ entry: 0x100000, segments: [segment, { ...segment, paddr: 0x100020 }] });
    await expect(boot({ kind: "elf", kernel })).rejects.toThrow(/overlap at physical address 0x100020/);
  });
});

describe("firmware images", () => {
  it("go to the machine when a flash chip could hold them", async () => {
    const image = new Uint8Array(0x20000);
    expect((await boot({ kind: "firmware", image })).firmware).toBe(image);
  });

  it("are refused in any other size", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 0, max: 300_000 }).filter((bytes) => bytes % 0x10000 !== 0 || bytes === 0),
        async (bytes) => {
          const refused = boot({ kind: "firmware", image: new Uint8Array(bytes) });
          await expect(refused).rejects.toThrow(`${bytes} bytes`);
        },
      ),
      { numRuns: 20 },
    );
  });
});

it("an unknown boot kind is named with the accepted ones", async () => {
  await expect(boot({ kind: "pxe" } as unknown as BootSource)).rejects.toThrow(
    /boot\.kind is "pxe"; "linux", "multiboot"/,
  );
});
