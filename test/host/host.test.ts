// A host with worker threads and one without: life cycle, consoles, moves, failures. Real core, guests of a few bytes.
import { readFile } from "node:fs/promises";
import { afterEach, describe, expect, it } from "vitest";
import { Host, type HostConfig } from "../../src/index.ts";
import { ECHO, FAULT, FLOOD, HANG, hello, IDLE, print, SPIN, untilPrinted } from "./guests.ts";

const MIB = 2 ** 20;
const open: Host[] = [];
afterEach(async () => {
  for (const host of open.splice(0)) await host.close();
});

async function makeHost(config: HostConfig = {}): Promise<Host> {
  const host = await Host.create({ pcpus: 2, ...config });
  open.push(host);
  return host;
}

const wait = (milliseconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, milliseconds));

describe.each(["workers", "in-process"] as const)("VMs of a host (%s)", (threads) => {
  it("run, print, and end with their own status", async () => {
    const host = await makeHost({ threads });
    const vm = await host.createVm({ memoryBytes: MIB, boot: print("hello", 0x10) });
    expect(vm.state).toBe("created");
    const ended = vm.ended();
    await vm.start();
    expect(await ended).toEqual({ kind: "guest-exit", code: 0x21 });
    expect(vm.state).toBe("stopped");
    expect(new TextDecoder().decode(vm.scrollback())).toBe("hello");
    expect(vm.lastExit).toEqual({ kind: "guest-exit", code: 0x21 });
  });

  it("start again after an end, with the same consoles", async () => {
    const host = await makeHost({ threads });
    const vm = await host.createVm({ memoryBytes: MIB, boot: print("x", 0) });
    for (let i = 0; i < 3; i++) {
      const ended = vm.ended();
      await vm.start();
      await ended;
    }
    expect(new TextDecoder().decode(vm.scrollback())).toBe("xxx");
  });

  it("take every verb in the states where it is legal, and refuse it elsewhere with the state named", async () => {
    const host = await makeHost({ threads });
    const vm = await host.createVm({ name: "web", memoryBytes: MIB, boot: SPIN });
    await expect(vm.pause()).rejects.toThrow("Cannot pause web, which is created; it must be running.");
    await expect(vm.resume()).rejects.toThrow("it must be paused");
    await expect(vm.reset()).rejects.toThrow("running or paused");
    await vm.start();
    await expect(vm.start()).rejects.toThrow("Cannot start web, which is running");
    await vm.pause();
    expect(vm.state).toBe("paused");
    await expect(vm.pause()).rejects.toThrow("which is paused");
    await vm.reset();
    expect(vm.state).toBe("paused");
    await vm.resume();
    expect(vm.state).toBe("running");
    expect(await vm.stop({ force: true })).toMatchObject({ kind: "killed" });
    await expect(vm.stop()).rejects.toThrow("which is stopped");
    await vm.destroy();
    expect(host.vms).toEqual([]);
    await expect(vm.start()).rejects.toThrow("has been destroyed");
  });

  it("stand still while paused", async () => {
    const host = await makeHost({ threads });
    const vm = await host.createVm({ memoryBytes: MIB, boot: SPIN });
    await vm.start();
    await wait(30);
    await vm.pause();
    const before = await vm.statistics();
    const hash = await vm.stateHash();
    await wait(50);
    expect((await vm.statistics()).instructions).toBe(before.instructions);
    expect(before.instructions).toBeGreaterThan(0);
    expect(await vm.stateHash()).toBe(hash);
  });

  it("are stopped at once where the guest does not listen to its power button", async () => {
    const host = await makeHost({ threads });
    const vm = await host.createVm({ memoryBytes: MIB, boot: HANG });
    await vm.start();
    expect(await vm.pressPowerButton()).toBe(false);
    expect(await vm.stop({ timeoutMs: 60_000 })).toMatchObject({ kind: "killed" });
  });

  it("use no processor while halted", async () => {
    const host = await makeHost({ threads });
    const vms = await Promise.all([0, 1, 2].map(() => host.createVm({ memoryBytes: MIB, boot: IDLE })));
    for (const vm of vms) await vm.start();
    await wait(50);
    const before = await host.accounts();
    await wait(100);
    const after = await host.accounts();
    for (const [i, { busyNs }] of after.entries()) expect(busyNs).toBe(before[i]?.busyNs);
  });

  it("get input, and answer, while others spin", async () => {
    const host = await makeHost({ threads });
    for (let i = 0; i < 3; i++) await (await host.createVm({ memoryBytes: MIB, boot: SPIN })).start();
    const echo = await host.createVm({ memoryBytes: MIB, boot: ECHO });
    await echo.start();
    echo.serial().write("are you there?");
    await untilPrinted(echo, "are you there?");
  });

  it("that end by a fault leave the others alone", async () => {
    const host = await makeHost({ threads });
    const [bad, good] = [
      await host.createVm({ memoryBytes: MIB, boot: FAULT }),
      await host.createVm({ memoryBytes: MIB, boot: ECHO }),
    ];
    const ended = bad.ended();
    await good.start();
    await bad.start();
    expect(await ended).toMatchObject({ kind: "triple-fault" });
    good.serial().write("still here");
    await untilPrinted(good, "still here");
  });
});

