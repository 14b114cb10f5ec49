// Whatever the guest executes, the host gets a word in: no instruction, however long its work, outlasts a timeout by much.
import { describe, expect, it } from "vitest";
import { Vm } from "../../src/index.ts";

const TIMEOUT_MS = 200;

/** Instructions that do much work each, in endless loops, in flat protected mode at 7C00h. */
const LOOPS: readonly (readonly [string, readonly number[]])[] = [
  ["std; rep movsb", [0xfd, 0xb9, 0xff, 0xff, 0xff, 0x7f, 0xf3, 0xa4, 0xeb, 0xf7]],
  ["rep lodsb", [0xb9, 0xff, 0xff, 0xff, 0x7f, 0xf3, 0xac, 0xeb, 0xf7]],
  ["repe cmpsb of equal bytes", [0x31, 0xf6, 0x31, 0xff, 0xb9, 0x00, 0x10, 0x00, 0x00, 0xf3, 0xa6, 0xeb, 0xf3]],
  ["rep stosd", [0xbf, 0x00, 0x00, 0x02, 0x00, 0xb9, 0x00, 0x04, 0x00, 0x00, 0xf3, 0xab, 0xeb, 0xf2]],
  ["rep stosb to a device", [0xbf, 0x00, 0x00, 0x0a, 0x00, 0xb9, 0xff, 0xff, 0xff, 0x3f, 0xf3, 0xaa, 0xeb, 0xf2]],
  ["rep insb", [0xba, 0x60, 0, 0, 0, 0xbf, 0, 0, 0x01, 0, 0xb9, 0xff, 0xff, 0xff, 0x3f, 0xf3, 0x6c, 0xeb, 0xed]],
];

describe.each(["real", "virtual"] as const)("with the %s clock", (clock) => {
  it.each(LOOPS)("%s in a loop can be timed out", async (_, code) => {
    await using vm = await Vm.create({
      memoryBytes: 1 << 20,
      clock,
      boot: { kind: "flat", image: Uint8Array.from(code), address: 0x7c00 },
      timeoutMs: TIMEOUT_MS,
    });
    const start = performance.now();
    vm.start();
    expect(await vm.exited).toEqual({ kind: "timeout" });
    // the unhindered overrun is some milliseconds; ten times the timeout leaves room for a busy host
    expect(performance.now() - start).toBeLessThan(10 * TIMEOUT_MS);
  });
});
