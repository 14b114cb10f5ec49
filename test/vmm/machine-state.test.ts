// A machine's state is all of it: saved and put into a new machine at any exit, the run goes on as if nothing had been.
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { CHIPSET_BASE, CHIPSET_SIZE, LAST_EXIT } from "../../spec/layout.ts";
import { CHIPSET_STATE } from "../../spec/state.ts";
import { readRomImage, readRomManifest } from "../../src/cli/roms.ts";
import type { VmConfig } from "../../src/index.ts";
import { type MachineState, saveMachine } from "../../src/vmm/machine-state.ts";
import { BareMachine } from "./bare-machine.ts";

/** Repeatable random numbers from 0 to 1 (xorshift). */
function random(seed: number): () => number {
  let x = seed;
  return () => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return (x >>> 0) / 0x100000000;
  };
}

async function romConfig(name: string): Promise<VmConfig> {
  const rom = readRomManifest().roms.find((row) => row.name === name);
  if (rom === undefined) throw new Error(`no ROM ${name}`);
  return {
    boot: { kind: "multiboot", kernel: await readRomImage(rom), name: "rom" },
    memoryBytes: 16 << 20,
    clock: "virtual",
    serialPorts: 2,
    testDevice: false,
    ...(rom.needs?.cpu === undefined ? {} : { cpu: rom.needs.cpu }),
    ...(rom.needs?.apic === undefined ? {} : { apic: rom.needs.apic }),
  };
}

function seabios(): VmConfig {
  return {
    boot: { kind: "firmware", image: readFileSync("/usr/share/seabios/bios-256k.bin") },
    clock: "virtual",
    memoryBytes: 8 << 20,
  };
}

/** Two machines side by side; one of them is thrown away and made anew from its state at every `every`-th exit. */
async function runBeside(
  config: VmConfig,
  seed: number,
  exits: number,
  every: number,
): Promise<{ restored: number; midway: number }> {
  const next = random(seed);
  const reference = await BareMachine.create(config);
  let copy = await BareMachine.create(config);
  let output = "";
  let restored = 0;
  let midway = 0;
  for (let i = 0; i < exits; i++) {
    // Mostly short ones, so that stops come anywhere; a long one gets the guest somewhere.
    const budget = 1 + Math.floor(next() < 0.9 ? next() * 300 : next() * 100_000);
    const goesOn = reference.enter(budget);
    expect(copy.enter(budget)).toBe(goesOn);
    if (i % every === every - 1) {
      if (copy.machine.vcpu.getU32(LAST_EXIT) !== 0xffffffff) midway++;
      // A save of the reference as well: what saving does to a device must not matter, but it may.
      saveMachine(reference.machine);
      const state = structuredClone(saveMachine(copy.machine));
      output += copy.output;
      copy = await BareMachine.restore(config, state, copy.guestBytes());
      restored++;
    }
    if (!goesOn) break;
  }
  expect(output + copy.output).toBe(reference.output);
  expect(copy.machine.vcpu.registers()).toEqual(reference.machine.vcpu.registers());
  expect(await copy.hash()).toBe(await reference.hash());
  return { restored, midway };
}

describe("a machine restored again and again runs as one that never was", () => {
  const roms = ["hello", "test-irq", "test-apic", "test-paging", "test-debug", "test-vm86"];
  it.each(roms)("%s", async (name) => {
    const { restored } = await runBeside(await romConfig(name), 0x1234567, 2400, 40);
    expect(restored).toBeGreaterThan(5);
  });

  it("SeaBIOS, with its ROM and its devices, stops in the middle of instructions included", async () => {
    const { restored, midway } = await runBeside(seabios(), 0x2345671, 6000, 100);
    expect(restored).toBe(60);
    expect(midway).toBeGreaterThan(5);
  });
});

