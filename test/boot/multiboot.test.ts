import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { prepareBoot } from "../../src/boot/index.ts";
import { findMultibootHeader } from "../../src/boot/multiboot.ts";
import { FakeMachine } from "./fake-machine.ts";
import { qemuIsInstalled, runInQemu } from "./qemu-handover.ts";

const mbdump = new Uint8Array(readFileSync(new URL("./fixtures/mbdump.elf", import.meta.url)));
const header = (flags: number): number[] => [0x1badb002, flags, -(0x1badb002 + flags) >>> 0];
const words = (...values: number[]): Uint8Array => new Uint8Array(Uint32Array.from(values).buffer);

describe("multiboot header search", () => {
  it("finds a header at the last possible offset of the first 8 KiB and none beyond", () => {
    const image = new Uint8Array(16384);
    image.set(words(...header(3)), 8192 - 12);
    expect(findMultibootHeader(image)?.offset).toBe(8180);
    image.fill(0).set(words(...header(3)), 8192 - 8);
    expect(findMultibootHeader(image)).toBeUndefined();
  });

  it("passes over a magic with a wrong checksum and over one that is not aligned", () => {
    const image = new Uint8Array(4096);
    image.set(words(0x1badb002, 3, 1), 16);
    image.set(words(...header(0)), 102);
    image.set(words(...header(2)), 400);
    expect(findMultibootHeader(image)).toEqual({ offset: 400, flags: 2 });
  });
});

describe("multiboot kernels with load addresses in the header", () => {
  const flags = 1 << 16;
  const image = (fields: number[]): Uint8Array => {
    const bytes = new Uint8Array(0x300).fill(0x90);
    bytes.set(words(...header(flags), ...fields), 0x40);
    return bytes;
  };
  const boot = async (fields: number[], machine = new FakeMachine(8 << 20)): Promise<FakeMachine> => {
    await prepareBoot({ kind: "multiboot", kernel: image(fields) }, machine);
    return machine;
  };

  it("loads the given range, zeroes the bss and enters at entry_addr", async () => {
    const machine = await boot([0x200040, 0x200000, 0x200100, 0x200180, 0x200044]);
    expect(machine.registers).toMatchObject({ eip: 0x200044, eax: 0x2badb002, ebx: 0x9000, cr0: 0x11 });
    expect(machine.u32(0x200040)).toBe(0x1badb002);
    expect([...machine.ram.subarray(0x2000fe, 0x200102)]).toEqual([0x90, 0x90, 0, 0]);
    expect(machine.ram[0x200180]).toBe(0xa5);
  });

  it("loads to the end of the file when load_end_addr is zero, and less of its start when load_addr says so", async () => {
    const machine = await boot([0x200000, 0x200000, 0, 0, 0x200000]);
    expect(machine.u32(0x200000)).toBe(0x1badb002);
    expect(machine.ram[0x200000 + 0x300 - 0x40 - 1]).toBe(0x90);
    expect(machine.ram[0x200000 + 0x300 - 0x40]).toBe(0xa5);
  });

  it.each([
    ["header_addr below load_addr", [0x200000, 0x200040, 0, 0, 0x200040]],
    ["header_addr further above load_addr than the header's offset", [0x200080, 0x200000, 0, 0, 0x200000]],
    ["load_end_addr below load_addr", [0x200040, 0x200000, 0x1ff000, 0, 0x200000]],
    ["load_end_addr behind the file", [0x200040, 0x200000, 0x201000, 0, 0x200000]],
    ["bss_end_addr below the loaded data", [0x200040, 0x200000, 0x200100, 0x200080, 0x200000]],
    ["a bss of 4 GiB", [0x200040, 0x200000, 0x200100, 0xffffffff, 0x200000]],
    ["an address in the BIOS area", [0xf0040, 0xf0000, 0, 0, 0xf0000]],
  ])("refuses %s", async (_, fields) => {
    await expect(boot(fields)).rejects.toMatchObject({ name: "VmError", code: "bad-image" });
  });
});

describe("multiboot hand-over", () => {
  const modules = [
    { image: new Uint8Array(5000).map((_, index) => index * 7), append: "first.bin one two" },
    { image: new Uint8Array(70_000).map((_, index) => index >> 3), append: "second.bin" },
  ];

  it("refuses an ELF file for x86-64 and a file without header, naming what it found", async () => {
    const wide = mbdump.slice();
    wide[4] = 2;
    await expect(prepareBoot({ kind: "multiboot", kernel: wide }, new FakeMachine())).rejects.toThrow(
      /64-bit ELF.*i386/,
    );
    const none = prepareBoot({ kind: "multiboot", kernel: new Uint8Array(100) }, new FakeMachine());
    await expect(none).rejects.toThrow(/no multiboot header.*0x1badb002/);
  });

  it("does not leave room for modules that memory does not have", async () => {
    const machine = new FakeMachine(2 << 20);
    const huge = { image: new Uint8Array(4 << 20), append: "huge" };
    const boot = prepareBoot({ kind: "multiboot", kernel: mbdump, modules: [huge] }, machine);
    await expect(boot).rejects.toThrow(/multiboot module 1 needs memory.*give the VM at least/);
  });

  it.skipIf(!qemuIsInstalled)(
    "gives a kernel what `qemu -kernel` gives it",
    async () => {
      const directory = mkdtempSync(join(tmpdir(), "paravane-multiboot-"));
      try {
        for (const module of modules)
          writeFileSync(join(directory, module.append.split(" ")[0] as string), module.image);
        const kernel = join(directory, "kernel.elf");
        writeFileSync(kernel, mbdump);
        const args = ["-accel", "tcg", "-m", "64", "-net", "none", "-nographic", "-no-reboot", "-kernel", kernel];
        args.push("-append", "a b=c", "-initrd", modules.map((module) => module.append).join(","));
        const reference = await untilDone(args, directory);
        const machine = new FakeMachine(64 << 20);
        await prepareBoot({ kind: "multiboot", kernel: mbdump, name: kernel, append: "a b=c", modules }, machine);
        const ours = facts(await runInQemu(machine, /done\n/, 20_000));
        expect(ours).toEqual(facts(reference));
        expect(ours).toContain("mods-count 00000002");
      } finally {
        rmSync(directory, { recursive: true, force: true });
      }
    },
    60_000,
  );
});

/** The program's lines; the firmware's before them are not of interest. */
function facts(output: string): string[] {
  const lines = output.replaceAll("\r", "").split("\n");
  const first = lines.findIndex((line) => line.includes("magic "));
  return lines
    .slice(first, lines.indexOf("done"))
    .map((line, index) => (index === 0 ? line.replace(/^.*magic/, "magic") : line));
}

async function untilDone(args: string[], cwd: string): Promise<string> {
  const child = spawn("qemu-system-i386", args, { cwd });
  let output = "";
  return await new Promise((resolve) => {
    const timer = setTimeout(() => child.kill("SIGKILL"), 20_000);
    child.stdout.on("data", (chunk: Buffer) => {
      output += chunk.toString("latin1");
      if (output.includes("done\n")) child.kill("SIGKILL");
    });
    child.on("close", () => {
      clearTimeout(timer);
      resolve(output);
    });
  });
}
