// MC146818 real-time clock and the PC's CMOS memory (Motorola MC146818 datasheet; index bit 7 masks NMI).
// Time is computed when somebody looks; timers run only for interrupts that are enabled.
import type { Device, DeviceClock, DeviceState, DeviceTimer, IoRange, IrqLine } from "../vmm/device.ts";
import { SavedState } from "./saved-state.ts";

// ---- registers
const SECONDS = 0x00;
const SECONDS_ALARM = 0x01;
const MINUTES = 0x02;
const MINUTES_ALARM = 0x03;
const HOURS = 0x04;
const HOURS_ALARM = 0x05;
const DAY_OF_WEEK = 0x06;
const DAY = 0x07;
const MONTH = 0x08;
const YEAR = 0x09;
const REG_A = 0x0a;
const REG_B = 0x0b;
const REG_C = 0x0c;
const REG_D = 0x0d;
const CENTURY = 0x32;

const A_UIP = 0x80;
const A_DIVIDER = 0x70;
const A_DIVIDER_32K = 0x20;
const A_DIVIDER_RESET = 0x60; // 11x: the chain is held
const A_RATE = 0x0f;
const B_SET = 0x80;
const B_PIE = 0x40;
const B_AIE = 0x20;
const B_UIE = 0x10;
const B_BINARY = 0x04;
const B_24H = 0x02;
const C_IRQF = 0x80;
const C_PF = 0x40;
const C_AF = 0x20;
const C_UF = 0x10;
const D_VRT = 0x80;
const HOUR_PM = 0x80;
/** Alarm bytes from here up match any value. */
const ALARM_ANY = 0xc0;

const SECOND_NS = 1e9;
/** UIP is high for 244 us before the update and 1,984 us during it (32.768 kHz time base). */
const UIP_NS = 2_228_000;
const CMOS_BYTES = 128;
const SECONDS_A_DAY = 86400;

const KIB = 1024;
const MIB = 1024 * KIB;

const DEFAULT_BOOT_ORDER = [2, 1, 3];

export interface RtcOptions {
  readonly irq: IrqLine;
  readonly clock: DeviceClock;
  readonly ramBytes: number;
  readonly cpuCount: number;
  /** As CMOS register 10h numbers drives A and B; 0 for none. */
  readonly floppyTypes?: readonly [number, number];
  /** Kinds of boot devices by SeaBIOS' numbers: 1 floppy, 2 disk, 3 CD, 4 network. */
  readonly bootOrder?: readonly number[];
}

export class CmosRtc implements Device {
  readonly name = "rtc";
  readonly stateVersion = 1;
  readonly ports: readonly IoRange[];

  // ---- state
  readonly #cmos = new Uint8Array(CMOS_BYTES);
  #index = 0;
  #nmiMasked = false;
  /** The clock shows (guest ns + offset) as ns since 1970, unless stopped. */
  #offsetNs: number;
  /** Guest ns up to which update and alarm flags have been taken into account. */
  #seenNs = 0;
  /** Likewise for periodic ticks: number of the last one. */
  #seenTick = 0;
  readonly #second: DeviceTimer;
  readonly #periodic: DeviceTimer;
  // ---- metrics
  #interrupts = 0;

