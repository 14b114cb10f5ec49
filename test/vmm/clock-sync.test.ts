// How a VM's clock follows the host's, with the real core under a host whose time the test moves.
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import * as L from "../../spec/layout.ts";
import { PVCLOCK_FLAGS, PVCLOCK_GUEST_STOPPED } from "../../spec/paravirt.ts";
import { buildCpuid, installCpuModel } from "../../src/vcpu/cpu-model.ts";
import { Vcpu } from "../../src/vcpu/vcpu.ts";
import { checkConfig } from "../../src/vmm/check-config.ts";
import { VmClock } from "../../src/vmm/clock.ts";
import { ClockSync } from "../../src/vmm/clock-sync.ts";
import type { VmConfig } from "../../src/vmm/config.ts";
import { instantiateCore } from "../../src/vmm/core.ts";
import { SlotMemory } from "../../src/vmm/guest-memory.ts";
import { allocateMemory, layOut, vcpuAddress, writeHeader } from "../../src/vmm/memory.ts";
import { machineSlots, writeSlots } from "../../src/vmm/slots.ts";

const MS = 1e6;
const SECOND = 1e9;
const CODE = 0x1000;
const COUNTER = 0x500;
const TIME_PAGE = 0x2000;
const DATE_MS = 1_800_000_000_000;
/** A turn of the vCPU is looked at so finely. */
const STEP_NS = 50_000;
const SLEW = 0.5;

const module = new WebAssembly.Module(
  readFileSync(new URL("../../build/paravane.wasm", import.meta.url)) as BufferSource,
);

/** Real mode: the 8254 at 1000 Hz, one count at COUNTER a tick, HLT or a loop between them. */
const guest = (halts: boolean): number[] => [
  ...[0xfa, 0xb0, 0x11, 0xe6, 0x20, 0xb0, 0x08, 0xe6, 0x21, 0xb0, 0x04, 0xe6, 0x21, 0xb0, 0x01, 0xe6, 0x21], // 8259: vector 8
  ...[0xb0, 0xfe, 0xe6, 0x21, 0xb0, 0x34, 0xe6, 0x43, 0xb0, 0xa9, 0xe6, 0x40, 0xb0, 0x04, 0xe6, 0x40], // 8254: 1193
  ...[0xfb, ...(halts ? [0xf4, 0xeb, 0xfd] : [0x90, 0xeb, 0xfd])],
];
/** inc dword [COUNTER]; EOI; IRET */
const handler = [0x66, 0xff, 0x06, 0x00, 0x05, 0x50, 0xb0, 0x20, 0xe6, 0x20, 0x58, 0xcf];

class Host {
  ns = 5 * SECOND;
  readonly readings: number[] = [];

  private constructor(
    readonly memory: WebAssembly.Memory,
    readonly core: Awaited<ReturnType<typeof instantiateCore>>,
    readonly vcpu: Vcpu,
    readonly clock: VmClock,
    readonly sync: ClockSync,
    readonly ramBase: number,
  ) {}

  static async create(clockSync: VmConfig["clockSync"], halts = false): Promise<Host> {
    const map = layOut({ ramBytes: 1 << 20, romBytes: 0, vcpuCount: 1 });
    const memory = allocateMemory(map);
    writeHeader(memory, map, { kind: "real", psPerInstruction: 1000, tscKhz: 1_000_000, apic: true });
    const slots = machineSlots(map, 0);
    writeSlots(memory, slots);
    const address = vcpuAddress(0);
    installCpuModel(new DataView(memory.buffer), address, buildCpuid("max", { paravirt: ["clock"] }));
    // The core and the clock read the same time.
    let host: Host | undefined;
    const monotonicNs = (): number => host?.ns ?? 5 * SECOND;
    const core = await instantiateCore(module, memory, { nowNs: monotonicNs, fillPage: () => 0 });
    const vcpu = new Vcpu(memory, core, address, new SlotMemory(memory, slots, map.ramBytes, () => {}));
    const wallMs = (): number => DATE_MS + monotonicNs() / MS;
    const clock = new VmClock(memory, core, address, "real", { monotonicNs, wallMs }, wallMs());
    core.initVm();
    core.resetVcpu(address);
    const boot = { kind: "flat", image: Uint8Array.of(0xf4), address: 0x7c00 } as const;
    const settings = checkConfig({ boot, ...(clockSync === undefined ? {} : { clockSync }) }).clockSync;
    const sync = new ClockSync(clock, core, vcpu, settings);
    host = new Host(memory, core, vcpu, clock, sync, map.ramBase);
    const ram = new Uint8Array(memory.buffer, map.ramBase);
    ram.set(guest(halts), CODE);
    ram.set(handler, 0x1800);
    new DataView(memory.buffer).setUint32(map.ramBase + 8 * 4, 0x1800, true);
    for (const name of ["cs", "ds", "es", "ss"] as const)
      vcpu.setSegment(name, { selector: 0, base: 0, limit: 0xffff, attr: name === "cs" ? 0x9b : 0x93 });
    vcpu.set("esp", 0x7000);
    vcpu.eip = CODE;
    return host;
  }

