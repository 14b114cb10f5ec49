// What a guest cannot do to others and to the host, whatever it does. What is about time is in isolation.quiet.test.ts.
import { afterEach, describe, expect, it } from "vitest";
import { type BootSource, Host, type VmStatistics } from "../../src/index.ts";
import { ECHO, FLOOD, untilPrinted } from "./guests.ts";
import * as hostile from "./hostile-guests.ts";

const MIB = 2 ** 20;
const open: Host[] = [];
afterEach(async () => {
  for (const host of open.splice(0)) await host.close();
});

async function makeHost(threads: "workers" | "in-process"): Promise<Host> {
  const host = await Host.create({ threads, pcpus: 1, policy: "rr" });
  open.push(host);
  return host;
}

const printed = (vm: { scrollback(): Uint8Array }): string => new TextDecoder().decode(vm.scrollback());

describe.each(["workers", "in-process"] as const)("a guest (%s)", (threads) => {
  it("finds its memory zero at first, then what it wrote itself, and nothing behind its end", async () => {
    const host = await makeHost(threads);
    const marks = [0xa5a5a5a5, 0x5a5a5a5a, 0x0badf00d];
    // Twice: the second round may get the memory of the first.
    for (let round = 0; round < 2; round++) {
      const vms = await Promise.all(
        marks.map((mark) => host.createVm({ memoryBytes: 4 * MIB, boot: hostile.keeper(mark) })),
      );
      for (const vm of vms) await vm.start();
      for (const vm of vms) await untilPrinted(vm, "z-=====", 30_000);
      for (const vm of vms) expect(printed(vm)).toMatch(/^z-=+$/);
      for (const vm of vms) await vm.destroy();
    }
  });
});

/** What each storm is made of, and how much of it there must be at least. */
const STORMS: readonly [
  name: string,
  boot: BootSource,
  count: (made: VmStatistics) => number | undefined,
  least: number,
][] = [
  ["exits", hostile.PORT_STORM, ({ exits }) => exits["port-in"], 1000],
  ["accesses to device memory", hostile.MMIO_STORM, ({ exits }) => exits["mmio-write"], 1000],
  ["timer interrupts", hostile.TIMER_STORM, ({ core }) => core.interrupts, 1000],
  ["wake-ups", hostile.WAKE_STORM, ({ core }) => core.interrupts, 10],
  ["interrupts to itself", hostile.IPI_STORM, ({ core }) => core.interrupts, 1000],
  ["page faults", hostile.FAULT_STORM, ({ core }) => core.exceptions, 1000],
  ["new code in all its memory", hostile.CODE_STORM, ({ core }) => core.codeInvalidations, 100],
  ["console output", FLOOD, ({ exits }) => exits["port-out"], 1000],
  ["resets", hostile.RESET_STORM, ({ resets }) => resets, 3],
];

describe("a storm of", () => {
  it.each(STORMS)("%s is one, and a neighbour still answers", async (_name, boot, count, least) => {
    const host = await makeHost("workers");
    const vm = await host.createVm({ memoryBytes: 4 * MIB, boot });
    const echo = await host.createVm({ memoryBytes: MIB, boot: ECHO });
    await vm.start();
    await echo.start();
    for (let i = 0; i < 5; i++) {
      echo.serial().write(`ping ${i}.`);
      await untilPrinted(echo, `ping ${i}.`, 20_000);
    }
    expect(vm.state).toBe("running");
    // A neighbour that answers soon leaves a slow machine little time for the storm: it goes on.
    await expect.poll(async () => count(await vm.statistics()), { timeout: 20_000 }).toBeGreaterThan(least);
  });
});
