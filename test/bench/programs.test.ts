// The benchmark's programs compute the same in a guest as on this machine's own CPU and kernel.
import { expect, test } from "vitest";
import { compileInit, makeBenchGuest } from "../../bench/run/bench-guest.ts";
import { Scratch } from "../../bench/run/guest-files.ts";
import { linuxMissing } from "../../bench/run/instruction-counts.ts";
import { programTimes, runNatively } from "../../bench/run/program-times.ts";
import { runVirtually } from "../../bench/run/virtual-run.ts";
import { VmError } from "../../src/vmm/error.ts";

test("every program gives the result of the real CPU", { timeout: 180_000 }, async ({ skip }) => {
  const missing = await linuxMissing();
  if (missing !== undefined) skip(missing);
  await using scratch = await Scratch.create();
  let init: ReturnType<typeof compileInit>;
  try {
    init = compileInit(scratch);
  } catch (error) {
    if (!(error instanceof VmError && error.code === "host")) throw error;
    return skip(error.message);
  }
  const native = runNatively(init.path, { bench_percent: "3" });
  if (native.length === 0) skip("this host does not run 32-bit Linux programs");
  const { kernel, initrd } = await makeBenchGuest(init);
  const lines: { text: string; atSeconds: number }[] = [];
  await runVirtually(
    { memoryBytes: 64 << 20, boot: { kind: "linux", kernel, initrd, append: "console=ttyS0 bench_percent=3" } },
    undefined,
    (text) => lines.push({ text, atSeconds: 0 }),
  );
  const results = (times: ReturnType<typeof programTimes>) => times.map(({ name, checksum }) => `${name} ${checksum}`);
  expect(results(programTimes(lines))).toEqual(results(native));
});
