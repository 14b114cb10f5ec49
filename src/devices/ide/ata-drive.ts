// An ATA disk (ATA/ATAPI-6): PIO, READ and WRITE MULTIPLE, DMA; CHS, 28-bit and 48-bit addresses.
import type { BlockBackend } from "../../vmm/block.ts";
import type { DeviceState } from "../../vmm/device.ts";
import { runSteps, type Steps } from "../../vmm/maybe-promise.ts";
import type { SavedState } from "../saved-state.ts";
import { putAddress, readAddress } from "./ata-address.ts";
import { ATA_COMMANDS, type AtaCommand } from "./ata-commands.ts";
import { AtaSettings } from "./ata-settings.ts";
import { type DmaTarget, IdeDrive } from "./drive.ts";
import { identifyDisk, MULTIPLE_MAX } from "./identify.ts";
import {
  DEVICE_HEAD,
  ERROR_ABRT,
  ERROR_IDNF,
  ERROR_UNC,
  FEATURE_TRANSFER_MODE,
  FEATURE_WRITE_CACHE_OFF,
  FEATURE_WRITE_CACHE_ON,
  SECTOR_BYTES,
  STATUS_DF,
  STATUS_DRQ,
  STATUS_READY,
} from "./registers.ts";
import { SMART_SIGNATURE } from "./smart.ts";

/** Sectors of a DMA command moved at a time. */
const DMA_CHUNK = 128;
const TRIM_ENTRY_BYTES = 8;
const MODEL = "PARAVANE HARDDISK";

export interface AtaDriveOptions {
  readonly backend: BlockBackend;
  readonly readOnly: boolean;
  /** At most 20 characters. */
  readonly serial: string;
}

export class AtaDrive extends IdeDrive {
  protected readonly signature = [0, 0] as const;
  protected readonly statusAfterReset = STATUS_READY;
  readonly #totalSectors: number;
  readonly #settings: AtaSettings;
  // ---- the transfer under way
  #lba = 0;
  /** Sectors still to be moved, the block in the buffer included. */
  #left = 0;
  /** Sectors of the block in the buffer. */
  #block = 0;

  constructor(private readonly options: AtaDriveOptions) {
    super();
    this.#totalSectors = Math.floor(options.backend.sizeBytes / SECTOR_BYTES);
    this.#settings = new AtaSettings(this.#totalSectors);
  }

