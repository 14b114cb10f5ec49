// An ATA disk (ATA/ATAPI-6): PIO, READ and WRITE MULTIPLE, DMA; CHS, 28-bit and 48-bit addresses.
import type { BlockBackend } from "../../vmm/block.ts";
import type { DeviceState } from "../../vmm/device.ts";
import { runSteps, type Steps } from "../../vmm/maybe-promise.ts";
import type { SavedState } from "../saved-state.ts";
import { ATA_COMMANDS, type AtaCommand } from "./ata-commands.ts";
import { type DmaTarget, IdeDrive } from "./drive.ts";
import { type DiskGeometry, defaultGeometry, identifyDisk, MULTIPLE_MAX } from "./identify.ts";
import {
  DEVICE_HEAD,
  DEVICE_LBA,
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
import {
  SMART_AUTOSAVE,
  SMART_DISABLE,
  SMART_ENABLE,
  SMART_EXECUTE_OFFLINE,
  SMART_READ_DATA,
  SMART_READ_THRESHOLDS,
  SMART_RETURN_STATUS,
  SMART_SIGNATURE,
  smartData,
  smartThresholds,
} from "./smart.ts";

const LBA28_SECTORS = 0x10000000;
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
  readonly #geometry: DiskGeometry;
  #current: DiskGeometry;
  #multiple = MULTIPLE_MAX;
  #writeCache = true;
  #smart = true;
  #dmaMode: { word: 63 | 88; mode: number } | undefined;
  // ---- the transfer under way
  #lba = 0;
  /** Sectors still to be moved, the block in the buffer included. */
  #left = 0;
  /** Sectors of the block in the buffer. */
  #block = 0;

  constructor(private readonly options: AtaDriveOptions) {
    super();
    this.#totalSectors = Math.floor(options.backend.sizeBytes / SECTOR_BYTES);
    this.#geometry = defaultGeometry(this.#totalSectors);
    this.#current = this.#geometry;
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
        this.#setMultiple();
        return;
      case "parameters":
        this.#setParameters();
        return;
      case "native-max":
        this.#putAddress(this.#totalSectors - 1, command.wide);
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

  #give(sector: Uint8Array): void {
    this.buffer.set(sector);
    this.#left = 0;
    this.#block = 1;
    this.error = 0;
    this.offerData(SECTOR_BYTES);
  }

  #identify(): Uint8Array {
    return identifyDisk({
      serial: this.options.serial,
      model: MODEL,
      totalSectors: this.#totalSectors,
      geometry: this.#geometry,
      current: this.#current,
      multiple: this.#multiple,
      writeCache: this.#writeCache,
      smart: this.#smart,
      trim: this.options.backend.discard !== undefined && !this.#readOnly,
      dmaMode: this.#dmaMode,
    });
  }

  #setFeatures(): void {
    switch (this.features) {
      case FEATURE_WRITE_CACHE_ON:
      case FEATURE_WRITE_CACHE_OFF:
        this.#writeCache = this.features === FEATURE_WRITE_CACHE_ON;
        if (this.#writeCache) this.complete();
        else this.#flush();
        return;
      case FEATURE_TRANSFER_MODE: {
        const mode = this.count & 7;
        const kind = this.count >> 3;
        if (kind === 4 && mode <= 2) this.#dmaMode = { word: 63, mode };
        else if (kind === 8 && mode <= 5) this.#dmaMode = { word: 88, mode };
        else if (kind <= 1) this.#dmaMode = undefined;
        else return this.fail();
        return this.complete();
      }
      // Advanced power management, acoustic management, read look-ahead, revert to defaults: without effect.
      case 0x05:
      case 0x85:
      case 0x42:
      case 0xc2:
      case 0xaa:
      case 0x55:
      case 0x66:
      case 0xcc:
        return this.complete();
      default:
        return this.fail();
    }
  }

  #setMultiple(): void {
    const { count } = this;
    if (count > MULTIPLE_MAX || (count & (count - 1)) !== 0) return this.fail();
    this.#multiple = count;
    this.complete();
  }

  /** INITIALIZE DEVICE PARAMETERS: the geometry that CHS addresses count in. */
  #setParameters(): void {
    const heads = (this.device & DEVICE_HEAD) + 1;
    const sectors = this.count;
    if (sectors === 0) return this.fail();
    const cylinders = Math.min(65535, Math.floor(this.#totalSectors / (heads * sectors)));
    this.#current = { cylinders, heads, sectors };
    this.complete();
  }

  #doSmart(): void {
    if (this.lbaMid !== SMART_SIGNATURE[0] || this.lbaHigh !== SMART_SIGNATURE[1]) return this.fail();
    if (this.features === SMART_ENABLE || this.features === SMART_DISABLE) {
      this.#smart = this.features === SMART_ENABLE;
      return this.complete();
    }
    if (!this.#smart) return this.fail();
    switch (this.features) {
      case SMART_READ_DATA:
        return this.#give(smartData());
      case SMART_READ_THRESHOLDS:
        return this.#give(smartThresholds());
      case SMART_RETURN_STATUS:
      case SMART_AUTOSAVE:
      case SMART_EXECUTE_OFFLINE:
        return this.complete();
      default:
        return this.fail();
    }
  }

  #flush(): void {
    this.counts.flushes++;
    this.work(
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
    const lba = this.#address(wide);
    if (command.multiple && this.#multiple === 0) return this.fail();
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
    return ATA_COMMANDS.get(this.command)?.multiple ? this.#multiple : 1;
  }

  #readBlock(): void {
    this.#block = Math.min(this.#left, this.#blockLimit);
    const length = this.#block * SECTOR_BYTES;
    this.work(
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
    return !this.#writeCache || ATA_COMMANDS.get(this.command)?.through === true;
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
    if (sectors > 0) this.#putAddress(this.#lba - 1, wide);
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

  // ---- addresses

  /** The sector that the task file names; undefined for a CHS address that does not exist. */
  #address(wide: boolean): number | undefined {
    const low = this.lbaLow + this.lbaMid * 256 + this.lbaHigh * 65536;
    if (wide) {
      const { lbaLow, lbaMid, lbaHigh } = this.previous;
      return low + (lbaLow + lbaMid * 256 + lbaHigh * 65536) * 0x1000000;
    }
    if (this.device & DEVICE_LBA) return low + (this.device & DEVICE_HEAD) * 0x1000000;
    const { heads, sectors } = this.#current;
    const head = this.device & DEVICE_HEAD;
    if (this.lbaLow === 0 || this.lbaLow > sectors || head >= heads) return undefined;
    return ((this.lbaHigh * 256 + this.lbaMid) * heads + head) * sectors + this.lbaLow - 1;
  }

  #putAddress(lba: number, wide: boolean): void {
    if (!wide && !(this.device & DEVICE_LBA)) {
      const { heads, sectors } = this.#current;
      const track = Math.floor(lba / sectors);
      const cylinder = Math.floor(track / heads);
      this.lbaLow = (lba % sectors) + 1;
      this.lbaMid = cylinder & 0xff;
      this.lbaHigh = (cylinder >> 8) & 0xff;
      this.device = (this.device & ~DEVICE_HEAD) | (track % heads);
      return;
    }
    const shown = wide ? lba : Math.min(lba, LBA28_SECTORS - 1);
    this.lbaLow = shown % 256;
    this.lbaMid = Math.floor(shown / 256) % 256;
    this.lbaHigh = Math.floor(shown / 65536) % 256;
    const high = Math.floor(shown / 0x1000000);
    if (!wide) {
      this.device = (this.device & ~DEVICE_HEAD) | (high & DEVICE_HEAD);
      return;
    }
    this.previous.lbaLow = high % 256;
    this.previous.lbaMid = Math.floor(high / 256) % 256;
    this.previous.lbaHigh = Math.floor(high / 65536) % 256;
  }

  // ---- save and load

  protected saveCommand(): DeviceState {
    return {
      lba: this.#lba,
      left: this.#left,
      block: this.#block,
      multiple: this.#multiple,
      writeCache: this.#writeCache,
      smart: this.#smart,
      dmaWord: this.#dmaMode?.word ?? 0,
      dmaMode: this.#dmaMode?.mode ?? 0,
      cylinders: this.#current.cylinders,
      heads: this.#current.heads,
      sectors: this.#current.sectors,
    };
  }

  protected loadCommand(saved: SavedState): void {
    this.#left = saved.integer("left", 65536);
    this.#lba = saved.integer("lba", Math.max(0, this.#totalSectors - this.#left));
    this.#block = saved.integer("block", MULTIPLE_MAX);
    this.#multiple = saved.integer("multiple", MULTIPLE_MAX);
    this.#writeCache = saved.flag("writeCache");
    this.#smart = saved.flag("smart");
    const word = saved.integer("dmaWord", 88);
    this.#dmaMode = word === 63 || word === 88 ? { word, mode: saved.integer("dmaMode", 5) } : undefined;
    this.#current = {
      cylinders: saved.integer("cylinders", 65535),
      heads: saved.integer("heads", 16),
      sectors: saved.integer("sectors", 255),
    };
  }

  protected resubmit(): void {
    const command = ATA_COMMANDS.get(this.command);
    if (command?.dma) this.channel.requestDma(this);
    else if (command?.kind === "read") this.#readBlock();
    else if (command?.kind === "write") this.#writeBlock();
    else this.#flush();
  }
}
