import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { detectBootKind, detectImageKind } from "../../src/boot/detect.ts";
import { prepareBoot } from "../../src/boot/index.ts";
import { openImage } from "../../src/images/node/index.ts";
import type { BootSource } from "../../src/vmm/config.ts";
import { VmError } from "../../src/vmm/error.ts";
import { FakeMachine } from "./fake-machine.ts";
import { makeBzImage, makeElf } from "./made-images.ts";
import { qemuIsInstalled, runInQemu } from "./qemu-handover.ts";

const MIB = 1 << 20;
const code = Uint8Array.of(0xf4, 0xeb, 0xfd);
const elf = makeElf({
  entry: 0x1000000,
  segments: [{ vaddr: 0xc1000000, paddr: 0x1000000, data: code, memoryBytes: 0x3000 }],
});
const bzImage = (changes: Parameters<typeof makeBzImage>[1] = {}): Uint8Array => makeBzImage(gzipSync(elf), changes);

const boot = async (source: Partial<Extract<BootSource, { kind: "linux" }>>, machine = new FakeMachine(64 * MIB)) => {
  await prepareBoot({ kind: "linux", kernel: bzImage(), ...source }, machine);
  return machine;
};

describe("starting Linux by the 32-bit boot protocol", () => {
  it("unpacks the kernel, loads its segments at their physical addresses and zeroes the bss", async () => {
    const machine = await boot({});
    expect([...machine.ram.subarray(0x1000000, 0x1000004)]).toEqual([...code, 0]);
    expect(machine.ram[0x1002fff]).toBe(0);
    expect(machine.ram[0x1003000]).toBe(0xa5);
    expect(machine.registers.eip).toBe(0x1000000);
  });

  it("hands over as the protocol says: flat segments 10h and 18h, ESI at the zero page, EBP EDI EBX zero, IF clear", async () => {
    const { registers, ...machine } = await boot({});
    expect(registers).toMatchObject({ ebp: 0, edi: 0, ebx: 0, eflags: 2, cr0: 0x11, esi: 0x10000 });
    expect(registers.cs).toMatchObject({ selector: 0x10, base: 0, limit: 0xffffffff, attr: 0xc09b });
    for (const segment of [registers.ds, registers.es, registers.ss]) {
      expect(segment).toMatchObject({ selector: 0x18, base: 0, limit: 0xffffffff, attr: 0xc093 });
    }
    const gdt = new DataView(machine.ram.buffer, registers.gdtr?.base);
    expect(gdt.getBigUint64(0x10, true)).toBe(0x00cf9b000000ffffn);
    expect(gdt.getBigUint64(0x18, true)).toBe(0x00cf93000000ffffn);
  });

  it("fills the zero page: header, loader type, command line, initrd, memory map, RSDP", async () => {
    const machine = new FakeMachine(64 * MIB);
    Object.assign(machine, { acpiRsdp: 0xe0010 });
    const initrd = new Uint8Array(10_000).fill(0x42);
    await boot({ append: "console=ttyS0 x=ü", initrd }, machine);
    const zero = 0x10000;
    expect(machine.u16(zero + 0x1fe)).toBe(0xaa55);
    expect(machine.u32(zero + 0x202)).toBe(0x53726448);
    expect(machine.ram[zero + 0x210]).toBe(0xff);
    expect(machine.ram[zero + 0x211]).toBe(1);
    expect(machine.text(machine.u32(zero + 0x228))).toBe("console=ttyS0 x=ü");
    expect(machine.u32(zero + 0x70)).toBe(0xe0010);
    expect(machine.ram[zero + 0x1ef]).toBe(0);
    const at = machine.u32(zero + 0x218);
    expect(at).toBe(64 * MIB - 3 * 4096);
    expect(machine.u32(zero + 0x21c)).toBe(10_000);
    expect(machine.ram.subarray(at, at + 10_000)).toEqual(initrd);
    expect(machine.ram[zero + 0x1e8]).toBe(machine.e820.length);
    machine.e820.forEach((row, index) => {
      const entry = zero + 0x2d0 + index * 20;
      expect([machine.u32(entry), machine.u32(entry + 8), machine.u32(entry + 16)]).toEqual([
        row.base,
        row.size,
        row.type,
      ]);
    });
  });

  it("starts the image's own decompressor at 1 MiB when asked, or when it does not know the compression", async () => {
    for (const source of [{ guestDecompress: true }, { kernel: makeBzImage(Uint8Array.of(1, 2, 3, 4, 5, 6)) }]) {
      const machine = await boot(source);
      expect(machine.registers.eip).toBe(0x100000);
      const kernel = "kernel" in source ? source.kernel : bzImage();
      expect([...machine.ram.subarray(0x100000, 0x100010)]).toEqual([...(kernel as Uint8Array).subarray(1024, 1040)]);
    }
  });

  it("accepts an image whose last paragraph is not padded, and none that is shorter", async () => {
    const payload = Uint8Array.of(1, 2, 3, 4, 5, 6);
    const whole = makeBzImage(payload);
    expect((await boot({ kernel: whole.slice(0, -8) })).registers.eip).toBe(0x100000);
    await expect(boot({ kernel: whole.slice(0, -16) })).rejects.toThrow(/incomplete/);
  });

  it("starts a vmlinux without a setup header", async () => {
    const machine = await boot({ kernel: elf });
    expect(machine.registers.eip).toBe(0x1000000);
    expect(machine.u32(0x10202)).toBe(0x53726448);
  });

  it.each([
    ["protocol 2.05", { version: 0x0205 }, /boot protocol 2.05; 2.06/],
    ["a zImage", { loadflags: 0 }, /zImage/],
    ["an x86-64 kernel", { xloadflags: 1 }, /x86-64.*linux-image-686/],
    ["a setup larger than the file", { setupSects: 255 }, /is incomplete: setup_sects 255/],
    ["code larger than the file", { syssize: 0xffffffff }, /is incomplete:.*syssize 0xffffffff/],
    ["a payload outside the code", { payloadOffset: 0x7fffffff }, /payload_offset 0x7fffffff/],
    ["more memory than there is", { initSize: 0x10000000 }, /init_size 0x10000000.*at least 272 MiB/],
    [
      "a header magic that is something else",
      { magic: 0x12345678 },
      /boot_flag is 0xaa55 and the header magic 0x12345678/,
    ],
  ])("refuses %s, naming the field", async (_, changes, message) => {
    await expect(boot({ kernel: bzImage(changes) })).rejects.toThrow(message);
  });

  it("refuses a command line above cmdline_size, a NUL in it, and an initrd that does not fit", async () => {
    await expect(boot({ append: "x".repeat(2048) })).rejects.toThrow(
      /2048 bytes; this kernel accepts 2047 \(cmdline_size\)/,
    );
    await expect(boot({ append: "a\0b" })).rejects.toMatchObject({ code: "bad-config" });
    await expect(boot({ initrd: new Uint8Array(60 * MIB) })).rejects.toThrow(
      /initrd of 60 MiB does not fit.*give the VM more memory/,
    );
    const low = bzImage({ initrdAddrMax: 0x10fffff });
    await expect(boot({ kernel: low, initrd: new Uint8Array(MIB) })).rejects.toThrow(/initrd_addr_max/);
  });

  it("keeps an initrd below initrd_addr_max and the guest's direct map when there is more memory", async () => {
    const machine = await boot({ kernel: bzImage({ initrdAddrMax: 0x1ffffff }), initrd: new Uint8Array(4097) });
    expect(machine.u32(0x10218)).toBe(0x2000000 - 8192);
  });
});

