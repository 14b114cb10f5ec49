// The chipset alone, compiled from assembly/irq/alone.ts, with a clock that the test moves.
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import * as C from "../../spec/chipset.ts";
import * as L from "../../spec/layout.ts";

const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
const FLAGS =
  "--config none -O3 --noAssert --runtime stub --importMemory --exportTable --memoryBase 1024 --enable simd --enable threads";
const COMPILE_LIMIT_MS = 120_000;

/** The module for the sources as they are; test files that run side by side share one compilation. */
function compile(): WebAssembly.Module {
  const hash = createHash("sha256").update(FLAGS);
  for (const folder of [
    "spec",
    "assembly",
    "assembly/irq",
    "assembly/time",
    "assembly/pv",
    "assembly/mmu",
    "assembly/cpu",
  ]) {
    for (const name of readdirSync(join(root, folder)).sort()) {
      if (name.endsWith(".ts")) hash.update(readFileSync(join(root, folder, name)));
    }
  }
  const folder = join(root, "build", "test");
  const wasm = join(folder, `chipset-${hash.digest("hex").slice(0, 16)}.wasm`);
  mkdirSync(folder, { recursive: true });
  const deadline = Date.now() + COMPILE_LIMIT_MS;
  while (!existsSync(wasm)) {
    try {
      mkdirSync(`${wasm}.lock`);
    } catch {
      if (Date.now() > deadline) throw new Error(`${wasm}.lock is left over from a run that was killed: remove it`);
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 50);
      continue;
    }
    try {
      const asc = join(dirname(createRequire(import.meta.url).resolve("assemblyscript/package.json")), "bin", "asc.js");
      execFileSync(process.execPath, [asc, "assembly/irq/alone.ts", ...FLAGS.split(" "), "-o", `${wasm}.new`], {
        cwd: root,
        stdio: ["ignore", "ignore", "inherit"],
      });
      renameSync(`${wasm}.new`, wasm);
    } finally {
      rmSync(`${wasm}.lock`, { recursive: true });
    }
  }
  return new WebAssembly.Module(readFileSync(wasm));
}

const compiled = compile();

type Core = Record<string, (...args: (number | bigint)[]) => number> & {
  nowNs(vcpu: number): bigint;
  nextDeadlineNs(vcpu: number): bigint;
  pitNextDeadline(): bigint;
  lapicNextDeadline(vcpu: number): bigint;
  instructionsUntil(vcpu: number, deadlineNs: bigint): bigint;
  readTsc(vcpu: number): bigint;
  tscToNs(vcpu: number, tsc: bigint): bigint;
  chipsetPortRead(vcpu: number, port: number, size: number): bigint;
  chipsetMmioRead(vcpu: number, gpa: number, size: number): bigint;
  lapicGetTscDeadline(vcpu: number): bigint;
};

export interface ChipsetOptions {
  readonly vcpus?: number;
  readonly devices?: number;
  readonly virtual?: boolean;
  readonly psPerInstruction?: number;
}

export class Chipset {
  readonly memory = new WebAssembly.Memory({ initial: 16 });
  readonly view = new DataView(this.memory.buffer);
  readonly core: Core;
  /** Host monotonic time that the real clock reads. */
  hostNs = 0;

