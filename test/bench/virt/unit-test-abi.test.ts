// What kvm-unit-tests are written for: multiboot, pc-testdev, results on COM1, the code through port F4h. It works with
// every device on board and in every form, and QEMU agrees.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { formConfig } from "../../../src/bench/virt/forms.ts";
import { VIRT_FORMS } from "../../../src/bench/virt/measurement.ts";
import { MemoryBackend, Vm, type VmConfig } from "../../../src/index.ts";

const path = fileURLToPath(new URL("../../../roms/kernel/kernel.bin", import.meta.url));
const rom = readFileSync(path);
const hasQemu = spawnSync("qemu-system-i386", ["--version"]).status === 0;
const EXPECTED = [
  "PASS: testdev: a register of 32 bits",
  "PASS: testdev: 8 and 16 bits of it",
  "PASS: testdev: memory",
  "PASS: testdev: interrupts",
  "SUMMARY: 4 tests",
];

const verdicts = (text: string): string[] => text.split(/\r?\n/).filter((line) => /^(PASS|FAIL|SUMMARY)/.test(line));

async function run(config: VmConfig): Promise<{ text: string; status: unknown }> {
  let text = "";
  const vm = await Vm.create({ ...config, clock: "virtual", timeoutMs: 60_000 });
  vm.on("serial", ({ port, bytes }) => {
    if (port === 0) text += Buffer.from(bytes).toString("latin1");
  });
  vm.start();
  const status = await vm.exited;
  await vm[Symbol.asyncDispose]();
  return { text, status };
}

describe("the ABI of kvm-unit-tests", () => {
  it.each(VIRT_FORMS)("works in the %s form, with all devices", { timeout: 60_000 }, async (form) => {
    const config = formConfig({ form, rom, percent: 1 });
    const words = form === "para" ? "virt=para" : "virt=full";
    const { text, status } = await run({
      ...config,
      display: "vga",
      rng: true,
      balloon: true,
      inputs: ["keyboard", "mouse", "tablet"],
      consoles: [{ backend: new MemoryBackend() }],
      boot: { kind: "multiboot", kernel: rom, append: `${words} -- testdev; exit 0` },
    });
    expect(verdicts(text)).toEqual(EXPECTED);
    expect(status).toEqual({ kind: "guest-exit", code: 1 });
  });

  it.skipIf(!hasQemu)("is QEMU's", { timeout: 60_000 }, () => {
    const folder = mkdtempSync(join(tmpdir(), "paravane-testdev-"));
    try {
      const args = `-accel tcg -cpu max -m 16 -display none -monitor none -nodefaults -no-reboot -serial file:${folder}/com1 -device isa-debug-exit,iobase=0xf4,iosize=4 -device pc-testdev -kernel`;
      const { status } = spawnSync("qemu-system-i386", [...args.split(" "), path, "-append", "-- testdev; exit 0"], {
        timeout: 50_000,
      });
      expect(verdicts(readFileSync(join(folder, "com1"), "latin1"))).toEqual(EXPECTED);
      expect(status).toBe(1);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
