// High precision event timers (IA-PC HPET specification 1.0a): a counter of 100 MHz with three comparators, each one-shot or
// periodic, of 32 or 64 bits, by an interrupt line or a message. With legacy replacement comparators 0 and 1 take the
// places of the 8254 (IRQ 0) and of the RTC (IRQ 8).
import type { Device, DeviceClock, DeviceState, DeviceTimer, IoRange, IrqLine, MsiSink } from "../vmm/device.ts";
import { SavedState } from "./saved-state.ts";

export const HPET_BASE = 0xfed00000;
export const HPET_BYTES = 0x400;
/** Vendor, legacy replacement, 64-bit counter, three comparators, revision 1: what the ACPI table repeats. */
export const HPET_ID = 0x8086a201;
const TIMERS = 3;
const TICK_NS = 10;
const FEMTOSECONDS_A_TICK = 10_000_000;

// ---- registers
const CAPABILITIES = 0x000;
const CONFIGURATION = 0x010;
const STATUS = 0x020;
const COUNTER = 0x0f0;
const TIMER_BASE = 0x100;
const TIMER_STRIDE = 0x20;
const TIMER_COMPARATOR = 0x08;
const TIMER_MESSAGE = 0x10;

const ENABLE = 1;
const LEGACY = 2;

const TIMER_LEVEL = 0x0002;
const TIMER_INTERRUPT = 0x0004;
const TIMER_PERIODIC = 0x0008;
const TIMER_CAN_REPEAT = 0x0010;
const TIMER_64_BITS = 0x0020;
const TIMER_SET_VALUE = 0x0040;
const TIMER_32_BITS = 0x0100;
const TIMER_ROUTE_SHIFT = 9;
const TIMER_ROUTE = 0x3e00;
const TIMER_MESSAGES = 0x4000;
const TIMER_CAN_SEND = 0x8000;
const TIMER_WRITABLE =
  TIMER_LEVEL | TIMER_INTERRUPT | TIMER_PERIODIC | TIMER_SET_VALUE | TIMER_32_BITS | TIMER_ROUTE | TIMER_MESSAGES;
/** Inputs of the I/O APIC that no other device has. */
const ROUTES: readonly number[] = [20, 21, 22, 23];
const ROUTE_BITS = ROUTES.reduce((bits, gsi) => bits | (1 << gsi), 0);
const LEGACY_IRQS: readonly number[] = [0, 8];
const LINE_BITS = [...ROUTES, ...LEGACY_IRQS].reduce((bits, gsi) => bits | (1 << gsi), 0);

const MASK_64 = 0xffff_ffff_ffff_ffffn;
const MASK_32 = 0xffff_ffffn;
/** A guest that asks for more interrupts than this gets so many: time must pass between two. */
const SHORTEST_NS = 10_000;
export const HPET_SHORTEST_TICKS = SHORTEST_NS / TICK_NS;
/** Guest time beyond which nobody waits. */
const LONGEST_NS = 2 ** 53;

export interface HpetOptions {
  readonly clock: DeviceClock;
  readonly msi: MsiSink;
  /** A line of the board, to the input of that number; asked for each that a comparator may drive. */
  readonly line: (gsi: number) => IrqLine;
  /** Comparator 0 takes the 8254's place at IRQ 0, or gives it back. */
  readonly replacePit: (on: boolean) => void;
  /** Comparator 1 takes the RTC's place at IRQ 8, or gives it back. */
  readonly replaceRtc: (on: boolean) => void;
}

interface Comparator {
  configuration: number;
  value: bigint;
  period: bigint;
  /** Low half data, high half address. */
  message: bigint;
  readonly timer: DeviceTimer;
}

export class Hpet implements Device {
  readonly name = "hpet";
  readonly stateVersion = 1;
  readonly mmio: readonly IoRange[];