  constructor(private readonly options: RtcOptions) {
    this.ports = [{ name: this.name, first: 0x70, count: 2, handler: this }];
    this.#offsetNs = Math.floor(options.clock.wallMs() * 1e6 - options.clock.nowNs());
    this.#second = options.clock.timer("rtc.second", () => {
      this.#catchUp();
      this.#arm();
    });
    this.#periodic = options.clock.timer("rtc.periodic", () => {
      this.#catchUp();
      this.#arm();
    });
    this.#cmos[REG_A] = A_DIVIDER_32K | 6;
    this.#cmos[REG_B] = B_24H;
    this.#fillNvram();
    this.#refresh();
  }

  /** RESET# clears the interrupt enables and flags; the clock and the memory run on from the battery. */
  reset(): void {
    this.#index = 0;
    this.#nmiMasked = false;
    this.#cmos[REG_B] = this.#b & ~(B_PIE | B_AIE | B_UIE | 0x08);
    this.#cmos[REG_C] = 0;
    this.#arm();
    this.#updateIrq();
  }

  /** True while bit 7 of the index port holds off NMI. */
  get nmiMasked(): boolean {
    return this.#nmiMasked;
  }

  /** Host access to the memory behind the clock, for boot code and tests. */
  nvram(index: number): number {
    return this.#cmos[index & 0x7f] ?? 0;
  }
  setNvram(index: number, value: number): void {
    this.#cmos[index & 0x7f] = value;
  }

  // ---- read

  read(offset: number): number {
    // The index port cannot be read back on a PC.
    if (offset === 0) return 0xff;
    const index = this.#index;
    if (index <= YEAR || index === CENTURY) {
      this.#refresh();
      return this.#cmos[index] ?? 0;
    }
    switch (index) {
      case REG_A:
        return (this.#a & ~A_UIP) | (this.#updating() ? A_UIP : 0);
      case REG_C: {
        this.#catchUp();
        const value = this.#cmos[REG_C] ?? 0;
        this.#cmos[REG_C] = 0;
        this.#updateIrq();
        return value;
      }
      case REG_D:
        return D_VRT;
      default:
        return this.#cmos[index] ?? 0;
    }
  }

  // ---- write

  write(offset: number, _size: number, value: number): void {
    if (offset === 0) {
      this.#index = value & 0x7f;
      this.#nmiMasked = (value & 0x80) !== 0;
      return;
    }
    const index = this.#index;
    switch (index) {
      case SECONDS_ALARM:
      case MINUTES_ALARM:
      case HOURS_ALARM:
        this.#catchUp();
        this.#cmos[index] = value;
        break;
      case REG_A:
        this.#catchUp();
        this.#writeA(value);
        break;
      case REG_B:
        this.#catchUp();
        this.#writeB(value);
        break;
      case REG_C:
      case REG_D:
        return;
      default:
        if (index <= YEAR || index === CENTURY) {
          this.#catchUp();
          this.#refresh();
          this.#cmos[index] = value;
          if (this.#running()) this.#setTime();
        } else {
          this.#cmos[index] = value;
        }
    }
    this.#arm();
    this.#updateIrq();
  }

  #writeA(value: number): void {
    const wasRunning = this.#running();
    if (wasRunning) this.#refresh();
    this.#cmos[REG_A] = value & ~A_UIP;
    // Leaving divider reset, the first update comes half a second later (datasheet, register A).
    if (!wasRunning && this.#running()) this.#setTime(SECOND_NS / 2);
    this.#seenTick = this.#tick();
  }

  #writeB(value: number): void {
    const wasRunning = this.#running();
    if (wasRunning) this.#refresh();
    // Setting SET stops the update-ended interrupt (datasheet, register B).
    if (value & B_SET) value &= ~B_UIE;
    this.#cmos[REG_B] = value;
    if (!wasRunning && this.#running()) this.#setTime();
    const flags = this.#cmos[REG_C] ?? 0;
    if (flags & value & (C_PF | C_AF | C_UF)) this.#cmos[REG_C] = flags | C_IRQF;
  }

  // ---- time

  get #a(): number {
    return this.#cmos[REG_A] ?? 0;
  }
  get #b(): number {
    return this.#cmos[REG_B] ?? 0;
  }

  #running(): boolean {
    return !(this.#b & B_SET) && (this.#a & A_DIVIDER_RESET) !== A_DIVIDER_RESET;
  }

  #timeNs(): number {
    return this.options.clock.nowNs() + this.#offsetNs;
  }

  #updating(): boolean {
    return this.#running() && mod(this.#timeNs(), SECOND_NS) >= SECOND_NS - UIP_NS;
  }

  /** Time registers from the clock. */
  #refresh(): void {
    if (!this.#running()) return;
    const date = new Date(Math.floor(this.#timeNs() / SECOND_NS) * 1000);
    const year = date.getUTCFullYear();
    this.#cmos[SECONDS] = this.#encode(date.getUTCSeconds());
    this.#cmos[MINUTES] = this.#encode(date.getUTCMinutes());
    this.#cmos[HOURS] = this.#encodeHour(date.getUTCHours());
    this.#cmos[DAY_OF_WEEK] = this.#encode(date.getUTCDay() + 1);
    this.#cmos[DAY] = this.#encode(date.getUTCDate());
    this.#cmos[MONTH] = this.#encode(date.getUTCMonth() + 1);
    this.#cmos[YEAR] = this.#encode(mod(year, 100));
    this.#cmos[CENTURY] = this.#encode(Math.floor(year / 100) % 100);
  }

  /** The clock from the time registers; `phaseNs` into the second, or the phase it has. */
  #setTime(phaseNs = mod(this.#timeNs(), SECOND_NS)): void {
    const at = (index: number): number => this.#decode(this.#cmos[index] ?? 0);
    const year = at(CENTURY) * 100 + at(YEAR);
    const date = new Date(0);
    // setUTCFullYear, as Date.UTC takes years below 100 for 19xx; overlong days and hours carry over.
    date.setUTCFullYear(year, at(MONTH) - 1, at(DAY));
    date.setUTCHours(this.#decodeHour(this.#cmos[HOURS] ?? 0), at(MINUTES), at(SECONDS), 0);
    const now = this.options.clock.nowNs();
    this.#offsetNs = date.getTime() * 1e6 + phaseNs - now;
    this.#seenNs = now;
  }

  #encode(value: number): number {
    return this.#b & B_BINARY ? value : (Math.floor(value / 10) << 4) | (value % 10);
  }
  #decode(byte: number): number {
    return this.#b & B_BINARY ? byte : (byte >> 4) * 10 + (byte & 15);
  }
  #encodeHour(hour: number): number {
    if (this.#b & B_24H) return this.#encode(hour);
    return this.#encode(hour % 12 === 0 ? 12 : hour % 12) | (hour >= 12 ? HOUR_PM : 0);
  }
  #decodeHour(byte: number): number {
    if (this.#b & B_24H) return this.#decode(byte);
    return (this.#decode(byte & ~HOUR_PM) % 12) + (byte & HOUR_PM ? 12 : 0);
  }

  // ---- flags and interrupts

  /** Nanoseconds between periodic ticks, 0 = none (datasheet table 5, 32.768 kHz). */
  #periodNs(): number {
    const rate = this.#a & A_RATE;
    if (rate === 0 || (this.#a & A_DIVIDER) !== A_DIVIDER_32K) return 0;
    return (SECOND_NS / 32768) * 2 ** (rate <= 2 ? rate + 6 : rate - 1);
  }
  #tick(): number {
    const period = this.#periodNs();
    return period === 0 ? 0 : Math.floor(this.options.clock.nowNs() / period);
  }

  /** Sets the flags of everything that happened since last time. */
  #catchUp(): void {
    const now = this.options.clock.nowNs();
    let events = 0;
    const tick = this.#tick();
    if (tick > this.#seenTick) events |= C_PF;
    this.#seenTick = tick;
    if (this.#running()) {
      const before = Math.floor((this.#seenNs + this.#offsetNs) / SECOND_NS);
      const after = Math.floor((now + this.#offsetNs) / SECOND_NS);
      if (after > before) {
        events |= C_UF;
        if (this.#alarmBetween(before, after)) events |= C_AF;
      }
    }
    this.#seenNs = now;
    if (events === 0) return;
    const flags = (this.#cmos[REG_C] ?? 0) | events;
    this.#cmos[REG_C] = flags & this.#b & (C_PF | C_AF | C_UF) ? flags | C_IRQF : flags;
    this.#updateIrq();
  }

  /** Does the alarm match a second after `before`, up to `after`? Both in seconds since 1970. */
  #alarmBetween(before: number, after: number): boolean {
    const seconds = this.#cmos[SECONDS_ALARM] ?? 0;
    const minutes = this.#cmos[MINUTES_ALARM] ?? 0;
    const hours = this.#cmos[HOURS_ALARM] ?? 0;
    const first = Math.max(before + 1, after - SECONDS_A_DAY + 1);
    for (let t = first; t <= after; t++) {
      const s = mod(t, SECONDS_A_DAY);
      if (seconds < ALARM_ANY && this.#decode(seconds) !== s % 60) continue;
      if (minutes < ALARM_ANY && this.#decode(minutes) !== Math.floor(s / 60) % 60) continue;
      if (hours < ALARM_ANY && this.#decodeHour(hours) !== Math.floor(s / 3600)) continue;
      return true;
    }
    return false;
  }

  #arm(): void {
    const now = this.options.clock.nowNs();
    const period = this.#periodNs();
    if (this.#b & B_PIE && period > 0) this.#periodic.arm((this.#tick() + 1) * period);
    else this.#periodic.disarm();
    if (this.#b & (B_AIE | B_UIE) && this.#running())
      this.#second.arm(now + SECOND_NS - mod(now + this.#offsetNs, SECOND_NS));
    else this.#second.disarm();
  }

  #updateIrq(): void {
    const high = ((this.#cmos[REG_C] ?? 0) & C_IRQF) !== 0;
    if (high) this.#interrupts++;
    this.options.irq.set(high);
  }

  // ---- CMOS memory as a PC BIOS and SeaBIOS read it

  #fillNvram(): void {
    const { ramBytes, cpuCount } = this.options;
    const put16 = (index: number, value: number): void => {
      this.#cmos[index] = value & 0xff;
      this.#cmos[index + 1] = value >> 8;
    };
    const [floppyA, floppyB] = this.options.floppyTypes ?? [0, 0];
    const floppies = (floppyA > 0 ? 1 : 0) + (floppyB > 0 ? 1 : 0);
    this.#cmos[0x10] = (floppyA << 4) | floppyB;
    // Equipment: FPU, mouse, no on-board video; floppy drives and how many.
    this.#cmos[0x14] = 0x06 | (floppies > 0 ? 0x01 | ((floppies - 1) << 6) : 0);
    put16(0x15, 640);
    const aboveOneMib = Math.min(0xffff, Math.max(0, ramBytes - MIB) / KIB);
    put16(0x17, aboveOneMib);
    put16(0x30, aboveOneMib);
    put16(0x34, Math.min(0xffff, Math.max(0, ramBytes - 16 * MIB) / (64 * KIB)));
    // SeaBIOS' boot order: the third choice, and with bit 0 clear boot sectors of floppies must have a signature.
    const [first = 0, second = 0, third = 0] = this.options.bootOrder ?? DEFAULT_BOOT_ORDER;
    this.#cmos[0x38] = third << 4;
    this.#cmos[0x3d] = (second << 4) | first;
    this.#cmos[0x5f] = cpuCount - 1;
    let sum = 0;
    for (let i = 0x10; i <= 0x2d; i++) sum += this.#cmos[i] ?? 0;
    this.#cmos[0x2e] = (sum >> 8) & 0xff;
    this.#cmos[0x2f] = sum & 0xff;
  }

  // ---- save and load

  save(): DeviceState {
    this.#catchUp();
    this.#refresh();
    return {
      cmos: this.#cmos.slice(),
      index: this.#index,
      nmiMasked: this.#nmiMasked,
      offsetNs: this.#offsetNs,
      seenNs: this.#seenNs,
      seenTick: this.#seenTick,
    };
  }

  load(state: DeviceState, version: number): void {
    const saved = SavedState.open(this.name, state, version, this.stateVersion);
    const cmos = saved.bytes("cmos", CMOS_BYTES);
    this.#index = saved.integer("index", 0x7f);
    this.#nmiMasked = saved.flag("nmiMasked");
    this.#offsetNs = saved.number("offsetNs");
    this.#seenNs = saved.number("seenNs");
    this.#seenTick = saved.number("seenTick");
    this.#cmos.set(cmos);
    this.#arm();
    this.#updateIrq();
  }

  metrics(): Readonly<Record<string, number>> {
    return { interrupts: this.#interrupts };
  }
}

function mod(value: number, by: number): number {
  return ((value % by) + by) % by;
}
