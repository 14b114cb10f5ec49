// A bench to test devices on: a clock that the test moves, lines that remember, and the real buses.
import { MmioBus, PortBus } from "../../src/vmm/bus.ts";
import type { Device, DeviceClock, DeviceTimer, DmaMemory, IrqLine } from "../../src/vmm/device.ts";

interface Armed {
  deadlineNs: number | undefined;
  readonly fire: (now: number) => void;
}

export class TestClock implements DeviceClock {
  #now = 0;
  readonly #timers: Armed[] = [];
  constructor(private readonly wallOriginMs = Date.UTC(2001, 1, 3, 4, 5, 6)) {}
  nowNs(): number {
    return this.#now;
  }
  wallMs(): number {
    return this.wallOriginMs + this.#now / 1e6;
  }
  timer(_name: string, fire: (now: number) => void): DeviceTimer {
    const timer = {
      deadlineNs: undefined as number | undefined,
      fire,
      arm(deadline: number) {
        timer.deadlineNs = deadline;
      },
      disarm() {
        timer.deadlineNs = undefined;
      },
    };
    this.#timers.push(timer);
    return timer;
  }
  /** Moves on, stopping at each deadline on the way. Returns how many timers fired. */
  advance(ns: number): number {
    const end = this.#now + ns;
    for (let fired = 0; ; fired++) {
      let next: Armed | undefined;
      for (const timer of this.#timers) {
        if (
          timer.deadlineNs !== undefined &&
          timer.deadlineNs <= end &&
          (next?.deadlineNs ?? Number.POSITIVE_INFINITY) > timer.deadlineNs
        )
          next = timer;
      }
      if (next === undefined) {
        this.#now = end;
        return fired;
      }
      if (fired > 100_000) throw new Error("a timer does not let time pass");
      this.#now = Math.max(this.#now, next.deadlineNs ?? 0);
      next.deadlineNs = undefined;
      next.fire(this.#now);
    }
  }
}

export class TestLine implements IrqLine {
  level = false;
  /** Rising edges seen. */
  edges = 0;
  set(level: boolean): void {
    if (level && !this.level) this.edges++;
    this.level = level;
  }
}

export class TestMemory implements DmaMemory {
  readonly bytes: Uint8Array;
  constructor(readonly sizeBytes = 1 << 20) {
    this.bytes = new Uint8Array(sizeBytes);
  }
  read(gpa: number, into: Uint8Array): void {
    for (let i = 0; i < into.length; i++) into[i] = this.bytes[gpa + i] ?? 0xff;
  }
  write(gpa: number, from: Uint8Array): void {
    if (gpa < this.sizeBytes) this.bytes.set(from.subarray(0, this.sizeBytes - gpa), gpa);
  }
  view(gpa: number, sizeBytes: number): Uint8Array | undefined {
    return gpa + sizeBytes <= this.sizeBytes ? this.bytes.subarray(gpa, gpa + sizeBytes) : undefined;
  }
  /** Bytes reported as changed. */
  writtenBytes = 0;
  written(_gpa: number, sizeBytes: number): void {
    this.writtenBytes += sizeBytes;
  }
}

/** Devices on buses, reached as the guest reaches them. */
export function plug(...devices: Device[]): { ports: PortBus; mmio: MmioBus } {
  const ports = new PortBus();
  const mmio = new MmioBus();
  for (const device of devices) {
    for (const range of device.ports ?? []) ports.add(range);
    for (const range of device.mmio ?? []) mmio.add(range);
  }
  return { ports, mmio };
}