  get #readOnly(): boolean {
    return this.options.readOnly || this.options.backend.readOnly;
  }

  override reset(): void {
    super.reset();
    this.#left = this.#block = 0;
  }

  // ---- commands

  execute(command: number): void {
    this.counts.commands++;
    this.command = command;
    this.setInterrupt(false);
    const known = ATA_COMMANDS.get(command);
    if (known === undefined) this.fail();
    else this.#begin(known);
  }

  #begin(command: AtaCommand): void {
    switch (command.kind) {
      case "read":
      case "write":
      case "verify":
        this.#beginTransfer(command);
        return;
      case "flush":
        this.#flush();
        return;
      case "trim":
        this.#beginTrim();
        return;
      case "identify":
        this.#give(this.#identify());
        return;
      case "smart":
        this.#doSmart();
        return;
      case "features":
        this.#setFeatures();
        return;
      case "multiple":
        this.#completeIf(this.#settings.setMultiple(this.count));
        return;
      case "parameters":
        this.#completeIf(this.#settings.setGeometry((this.device & DEVICE_HEAD) + 1, this.count));
        return;
      case "native-max":
        putAddress(this, this.#settings.current, this.#totalSectors - 1, command.wide);
        this.complete();
        return;
      case "power":
        this.count = 0xff; // active
        this.complete();
        return;
      case "accept":
        this.complete();
    }
  }

  #completeIf(accepted: boolean): void {
    if (accepted) this.complete();
    else this.fail();
  }

  #give(sector: Uint8Array): void {
    this.buffer.set(sector);
    this.#left = 0;
    this.#block = 1;
    this.error = 0;
    this.offerData(SECTOR_BYTES);
  }

  #identify(): Uint8Array {
    const { geometry, current, multiple, writeCache, smart, mode } = this.#settings;
    return identifyDisk({
      serial: this.options.serial,
      model: MODEL,
      totalSectors: this.#totalSectors,
      geometry,
      current,
      multiple,
      writeCache,
      smart,
      trim: this.options.backend.discard !== undefined && !this.#readOnly,
      dmaMode: mode.dma,
    });
  }

  #setFeatures(): void {
    switch (this.features) {
      case FEATURE_WRITE_CACHE_ON:
      case FEATURE_WRITE_CACHE_OFF:
        this.#settings.writeCache = this.features === FEATURE_WRITE_CACHE_ON;
        if (this.#settings.writeCache) this.complete();
        else this.#flush();
        return;
      case FEATURE_TRANSFER_MODE:
        return this.#completeIf(this.#settings.mode.choose(this.count));
      default:
        return this.#completeIf(AtaSettings.acceptsFeature(this.features));
    }
  }

  #doSmart(): void {
    if (this.lbaMid !== SMART_SIGNATURE[0] || this.lbaHigh !== SMART_SIGNATURE[1]) return this.fail();
    const answer = this.#settings.runSmart(this.features);
    if (typeof answer === "boolean") this.#completeIf(answer);
    else this.#give(answer);
  }

  #flush(): void {
    this.counts.flushes++;
    this.work(
      0,
      () => this.options.backend.flush(),
      () => this.complete(),
      () => this.fail(ERROR_ABRT, STATUS_DF),
    );
  }

  // ---- transfers

  #beginTransfer(command: AtaCommand): void {
    const { wide } = command;
    const count = wide ? this.previous.count * 256 + this.count : this.count;
    this.#left = count === 0 ? (wide ? 65536 : 256) : count;
    const lba = readAddress(this, this.#settings.current, wide);
    if (command.multiple && this.#settings.multiple === 0) return this.fail();
    if (command.kind === "write" && this.#readOnly) return this.fail();
    if (lba === undefined || lba + this.#left > this.#totalSectors) return this.fail(ERROR_IDNF);
    this.#lba = lba;
    this.#block = 0;
    this.error = 0;
    if (command.kind === "verify") {
      this.#advance(this.#left);
      this.complete();
    } else if (command.dma) {
      this.status = STATUS_READY | STATUS_DRQ;
      this.channel.requestDma(this);
    } else if (command.kind === "read") {
      this.#readBlock();
    } else {
      this.#askForBlock(false);
    }
  }

  get #blockLimit(): number {
    return ATA_COMMANDS.get(this.command)?.multiple ? this.#settings.multiple : 1;
  }

  #readBlock(): void {
    this.#block = Math.min(this.#left, this.#blockLimit);
    const length = this.#block * SECTOR_BYTES;
    this.work(
      length,
      () => this.options.backend.read(this.#lba * SECTOR_BYTES, this.buffer.subarray(0, length)),
      () => this.offerData(length),
      () => this.fail(ERROR_UNC),
    );
  }

  #askForBlock(interrupt: boolean): void {
    this.#block = Math.min(this.#left, this.#blockLimit);
    this.requestData(this.#block * SECTOR_BYTES, interrupt);
  }

  protected dataRead(): void {
    if (this.#left === 0) return;
    this.counts.sectorsRead += this.#block;
    this.#advance(this.#block);
    if (this.#left > 0) this.#readBlock();
  }

  protected dataWritten(): void {
    if (ATA_COMMANDS.get(this.command)?.kind === "write") this.#writeBlock();
    else this.complete();
  }

  #writeBlock(): void {
    const through = this.#throughCache;
    this.work(
      this.#block * SECTOR_BYTES,
      () => runSteps(this.#store(this.#lba, this.buffer.subarray(0, this.#block * SECTOR_BYTES), through)),
      () => {
        this.counts.sectorsWritten += this.#block;
        this.#advance(this.#block);
        if (this.#left > 0) this.#askForBlock(true);
        else this.complete();
      },
      () => this.fail(ERROR_ABRT, STATUS_DF),
    );
  }

  /** The write cache is off, or the command does not want it. */
  get #throughCache(): boolean {
    return !this.#settings.writeCache || ATA_COMMANDS.get(this.command)?.through === true;
  }

  *#store(lba: number, bytes: Uint8Array, through: boolean): Steps<void> {
    yield this.options.backend.write(lba * SECTOR_BYTES, bytes);
    if (through) yield this.options.backend.flush();
  }

  /** Sectors have been moved; the registers say where the next one would be. */
  #advance(sectors: number): void {
    this.#lba += sectors;
    this.#left -= sectors;
    const wide = ATA_COMMANDS.get(this.command)?.wide ?? false;
    if (sectors > 0) putAddress(this, this.#settings.current, this.#lba - 1, wide);
    this.count = this.#left & 0xff;
    if (wide) this.previous.count = (this.#left >> 8) & 0xff;
  }

  // ---- DMA

  runDma(target: DmaTarget): void {
    const command = ATA_COMMANDS.get(this.command);
    if (command === undefined) return;
    if (command.kind === "trim") {
      this.#runTrim(target);
      return;
    }
    const write = command.kind === "write";
    let short = false;
    this.work(
      this.#left * SECTOR_BYTES,
      () =>
        runSteps(
          this.#dma(target, write, () => {
            short = true;
          }),
        ),
      () => {
        this.counts[write ? "sectorsWritten" : "sectorsRead"] += this.#left;
        this.#advance(this.#left);
        this.status = STATUS_READY;
        this.channel.endDma(this, short ? "short" : "complete");
        if (!short) this.setInterrupt(true);
      },
      () => {
        this.channel.endDma(this, "complete");
        this.fail(write ? ERROR_ABRT : ERROR_UNC, write ? STATUS_DF : 0);
      },
    );
  }

  /** All of the command. Nothing of it is remembered on the way: begun again after a load it does the same. */
  *#dma(target: DmaTarget, write: boolean, isShort: () => void): Steps<void> {
    const { backend } = this.options;
    const current = this.unlessReset();
    const bytes = new Uint8Array(Math.min(this.#left, DMA_CHUNK) * SECTOR_BYTES);
    for (let done = 0; done < this.#left && current(); done += DMA_CHUNK) {
      const piece = bytes.subarray(0, Math.min(DMA_CHUNK, this.#left - done) * SECTOR_BYTES);
      const offset = (this.#lba + done) * SECTOR_BYTES;
      let moved: number;
      if (write) {
        moved = target.take(piece);
        const whole = moved - (moved % SECTOR_BYTES);
        if (whole > 0) yield backend.write(offset, piece.subarray(0, whole));
      } else {
        yield backend.read(offset, piece);
        moved = current() ? target.put(piece) : piece.length;
      }
      if (moved < piece.length) {
        isShort();
        return;
      }
    }
    if (write && this.#throughCache) yield backend.flush();
  }

  #beginTrim(): void {
    const { backend } = this.options;
    if (this.#readOnly || backend.discard === undefined || this.features !== 1) return this.fail();
    this.status = STATUS_READY | STATUS_DRQ;
    this.#left = 0;
    this.channel.requestDma(this);
  }

  /** DATA SET MANAGEMENT, TRIM: one sector or more of ranges. */
  #runTrim(target: DmaTarget): void {
    const sectors = Math.min(this.previous.count * 256 + this.count || 1, 128);
    const list = new Uint8Array(sectors * SECTOR_BYTES);
    const moved = target.take(list);
    this.work(
      0,
      () => runSteps(this.#discard(new DataView(list.buffer, 0, moved - (moved % TRIM_ENTRY_BYTES)))),
      () => {
        this.channel.endDma(this, "complete");
        this.complete();
      },
      () => {
        this.channel.endDma(this, "complete");
        this.fail();
      },
    );
  }

  *#discard(list: DataView): Steps<void> {
    for (let at = 0; at < list.byteLength; at += TRIM_ENTRY_BYTES) {
      const lba = list.getUint32(at, true) + list.getUint16(at + 4, true) * 0x1_0000_0000;
      const count = list.getUint16(at + 6, true);
      if (count === 0 || lba + count > this.#totalSectors) continue;
      yield this.options.backend.discard?.(lba * SECTOR_BYTES, count * SECTOR_BYTES);
    }
  }

  // ---- save and load

  protected saveCommand(): DeviceState {
    return { lba: this.#lba, left: this.#left, block: this.#block, ...this.#settings.save() };
  }

  protected loadCommand(saved: SavedState): void {
    this.#left = saved.integer("left", 65536);
    this.#lba = saved.integer("lba", Math.max(0, this.#totalSectors - this.#left));
    this.#block = saved.integer("block", MULTIPLE_MAX);
    this.#settings.load(saved);
  }

  protected resubmit(): void {
    const command = ATA_COMMANDS.get(this.command);
    if (command?.dma) this.channel.requestDma(this);
    else if (command?.kind === "read") this.#readBlock();
    else if (command?.kind === "write") this.#writeBlock();
    else this.#flush();
  }
}
