// What moves sectors between a floppy and the guest: READ, WRITE, VERIFY, FORMAT and READ ID, by DMA or through the FIFO
// (82077AA datasheet, 5.1 and 5.2).
import type { MaybePromise } from "../../vmm/block.ts";
import type { DeviceClock, DeviceState, DeviceTimer } from "../../vmm/device.ts";
import { whenDone } from "../../vmm/maybe-promise.ts";
import type { DmaChannel } from "../dma8237.ts";
import type { SavedState } from "../saved-state.ts";
import type { FloppyDrive } from "./drive.ts";
import {
  ST0_ABNORMAL,
  ST1_DATA_ERROR,
  ST1_END_OF_CYLINDER,
  ST1_MISSING_MARK,
  ST1_NO_DATA,
  ST1_WRITE_PROTECTED,
} from "./fdc-bits.ts";

const SECTOR = 512;
/** The only sector size of a PC's floppies: 128 << 2. */
const SIZE_CODE = 2;
const COMMAND_MULTITRACK = 0x80;

export type TransferCommand = "invalid" | "read" | "write" | "verify" | "format";
const COMMANDS: readonly TransferCommand[] = ["invalid", "read", "write", "verify", "format"];

export interface TransferParts {
  readonly dma: DmaChannel;
  readonly clock: DeviceClock;
  drive(unit: number): FloppyDrive | undefined;
  /** Data rate that the guest has chosen, as the data rate select register codes it. */
  rate(): number;
  /** By SPECIFY: DMA rather than the FIFO. */
  withDma(): boolean;
  /** The command is between its parameters and its results. */
  executing(): boolean;
  /** The command's results, and its interrupt. */
  results(bytes: readonly number[]): void;
  setIrq(level: boolean): void;
}

export class FloppyTransfer {
  command: TransferCommand = "invalid";
  /** Last sector of a track, as the command gave it; DUMPREG shows it. */
  last = 0;
  #unit = 0;
  #cylinder = 0;
  #head = 0;
  #sector = 0;
  #multitrack = false;
  readonly #buffer = new Uint8Array(SECTOR);
  /** Bytes of the buffer that went through the FIFO; undefined while it does not move data. */
  #through: number | undefined;
  #epoch = 0;
  readonly #continue: DeviceTimer;
  readonly counts = { sectorsRead: 0, sectorsWritten: 0, errors: 0 };

  constructor(private readonly parts: TransferParts) {
    this.#continue = parts.clock.timer("floppy.continue", () => this.#step());
  }

  /** The FIFO moves data. */
  get throughFifo(): boolean {
    return this.#through !== undefined;
  }

  get toHost(): boolean {
    return this.command === "read";
  }

  /** Whatever goes on ends without effect. */
  abandon(): void {
    this.#epoch++;
    this.#continue.disarm();
    this.parts.dma.release();
    this.#through = undefined;
  }

  /** A seek leaves the head at the beginning of the track. */
  afterSeek(): void {
    this.#sector = 1;
  }

  // ---- commands