  // ---- state
  #configuration = 0;
  /** Level interrupts that wait, a bit a comparator. */
  #status = 0;
  /** Counter at #startNs; it stands there while disabled. */
  #count = 0n;
  #startNs = 0;
  /** Lines that it holds high, a bit each. */
  #high = 0;
  readonly #comparators: readonly Comparator[];
  readonly #lines: ReadonlyMap<number, IrqLine>;
  // ---- metrics
  #interrupts = 0;

  constructor(private readonly options: HpetOptions) {
    this.mmio = [{ name: this.name, first: HPET_BASE, count: HPET_BYTES, width: 4, handler: this }];
    this.#lines = new Map([...LEGACY_IRQS, ...ROUTES].map((gsi) => [gsi, options.line(gsi)]));
    this.#comparators = Array.from({ length: TIMERS }, (_, n) => ({
      configuration: 0,
      value: MASK_64,
      period: 0n,
      message: 0n,
      timer: options.clock.timer(`hpet.${n}`, (nowNs) => this.#fire(n, nowNs)),
    }));
  }

  reset(): void {
    if (this.#configuration & LEGACY) this.#replaceLegacy(false);
    this.#configuration = 0;
    this.#status = 0;
    this.#count = 0n;
    this.#startNs = 0;
    for (const comparator of this.#comparators) {
      Object.assign(comparator, { configuration: 0, value: MASK_64, period: 0n, message: 0n });
      comparator.timer.disarm();
    }
    this.#lowerAll();
  }

  // ---- the counter

  get #enabled(): boolean {
    return (this.#configuration & ENABLE) !== 0;
  }

  #counter(nowNs: number): bigint {
    return this.#enabled ? (this.#count + BigInt(this.#elapsed(nowNs))) & MASK_64 : this.#count;
  }

  /** Ticks since #startNs. */
  #elapsed(nowNs: number): number {
    return Math.max(0, Math.floor((nowNs - this.#startNs) / TICK_NS));
  }

  // ---- read: 1, 2 or 4 bytes

  read(offset: number, size: number): number {
    const register = this.#register(offset & ~7);
    const value = Number((register >> BigInt((offset & 7) * 8)) & MASK_32);
    return size === 4 ? value : value & (size === 2 ? 0xffff : 0xff);
  }

  #register(at: number): bigint {
    switch (at) {
      case CAPABILITIES:
        return (BigInt(FEMTOSECONDS_A_TICK) << 32n) | BigInt(HPET_ID);
      case CONFIGURATION:
        return BigInt(this.#configuration);
      case STATUS:
        return BigInt(this.#status);
      case COUNTER:
        return this.#counter(this.options.clock.nowNs());
    }
    const comparator = this.#comparators[Math.floor((at - TIMER_BASE) / TIMER_STRIDE)];
    if (at < TIMER_BASE || comparator === undefined) return 0n;
    switch ((at - TIMER_BASE) % TIMER_STRIDE) {
      case 0: {
        const able = TIMER_CAN_REPEAT | TIMER_64_BITS | TIMER_CAN_SEND;
        return (BigInt(ROUTE_BITS) << 32n) | BigInt(comparator.configuration | able);
      }
      case TIMER_COMPARATOR:
        return comparator.value;
      case TIMER_MESSAGE:
        return comparator.message;
      default:
        return 0n;
    }
  }

  // ---- write: registers take words of 32 bits (2.3)

  write(offset: number, size: number, value: number): void {
    if (size !== 4 || offset & 3) return;
    const at = offset & ~7;
    const high = (offset & 4) !== 0;
    const word = BigInt(value >>> 0);
    const merged = (before: bigint): bigint =>
      high ? (before & MASK_32) | (word << 32n) : (before & ~MASK_32 & MASK_64) | word;
    const nowNs = this.options.clock.nowNs();
    switch (at) {
      case CONFIGURATION:
        if (!high) this.#configure(value, nowNs);
        return;
      case STATUS:
        if (!high) this.#acknowledge(value);
        return;
      case COUNTER:
        this.#count = merged(this.#counter(nowNs));
        this.#startNs = nowNs;
        this.#armAll(nowNs);
        return;
    }
    const n = Math.floor((at - TIMER_BASE) / TIMER_STRIDE);
    const comparator = at < TIMER_BASE ? undefined : this.#comparators[n];
    if (comparator === undefined) return;
    const register = (at - TIMER_BASE) % TIMER_STRIDE;
    if (register === 0 && !high) this.#configureTimer(n, comparator, value);
    else if (register === TIMER_COMPARATOR) writeComparator(comparator, merged);
    else if (register === TIMER_MESSAGE) comparator.message = merged(comparator.message);
    this.#arm(comparator, nowNs);
  }

  #configure(value: number, nowNs: number): void {
    const before = this.#configuration;
    if ((before ^ value) & ENABLE) {
      this.#count = this.#counter(nowNs);
      this.#startNs = nowNs;
    }
    this.#configuration = value & (ENABLE | LEGACY);
    if ((before ^ value) & LEGACY) {
      this.#lowerAll();
      this.#replaceLegacy((value & LEGACY) !== 0);
    }
    for (let n = 0; n < TIMERS; n++) this.#updateLevel(n);
    this.#armAll(nowNs);
  }

  #replaceLegacy(on: boolean): void {
    this.options.replacePit(on);
    this.options.replaceRtc(on);
  }

  #configureTimer(n: number, comparator: Comparator, value: number): void {
    this.#drive(this.#lineOf(n), false);
    comparator.configuration = value & TIMER_WRITABLE;
    if (value & TIMER_32_BITS) comparator.value &= MASK_32;
    if (!(value & TIMER_LEVEL)) this.#status &= ~(1 << n);
    this.#updateLevel(n);
  }

  #acknowledge(bits: number): void {
    this.#status &= ~bits;
    for (let n = 0; n < TIMERS; n++) this.#updateLevel(n);
  }

  // ---- interrupts

  /** The line that a comparator drives now. */
  #lineOf(n: number): number | undefined {
    const { configuration } = this.#comparators[n] as Comparator;
    if (this.#configuration & LEGACY && n < LEGACY_IRQS.length) return LEGACY_IRQS[n];
    const route = (configuration & TIMER_ROUTE) >> TIMER_ROUTE_SHIFT;
    return ROUTES.includes(route) ? route : undefined;
  }

  #drive(gsi: number | undefined, level: boolean): void {
    if (gsi === undefined) return;
    this.#high = level ? this.#high | (1 << gsi) : this.#high & ~(1 << gsi);
    this.#lines.get(gsi)?.set(level);
  }

  #lowerAll(): void {
    for (const gsi of this.#lines.keys()) this.#drive(gsi, false);
  }

  #updateLevel(n: number): void {
    const { configuration } = this.#comparators[n] as Comparator;
    if (!(configuration & TIMER_LEVEL)) return;
    const on = this.#enabled && (configuration & TIMER_INTERRUPT) !== 0 && (this.#status & (1 << n)) !== 0;
    this.#drive(this.#lineOf(n), on);
  }

  #fire(n: number, nowNs: number): void {
    const comparator = this.#comparators[n] as Comparator;
    if (!this.#enabled) return;
    if (comparator.configuration & TIMER_PERIODIC && comparator.period !== 0n) {
      // Ticks that nobody saw are one interrupt, and the next keeps their phase.
      const mask = maskOf(comparator);
      const behind = (this.#counter(nowNs) - comparator.value) & mask;
      comparator.value = (comparator.value + (behind / comparator.period + 1n) * comparator.period) & mask;
    }
    this.#interrupt(n, comparator);
    this.#arm(comparator, nowNs, true);
  }

  #interrupt(n: number, { configuration, message }: Comparator): void {
    if (configuration & TIMER_LEVEL) this.#status |= 1 << n;
    if (!(configuration & TIMER_INTERRUPT)) return;
    this.#interrupts++;
    if (configuration & TIMER_MESSAGES) {
      this.options.msi.deliver(Number(message >> 32n), Number(message & MASK_32));
    } else if (configuration & TIMER_LEVEL) {
      this.#updateLevel(n);
    } else {
      const gsi = this.#lineOf(n);
      // It stays high until the next: the 8259 takes back an edge whose line falls before it is acknowledged.
      this.#drive(gsi, false);
      this.#drive(gsi, true);
    }
  }

  #armAll(nowNs: number): void {
    for (const comparator of this.#comparators) this.#arm(comparator, nowNs);
  }

  /** `fired`: its match of this moment is over. One that was passed comes again when the counter has gone round. */
  #arm(comparator: Comparator, nowNs: number, fired = false): void {
    if (!this.#enabled) {
      comparator.timer.disarm();
      return;
    }
    const mask = maskOf(comparator);
    let ticks = (comparator.value - this.#counter(nowNs)) & mask;
    if (fired && ticks === 0n) ticks = mask + 1n;
    const deadlineNs = this.#startNs + (this.#elapsed(nowNs) + Number(ticks)) * TICK_NS;
    if (deadlineNs >= LONGEST_NS) comparator.timer.disarm();
    else comparator.timer.arm(fired ? Math.max(deadlineNs, nowNs + SHORTEST_NS) : deadlineNs);
  }

  // ---- save and load

  save(): DeviceState {
    return {
      configuration: this.#configuration,
      status: this.#status,
      count: bytesOf(this.#count),
      startNs: this.#startNs,
      comparators: this.#comparators.map(({ configuration, value, period, message }) => ({
        configuration,
        value: bytesOf(value),
        period: bytesOf(period),
        message: bytesOf(message),
      })),
      high: this.#high,
    };
  }

  load(state: DeviceState, version: number): void {
    const saved = SavedState.open(this.name, state, version, this.stateVersion);
    this.#configuration = saved.integer("configuration", ENABLE | LEGACY);
    this.#status = saved.integer("status", (1 << TIMERS) - 1);
    this.#count = bigintOf(saved.bytes("count", 8));
    this.#startNs = saved.number("startNs");
    for (const [n, fields] of saved.list("comparators", TIMERS).entries()) {
      Object.assign(this.#comparators[n] as Comparator, {
        configuration: fields.integer("configuration", TIMER_WRITABLE),
        value: bigintOf(fields.bytes("value", 8)),
        period: bigintOf(fields.bytes("period", 8)),
        message: bigintOf(fields.bytes("message", 8)),
      });
    }
    const high = saved.integer("high", LINE_BITS);
    for (const gsi of this.#lines.keys()) this.#drive(gsi, (high & (1 << gsi)) !== 0);
    // The 8254's part is in the chipset's state.
    this.options.replaceRtc((this.#configuration & LEGACY) !== 0);
  }

  metrics(): Readonly<Record<string, number>> {
    return { interrupts: this.#interrupts };
  }
}

/** In periodic mode a write gives the period, and after "set value" also the time of the first tick (2.3.9.2.2). */
function writeComparator(comparator: Comparator, merged: (before: bigint) => bigint): void {
  const mask = maskOf(comparator);
  const periodic = (comparator.configuration & TIMER_PERIODIC) !== 0;
  if (periodic) comparator.period = merged(comparator.period) & mask;
  if (!periodic || comparator.configuration & TIMER_SET_VALUE) comparator.value = merged(comparator.value) & mask;
  comparator.configuration &= ~TIMER_SET_VALUE;
}

function maskOf({ configuration }: Comparator): bigint {
  return configuration & TIMER_32_BITS ? MASK_32 : MASK_64;
}

function bytesOf(value: bigint): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, value, true);
  return bytes;
}

function bigintOf(bytes: Uint8Array): bigint {
  return new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0, true);
}