describe("what a host refuses before anything starts", () => {
  it("a wrong configuration, naming the field", async () => {
    await expect(Host.create({ pcpus: 0 })).rejects.toThrow("pcpus is 0; accepted: an integer from 1 to 256");
    await expect(Host.create({ policy: "lottery" })).rejects.toThrow("lottery");
    await expect(Host.create({ threads: "fibres" as never })).rejects.toThrow("threads is fibres");
    const host = await makeHost({ threads: "in-process" });
    await expect(host.createVm({ memoryBytes: 5, boot: SPIN })).rejects.toThrow("memoryBytes");
    await expect(host.createVm({ boot: SPIN, scheduling: { weight: 0 } })).rejects.toThrow("weight");
    await expect(host.createVm({ boot: SPIN, pcpu: 7 })).rejects.toThrow("pcpu is 7; accepted: an integer from 0 to 0");
    await expect(
      host.createVm({ boot: { kind: "elf", kernel: new Uint8Array([1, 2, 3]) }, name: "bad" }),
    ).rejects.toMatchObject({ code: "bad-image" });
    expect(host.vms).toEqual([]);
  });

  it.each(["a\nb", "\u001b[31mred", "../up", "a/b", "..", ""])(
    "the name %j, which is none for a terminal or a file",
    async (name) => {
      const host = await makeHost({ threads: "in-process" });
      await expect(host.createVm({ name, memoryBytes: MIB, boot: SPIN })).rejects.toThrow(
        /^name is ".*"; it takes 1 to 64/,
      );
    },
  );

  it("a name that is taken, until its owner is destroyed", async () => {
    const host = await makeHost({ threads: "in-process" });
    const first = await host.createVm({ name: "a", memoryBytes: MIB, boot: SPIN });
    await expect(host.createVm({ name: "a", memoryBytes: MIB, boot: SPIN })).rejects.toThrow('name "a" is taken');
    await first.destroy();
    await host.createVm({ name: "a", memoryBytes: MIB, boot: SPIN });
  });

  it("a reservation that does not fit", async () => {
    const host = await makeHost({ pcpus: 1, policy: "edf" });
    const realtime = { periodNs: 10e6, budgetNs: 6e6 };
    const first = await host.createVm({ memoryBytes: MIB, boot: SPIN, scheduling: { realtime } });
    await expect(host.createVm({ memoryBytes: MIB, boot: SPIN, scheduling: { realtime } })).rejects.toMatchObject({
      code: "admission",
    });
    await first.schedule({ realtime: { periodNs: 10e6, budgetNs: 3e6 } });
    await host.createVm({ memoryBytes: MIB, boot: SPIN, scheduling: { realtime } });
  });
});

