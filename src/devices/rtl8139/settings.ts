// The chip's own registers: what is on, what interrupts, addresses, the EEPROM, the PHY and the counter.
import type { DeviceState } from "../../vmm/device.ts";
import type { SavedState } from "../saved-state.ts";
import { Eeprom } from "./eeprom.ts";
import * as reg from "./registers.ts";
import type { Rtl8139Options } from "./rtl8139.ts";

const ADDRESS_BYTES = 6;
const MULTICAST_BYTES = 8;
/** A PCI clock of 33 MHz counts. */
const NS_PER_COUNT = 30;
const MISSED_MAX = 0xffffff;
/** Registers of one byte that are kept as software writes them, while it has the lock open. */
export const LOCKED_BYTES = [reg.CONFIG0, reg.CONFIG1, reg.CONFIG3, reg.CONFIG4, reg.CONFIG5] as const;
const CONFIG1_DEFAULT = 0x0c;
const CONFIG3_DEFAULT = 0x01;

export interface SettingsHooks {
  reset(): void;
  /** What interrupts may have changed. */
  interrupt(): void;
  send(): void;
  poll(high: boolean): void;
  receiverStarted(): void;
  /** Calls `counted` then; undefined: never. */
  countTo(atNs: number | undefined): void;
  /** Counters are to be written there. */
  tally(gpa: number): void;
}

export class Settings {
  readonly mac = new Uint8Array(ADDRESS_BYTES);
  readonly multicast = new Uint8Array(MULTICAST_BYTES);
  readonly bytes = new Map<number, number>();
  rcr = 0;
  tcr = 0;
  cpcr = 0;
  anar = reg.ANAR_DEFAULT;
  linkUp = true;
  readonly #eeprom: Eeprom;
  #command = 0;
  #isr = 0;
  #imr = 0;
  #lock = 0;
  #bmcr = reg.BMCR_DEFAULT;
  #missed = 0;
  #timerInt = 0;
  #countedFromNs = 0;

  constructor(
    private readonly options: Rtl8139Options,
    private readonly hooks: SettingsHooks,
  ) {
    this.#eeprom = new Eeprom(options.mac);
  }

  /** To be called before anything else. */
  powerOn(mac: Uint8Array): void {
    this.mac.set(mac);
    this.multicast.fill(0);
    this.setEeprom(mac);
    this.#eeprom.reset();
    this.bytes.clear();
    this.bytes.set(reg.CONFIG1, CONFIG1_DEFAULT);
    this.bytes.set(reg.CONFIG3, CONFIG3_DEFAULT);
    this.#lock = 0;
    this.#bmcr = reg.BMCR_DEFAULT;
    this.anar = reg.ANAR_DEFAULT;
    this.#clear();
  }

  /** CR's reset bit (5.7): configuration and address stay. */
  softReset(): void {
    this.#clear();
    this.hooks.reset();
  }