describe("the state of a machine", () => {
  it("is equal when saved again from the machine that took it up", async () => {
    const one = await BareMachine.create(seabios());
    for (let i = 0; i < 3000; i++) one.enter(20_000);
    const state = saveMachine(one.machine);
    const two = await BareMachine.restore(seabios(), state, one.guestBytes());
    expect(saveMachine(two.machine)).toEqual(state);
    expect(await two.hash()).toBe(await one.hash());
  });

  it("has every byte of the chipset that is ever used", async () => {
    for (const name of ["test-irq", "test-apic"]) {
      const bare = await BareMachine.create(await romConfig(name));
      while (bare.enter(100_000)) {}
      const chipset = new Uint8Array(bare.machine.memory.buffer).slice(CHIPSET_BASE, CHIPSET_BASE + CHIPSET_SIZE);
      for (const range of CHIPSET_STATE) chipset.fill(0, range.offset, range.offset + range.sizeBytes);
      expect(chipset.findIndex((byte) => byte !== 0)).toBe(-1);
    }
  });

  it("goes into an adopted memory's machine: what is derived stays", async () => {
    const config = await romConfig("test-paging");
    const reference = await BareMachine.create(config);
    let moved = await BareMachine.create(config, "shared");
    let output = "";
    for (let i = 0; ; i++) {
      const goesOn = reference.enter(5_000);
      expect(moved.enter(5_000)).toBe(goesOn);
      if (!goesOn) break;
      if (i % 50 !== 49) continue;
      output += moved.output;
      moved = await BareMachine.adopt(config, structuredClone(saveMachine(moved.machine)), moved.machine.memory);
    }
    expect(output + moved.output).toBe(reference.output);
    expect(await moved.hash()).toBe(await reference.hash());
  });

  it("has the features that no CPUID bit reports, and their registers", async () => {
    // mov ecx, c1h; mov eax, 1234h; xor edx, edx; wrmsr; xor eax, eax; rdmsr; hlt
    const code = [0xb9, 0xc1, 0, 0, 0, 0xb8, 0x34, 0x12, 0, 0, 0x31, 0xd2, 0x0f, 0x30, 0x31, 0xc0, 0x0f, 0x32, 0xf4];
    const boot = { kind: "flat", image: Uint8Array.from(code), address: 0x8000 } as const;
    const config: VmConfig = { boot, memoryBytes: 1 << 20, clock: "virtual", cpu: "pentium3" };
    const one = await BareMachine.create(config);
    one.enter(5);
    const two = await BareMachine.restore(config, structuredClone(saveMachine(one.machine)), one.guestBytes());
    two.enter(2);
    expect(two.machine.vcpu.registers().eax).toBe(0x1234);
  });

  it("does not take a debugger's watches along into another machine", async () => {
    const config = await romConfig("hello");
    const one = await BareMachine.create(config, "shared");
    one.machine.debugControls.setBreaks({ memory: [{ address: 0, sizeBytes: 0xffffffff, access: "any" }] });
    const two = await BareMachine.adopt(config, saveMachine(one.machine), one.machine.memory);
    for (let i = 0; i < 5; i++) two.enter(1000);
    expect(two.machine.requests.debug).toBeUndefined();
  });

  it("carries a real clock on from where it stood", async () => {
    const config: VmConfig = { ...(await romConfig("hello")), clock: "real" };
    const one = await BareMachine.create(config);
    one.machine.clock.start();
    for (let i = 0; i < 500; i++) one.enter(10_000);
    one.machine.clock.stop();
    const stoodAt = one.machine.clock.nowNs();
    const wall = one.machine.clock.wallMs();
    const state = saveMachine(one.machine);
    await new Promise((resolve) => setTimeout(resolve, 30));
    const two = await BareMachine.restore(config, state, one.guestBytes());
    expect(two.machine.clock.nowNs()).toBe(stoodAt);
    expect(two.machine.clock.wallMs()).toBe(wall);
    two.machine.clock.start();
    const first = two.machine.clock.nowNs();
    expect(first - stoodAt).toBeGreaterThanOrEqual(0);
    expect(first - stoodAt).toBeLessThan(20e6);
    two.machine.clock.stop();
    const stopped = two.machine.clock.nowNs();
    two.machine.clock.skip(5e9);
    expect(two.machine.clock.nowNs()).toBe(stopped + 5e9);
    two.machine.clock.skip(-5e9);
    expect(two.machine.clock.nowNs()).toBe(stopped + 5e9);
  });
});

