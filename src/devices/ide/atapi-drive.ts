// An ATAPI CD drive (ATA/ATAPI-6, 9.8 PACKET protocols): packets in, sectors and answers out, a tray.
import type { BlockBackend } from "../../vmm/block.ts";
import type { DeviceState } from "../../vmm/device.ts";
import { runSteps, type Steps } from "../../vmm/maybe-promise.ts";
import type { SavedState } from "../saved-state.ts";
import { type DmaTarget, IdeDrive } from "./drive.ts";
import { identifyCd } from "./identify.ts";
import { answerPacket } from "./packet-answers.ts";
import {
  PACKET_GET_CONFIGURATION,
  PACKET_GET_EVENT_STATUS,
  PACKET_INQUIRY,
  PACKET_READ_10,
  PACKET_READ_12,
  PACKET_READ_CD,
  PACKET_REQUEST_SENSE,
} from "./packet-commands.ts";
import {
  CMD_DEVICE_RESET,
  CMD_IDENTIFY,
  CMD_IDENTIFY_PACKET,
  CMD_NOP,
  CMD_PACKET,
  CMD_SET_FEATURES,
  FEATURE_TRANSFER_MODE,
  SECTOR_BYTES,
  STATUS_DRQ,
  STATUS_ERR,
  STATUS_READY,
} from "./registers.ts";
import {
  ADDRESS_OUT_OF_RANGE,
  BAD_FIELD,
  CD_SECTOR,
  MEDIUM_UNREADABLE,
  NO_SENSE,
  type Sense,
  senseData,
} from "./sense.ts";
import { TransferMode } from "./transfer-mode.ts";
import { Tray } from "./tray.ts";

// ---- interrupt reason, in the sector count register
const REASON_COMMAND = 1;
const REASON_TO_HOST = 2;
const PACKET_BYTES = 12;
/** Sectors in the buffer at a time: a multiple of the page, below the buffer's size. */
const CHUNK_SECTORS = 16;
const FEATURE_DMA = 0x01;
const MODEL = "PARAVANE CD-ROM";
/** READ CD: which parts of a sector; only whole user data is there. */
const READ_CD_USER_DATA = 0x10;
/** Commands that a waiting unit attention does not stop. */
const DESPITE_ATTENTION: ReadonlySet<number> = new Set([
  PACKET_INQUIRY,
  PACKET_REQUEST_SENSE,
  PACKET_GET_EVENT_STATUS,
  PACKET_GET_CONFIGURATION,
]);

export interface AtapiDriveOptions {
  /** Undefined: no medium. */
  readonly backend: BlockBackend | undefined;
  readonly serial: string;
}

/** What the data phase of a packet moves: the answer in the buffer, or sectors that are read as they are wanted. */
type Phase = "none" | "packet" | "answer" | "sectors";

export class AtapiDrive extends IdeDrive {
  protected readonly signature = [0x14, 0xeb] as const;
  protected readonly statusAfterReset = 0;
  readonly #tray: Tray;
  #sense: Sense = NO_SENSE;
  readonly #mode = new TransferMode();
  // ---- the packet under way
  #phase: Phase = "none";
  #dma = false;
  #lba = 0;
  /** Sectors not yet in the buffer. */
  #left = 0;
  /** Bytes in the buffer, and how many of them the host has been offered. */
  #length = 0;
  #offered = 0;
  /** The longest DRQ block that the host takes, from the byte count registers of the PACKET command. */
  #hostLimit = 0;

  constructor(private readonly options: AtapiDriveOptions) {
    super();
    this.#tray = new Tray(options.backend, options.serial);
  }

  // ---- the medium, from the host's side

  /**
   * Puts a disc in, or takes it out (undefined). Throws VmError("bad-state") while the guest has locked the tray, unless
   * forced.
   */
  changeMedium(backend: BlockBackend | undefined, force = false): void {
    this.#tray.change(backend, force);
  }

  // ---- ATA commands

