// An ATAPI CD drive (ATA/ATAPI-6, 9.8 PACKET protocols): packets in, sectors and answers out, a tray.
import type { BlockBackend } from "../../vmm/block.ts";
import type { DeviceState } from "../../vmm/device.ts";
import { VmError } from "../../vmm/error.ts";
import { runSteps, type Steps } from "../../vmm/maybe-promise.ts";
import type { SavedState } from "../saved-state.ts";
import { type DmaTarget, IdeDrive } from "./drive.ts";
import { identifyCd } from "./identify.ts";
import * as packets from "./packet-commands.ts";
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
  MEDIUM_CHANGED,
  MEDIUM_UNREADABLE,
  NO_SENSE,
  NOT_READY_NO_MEDIUM,
  NOT_READY_TRAY_OPEN,
  REMOVAL_PREVENTED,
  type Sense,
  senseData,
  UNKNOWN_COMMAND,
} from "./sense.ts";

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
  packets.PACKET_INQUIRY,
  packets.PACKET_REQUEST_SENSE,
  packets.PACKET_GET_EVENT_STATUS,
  packets.PACKET_GET_CONFIGURATION,
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
  #medium: BlockBackend | undefined;
  #trayOpen = false;
  #locked = false;
  #sense: Sense = NO_SENSE;
  /** Told to the next command, once. */
  #attention: Sense | undefined;
  #event: packets.MediaEvent = "none";
  #dmaMode: { word: 63 | 88; mode: number } | undefined;
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
    this.#medium = options.backend;
  }

  // ---- the medium, from the host's side

  /**
   * Puts a disc in, or takes it out (undefined). Throws VmError("bad-state") while the guest has locked the tray, unless
   * forced.
   */
  changeMedium(backend: BlockBackend | undefined, force = false): void {
    if (this.#locked && !force && this.#medium !== undefined) {
      this.#event = "eject-request";
      throw new VmError(
        "bad-state",
        `The guest has locked the tray of drive ${this.options.serial}; it has been asked to open it, or use force.`,
        { drive: this.options.serial },
      );
    }
    this.#medium = backend;
    this.#trayOpen = false;
    this.#locked = false;
    this.#attention = MEDIUM_CHANGED;
    this.#event = backend === undefined ? "removed" : "new-media";
  }

  get #sectors(): number | undefined {
    if (this.#trayOpen || this.#medium === undefined) return undefined;
    return Math.floor(this.#medium.sizeBytes / CD_SECTOR);
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
        this.buffer.set(identifyCd({ serial: this.options.serial, model: MODEL, dmaMode: this.#dmaMode }));
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
    const mode = this.count & 7;
    const kind = this.count >> 3;
    if (this.features !== FEATURE_TRANSFER_MODE) return this.fail();
    if (kind === 4 && mode <= 2) this.#dmaMode = { word: 63, mode };
    else if (kind === 8 && mode <= 5) this.#dmaMode = { word: 88, mode };
    else if (kind <= 1) this.#dmaMode = undefined;
    else return this.fail();
    this.complete();
  }

  // ---- packets

  protected dataWritten(): void {
    if (this.#phase !== "packet") return this.complete();
    const packet = this.buffer.slice(0, PACKET_BYTES);
    const operation = packet[0] ?? 0;
    if (this.#attention !== undefined && !DESPITE_ATTENTION.has(operation)) {
      const attention = this.#attention;
      this.#attention = undefined;
      this.#refuse(attention);
      return;
    }
    if (operation !== packets.PACKET_REQUEST_SENSE) this.#sense = NO_SENSE;
    this.#run(operation, packet);
  }

  #run(operation: number, packet: Uint8Array): void {
    const view = new DataView(packet.buffer);
    switch (operation) {
      case packets.PACKET_TEST_UNIT_READY:
      case packets.PACKET_SEEK_10:
        if (this.#ready()) this.#finish();
        return;
      case packets.PACKET_REQUEST_SENSE:
        if (this.#attention !== undefined) this.#sense = this.#attention;
        this.#attention = undefined;
        this.#answer(senseData(this.#sense), packet[4] ?? 0);
        this.#sense = NO_SENSE;
        return;
      case packets.PACKET_INQUIRY:
        if ((packet[1] ?? 0) & 1) this.#refuse(BAD_FIELD);
        else this.#answer(packets.inquiry(), packet[4] ?? 0);
        return;
      case packets.PACKET_MODE_SENSE_6:
        this.#modeSense(packet, packets.modeSense6, packet[4] ?? 0);
        return;
      case packets.PACKET_MODE_SENSE_10:
        this.#modeSense(packet, packets.modeSense10, view.getUint16(7));
        return;
      case packets.PACKET_START_STOP_UNIT:
        this.#startStop(packet[4] ?? 0);
        return;
      case packets.PACKET_PREVENT_REMOVAL:
        this.#locked = ((packet[4] ?? 0) & 1) !== 0;
        this.#finish();
        return;
      case packets.PACKET_READ_10:
        this.#read(view.getUint32(2), view.getUint16(7));
        return;
      case packets.PACKET_READ_12:
        this.#read(view.getUint32(2), view.getUint32(6));
        return;
      case packets.PACKET_READ_CD:
        this.#readCd(packet, view);
        return;
      case packets.PACKET_GET_CONFIGURATION:
        this.#answer(packets.configuration(packet, this.#sectors), view.getUint16(7));
        return;
      case packets.PACKET_GET_EVENT_STATUS: {
        const event = packets.eventStatus(packet, this.#event, this.#sectors !== undefined, this.#trayOpen);
        if (event !== undefined && (packet[4] ?? 0) & 0x10) this.#event = "none";
        this.#answerOrRefuse(event, view.getUint16(7));
        return;
      }
      case packets.PACKET_SET_SPEED:
        this.#finish();
        return;
      case packets.PACKET_MECHANISM_STATUS:
        this.#answer([0, 0, 0, 0, 0, 1, 0, 0], view.getUint16(8));
        return;
      default:
        this.#runOnMedium(operation, packet, view);
    }
  }

  /** Commands that describe the disc. */
  #runOnMedium(operation: number, packet: Uint8Array, view: DataView): void {
    const answers: Readonly<Record<number, (sectors: number) => number[] | undefined>> = {
      [packets.PACKET_READ_CAPACITY]: packets.capacity,
      [packets.PACKET_READ_TOC]: (sectors) => packets.toc(packet, sectors),
      [packets.PACKET_READ_SUBCHANNEL]: () => packets.subchannel(packet),
      [packets.PACKET_READ_DISC_INFORMATION]: packets.discInformation,
    };
    const answer = answers[operation];
    if (answer === undefined) return this.#refuse(UNKNOWN_COMMAND);
    if (!this.#ready()) return;
    const limit = operation === packets.PACKET_READ_CAPACITY ? 8 : view.getUint16(7);
    this.#answerOrRefuse(answer(this.#sectors ?? 0), limit);
  }

  /** False, and the command has failed, without a readable medium. */
  #ready(): boolean {
    if (this.#sectors !== undefined) return true;
    this.#refuse(this.#trayOpen ? NOT_READY_TRAY_OPEN : NOT_READY_NO_MEDIUM);
    return false;
  }

  #modeSense(packet: Uint8Array, wrap: (pages: number[], present: boolean) => number[], limit: number): void {
    // Changeable values (1): none. Saved ones (3): none are kept.
    const control = (packet[2] ?? 0) >> 6;
    const pages = control === 3 ? undefined : packets.modePages((packet[2] ?? 0) & 0x3f, this.#locked);
    if (pages === undefined) this.#refuse(BAD_FIELD);
    else this.#answer(wrap(pages, this.#sectors !== undefined), limit);
  }

  #startStop(bits: number): void {
    const eject = (bits & 3) === 2;
    if (eject && this.#locked) return this.#refuse(REMOVAL_PREVENTED);
    if (eject) {
      this.#trayOpen = true;
    } else if ((bits & 3) === 3 && this.#trayOpen) {
      this.#trayOpen = false;
      this.#attention = MEDIUM_CHANGED;
      this.#event = "new-media";
    }
    this.#finish();
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
    if (lba + count > (this.#sectors ?? 0)) return this.#refuse(ADDRESS_OUT_OF_RANGE);
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
      () => this.#medium?.read(this.#lba * CD_SECTOR, this.buffer.subarray(0, count * CD_SECTOR)),
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

  #answerOrRefuse(bytes: readonly number[] | undefined, limit: number): void {
    if (bytes === undefined) this.#refuse(BAD_FIELD);
    else this.#answer(bytes, limit);
  }

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
    const medium = this.#medium;
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
      trayOpen: this.#trayOpen,
      locked: this.#locked,
      sense: { ...this.#sense },
      attention: this.#attention !== undefined,
      event: ["none", "eject-request", "new-media", "removed"].indexOf(this.#event),
      dmaWord: this.#dmaMode?.word ?? 0,
      dmaMode: this.#dmaMode?.mode ?? 0,
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
    this.#trayOpen = saved.flag("trayOpen");
    this.#locked = saved.flag("locked");
    const sense = saved.nested("sense") as { key?: unknown; asc?: unknown; ascq?: unknown };
    const byte = (value: unknown): number => (typeof value === "number" ? value & 0xff : 0);
    this.#sense = { key: byte(sense.key) & 15, asc: byte(sense.asc), ascq: byte(sense.ascq) };
    this.#attention = saved.flag("attention") ? MEDIUM_CHANGED : undefined;
    this.#event = (["none", "eject-request", "new-media", "removed"] as const)[saved.integer("event", 3)] ?? "none";
    const word = saved.integer("dmaWord", 88);
    this.#dmaMode = word === 63 || word === 88 ? { word, mode: saved.integer("dmaMode", 5) } : undefined;
    this.#phase = PHASES[saved.integer("phase", PHASES.length - 1)] ?? "none";
    this.#dma = saved.flag("dma");
    this.#left = saved.integer("left");
    this.#lba = saved.integer("lba");
    this.#length = saved.integer("length", this.buffer.length);
    this.#offered = saved.integer("offered", this.#length);
    this.#hostLimit = saved.integer("hostLimit", 0xffff);
    // Another disc may be in now.
    if (this.#lba + this.#left > (this.#sectors ?? 0)) this.#left = 0;
  }

  protected resubmit(): void {
    if (this.#phase !== "sectors") this.#finish();
    else if (this.#dma) this.channel.requestDma(this);
    else this.#fillBuffer();
  }
}

const PHASES: readonly Phase[] = ["none", "packet", "answer", "sectors"];