/** What is at a path: undefined takes it away, a number appends to a list or fills bytes. */
type Change = readonly [path: string, value: unknown];

function change(state: object, [path, value]: Change): void {
  const keys = path.split("/");
  const last = keys.pop() as string;
  let at = state as Record<string, unknown>;
  for (const key of keys) at = at[key] as Record<string, unknown>;
  if (value === undefined) delete at[last];
  else at[last] = value;
}

describe("a state that does not fit is refused by name", () => {
  const edited = async (changes: readonly Change[], other: Partial<VmConfig> = {}): Promise<unknown> => {
    const config = await romConfig("hello");
    const bare = await BareMachine.create(config);
    const state = structuredClone(saveMachine(bare.machine)) as MachineState;
    for (const one of changes) change(state, one);
    const guest = bare.guestBytes().slice(0, 4096);
    return BareMachine.restore({ ...config, ...other } as VmConfig, state, guest).catch((e: unknown) => e);
  };
  const ones = (size: number): Uint8Array => new Uint8Array(size).fill(0xff);
  it.each<[string, readonly Change[], Partial<VmConfig>?]>([
    ["version", [["version", 99]]],
    ["memoryBytes", [], { memoryBytes: 32 << 20 }],
    ["cpu.features", [["cpu/features", ["fpu", "avx512"]]]],
    ["cpu.cpuid", [["cpu/cpuid", ones(33)]]],
    ["vcpus", [["vcpus", []]]],
    ["vcpus[0].gpr", [["vcpus/0/ranges/gpr", undefined]]],
    ["vcpus[0].xmm", [["vcpus/0/ranges/xmm", ones(255)]]],
    ["vcpus[0].apx", [["vcpus/0/ranges/apx", ones(8)]]],
    ["vcpus[0].cpl", [["vcpus/0/ranges/cpl", ones(4)]]],
    ["vcpus[0].unfinished", [["vcpus/0/ranges/replay", ones(8)]]],
    [
      "vcpus[0].unfinished.replayLog",
      [
        ["vcpus/0/ranges/replay", ones(8)],
        ["vcpus/0/unfinished", { ioData: ones(4096), replayLog: ones(16) }],
      ],
    ],
    ["chipset.pit", [["chipset/pit", "pit"]]],
    ["vm.tsc-khz", [["vm/tsc-khz", ones(4)]]],
    ["clock", [], { clock: "real" }],
    ["clock.nowNs", [["clock/nowNs", Number.NaN]]],
    ["clock.timers.rtc.second", [["clock/timers/rtc.second", "soon"]]],
    ["rtc.second", [["clock/timers/rtc.second", undefined]]],
    ["uart9.arrival", [["clock/timers/uart9.arrival", null]]],
    ["devices.rtc", [["devices/rtc", undefined]]],
    ["devices.uart1", [], { serialPorts: 1 }],
    ["devices.testdev", [], { testDevice: true }],
    ["devices.floppy", [["devices/floppy", { version: 1, state: {} }]]],
    ["GSI 4", [["irqs/4", 3]]],
    ["rtc", [["devices/rtc/version", 7]]],
    ['"cmos"', [["devices/rtc/state/cmos", undefined]]],
    ['"gpu"', [["devices/pci-host/state/functions/gpu", {}]]],
    ['"files"', [["devices/fw-cfg/state/files", {}]]],
  ])("%s", async (name, changes, other) => {
    const error = await edited(changes, other);
    expect(error).toMatchObject({ name: "VmError", code: "bad-snapshot" });
    expect((error as Error).message).toContain(name);
  });
});
