// The floppy disk controller of a PC: an Intel 82077AA in AT mode (datasheet 290166), up to two drives, DMA channel 2 or
// data through the FIFO.
import type { Device, DeviceClock, DeviceState, IoHandler, IoRange, IrqLine } from "../../vmm/device.ts";
import type { DmaChannel } from "../dma8237.ts";
import { SavedState } from "../saved-state.ts";
import { decodeFdcCommand, type FdcCommand } from "./commands.ts";
import type { FloppyDrive } from "./drive.ts";
import * as fdc from "./fdc-bits.ts";
import { FloppyTransfer } from "./transfer.ts";

export const FDC_BASE = 0x3f0;
export const FDC_IRQ = 6;
export const FDC_DMA = 2;

const VERSION_82077 = 0x90;
const PART_ID = 0x41;

type Phase = "command" | "execute" | "result";

export interface FloppyControllerOptions {
  readonly irq: IrqLine;
  readonly dma: DmaChannel;
  readonly clock: DeviceClock;
  readonly drives: readonly [FloppyDrive | undefined, FloppyDrive | undefined];
}

export class FloppyController implements Device {
  readonly name = "floppy";
  readonly stateVersion = 1;
  readonly ports: readonly IoRange[];
  // ---- state
  #dor = 0;
  #tdr = 0;
  #rate = 2;
  #phase: Phase = "command";
  /** Command and parameters, then results. */
  #fifo: number[] = [];
  #irq = false;
  /** Drives whose interrupt SENSE INTERRUPT has not told yet, with their ST0. */
  #pending: number[] = [];
  #specify: readonly [number, number] = [0, 0];
  #configure: readonly [number, number, number] = [0, 0, 0];
  #perpendicular = 0;
  #locked = false;
  readonly #transfer: FloppyTransfer;