describe("moving between pCPUs", () => {
  it("loses no input, output or time", async () => {
    const host = await makeHost({ balance: false });
    const vm = await host.createVm({ memoryBytes: 4 * MIB, boot: await hello() });
    await vm.start();
    await untilPrinted(vm, "> ");
    for (let i = 0; i < 20; i++) {
      vm.serial().write(`echo round${i}\r`);
      await host.move(vm, 1 - vm.pcpu);
      await untilPrinted(vm, `\nround${i}\r\n`);
    }
    const text = new TextDecoder().decode(vm.scrollback());
    for (let i = 0; i < 20; i++) expect(text.split(`\nround${i}\r\n`)).toHaveLength(2);
  });

  it("is not seen by the guest: on the virtual clock it ends as if it had never moved", async () => {
    // A ROM full of timers and interrupts.
    const kernel = new Uint8Array(await readFile("roms/system/irq.bin"));
    const boot = { kind: "multiboot", kernel } as const;
    const config = { memoryBytes: 64 * MIB, boot, clock: "virtual" } as const;
    const run = async (moves: boolean) => {
      const host = await makeHost({ balance: false });
      const vm = await host.createVm(config);
      const ended = vm.ended();
      await vm.start();
      let moved = 0;
      while (moves && vm.state === "running") {
        const before = vm.pcpu;
        await host.move(vm, 1 - before);
        if (vm.pcpu !== before) moved++;
      }
      const status = await ended;
      const { instructions, exits } = await vm.statistics();
      const text = new TextDecoder().decode(vm.scrollback());
      return { moved, end: { status, instructions, ins: exits["port-in"], text, hash: await vm.stateHash() } };
    };
    const still = await run(false);
    const moved = await run(true);
    expect(moved.moved).toBeGreaterThan(3);
    expect(moved.end).toEqual(still.end);
  });

  it("works in every state", async () => {
    const host = await makeHost({ balance: false });
    const vm = await host.createVm({ memoryBytes: MIB, boot: print("x", 0), pcpu: 0 });
    await host.move(vm, 1);
    expect(vm.pcpu).toBe(1);
    const ended = vm.ended();
    await vm.start();
    await ended;
    await host.move(vm, 0);
    const again = vm.ended();
    await vm.start();
    expect(await again).toMatchObject({ kind: "guest-exit" });
    expect(new TextDecoder().decode(vm.scrollback())).toBe("xx");
    await expect(host.move(vm, 9)).rejects.toThrow("pcpu is 9");
  });

  it("brings it back where the other pCPU has no room", async () => {
    const host = await makeHost({ policy: "edf", balance: false });
    const realtime = { periodNs: 10e6, budgetNs: 8e6 };
    const make = (pcpu: number) => host.createVm({ memoryBytes: MIB, boot: ECHO, pcpu, scheduling: { realtime } });
    const [here] = [await make(0), await make(1)];
    await here.start();
    await expect(host.move(here, 1)).rejects.toMatchObject({ code: "admission" });
    expect(here.pcpu).toBe(0);
    here.serial().write("alive");
    await untilPrinted(here, "alive");
  });

  it("is done by the balancer: idle pCPUs take work from busy ones", async () => {
    const host = await makeHost();
    const vms = await Promise.all([0, 1].map(() => host.createVm({ memoryBytes: MIB, boot: SPIN, pcpu: 0 })));
    for (const vm of vms) await vm.start();
    for (let i = 0; i < 200 && vms[0]?.pcpu === vms[1]?.pcpu; i++) await wait(20);
    expect(new Set(vms.map((vm) => vm.pcpu)).size).toBe(2);
    expect(host.balancingMoves).toBeGreaterThan(0);
  });

  it("leaves pinned VMs where they are", async () => {
    const host = await makeHost();
    const vms = await Promise.all(
      [0, 1].map(() => host.createVm({ memoryBytes: MIB, boot: SPIN, pcpu: 0, pinned: true })),
    );
    for (const vm of vms) await vm.start();
    await wait(500);
    expect(vms.map((vm) => vm.pcpu)).toEqual([0, 0]);
  });
});

describe("a pCPU that fails", () => {
  it("takes its VMs with it, says so, and is replaced; the others go on", async () => {
    const host = await makeHost({ balance: false });
    const lost: number[] = [];
    host.on("pcpu-lost", ({ pcpu }) => lost.push(pcpu));
    const [victim, other] = [
      await host.createVm({ memoryBytes: MIB, boot: SPIN, pcpu: 0 }),
      await host.createVm({ memoryBytes: MIB, boot: ECHO, pcpu: 1 }),
    ];
    await victim.start();
    await other.start();
    const ended = victim.ended();
    await host.failPcpu(0).catch(() => {});
    expect(await ended).toMatchObject({ kind: "crashed", error: { code: "internal" } });
    expect(victim.state).toBe("crashed");
    expect(lost).toEqual([0]);
    other.serial().write("here");
    await untilPrinted(other, "here");
    await victim.start();
    expect(victim.state).toBe("running");
  });
});

describe("while every pCPU is busy", () => {
  it("the host's own thread answers", async () => {
    const host = await makeHost();
    for (const boot of [SPIN, FLOOD, SPIN, FLOOD]) await (await host.createVm({ memoryBytes: MIB, boot })).start();
    await wait(100);
    let late = 0;
    for (let i = 0; i < 20; i++) {
      const before = performance.now();
      await wait(5);
      late = Math.max(late, performance.now() - before - 5);
    }
    expect(late).toBeLessThan(100);
  });

  it("pause, policy and parameters take effect at once", async () => {
    const host = await makeHost({ pcpus: 1, policy: "fcfs" });
    const [first, second] = [
      await host.createVm({ memoryBytes: MIB, boot: SPIN }),
      await host.createVm({ memoryBytes: MIB, boot: SPIN }),
    ];
    await first.start();
    await second.start();
    await wait(50);
    expect((await second.statistics()).instructions).toBe(0);
    await second.pause();
    await second.resume();
    await host.setPolicy("rr");
    for (let i = 0; i < 100 && (await second.statistics()).instructions === 0; i++) await wait(10);
    expect((await second.statistics()).instructions).toBeGreaterThan(0);
    await first.schedule({ weight: 10 });
    await expect(first.schedule({ weight: -1 })).rejects.toThrow("weight");
    expect(first.scheduling.weight).toBe(10);
    await expect(host.setPolicy("none")).rejects.toMatchObject({ code: "bad-config" });
  });
});