describe("images that are anything at all", () => {
  const kinds = ["linux", "multiboot", "elf", "firmware"] as const;
  // One for all: what memory holds does not matter here, and filling it takes longer than booting.
  const machine = new FakeMachine(32 * MIB);
  const expectVmError = async (source: BootSource): Promise<void> => {
    const start = performance.now();
    machine.writes.length = 0;
    try {
      await prepareBoot(source, machine);
      const end = Math.max(0, ...machine.writes.map((write) => write.end));
      expect(end).toBeLessThanOrEqual(32 * MIB);
    } catch (error) {
      expect(error).toBeInstanceOf(VmError);
      expect((error as Error).message).toMatch(/^[A-Z].*[.]$/s);
    }
    expect(performance.now() - start).toBeLessThan(5000);
  };
  const sourceOf = (kind: (typeof kinds)[number], bytes: Uint8Array): BootSource =>
    kind === "firmware" ? { kind, image: bytes } : { kind, kernel: bytes };

  it("random bytes give one VmError", async () => {
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...kinds), fc.uint8Array({ maxLength: 20_000 }), async (kind, bytes) => {
        detectImageKind(bytes);
        await expectVmError(sourceOf(kind, bytes));
      }),
      { numRuns: 200 },
    );
  });

  it.each([
    ["bzImage", "linux", bzImage()],
    ["ELF", "elf", elf],
    ["multiboot", "multiboot", new Uint8Array(readFileSync(new URL("./fixtures/mbdump.elf", import.meta.url)))],
  ] as const)(
    "a %s cut anywhere, or with header fields changed, boots or gives one VmError",
    async (_, kind, image) => {
      const words = fc.constantFrom(0, 1, 0xff, 0x7fff, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff, 0xfffff000);
      await fc.assert(
        fc.asyncProperty(
          fc.nat(image.length),
          fc.array(fc.tuple(fc.nat(Math.min(image.length, 0x300) - 4), words), { maxLength: 4 }),
          fc.boolean(),
          async (cut, changes, whole) => {
            const bytes = image.slice();
            const view = new DataView(bytes.buffer);
            for (const [at, value] of changes) view.setUint32(at, value, true);
            await expectVmError(sourceOf(kind, whole ? bytes : bytes.slice(0, cut)));
          },
        ),
        { numRuns: 400 },
      );
    },
  );
});

