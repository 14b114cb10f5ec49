// Rate limits as a guest meets them: a serial line that keeps it waiting, changed while it waits.
import { describe, expect, it } from "vitest";
import { RateLimiter } from "../../src/devices/token-bucket.ts";
import { Uart16550 } from "../../src/devices/uart16550.ts";
import { Vm, type VmConfig } from "../../src/index.ts";
import { driveRates } from "../../src/vmm/limits.ts";
import { TestClock, TestLine } from "./bench-machine.ts";
import { MemoryDisk } from "./virtio/memory-disk.ts";

const THR = 0;
const FCR = 2;
const LSR = 5;
const THRE = 0x20;

function limited(size: number, refillMs: number) {
  const clock = new TestClock();
  const sent: number[] = [];
  const uart = new Uart16550({ name: "uart0", base: 0x3f8, irq: new TestLine(), clock, transmit: (b) => sent.push(b) });
  uart.limitOutput({ bandwidth: { size, refillMs } });
  return { clock, sent, uart };
}

describe("a limited serial line", () => {
  it("lets a burst through, then keeps the transmitter full until the bucket fills", () => {
    const { clock, sent, uart } = limited(4, 100);
    for (let i = 0; i < 4; i++) uart.write(THR, 1, i);
    expect(sent).toEqual([0, 1, 2, 3]);
    expect(uart.read(LSR) & THRE).toBe(THRE);
    uart.write(THR, 1, 4);
    expect(uart.read(LSR) & THRE).toBe(0);
    clock.advance(24e6);
    expect(sent).toHaveLength(4);
    clock.advance(2e6);
    expect(sent).toEqual([0, 1, 2, 3, 4]);
    expect(uart.read(LSR) & THRE).toBe(THRE);
  });

  it("keeps sixteen characters with the FIFO on, and loses what comes on top", () => {
    const { clock, sent, uart } = limited(1, 10);
    uart.write(FCR, 1, 1);
    for (let i = 0; i < 30; i++) uart.write(THR, 1, i);
    clock.advance(1e9);
    expect(sent).toEqual(Array.from({ length: 17 }, (_, i) => i));
    expect(uart.metrics()).toMatchObject({ lost: 13 });
  });

  it("sends what waits when the limit goes", () => {
    const { sent, uart } = limited(1, 1e6);
    uart.write(FCR, 1, 1);
    for (let i = 0; i < 3; i++) uart.write(THR, 1, i);
    expect(sent).toEqual([0]);
    uart.limitOutput({});
    expect(sent).toEqual([0, 1, 2]);
  });

  it("waits on after save and load", () => {
    const { uart } = limited(1, 100);
    uart.write(THR, 1, 1);
    uart.write(THR, 1, 2);
    const other = limited(1, 100);
    other.uart.load(structuredClone(uart.save()), uart.stateVersion);
    expect(other.uart.read(LSR) & THRE).toBe(0);
    expect(other.sent).toEqual([]);
  });
});

describe("a rate limiter that is changed", () => {
  it("keeps what was taken, and takes limits on and off", () => {
    const limiter = new RateLimiter({ operations: { size: 10, refillMs: 1000 } });
    for (let i = 0; i < 10; i++) expect(limiter.admit(0, 0)).toBe(0);
    expect(limiter.admit(0, 0)).toBeGreaterThan(0);
    limiter.change({ operations: { size: 20, refillMs: 1000 } });
    for (let i = 0; i < 10; i++) expect(limiter.admit(0, 0)).toBe(0);
    expect(limiter.admit(0, 0)).toBeGreaterThan(0);
    limiter.change({ operations: { size: 20, refillMs: 1000, oneTimeBurst: 1 } });
    expect(limiter.admit(0, 0)).toBe(0);
    limiter.change({ operations: { size: 20, refillMs: 1000, oneTimeBurst: 1 } });
    expect(limiter.admit(0, 0), "the burst of a limit that did not change").toBeGreaterThan(0);
    limiter.change({});
    expect(limiter.admit(1e9, 0)).toBe(0);
  });
});

describe("limits of a VM", () => {
  const boot = { kind: "flat", image: Uint8Array.of(0xeb, 0xfe), address: 0x7c00, mode: "real" } as const;
  const make = (config: Partial<VmConfig>) => Vm.create({ boot, memoryBytes: 1 << 20, ...config });

  it("are checked by name", async () => {
    await expect(make({ limits: { disks: { bandwidth: { size: 0, refillMs: 1 } } } })).rejects.toThrow(
      /limits\.disks\.bandwidth\.size/,
    );
    await expect(make({ limits: { tapes: {} } as never })).rejects.toThrow(/tapes/);
    await using vm = await make({});
    expect(() => vm.setLimits({ devices: { root: { operations: { size: 1, refillMs: 0 } } } })).toThrow(
      /limits\.devices\.root\.operations\.refillMs/,
    );
  });

  it("are part of what the VM is, kind by kind", async () => {
    await using vm = await make({
      drives: [{ id: "d", bus: "ide", backend: new MemoryDisk(new Uint8Array(1 << 20)) }],
      limits: { disks: { operations: { size: 5, refillMs: 1000 } } },
    });
    vm.setLimits({ console: { bandwidth: { size: 100, refillMs: 1000 } } });
    expect(vm.portableConfig.limits).toEqual({
      disks: { operations: { size: 5, refillMs: 1000 } },
      console: { bandwidth: { size: 100, refillMs: 1000 } },
    });
    vm.setLimits({ disks: {} });
    expect(vm.portableConfig.limits?.disks).toEqual({ operations: { size: 5, refillMs: 1000 } });
    vm.setLimits({ disks: { operations: null, bandwidth: { size: 7, refillMs: 10 } } });
    expect(vm.portableConfig.limits?.disks).toEqual({ bandwidth: { size: 7, refillMs: 10 } });
    vm.setLimits({ disks: null, console: { operations: { size: 1, refillMs: 1 } } });
    expect(vm.portableConfig.limits).toEqual({
      console: { bandwidth: { size: 100, refillMs: 1000 }, operations: { size: 1, refillMs: 1 } },
    });
  });

  it("of a device are in place of what its kind has, limit by limit", async () => {
    const disk = (id: string) => ({ id, bus: "virtio" as const, backend: new MemoryDisk(new Uint8Array(1 << 20)) });
    await using vm = await make({
      drives: [disk("a"), disk("b")],
      limits: { disks: { bandwidth: { size: 9, refillMs: 1 }, operations: { size: 5, refillMs: 1 } } },
    });
    const of = (id: string) => driveRates(vm.portableConfig.limits ?? {}, { id });
    vm.setLimits({ devices: { a: { operations: { size: 2, refillMs: 1 } } } });
    expect(of("a")).toEqual({ bandwidth: { size: 9, refillMs: 1 }, operations: { size: 2, refillMs: 1 } });
    vm.setLimits({ devices: { a: { bandwidth: null } } });
    expect(of("a")).toEqual({ operations: { size: 2, refillMs: 1 } });
    expect(of("b")).toEqual({ bandwidth: { size: 9, refillMs: 1 }, operations: { size: 5, refillMs: 1 } });
    vm.setLimits({ devices: { a: null } });
    expect(of("a")).toEqual(of("b"));
    expect(vm.portableConfig.limits?.devices).toBeUndefined();
  });
});
