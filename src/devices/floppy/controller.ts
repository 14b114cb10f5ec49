// The floppy disk controller of a PC: an Intel 82077AA in AT mode (datasheet 290166), up to two drives, DMA channel 2 or
// data through the FIFO.

import type { MaybePromise } from "../../vmm/block.ts";
import type { Device, DeviceClock, DeviceState, DeviceTimer, IoHandler, IoRange, IrqLine } from "../../vmm/device.ts";
import { whenDone } from "../../vmm/maybe-promise.ts";
import type { DmaChannel } from "../dma8237.ts";
import { SavedState } from "../saved-state.ts";
import { decodeFdcCommand, type FdcCommand } from "./commands.ts";
import type { FloppyDrive } from "./drive.ts";

export const FDC_BASE = 0x3f0;
export const FDC_IRQ = 6;
export const FDC_DMA = 2;

// ---- registers
const REG_SRA = 0;
const REG_SRB = 1;
const REG_DOR = 2;
const REG_TDR = 3;
const REG_MSR = 4;
const REG_FIFO = 5;

const DOR_SELECT = 0x03;
const DOR_NOT_RESET = 0x04;
const DOR_DMA = 0x08;
const MSR_RQM = 0x80;
const MSR_DIO = 0x40;
const MSR_NON_DMA = 0x20;
const MSR_BUSY = 0x10;
const DSR_RESET = 0x80;
const DSR_RATE = 0x03;
const DIR_CHANGED = 0x80;

const ST0_ABNORMAL = 0x40;
const ST0_INVALID = 0x80;
/** After a reset: the drive's ready line was looked at. */
const ST0_POLLED = 0xc0;
const ST0_SEEK_END = 0x20;
const ST0_EQUIPMENT_CHECK = 0x10;
const ST1_MISSING_MARK = 0x01;
const ST1_WRITE_PROTECTED = 0x02;
const ST1_NO_DATA = 0x04;
const ST1_DATA_ERROR = 0x20;
const ST1_END_OF_CYLINDER = 0x80;
const ST3_TWO_SIDES = 0x08;
const ST3_TRACK_0 = 0x10;
const ST3_READY = 0x20;
const ST3_WRITE_PROTECTED = 0x40;