  constructor(options: ChipsetOptions = {}) {
    const instance = new WebAssembly.Instance(compiled, {
      env: { memory: this.memory },
      host: { nowNs: () => this.hostNs, fillPage: () => 0 },
    });
    this.core = instance.exports as unknown as Core;
    const vcpus = options.vcpus ?? 1;
    const all = L.KDEV_PIC | L.KDEV_PIT | L.KDEV_IOAPIC | L.KDEV_LAPIC;
    this.setVm(L.VM_VCPU_COUNT, vcpus);
    this.setVm(L.VM_KERNEL_DEVICES, options.devices ?? all);
    this.setVm(L.VM_CLOCK_MODE, options.virtual ? L.CLOCK_VIRTUAL : L.CLOCK_REAL);
    this.setVm(L.VM_TSC_KHZ, 1_000_000);
    this.setVm(L.VM_PS_PER_INSTRUCTION, options.psPerInstruction ?? 1000);
    this.view.setBigInt64(L.VM_BASE + L.VM_HOST_DEADLINE_NS, 2n ** 63n - 1n, true);
    for (let i = 0; i < vcpus; i++) {
      const v = this.vcpu(i);
      this.view.setUint32(v + L.VCPU_ID, i, true);
      this.view.setUint32(v + L.FEATURES, 1 << 28, true);
      this.view.setUint32(v + L.APIC_BASE, 0xfee00000 | C.APIC_BASE_ENABLE | (i === 0 ? C.APIC_BASE_BSP : 0), true);
    }
    this.core.chipsetReset!(this.vcpu(0));
    for (let i = 0; i < vcpus; i++) this.core.lapicReset!(this.vcpu(i));
    for (let i = 0; i < vcpus; i++) this.set(i, L.EVENT, 0);
  }

  vcpu(i: number): number {
    return L.VCPU_BASE + i * L.VCPU_STRIDE;
  }
  get(i: number, field: number): number {
    return this.view.getUint32(this.vcpu(i) + field, true);
  }
  set(i: number, field: number, value: number): void {
    this.view.setUint32(this.vcpu(i) + field, value, true);
  }
  setVm(field: number, value: number): void {
    this.view.setUint32(L.VM_BASE + field, value, true);
  }
  /** EVENT of a vCPU, cleared by the look. */
  takeEvent(i = 0): number {
    const event = this.get(i, L.EVENT);
    this.set(i, L.EVENT, 0);
    return event;
  }

  in(port: number, size = 1): number {
    return Number(this.core.chipsetPortRead(this.vcpu(0), port, size));
  }
  out(port: number, value: number, size = 1): void {
    if (!this.core.chipsetPortWrite!(this.vcpu(0), port, size, value)) throw new Error(`port ${port} is not ours`);
  }
  irq(line: number, level: number): void {
    this.core.setIrqLine!(line, level);
  }
  pending(i = 0): boolean {
    return this.core.interruptPending!(this.vcpu(i)) !== 0;
  }
  /** Takes an interrupt: its vector, or -1. */
  ack(i = 0): number {
    return this.core.acknowledgeInterrupt!(this.vcpu(i));
  }

  apic(offset: number, i = 0): number {
    return Number(this.core.chipsetMmioRead(this.vcpu(i), 0xfee00000 + offset, 4));
  }
  setApic(offset: number, value: number, i = 0): void {
    this.core.chipsetMmioWrite!(this.vcpu(i), 0xfee00000 + offset, 4, BigInt(value >>> 0));
  }
  ioapic(index: number): number {
    this.core.chipsetMmioWrite!(this.vcpu(0), 0xfec00000, 4, BigInt(index));
    return Number(this.core.chipsetMmioRead(this.vcpu(0), 0xfec00010, 4));
  }
  setIoapic(index: number, value: number): void {
    this.core.chipsetMmioWrite!(this.vcpu(0), 0xfec00000, 4, BigInt(index));
    this.core.chipsetMmioWrite!(this.vcpu(0), 0xfec00010, 4, BigInt(value >>> 0));
  }
  redirect(pin: number, low: number, destination = 0): void {
    this.setIoapic(0x11 + 2 * pin, destination << 24);
    this.setIoapic(0x10 + 2 * pin, low);
  }

  /** Moves the real clock and expires what is due. */
  wait(ns: number): void {
    this.hostNs += ns;
    this.core.advanceTimers!(this.vcpu(0), BigInt(this.hostNs));
  }

  /** Both 8259s as a PC's firmware and kernels set them: vectors 20h and 28h, edge triggered, nothing masked. */
  initPics(icw4 = 1, slaveIcw4 = 1): void {
    for (const [port, base, icw3, mode] of [
      [0x20, 0x20, 4, icw4],
      [0xa0, 0x28, 2, slaveIcw4],
    ] as const) {
      this.out(port, 0x11);
      this.out(port + 1, base);
      this.out(port + 1, icw3);
      this.out(port + 1, mode);
    }
  }
}
