// Linux as the guest of the benchmark: in every form and with every switch changed each question has the right answer, and
// the kernel is what the form says.
import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { benchLinux, LINUX_BENCH_MODULES, LINUX_FORMS } from "../../src/bench/virt/bench-linux.ts";
import { openImage, pullGuestImage } from "../../src/images/node/index.ts";

it("answers every question in every form", { timeout: 1_800_000 }, async () => {
  await pullGuestImage("bench-linux", { modules: [...LINUX_BENCH_MODULES] });
  const { kernel, initrd = new Uint8Array() } = await openImage("bench-linux");
  const program = readFileSync(new URL("../../roms/measure/measure.elf", import.meta.url));
  const result = await benchLinux({ kernel, initrd, program, repeats: 1, percent: 5, timeoutMs: 600_000 });
  for (const { operation, failures } of result.operations) expect(failures, operation).toEqual([]);
  const measured = (form: string): string[] =>
    result.operations.filter(({ forms }) => forms[form] !== undefined).map(({ operation }) => operation);
  // The kernel has kvm-clock where it is offered and not refused, and only there.
  const withClock = ["para", "no-steal", "no-eoi", "no-io-delay", "pc-devices"];
  const all = result.operations.map(({ operation }) => operation);
  expect(all.length).toBeGreaterThan(15);
  for (const form of LINUX_FORMS) {
    const expected = withClock.includes(form) ? all : all.filter((operation) => operation !== "linux-clock-kvm-clock");
    expect(measured(form), form).toEqual(expected);
  }
});