const COMMAND_MULTITRACK = 0x80;
const VERSION_82077 = 0x90;
const PART_ID = 0x41;
const SECTOR = 512;
/** The only sector size of a PC's floppies: 128 << 2. */
const SIZE_CODE = 2;

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
  // ---- the transfer under way
  #command: FdcCommand = "invalid";
  #unit = 0;
  #cylinder = 0;
  #head = 0;
  #sector = 0;
  #last = 0;
  #multitrack = false;
  readonly #buffer = new Uint8Array(SECTOR);
  /** Bytes of the buffer that went through the FIFO; undefined while it does not move data. */
  #through: number | undefined;
  #epoch = 0;
  readonly #continue: DeviceTimer;
  #counts = { sectorsRead: 0, sectorsWritten: 0, errors: 0 };

  constructor(private readonly options: FloppyControllerOptions) {
    const handler = (base: number): IoHandler => ({
      read: (offset) => this.#read(base + offset),
      write: (offset, _size, value) => this.#write(base + offset, value),
    });
    this.ports = [
      { name: "floppy", first: FDC_BASE, count: 6, handler: handler(0) },
      { name: "floppy.dir", first: FDC_BASE + 7, count: 1, handler: handler(7) },
    ];
    this.#continue = options.clock.timer("floppy.continue", () => this.#transfer());
  }

  #drive(unit: number): FloppyDrive | undefined {
    return this.options.drives[unit];
  }

  // ---- registers

  #read(register: number): number {
    const selected = this.#drive(this.#dor & DOR_SELECT);
    switch (register) {
      case REG_SRA:
        return (this.#irq ? 0x80 : 0) | (this.#drive(1) === undefined ? 0x40 : 0) | (selected?.track === 0 ? 0 : 0x10);
      case REG_SRB:
        return 0xc0 | ((this.#dor & 1) << 5) | ((this.#dor >> 4) & 3);
      case REG_DOR:
        return this.#dor;
      case REG_TDR:
        return this.#tdr;
      case REG_MSR:
        return this.#mainStatus();
      case REG_FIFO:
        return this.#readFifo();
      default:
        return selected === undefined || selected.changed ? DIR_CHANGED : 0;
    }
  }

  #write(register: number, value: number): void {
    switch (register) {
      case REG_DOR: {
        const before = this.#dor;
        this.#dor = value;
        if (!(value & DOR_NOT_RESET)) this.#stop();
        else if (!(before & DOR_NOT_RESET)) this.#afterReset();
        else this.#driveIrq();
        return;
      }
      case REG_TDR:
        this.#tdr = value & 3;
        return;
      case REG_MSR:
        this.#rate = value & DSR_RATE;
        if (!(value & DSR_RESET)) return;
        this.#stop();
        if (this.#dor & DOR_NOT_RESET) this.#afterReset();
        return;
      case REG_FIFO:
        this.#writeFifo(value);
        return;
      case 7:
        this.#rate = value & DSR_RATE;
    }
  }

  #mainStatus(): number {
    if (!(this.#dor & DOR_NOT_RESET)) return 0;
    if (this.#phase === "command") return MSR_RQM | (this.#fifo.length > 0 ? MSR_BUSY : 0);
    if (this.#phase === "result") return MSR_RQM | MSR_DIO | MSR_BUSY;
    if (this.#through === undefined) return MSR_BUSY | (this.#withDma ? 0 : MSR_NON_DMA);
    return MSR_RQM | MSR_NON_DMA | MSR_BUSY | (this.#command === "read" ? MSR_DIO : 0);
  }

  // ---- reset and interrupt

  #stop(): void {
    this.#epoch++;
    this.#continue.disarm();
    this.options.dma.release();
    this.#phase = "command";
    this.#fifo = [];
    this.#through = undefined;
    this.#pending = [];
    this.#setIrq(false);
    if (!this.#locked) this.#configure = [0, 0, 0];
  }

  /** The four drives' ready lines are polled: one interrupt, four results. */
  #afterReset(): void {
    this.#pending = [0, 1, 2, 3].map((unit) => ST0_POLLED | unit);
    this.#setIrq(true);
  }

  #setIrq(level: boolean): void {
    this.#irq = level;
    this.#driveIrq();
  }

  /** Without the DMA gate, the interrupt pin is off as well. */
  #driveIrq(): void {
    this.options.irq.set(this.#irq && (this.#dor & DOR_DMA) !== 0);
  }

  // ---- commands

  #writeFifo(value: number): void {
    if (!(this.#dor & DOR_NOT_RESET)) return;
    if (this.#through !== undefined) {
      if (this.#command !== "read") this.#pushByte(value);
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
    if (this.#through !== undefined && this.#command === "read") return this.#pullByte();
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
        return this.#readId(first);
      case "format":
        return this.#beginFormat(bytes);
      case "read":
      case "write":
      case "verify":
        return this.#begin(command, code, bytes);
      default:
        return this.#result(ST0_INVALID);
    }
  }

  #registers(): number[] {
    const tracks = [0, 1, 2, 3].map((unit) => this.#drive(unit)?.track ?? 0);
    const state = (this.#locked ? 0x80 : 0) | (this.#perpendicular & 0x7f);
    return [...tracks, ...this.#specify, this.#last, state, this.#configure[1], this.#configure[2]];
  }

  #driveStatus(select: number): number {
    const drive = this.#drive(select & 3);
    let status = (select & 7) | ST3_TWO_SIDES | ST3_READY;
    if (drive?.track === 0) status |= ST3_TRACK_0;
    if (drive?.writeProtected) status |= ST3_WRITE_PROTECTED;
    return status;
  }

  #senseInterrupt(): void {
    const st0 = this.#pending.shift();
    this.#setIrq(false);
    // The results after a reset come without further interrupts; the end of another drive's seek has its own.
    const [next] = this.#pending;
    if (next !== undefined && (next & ST0_POLLED) !== ST0_POLLED) this.#setIrq(true);
    if (st0 === undefined) return this.#result(ST0_INVALID);
    this.#result(st0, this.#drive(st0 & 3)?.track ?? 0);
  }

  #seek(unit: number, track: number): void {
    const drive = this.#drive(unit);
    drive?.seek(track);
    this.#sector = 1;
    // A drive that is not there never finds its track 0.
    const failed = drive === undefined ? ST0_ABNORMAL | ST0_EQUIPMENT_CHECK : 0;
    this.#pending = [...this.#pending.filter((st0) => (st0 & 3) !== unit), ST0_SEEK_END | failed | unit];
    this.#setIrq(true);
  }

  #readId(select: number): void {
    const unit = select & 3;
    this.#unit = unit;
    this.#head = (select >> 2) & 1;
    const drive = this.#drive(unit);
    this.#cylinder = drive?.track ?? 0;
    // The disk turns: the next sector comes by.
    this.#sector = (this.#sector % (drive?.format.sectors ?? 1)) + 1;
    if (drive === undefined || !this.#readable(drive, this.#cylinder, this.#head))
      this.#end(ST0_ABNORMAL, ST1_MISSING_MARK);
    else this.#end(0, 0);
  }

  /** There is a medium, the head is on it, and the data rate is the medium's. */
  #readable(drive: FloppyDrive, cylinder: number, head: number): boolean {
    if (drive.backend === undefined || drive.format.rate !== this.#rate) return false;
    return drive.offsetOf(cylinder, head, 1) !== undefined;
  }

  // ---- transfers

  get #withDma(): boolean {
    return (this.#specify[1] & 1) === 0;
  }

  #begin(command: FdcCommand, code: number, bytes: readonly number[]): void {
    const [select = 0, cylinder = 0, head = 0, sector = 0, size = 0, last = 0] = bytes;
    this.#command = command;
    this.#unit = select & 3;
    this.#cylinder = cylinder;
    this.#head = head & 1;
    this.#sector = sector;
    this.#last = last;
    this.#multitrack = (code & COMMAND_MULTITRACK) !== 0;
    this.#phase = "execute";
    const drive = this.#drive(this.#unit);
    if (drive === undefined || !this.#readable(drive, 0, this.#head)) return this.#end(ST0_ABNORMAL, ST1_MISSING_MARK);
    if (size !== SIZE_CODE || head !== ((select >> 2) & 1)) return this.#end(ST0_ABNORMAL, ST1_NO_DATA);
    if (command === "write" && drive.writeProtected) return this.#end(ST0_ABNORMAL, ST1_WRITE_PROTECTED);
    // Firmware that knows emulators leaves the seek to the controller; real software has been there.
    if (drive.track !== cylinder) drive.seek(cylinder);
    this.#transfer();
  }

  /** The sector that is due, from its beginning. */
  #transfer(): void {
    if (this.#phase !== "execute") return;
    if (this.#command === "format") return this.#awaitDma(() => this.#formatTrack());
    const drive = this.#drive(this.#unit);
    const offset = drive?.offsetOf(this.#cylinder, this.#head, this.#sector);
    if (drive === undefined || offset === undefined) return this.#end(ST0_ABNORMAL, ST1_NO_DATA);
    if (this.#command === "write") {
      if (this.#withDma) this.#awaitDma(() => this.#takeSector());
      else this.#openFifo();
      return;
    }
    this.#work(
      () => drive.backend?.read(offset, this.#buffer),
      () => {
        this.#counts.sectorsRead++;
        if (this.#command === "verify") this.#advance(false);
        else if (this.#withDma) this.#awaitDma(() => this.#giveSector());
        else this.#openFifo();
      },
    );
  }

  #work(run: () => MaybePromise<void>, done: () => void): void {
    const epoch = ++this.#epoch;
    whenDone(
      run,
      () => {
        if (epoch === this.#epoch) done();
      },
      () => {
        if (epoch === this.#epoch) this.#end(ST0_ABNORMAL, ST1_DATA_ERROR);
      },
    );
  }

  #awaitDma(move: () => void): void {
    const { dma } = this.options;
    dma.request(() => {
      dma.release();
      move();
    });
  }

  #giveSector(): void {
    const { terminal } = this.options.dma.toMemory(this.#buffer);
    this.#advance(terminal);
  }

  #takeSector(): void {
    this.#buffer.fill(0);
    const { terminal } = this.options.dma.fromMemory(this.#buffer);
    this.#writeSector(terminal);
  }

  #writeSector(terminal: boolean): void {
    const drive = this.#drive(this.#unit);
    const offset = drive?.offsetOf(this.#cylinder, this.#head, this.#sector);
    this.#through = undefined;
    this.#work(
      () => (offset === undefined ? undefined : drive?.backend?.write(offset, this.#buffer)),
      () => {
        this.#counts.sectorsWritten++;
        this.#advance(terminal);
      },
    );
  }

  /** The next sector, or the end: by terminal count, or because the cylinder has no more. */
  #advance(terminal: boolean): void {
    const atLast = this.#sector >= this.#last;
    this.#sector = atLast ? 1 : this.#sector + 1;
    const changesHead = atLast && this.#multitrack && this.#head === 0;
    if (atLast && this.#multitrack) this.#head ^= 1;
    if (atLast && !changesHead) this.#cylinder = (this.#cylinder + 1) & 0xff;
    if (terminal) this.#end(0, 0);
    else if (!atLast || changesHead) this.#transfer();
    // VERIFY has no data that could end it; the others were not told to stop in time.
    else if (this.#command === "verify") this.#end(0, 0);
    else this.#end(ST0_ABNORMAL, ST1_END_OF_CYLINDER);
  }

  #end(st0: number, st1: number): void {
    if (st1 !== 0) this.#counts.errors++;
    this.options.dma.release();
    this.#through = undefined;
    this.#result(st0 | (this.#head << 2) | this.#unit, st1, 0, this.#cylinder, this.#head, this.#sector, SIZE_CODE);
    this.#setIrq(true);
  }

  // ---- data through the FIFO

  #openFifo(): void {
    this.#through = 0;
    this.#setIrq(true);
  }

  #pullByte(): number {
    const at = this.#through ?? 0;
    const value = this.#buffer[at] ?? 0;
    this.#through = at + 1;
    if (this.#through < SECTOR) return value;
    this.#through = undefined;
    this.#setIrq(false);
    this.#advance(false);
    return value;
  }

  #pushByte(value: number): void {
    const at = this.#through ?? 0;
    this.#buffer[at] = value;
    this.#through = at + 1;
    if (this.#through < SECTOR) return;
    this.#setIrq(false);
    this.#writeSector(false);
  }

  // ---- formatting

  #beginFormat(bytes: readonly number[]): void {
    const [select = 0, size = 0, count = 0, , filler = 0] = bytes;
    this.#command = "format";
    this.#phase = "execute";
    this.#unit = select & 3;
    this.#head = (select >> 2) & 1;
    const drive = this.#drive(this.#unit);
    this.#cylinder = drive?.track ?? 0;
    this.#sector = 1;
    this.#last = count;
    if (drive === undefined || !this.#readable(drive, this.#cylinder, this.#head) || size !== SIZE_CODE)
      return this.#end(ST0_ABNORMAL, ST1_MISSING_MARK);
    if (drive.writeProtected || !this.#withDma) return this.#end(ST0_ABNORMAL, ST1_WRITE_PROTECTED);
    this.#buffer.fill(filler);
    this.#transfer();
  }

  /** The addresses of the sectors come by DMA; each sector is filled. */
  #formatTrack(): void {
    const filler = this.#buffer[0] ?? 0;
    const addresses = new Uint8Array(4 * Math.min(this.#last, this.#drive(this.#unit)?.format.sectors ?? 0));
    this.options.dma.fromMemory(addresses);
    const track = new Uint8Array(addresses.length * (SECTOR / 4)).fill(filler);
    const drive = this.#drive(this.#unit);
    const offset = drive?.offsetOf(this.#cylinder, this.#head, 1);
    this.#work(
      () => (offset === undefined ? undefined : drive?.backend?.write(offset, track)),
      () => this.#end(0, 0),
    );
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
      command: COMMANDS.indexOf(this.#command),
      unit: this.#unit,
      cylinder: this.#cylinder,
      head: this.#head,
      sector: this.#sector,
      last: this.#last,
      multitrack: this.#multitrack,
      buffer: this.#buffer.slice(),
      through: this.#through ?? SECTOR,
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
    this.#command = COMMANDS[saved.integer("command", COMMANDS.length - 1)] ?? "invalid";
    this.#unit = saved.integer("unit", 3);
    this.#cylinder = saved.integer("cylinder", 0xff);
    this.#head = saved.integer("head", 1);
    this.#sector = saved.integer("sector", 0xff);
    this.#last = saved.integer("last", 0xff);
    this.#multitrack = saved.flag("multitrack");
    this.#buffer.set(saved.bytes("buffer", SECTOR));
    const through = saved.integer("through", SECTOR);
    this.#through = through === SECTOR ? undefined : through;
    for (const n of [0, 1]) {
      const drive = this.#drive(n);
      if (drive === undefined) continue;
      const from = new SavedState(`${this.name}.drive${n}`, saved.nested(`drive${n}`));
      drive.track = from.integer("track", 0xff);
      drive.changed = from.flag("changed");
    }
    this.#setIrq(saved.flag("irq"));
    // A sector that was on its way is moved again from its beginning.
    if (this.#phase === "execute" && this.#through === undefined) this.#continue.arm(this.options.clock.nowNs());
  }

  metrics(): Readonly<Record<string, number>> {
    return { ...this.#counts };
  }
}

const PHASES: readonly Phase[] = ["command", "execute", "result"];
const COMMANDS: readonly FdcCommand[] = ["invalid", "read", "write", "verify", "format"];