  #clear(): void {
    this.#command = 0;
    this.rcr = 0;
    this.tcr = 0;
    this.cpcr = 0;
    this.#isr = 0;
    this.#imr = 0;
    this.#missed = 0;
    this.#timerInt = 0;
    this.#countedFromNs = this.options.clock.nowNs();
    this.hooks.countTo(undefined);
    this.hooks.interrupt();
  }

  setEeprom(mac: Uint8Array): void {
    this.#eeprom.setMac(mac);
  }

  // ---- what is on

  get transmits(): boolean {
    return (this.#command & reg.CR_TRANSMIT) !== 0;
  }
  get receives(): boolean {
    return (this.#command & reg.CR_RECEIVE) !== 0;
  }
  get transmitsPlus(): boolean {
    return (this.cpcr & reg.CPCR_TRANSMIT) !== 0;
  }
  get receivesPlus(): boolean {
    return (this.cpcr & reg.CPCR_RECEIVE) !== 0;
  }
  get loopsBack(): boolean {
    return (this.tcr & reg.TCR_LOOPBACK) === reg.TCR_LOOPBACK;
  }
  get unlocked(): boolean {
    return (this.#lock & reg.EEPROM_MODE) === reg.EEPROM_UNLOCKED;
  }

  readCommand(isEmpty: boolean): number {
    return this.#command | (isEmpty ? reg.CR_EMPTY : 0);
  }
  writeCommand(value: number): void {
    if (value & reg.CR_RESET) {
      this.softReset();
      return;
    }
    const before = this.#command;
    this.#command = value & (reg.CR_TRANSMIT | reg.CR_RECEIVE);
    if (this.#command & ~before & reg.CR_RECEIVE) this.hooks.receiverStarted();
    if (this.#command & ~before & reg.CR_TRANSMIT) this.hooks.send();
  }

  get version(): number {
    return this.tcr | (this.options.plus ? reg.TCR_VERSION_PLUS : reg.TCR_VERSION_D);
  }

  // ---- interrupts

  get isr(): number {
    return this.#isr;
  }
  get imr(): number {
    return this.#imr;
  }
  set imr(value: number) {
    this.#imr = value & reg.INT_BITS;
    this.hooks.interrupt();
  }
  get interrupts(): boolean {
    return (this.#isr & this.#imr) !== 0;
  }
  raise(bits: number): void {
    this.#isr |= bits;
    this.hooks.interrupt();
  }
  acknowledge(bits: number): void {
    this.#isr &= ~bits;
    this.hooks.interrupt();
  }

  // ---- missed frames, link, counter

  missed(): void {
    this.#missed = Math.min(MISSED_MAX, this.#missed + 1);
    this.raise(reg.INT_NO_ROOM);
  }
  get missedCount(): number {
    return this.#missed;
  }
  clearMissed(): void {
    this.#missed = 0;
  }

  setLink(up: boolean): void {
    if (up === this.linkUp) return;
    this.linkUp = up;
    this.raise(reg.INT_LINK);
  }
  get mediaStatus(): number {
    return reg.MSR_FIXED | (this.linkUp ? 0 : reg.MSR_LINK_DOWN);
  }

  get count(): number {
    return Math.floor((this.options.clock.nowNs() - this.#countedFromNs) / NS_PER_COUNT) >>> 0;
  }
  restartCount(): void {
    this.#countedFromNs = this.options.clock.nowNs();
    this.#armCount();
  }
  get timerInt(): number {
    return this.#timerInt;
  }
  set timerInt(value: number) {
    this.#timerInt = value >>> 0;
    this.#armCount();
  }
  #armCount(): void {
    const due = this.#countedFromNs + this.#timerInt * NS_PER_COUNT;
    const ahead = this.#timerInt !== 0 && due > this.options.clock.nowNs();
    this.hooks.countTo(ahead ? due : undefined);
  }
  counted(): void {
    this.raise(reg.INT_TIMER);
  }

  // ---- EEPROM and lock

  get lock(): number {
    const mode = this.#lock & reg.EEPROM_MODE;
    return mode | (mode === reg.EEPROM_PROGRAM ? this.#eeprom.pins : 0);
  }
  set lock(value: number) {
    this.#lock = value & reg.EEPROM_MODE;
    if (this.#lock === reg.EEPROM_PROGRAM) this.#eeprom.write(value & 0x0f);
    else this.#eeprom.write(0);
  }

  // ---- PHY

  get bmcr(): number {
    return this.#bmcr;
  }
  /** Resetting and negotiating are over at once. */
  set bmcr(value: number) {
    this.#bmcr = value & reg.BMCR_RESET ? reg.BMCR_DEFAULT : value & ~reg.BMCR_RESTART & 0xffff;
  }
  get bmsr(): number {
    return reg.BMSR_ABILITIES | (this.linkUp ? reg.BMSR_LINK : 0);
  }

  pollTransmit(value: number): void {
    if (value & reg.POLL_INTERRUPT) this.raise(reg.INT_SOFTWARE);
    if (value & reg.POLL_HIGH) this.hooks.poll(true);
    if (value & reg.POLL_NORMAL) this.hooks.poll(false);
  }
  tally(gpa: number): void {
    this.hooks.tally(gpa);
  }
  descriptorWritten(): void {
    this.hooks.send();
  }

  // ---- save and load

  save(): DeviceState {
    return {
      mac: this.mac.slice(),
      multicast: this.multicast.slice(),
      bytes: LOCKED_BYTES.map((at) => this.bytes.get(at) ?? 0),
      rcr: this.rcr >>> 0,
      tcr: this.tcr >>> 0,
      cpcr: this.cpcr,
      anar: this.anar,
      linkUp: this.linkUp,
      command: this.#command,
      isr: this.#isr,
      imr: this.#imr,
      lock: this.#lock,
      bmcr: this.#bmcr,
      missed: this.#missed,
      timerInt: this.#timerInt,
      countedFromNs: this.#countedFromNs,
      eeprom: this.#eeprom.save(),
    };
  }

  load(device: string, saved: SavedState): void {
    this.mac.set(saved.bytes("mac", ADDRESS_BYTES));
    this.multicast.set(saved.bytes("multicast", MULTICAST_BYTES));
    for (const [i, value] of saved.integers("bytes", LOCKED_BYTES.length).entries())
      this.bytes.set(LOCKED_BYTES[i] ?? 0, value & 0xff);
    this.rcr = saved.integer("rcr") & reg.RCR_WRITABLE;
    this.tcr = saved.integer("tcr") & reg.TCR_WRITABLE;
    this.cpcr = saved.integer("cpcr", reg.CPCR_WRITABLE);
    this.anar = saved.integer("anar", 0xffff);
    this.linkUp = saved.flag("linkUp");
    this.#command = saved.integer("command", 0xff) & (reg.CR_TRANSMIT | reg.CR_RECEIVE);
    this.#isr = saved.integer("isr", reg.INT_BITS);
    this.#imr = saved.integer("imr", reg.INT_BITS);
    this.#lock = saved.integer("lock", 0xff) & reg.EEPROM_MODE;
    this.#bmcr = saved.integer("bmcr", 0xffff);
    this.#missed = saved.integer("missed", MISSED_MAX);
    this.#timerInt = saved.integer("timerInt");
    this.#countedFromNs = saved.number("countedFromNs");
    this.#eeprom.load(saved.part(device, "eeprom"));
    this.hooks.interrupt();
  }
}