  get ticks(): number {
    return new DataView(this.memory.buffer).getUint32(this.ramBase + COUNTER, true);
  }
  read(): number {
    const now = Number(this.core.clockNowNs(this.vcpu.address));
    this.readings.push(now);
    return now;
  }
  /** Lends the guest's time page, as a kernel with kvm-clock. */
  useKvmClock(): void {
    this.vcpu.setU64(L.KVM_SYSTEM_TIME, BigInt(TIME_PAGE | 1));
  }
  get saidStopped(): boolean {
    return (
      (new Uint8Array(this.memory.buffer)[this.ramBase + TIME_PAGE + PVCLOCK_FLAGS]! & PVCLOCK_GUEST_STOPPED) !== 0
    );
  }
  /** The vCPU runs for `ns` of the host's time, as RunLoop.turn does it. */
  turn(ns: number, idles = false): void {
    this.sync.turnBegins();
    for (let left = ns; left > 0; left -= STEP_NS) {
      this.core.advanceTimers(this.vcpu.address, BigInt(Math.trunc(this.read())));
      this.core.runVcpu(this.vcpu.address, 100n);
      this.ns += Math.min(left, STEP_NS);
    }
    this.read();
    if (!idles) this.sync.turnEnds();
  }
  /** A guest that halts between ticks: woken for each, `lateNs` late. */
  idle(ns: number, lateNs: number): void {
    for (const end = this.ns + ns; this.ns < end; ) {
      this.turn(1000, true);
      const wait = Number(this.core.nextDeadlineNs(this.vcpu.address)) - this.read();
      this.ns += Math.max(0, this.clock.toHostNs(wait)) + lateNs;
    }
    this.turn(1000, true);
  }
  pause(ns: number, time?: "snapshot" | "now"): void {
    this.clock.stop();
    this.ns += ns;
    this.sync.start(time);
  }
}

describe("a pause", () => {
  it("is not there for a guest whose clock hides it, and its lag stays", async () => {
    const host = await Host.create("hide-pauses");
    host.sync.start();
    host.turn(10 * MS);
    const before = host.read();
    host.pause(SECOND);
    expect(host.read()).toBe(before);
    host.turn(2 * SECOND);
    expect(host.clock.lagNs).toBe(SECOND);
  });

  it.each(["follow", "auto"] as const)("is over at once with %s, and kvm-clock says so", async (mode) => {
    const host = await Host.create(mode);
    host.useKvmClock();
    host.sync.start();
    host.turn(10 * MS);
    host.pause(SECOND);
    expect(host.clock.lagNs).toBe(0);
    expect(host.read()).toBe(SECOND + 10 * MS);
    expect(host.saidStopped).toBe(true);
  });

  it("is made up for at the rate allowed with slew, and at once above the threshold", async () => {
    const host = await Host.create({ mode: "slew", maxSlewPpm: 100_000, stepThresholdMs: 50 });
    host.sync.start();
    host.turn(10 * MS);
    host.pause(20 * MS);
    const [at, clock] = [host.ns, host.read()];
    host.turn(100 * MS);
    expect(host.read() - clock).toBeCloseTo(1.1 * (host.ns - at), -4);
    expect(host.clock.lagNs).toBeCloseTo(10 * MS, -4);
    host.turn(200 * MS);
    expect(Math.abs(host.clock.lagNs)).toBeLessThan(5000);
    host.pause(60 * MS);
    host.turn(STEP_NS);
    expect(Math.abs(host.clock.lagNs)).toBeLessThan(5000);
    expect(host.saidStopped).toBe(false);
  });

  it.each(["hide-pauses", "follow", "slew", "ticks", "auto"] as const)(
    "ends in %s as the resume asks",
    async (mode) => {
      const host = await Host.create(mode);
      host.sync.start();
      host.turn(10 * MS);
      host.pause(SECOND, "now");
      expect(host.clock.lagNs).toBe(0);
      const before = host.read();
      host.pause(SECOND, "snapshot");
      expect(host.read()).toBe(before);
      host.turn(SECOND);
      expect(host.read() - before).toBeLessThan(SECOND + 10_000);
    },
  );

  it("carries over into another process by the host's date", async () => {
    const one = await Host.create("follow");
    one.sync.start();
    one.turn(10 * MS);
    one.clock.stop();
    const state = one.clock.save();
    const two = await Host.create("follow");
    two.ns = one.ns + 3 * SECOND;
    two.clock.load(state);
    expect(two.clock.nowNs()).toBe(10 * MS);
    two.sync.start();
    expect(two.read()).toBe(3 * SECOND + 10 * MS);
  });

  it("does not set a clock back when the host's date was", async () => {
    const one = await Host.create("follow");
    one.sync.start();
    one.turn(SECOND);
    one.clock.stop();
    const two = await Host.create("follow");
    two.clock.load(one.clock.save());
    two.sync.start("now");
    expect(two.read()).toBe(SECOND);
  });
});