  readId(select: number): void {
    const unit = select & 3;
    this.#unit = unit;
    this.#head = (select >> 2) & 1;
    const drive = this.parts.drive(unit);
    this.#cylinder = drive?.track ?? 0;
    // The disk turns: the next sector comes by.
    this.#sector = (this.#sector % (drive?.format.sectors ?? 1)) + 1;
    if (drive === undefined || !this.#readable(drive, this.#cylinder, this.#head))
      this.#end(ST0_ABNORMAL, ST1_MISSING_MARK);
    else this.#end(0, 0);
  }

  begin(command: "read" | "write" | "verify", code: number, bytes: readonly number[]): void {
    const [select = 0, cylinder = 0, head = 0, sector = 0, size = 0, last = 0] = bytes;
    this.command = command;
    this.#unit = select & 3;
    this.#cylinder = cylinder;
    this.#head = head & 1;
    this.#sector = sector;
    this.last = last;
    this.#multitrack = (code & COMMAND_MULTITRACK) !== 0;
    const drive = this.parts.drive(this.#unit);
    if (drive === undefined || !this.#readable(drive, 0, this.#head)) return this.#end(ST0_ABNORMAL, ST1_MISSING_MARK);
    if (size !== SIZE_CODE || head !== ((select >> 2) & 1)) return this.#end(ST0_ABNORMAL, ST1_NO_DATA);
    if (command === "write" && drive.writeProtected) return this.#end(ST0_ABNORMAL, ST1_WRITE_PROTECTED);
    // Firmware that knows emulators leaves the seek to the controller; real software has been there.
    if (drive.track !== cylinder) drive.seek(cylinder);
    this.#step();
  }

  beginFormat(bytes: readonly number[]): void {
    const [select = 0, size = 0, count = 0, , filler = 0] = bytes;
    this.command = "format";
    this.#unit = select & 3;
    this.#head = (select >> 2) & 1;
    const drive = this.parts.drive(this.#unit);
    this.#cylinder = drive?.track ?? 0;
    this.#sector = 1;
    this.last = count;
    if (drive === undefined || !this.#readable(drive, this.#cylinder, this.#head) || size !== SIZE_CODE)
      return this.#end(ST0_ABNORMAL, ST1_MISSING_MARK);
    if (drive.writeProtected || !this.parts.withDma()) return this.#end(ST0_ABNORMAL, ST1_WRITE_PROTECTED);
    this.#buffer.fill(filler);
    this.#step();
  }

  /** There is a medium, the head is on it, and the data rate is the medium's. */
  #readable(drive: FloppyDrive, cylinder: number, head: number): boolean {
    if (drive.backend === undefined || drive.format.rate !== this.parts.rate()) return false;
    return drive.offsetOf(cylinder, head, 1) !== undefined;
  }

  // ---- sectors

  /** The sector that is due, from its beginning. */
  #step(): void {
    if (!this.parts.executing()) return;
    if (this.command === "format") return this.#awaitDma(() => this.#formatTrack());
    const drive = this.parts.drive(this.#unit);
    const offset = drive?.offsetOf(this.#cylinder, this.#head, this.#sector);
    if (drive === undefined || offset === undefined) return this.#end(ST0_ABNORMAL, ST1_NO_DATA);
    if (this.command === "write") {
      if (this.parts.withDma()) this.#awaitDma(() => this.#takeSector());
      else this.#openFifo();
      return;
    }
    this.#work(
      () => drive.backend?.read(offset, this.#buffer),
      () => {
        this.counts.sectorsRead++;
        if (this.command === "verify") this.#advance(false);
        else if (this.parts.withDma()) this.#awaitDma(() => this.#giveSector());
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
    const { dma } = this.parts;
    dma.request(() => {
      dma.release();
      move();
    });
  }

  #giveSector(): void {
    const { terminal } = this.parts.dma.toMemory(this.#buffer);
    this.#advance(terminal);
  }

  #takeSector(): void {
    this.#buffer.fill(0);
    const { terminal } = this.parts.dma.fromMemory(this.#buffer);
    this.#writeSector(terminal);
  }

  #writeSector(terminal: boolean): void {
    const drive = this.parts.drive(this.#unit);
    const offset = drive?.offsetOf(this.#cylinder, this.#head, this.#sector);
    this.#through = undefined;
    this.#work(
      () => (offset === undefined ? undefined : drive?.backend?.write(offset, this.#buffer)),
      () => {
        this.counts.sectorsWritten++;
        this.#advance(terminal);
      },
    );
  }

  /** The next sector, or the end: by terminal count, or because the cylinder has no more. */
  #advance(terminal: boolean): void {
    const atLast = this.#sector >= this.last;
    this.#sector = atLast ? 1 : this.#sector + 1;
    const changesHead = atLast && this.#multitrack && this.#head === 0;
    if (atLast && this.#multitrack) this.#head ^= 1;
    if (atLast && !changesHead) this.#cylinder = (this.#cylinder + 1) & 0xff;
    if (terminal) this.#end(0, 0);
    else if (!atLast || changesHead) this.#step();
    // VERIFY has no data that could end it; the others were not told to stop in time.
    else if (this.command === "verify") this.#end(0, 0);
    else this.#end(ST0_ABNORMAL, ST1_END_OF_CYLINDER);
  }

  #end(st0: number, st1: number): void {
    if (st1 !== 0) this.counts.errors++;
    this.parts.dma.release();
    this.#through = undefined;
    const status = st0 | (this.#head << 2) | this.#unit;
    this.parts.results([status, st1, 0, this.#cylinder, this.#head, this.#sector, SIZE_CODE]);
  }

  /** The addresses of the sectors come by DMA; each sector is filled. */
  #formatTrack(): void {
    const filler = this.#buffer[0] ?? 0;
    const drive = this.parts.drive(this.#unit);
    const addresses = new Uint8Array(4 * Math.min(this.last, drive?.format.sectors ?? 0));
    this.parts.dma.fromMemory(addresses);
    const track = new Uint8Array(addresses.length * (SECTOR / 4)).fill(filler);
    const offset = drive?.offsetOf(this.#cylinder, this.#head, 1);
    this.#work(
      () => (offset === undefined ? undefined : drive?.backend?.write(offset, track)),
      () => this.#end(0, 0),
    );
  }

  // ---- data through the FIFO

  #openFifo(): void {
    this.#through = 0;
    this.parts.setIrq(true);
  }

  pullByte(): number {
    const at = this.#through ?? 0;
    const value = this.#buffer[at] ?? 0;
    this.#through = at + 1;
    if (this.#through < SECTOR) return value;
    this.#through = undefined;
    this.parts.setIrq(false);
    this.#advance(false);
    return value;
  }

  pushByte(value: number): void {
    const at = this.#through ?? 0;
    this.#buffer[at] = value;
    this.#through = at + 1;
    if (this.#through < SECTOR) return;
    this.parts.setIrq(false);
    this.#writeSector(false);
  }

  // ---- save and load

  save(): DeviceState {
    return {
      command: COMMANDS.indexOf(this.command),
      unit: this.#unit,
      cylinder: this.#cylinder,
      head: this.#head,
      sector: this.#sector,
      last: this.last,
      multitrack: this.#multitrack,
      buffer: this.#buffer.slice(),
      through: this.#through ?? SECTOR,
    };
  }

  load(saved: SavedState): void {
    this.command = COMMANDS[saved.integer("command", COMMANDS.length - 1)] ?? "invalid";
    this.#unit = saved.integer("unit", 3);
    this.#cylinder = saved.integer("cylinder", 0xff);
    this.#head = saved.integer("head", 1);
    this.#sector = saved.integer("sector", 0xff);
    this.last = saved.integer("last", 0xff);
    this.#multitrack = saved.flag("multitrack");
    this.#buffer.set(saved.bytes("buffer", SECTOR));
    const through = saved.integer("through", SECTOR);
    this.#through = through === SECTOR ? undefined : through;
  }

  /** After loading: a sector that was on its way is moved again from its beginning. */
  resume(): void {
    if (this.parts.executing() && this.#through === undefined) this.#continue.arm(this.parts.clock.nowNs());
  }
}