  constructor(private readonly options: FloppyControllerOptions) {
    const handler = (base: number): IoHandler => ({
      read: (offset) => this.#read(base + offset),
      write: (offset, _size, value) => this.#write(base + offset, value),
    });
    this.ports = [
      { name: "floppy", first: FDC_BASE, count: 6, handler: handler(0) },
      { name: "floppy.dir", first: FDC_BASE + fdc.REG_DIR, count: 1, handler: handler(fdc.REG_DIR) },
    ];
    this.#transfer = new FloppyTransfer({
      dma: options.dma,
      clock: options.clock,
      drive: (unit) => this.#drive(unit),
      rate: () => this.#rate,
      withDma: () => this.#withDma,
      executing: () => this.#phase === "execute",
      results: (bytes) => {
        this.#result(...bytes);
        this.#setIrq(true);
      },
      setIrq: (level) => this.#setIrq(level),
    });
  }

  #drive(unit: number): FloppyDrive | undefined {
    return this.options.drives[unit];
  }

  // ---- registers

  #read(register: number): number {
    const selected = this.#drive(this.#dor & fdc.DOR_SELECT);
    switch (register) {
      case fdc.REG_SRA:
        return (this.#irq ? 0x80 : 0) | (this.#drive(1) === undefined ? 0x40 : 0) | (selected?.track === 0 ? 0 : 0x10);
      case fdc.REG_SRB:
        return 0xc0 | ((this.#dor & 1) << 5) | ((this.#dor >> 4) & 3);
      case fdc.REG_DOR:
        return this.#dor;
      case fdc.REG_TDR:
        return this.#tdr;
      case fdc.REG_MSR:
        return this.#mainStatus();
      case fdc.REG_FIFO:
        return this.#readFifo();
      default:
        return selected === undefined || selected.changed ? fdc.DIR_CHANGED : 0;
    }
  }

  #write(register: number, value: number): void {
    switch (register) {
      case fdc.REG_DOR: {
        const before = this.#dor;
        this.#dor = value;
        if (!(value & fdc.DOR_NOT_RESET)) this.#stop();
        else if (!(before & fdc.DOR_NOT_RESET)) this.#afterReset();
        else this.#driveIrq();
        return;
      }
      case fdc.REG_TDR:
        this.#tdr = value & 3;
        return;
      case fdc.REG_MSR:
        this.#rate = value & fdc.DSR_RATE;
        if (!(value & fdc.DSR_RESET)) return;
        this.#stop();
        if (this.#dor & fdc.DOR_NOT_RESET) this.#afterReset();
        return;
      case fdc.REG_FIFO:
        this.#writeFifo(value);
        return;
      case fdc.REG_DIR:
        this.#rate = value & fdc.DSR_RATE;
    }
  }

  #mainStatus(): number {
    if (!(this.#dor & fdc.DOR_NOT_RESET)) return 0;
    if (this.#phase === "command") return fdc.MSR_RQM | (this.#fifo.length > 0 ? fdc.MSR_BUSY : 0);
    if (this.#phase === "result") return fdc.MSR_RQM | fdc.MSR_DIO | fdc.MSR_BUSY;
    if (!this.#transfer.throughFifo) return fdc.MSR_BUSY | (this.#withDma ? 0 : fdc.MSR_NON_DMA);
    return fdc.MSR_RQM | fdc.MSR_NON_DMA | fdc.MSR_BUSY | (this.#transfer.toHost ? fdc.MSR_DIO : 0);
  }

  get #withDma(): boolean {
    return (this.#specify[1] & 1) === 0;
  }

  // ---- reset and interrupt

  #stop(): void {
    this.#transfer.abandon();
    this.#phase = "command";
    this.#fifo = [];
    this.#pending = [];
    this.#setIrq(false);
    if (!this.#locked) this.#configure = [0, 0, 0];
  }

  /** The four drives' ready lines are polled: one interrupt, four results. */
  #afterReset(): void {
    this.#pending = [0, 1, 2, 3].map((unit) => fdc.ST0_POLLED | unit);
    this.#setIrq(true);
  }

  #setIrq(level: boolean): void {
    this.#irq = level;
    this.#driveIrq();
  }

  /** Without the DMA gate, the interrupt pin is off as well. */
  #driveIrq(): void {
    this.options.irq.set(this.#irq && (this.#dor & fdc.DOR_DMA) !== 0);
  }

  // ---- commands

  #writeFifo(value: number): void {
    if (!(this.#dor & fdc.DOR_NOT_RESET)) return;
    if (this.#transfer.throughFifo) {
      if (!this.#transfer.toHost) this.#transfer.pushByte(value);
      return;
    }
    if (this.#phase !== "command") return;
    this.#fifo.push(value);
    const { command, parameters } = decodeFdcCommand(this.#fifo[0] ?? 0);
    if (this.#fifo.length <= parameters) return;
    const [code = 0, ...bytes] = this.#fifo;
    this.#fifo = [];
    if (command !== "sense-interrupt") this.#setIrq(false);
    this.#run(command, code, bytes);
  }

  #readFifo(): number {
    if (this.#transfer.throughFifo && this.#transfer.toHost) return this.#transfer.pullByte();
    if (this.#phase !== "result") return 0;
    const value = this.#fifo.shift() ?? 0;
    this.#setIrq(false);
    if (this.#fifo.length === 0) this.#phase = "command";
    return value;
  }

  #result(...bytes: readonly number[]): void {
    this.#phase = "result";
    this.#fifo = [...bytes];
  }

  #run(command: FdcCommand, code: number, bytes: readonly number[]): void {
    const [first = 0, second = 0, third = 0] = bytes;
    switch (command) {
      case "specify":
        this.#specify = [first, second];
        return;
      case "configure":
        this.#configure = [first, second, third];
        return;
      case "perpendicular":
        this.#perpendicular = first;
        return;
      case "lock":
        this.#locked = (code & 0x80) !== 0;
        return this.#result(this.#locked ? 0x10 : 0);
      case "version":
        return this.#result(VERSION_82077);
      case "part-id":
        return this.#result(PART_ID);
      case "powerdown":
        return this.#result(first);
      case "drive-specification":
        return;
      case "dump":
        return this.#result(...this.#registers());
      case "sense-drive":
        return this.#result(this.#driveStatus(first));
      case "sense-interrupt":
        return this.#senseInterrupt();
      case "recalibrate":
        return this.#seek(first & 3, 0);
      case "seek":
        return this.#seek(first & 3, second);
      case "relative-seek": {
        const track = this.#drive(first & 3)?.track ?? 0;
        return this.#seek(first & 3, Math.max(0, code & 0x40 ? track + second : track - second));
      }
      case "read-id":
        return this.#transfer.readId(first);
      case "format":
        this.#phase = "execute";
        return this.#transfer.beginFormat(bytes);
      case "read":
      case "write":
      case "verify":
        this.#phase = "execute";
        return this.#transfer.begin(command, code, bytes);
      default:
        return this.#result(fdc.ST0_INVALID);
    }
  }

  #registers(): number[] {
    const tracks = [0, 1, 2, 3].map((unit) => this.#drive(unit)?.track ?? 0);
    const state = (this.#locked ? 0x80 : 0) | (this.#perpendicular & 0x7f);
    return [...tracks, ...this.#specify, this.#transfer.last, state, this.#configure[1], this.#configure[2]];
  }

  #driveStatus(select: number): number {
    const drive = this.#drive(select & 3);
    let status = (select & 7) | fdc.ST3_TWO_SIDES | fdc.ST3_READY;
    if (drive?.track === 0) status |= fdc.ST3_TRACK_0;
    if (drive?.writeProtected) status |= fdc.ST3_WRITE_PROTECTED;
    return status;
  }

  #senseInterrupt(): void {
    const st0 = this.#pending.shift();
    this.#setIrq(false);
    // The results after a reset come without further interrupts; the end of another drive's seek has its own.
    const [next] = this.#pending;
    if (next !== undefined && (next & fdc.ST0_POLLED) !== fdc.ST0_POLLED) this.#setIrq(true);
    if (st0 === undefined) return this.#result(fdc.ST0_INVALID);
    this.#result(st0, this.#drive(st0 & 3)?.track ?? 0);
  }

  #seek(unit: number, track: number): void {
    const drive = this.#drive(unit);
    drive?.seek(track);
    this.#transfer.afterSeek();
    // A drive that is not there never finds its track 0.
    const failed = drive === undefined ? fdc.ST0_ABNORMAL | fdc.ST0_EQUIPMENT_CHECK : 0;
    this.#pending = [...this.#pending.filter((st0) => (st0 & 3) !== unit), fdc.ST0_SEEK_END | failed | unit];
    this.#setIrq(true);
  }

  // ---- reset, save and load

  reset(): void {
    this.#locked = false;
    this.#stop();
    this.#dor = 0;
    this.#tdr = 0;
    this.#rate = 2;
    this.#specify = [0, 0];
    this.#perpendicular = 0;
    this.#driveIrq();
    for (const drive of this.options.drives) if (drive !== undefined) drive.track = 0;
  }

  save(): DeviceState {
    const unit = (n: number): DeviceState => {
      const drive = this.#drive(n);
      return { track: drive?.track ?? 0, changed: drive?.changed ?? true };
    };
    return {
      dor: this.#dor,
      tdr: this.#tdr,
      rate: this.#rate,
      phase: PHASES.indexOf(this.#phase),
      fifo: Uint8Array.from(this.#fifo),
      irq: this.#irq,
      pending: Uint8Array.from(this.#pending),
      settings: Uint8Array.from([...this.#specify, ...this.#configure, this.#perpendicular]),
      locked: this.#locked,
      ...this.#transfer.save(),
      drive0: unit(0),
      drive1: unit(1),
    };
  }

  load(state: DeviceState, version: number): void {
    const saved = SavedState.open(this.name, state, version, this.stateVersion);
    this.#stop();
    const settings = saved.bytes("settings", 6);
    this.#dor = saved.integer("dor", 0xff);
    this.#tdr = saved.integer("tdr", 3);
    this.#rate = saved.integer("rate", 3);
    this.#phase = PHASES[saved.integer("phase", PHASES.length - 1)] ?? "command";
    this.#fifo = [...saved.bytes("fifo", 16, false)];
    this.#pending = [...saved.bytes("pending", 4, false)];
    const [s0 = 0, s1 = 0, c0 = 0, c1 = 0, c2 = 0, perpendicular = 0] = settings;
    this.#specify = [s0, s1];
    this.#configure = [c0, c1, c2];
    this.#perpendicular = perpendicular;
    this.#locked = saved.flag("locked");
    this.#transfer.load(saved);
    for (const n of [0, 1]) {
      const drive = this.#drive(n);
      if (drive === undefined) continue;
      const from = new SavedState(`${this.name}.drive${n}`, saved.nested(`drive${n}`));
      drive.track = from.integer("track", 0xff);
      drive.changed = from.flag("changed");
    }
    this.#setIrq(saved.flag("irq"));
    this.#transfer.resume();
  }

  metrics(): Readonly<Record<string, number>> {
    return { ...this.#transfer.counts };
  }
}

const PHASES: readonly Phase[] = ["command", "execute", "result"];