describe("what a file is", () => {
  it("is told from its bytes", () => {
    const firmware = new Uint8Array(0x20000);
    firmware[firmware.length - 16] = 0xea;
    const sector = new Uint8Array(512);
    sector.set([0x55, 0xaa], 510);
    const banner = makeElf({
      entry: 0x1000000,
      segments: [{ vaddr: 0, paddr: 0x1000000, data: new TextEncoder().encode("Linux version 6"), memoryBytes: 64 }],
    });
    expect([bzImage(), elf, banner, firmware, sector, new Uint8Array(100)].map(detectImageKind)).toEqual([
      "linux",
      "elf",
      "linux",
      "firmware",
      "boot-sector",
      undefined,
    ]);
    expect(detectBootKind(sector)).toBeUndefined();
  });
});

// Debian's kernel and the tiny one, when they have been pulled (paravane images pull linux).
const pulled = new Map(
  await Promise.all(
    ["linux", "linux-tiny"].map(async (name) => [name, await openImage(name).catch(() => undefined)] as const),
  ),
);

describe.skipIf(!qemuIsInstalled)("real kernels, handed over to QEMU's CPU and PC", () => {
  for (const [name, guestDecompress] of [
    ["linux-tiny", false],
    ["linux-tiny", true],
    ["linux", false],
  ] as const) {
    const image = pulled.get(name);
    it.skipIf(!image)(
      `${name} runs to its init (guestDecompress: ${guestDecompress})`,
      async () => {
        const machine = new FakeMachine(256 * MIB);
        const { kernel = new Uint8Array(), initrd = new Uint8Array(), append = "" } = image ?? {};
        const run = `${append} paravane.run="cat /proc/iomem"`;
        await prepareBoot({ kind: "linux", kernel, initrd, append: run, guestDecompress }, machine);
        const output = await runInQemu(machine, /paravane: exit \d/, 60_000);
        expect(output).toContain("paravane: exit 0");
        expect(output).toContain("00100000-0fffffff : System RAM");
      },
      90_000,
    );
  }
});