describe("ticks of a timer", () => {
  const ROUNDS = 40;
  it("all come, one by one, to a guest with ticks that loses its processor again and again", async () => {
    const counts: number[] = [];
    for (const mode of ["ticks", "slew"] as const) {
      const host = await Host.create(mode);
      host.sync.start();
      for (let i = 0; i < ROUNDS; i++) {
        const before = host.ticks;
        host.turn(10 * MS);
        // never a burst: at most as many as the rate allows
        expect(host.ticks - before).toBeLessThanOrEqual(10 * (1 + SLEW) + 1);
        host.ns += 3 * MS;
      }
      host.turn(100 * MS);
      counts.push(host.read() / MS - host.ticks);
    }
    const [held = 0, notHeld = 0] = counts;
    expect(held).toBeLessThan(2);
    // or there was nothing to lose
    expect(notHeld).toBeGreaterThan(ROUNDS);
  });

  it("all come to a guest with ticks that is woken late", async () => {
    const counts: number[] = [];
    for (const mode of ["ticks", "slew"] as const) {
      const host = await Host.create(mode, true);
      host.sync.start();
      host.idle(200 * MS, 0);
      for (let i = 0; i < 10; i++) {
        host.idle(1 * MS, 4 * MS);
        host.idle(20 * MS, 0);
      }
      host.idle(300 * MS, 0);
      counts.push(host.read() / MS - host.ticks);
      if (mode === "ticks") expect(Math.abs(host.clock.lagNs)).toBeLessThan(50_000);
    }
    const [held = 0, notHeld = 0] = counts;
    expect(held).toBeLessThan(2);
    expect(notHeld).toBeGreaterThan(10);
  });
});

describe("whatever the host does", () => {
  const event = fc.oneof(
    fc.tuple(fc.constant("turn"), fc.integer({ min: 1, max: 20 * MS })),
    fc.tuple(fc.constant("gap"), fc.integer({ min: 0, max: 90 * MS })),
    fc.tuple(fc.constant("idle"), fc.integer({ min: 1, max: 5 * MS })),
    fc.tuple(fc.constant("pause"), fc.integer({ min: 0, max: 2 * SECOND })),
    fc.tuple(fc.constant("now"), fc.integer({ min: 0, max: SECOND })),
    fc.tuple(fc.constant("snapshot"), fc.integer({ min: 0, max: SECOND })),
  );

  it.each(["hide-pauses", "follow", "slew", "ticks", "auto"] as const)(
    "a clock with %s never goes back, and catches up when left in peace",
    async (mode) => {
      await fc.assert(
        fc.asyncProperty(fc.array(event, { maxLength: 30 }), async (events) => {
          const host = await Host.create(mode);
          host.sync.start();
          for (const [what, ns] of events) {
            if (what === "turn") host.turn(ns);
            else if (what === "gap") host.ns += ns;
            else if (what === "idle") host.idle(ns, 700_000);
            else host.pause(ns, what === "pause" ? undefined : (what as "now" | "snapshot"));
            host.read();
          }
          for (let i = 0; i < 50; i++) host.turn(10 * MS);
          for (let i = 1; i < host.readings.length; i++)
            expect(host.readings[i]).toBeGreaterThanOrEqual(host.readings[i - 1] as number);
          if (mode !== "hide-pauses") expect(Math.abs(host.clock.lagNs)).toBeLessThan(5000);
        }),
        { numRuns: 10 },
      );
    },
  );
});