  execute(command: number): void {
    this.counts.commands++;
    this.command = command;
    this.setInterrupt(false);
    switch (command) {
      case CMD_PACKET:
        this.#dma = (this.features & FEATURE_DMA) !== 0;
        this.#phase = "packet";
        this.error = 0;
        this.count = REASON_COMMAND;
        this.#hostLimit = this.lbaMid | (this.lbaHigh << 8);
        // No interrupt: this drive is ready at once, as word 0 of its identification says.
        this.requestData(PACKET_BYTES, false);
        return;
      case CMD_IDENTIFY_PACKET:
        this.buffer.set(identifyCd({ serial: this.options.serial, model: MODEL, dmaMode: this.#mode.dma }));
        this.#phase = "none";
        this.error = 0;
        this.offerData(SECTOR_BYTES);
        return;
      case CMD_IDENTIFY:
        // Hosts tell by the signature that a packet device refuses.
        this.reset();
        this.fail();
        return;
      case CMD_DEVICE_RESET:
        this.reset();
        return;
      case CMD_SET_FEATURES:
        this.#setFeatures();
        return;
      case CMD_NOP:
        this.fail();
        return;
      case 0xe5:
        this.count = 0xff;
        this.complete();
        return;
      case 0xe0:
      case 0xe1:
      case 0xe2:
      case 0xe3:
      case 0xe6:
        this.complete();
        return;
      default:
        this.fail();
    }
  }

  override reset(): void {
    super.reset();
    this.#phase = "none";
    this.#left = this.#length = this.#offered = 0;
  }

  #setFeatures(): void {
    if (this.features === FEATURE_TRANSFER_MODE && this.#mode.choose(this.count)) this.complete();
    else this.fail();
  }

  // ---- packets

  protected dataWritten(): void {
    if (this.#phase !== "packet") return this.complete();
    const packet = this.buffer.slice(0, PACKET_BYTES);
    const operation = packet[0] ?? 0;
    if (this.#tray.attention !== undefined && !DESPITE_ATTENTION.has(operation)) {
      this.#refuse(this.#tray.takeAttention() ?? NO_SENSE);
      return;
    }
    if (operation !== PACKET_REQUEST_SENSE) this.#sense = NO_SENSE;
    this.#run(operation, packet);
  }

  #run(operation: number, packet: Uint8Array): void {
    const view = new DataView(packet.buffer);
    switch (operation) {
      case PACKET_REQUEST_SENSE:
        this.#sense = this.#tray.takeAttention() ?? this.#sense;
        this.#answer(senseData(this.#sense), packet[4] ?? 0);
        this.#sense = NO_SENSE;
        return;
      case PACKET_READ_10:
        this.#read(view.getUint32(2), view.getUint16(7));
        return;
      case PACKET_READ_12:
        this.#read(view.getUint32(2), view.getUint32(6));
        return;
      case PACKET_READ_CD:
        this.#readCd(packet, view);
        return;
      default: {
        const answer = answerPacket(packet, this.#tray);
        if (answer.kind === "data") this.#answer(answer.bytes, answer.limit);
        else if (answer.kind === "refused") this.#refuse(answer.sense);
        else this.#finish();
      }
    }
  }

  /** False, and the command has failed, without a readable medium. */
  #ready(): boolean {
    const { notReady } = this.#tray;
    if (notReady !== undefined) this.#refuse(notReady);
    return notReady === undefined;
  }

  // ---- sectors

  #readCd(packet: Uint8Array, view: DataView): void {
    const kind = ((packet[1] ?? 0) >> 2) & 7;
    const parts = (packet[9] ?? 0) & 0xf8;
    const count = ((packet[6] ?? 0) << 16) | view.getUint16(7);
    if (count === 0 || parts === 0) {
      if (this.#ready()) this.#finish();
    } else if ((kind !== 0 && kind !== 2) || parts !== READ_CD_USER_DATA) {
      // Headers, error correction and audio are not in an image of 2048-byte sectors.
      this.#refuse(BAD_FIELD);
    } else {
      this.#read(view.getUint32(2), count);
    }
  }

  #read(lba: number, count: number): void {
    if (!this.#ready()) return;
    if (lba + count > (this.#tray.sectors ?? 0)) return this.#refuse(ADDRESS_OUT_OF_RANGE);
    if (count === 0) return this.#finish();
    this.#phase = "sectors";
    this.#lba = lba;
    this.#left = count;
    if (this.#dma) this.#awaitDma();
    else this.#fillBuffer();
  }

  #fillBuffer(): void {
    const count = Math.min(this.#left, CHUNK_SECTORS);
    this.work(
      count * CD_SECTOR,
      () => this.#tray.medium?.read(this.#lba * CD_SECTOR, this.buffer.subarray(0, count * CD_SECTOR)),
      () => {
        this.counts.sectorsRead += count;
        this.#lba += count;
        this.#left -= count;
        this.#length = count * CD_SECTOR;
        this.#offered = 0;
        this.#offer();
      },
      () => this.#refuse(MEDIUM_UNREADABLE),
    );
  }

  // ---- the data phase

  #answer(bytes: readonly number[], limit: number): void {
    this.#length = Math.min(bytes.length, limit);
    this.#offered = 0;
    if (this.#length === 0) return this.#finish();
    this.buffer.set(bytes.slice(0, this.#length));
    this.#left = 0;
    this.#phase = "answer";
    if (this.#dma) this.#awaitDma();
    else this.#offer();
  }

  /** The next DRQ block, at most as long as the host's byte count says. */
  #offer(): void {
    const remaining = this.#length - this.#offered;
    let limit = this.#hostLimit;
    // 0 stands for no limit; FFFFh is the next even number.
    if (limit === 0 || limit === 0xffff) limit = 0xfffe;
    if (remaining > limit && limit % 2 === 1) limit--;
    const length = Math.min(remaining, Math.max(1, limit));
    this.lbaMid = length & 0xff;
    this.lbaHigh = length >> 8;
    this.count = REASON_TO_HOST;
    const from = this.#offered;
    this.#offered += length;
    this.offerData(length, true, from);
  }

  protected dataRead(): void {
    if (this.#phase === "none") return;
    if (this.#offered < this.#length) this.#offer();
    else if (this.#left > 0) this.#fillBuffer();
    else this.#finish();
  }

  #awaitDma(): void {
    this.count = REASON_TO_HOST;
    this.status = STATUS_READY | STATUS_DRQ;
    this.channel.requestDma(this);
  }

  runDma(target: DmaTarget): void {
    if (this.#phase === "answer") {
      const moved = target.put(this.buffer.subarray(0, this.#length));
      this.channel.endDma(this, moved < this.#length ? "short" : "complete");
      this.#finish();
      return;
    }
    let short = false;
    this.work(
      this.#left * CD_SECTOR,
      () =>
        runSteps(
          this.#moveSectors(target, () => {
            short = true;
          }),
        ),
      () => {
        this.counts.sectorsRead += this.#left;
        this.#left = 0;
        this.channel.endDma(this, short ? "short" : "complete");
        this.#finish();
      },
      () => {
        this.channel.endDma(this, "complete");
        this.#refuse(MEDIUM_UNREADABLE);
      },
    );
  }

  *#moveSectors(target: DmaTarget, isShort: () => void): Steps<void> {
    const medium = this.#tray.medium;
    if (medium === undefined) return;
    const current = this.unlessReset();
    const chunk = new Uint8Array(Math.min(this.#left, CHUNK_SECTORS) * CD_SECTOR);
    for (let done = 0; done < this.#left && current(); done += CHUNK_SECTORS) {
      const piece = chunk.subarray(0, Math.min(CHUNK_SECTORS, this.#left - done) * CD_SECTOR);
      yield medium.read((this.#lba + done) * CD_SECTOR, piece);
      if (!current()) return;
      if (target.put(piece) < piece.length) {
        isShort();
        return;
      }
    }
  }

  #finish(): void {
    this.#phase = "none";
    this.count = REASON_TO_HOST | REASON_COMMAND;
    this.complete();
  }

  #refuse(sense: Sense): void {
    this.#sense = sense;
    this.#phase = "none";
    this.#left = 0;
    this.fail(sense.key << 4);
    this.count = REASON_TO_HOST | REASON_COMMAND;
    this.status = STATUS_READY | STATUS_ERR;
  }

  // ---- save and load; the medium comes from the configuration, or is put in again

  protected saveCommand(): DeviceState {
    return {
      ...this.#tray.save(),
      sense: { ...this.#sense },
      ...this.#mode.save(),
      phase: PHASES.indexOf(this.#phase),
      dma: this.#dma,
      lba: this.#lba,
      left: this.#left,
      length: this.#length,
      offered: this.#offered,
      hostLimit: this.#hostLimit,
    };
  }

  protected loadCommand(saved: SavedState): void {
    this.#tray.load(saved);
    const sense = saved.nested("sense") as { key?: unknown; asc?: unknown; ascq?: unknown };
    const byte = (value: unknown): number => (typeof value === "number" ? value & 0xff : 0);
    this.#sense = { key: byte(sense.key) & 15, asc: byte(sense.asc), ascq: byte(sense.ascq) };
    this.#mode.load(saved);
    this.#phase = PHASES[saved.integer("phase", PHASES.length - 1)] ?? "none";
    this.#dma = saved.flag("dma");
    this.#left = saved.integer("left");
    this.#lba = saved.integer("lba");
    this.#length = saved.integer("length", this.buffer.length);
    this.#offered = saved.integer("offered", this.#length);
    this.#hostLimit = saved.integer("hostLimit", 0xffff);
    // Another disc may be in now.
    if (this.#lba + this.#left > (this.#tray.sectors ?? 0)) this.#left = 0;
  }

  protected resubmit(): void {
    if (this.#phase !== "sectors") this.#finish();
    else if (this.#dma) this.channel.requestDma(this);
    else this.#fillBuffer();
  }
}

const PHASES: readonly Phase[] = ["none", "packet", "answer", "sectors"];
