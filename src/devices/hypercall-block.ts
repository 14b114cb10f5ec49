// The drives of our hypercalls: a call reads or writes sectors, and returns when that is done. docs/HYPERCALLS.md.
import {
  HC_BLOCK_INFO_SIZE,
  HC_BLOCK_MAX,
  HC_EFAULT,
  HC_EINVAL,
  HC_EIO,
  HC_ENODEV,
  HC_EROFS,
  HC_SECTOR_SIZE,
} from "../../spec/hypercalls.ts";
import type { BlockBackend, MaybePromise } from "../vmm/block.ts";
import type { Device, DeviceState, DmaMemory } from "../vmm/device.ts";
import { isPromise } from "../vmm/maybe-promise.ts";

export interface HypercallDrive {
  readonly backend?: BlockBackend | undefined;
  readonly readOnly?: boolean;
}

interface Unit {
  readonly backend: BlockBackend;
  readonly readOnly: boolean;
}

const READ_ONLY = 1;

export class HypercallBlock implements Device {
  readonly name = "hypercall-block";
  readonly stateVersion = 1;
  #reads = 0;
  #writes = 0;
  #sectors = 0;
  #flushes = 0;
  #errors = 0;

  private readonly drives: readonly Unit[];

  constructor(
    private readonly memory: DmaMemory,
    drives: readonly HypercallDrive[],
  ) {
    this.drives = drives.flatMap(({ backend, readOnly = false }) =>
      backend === undefined ? [] : [{ backend, readOnly }],
    );
  }

  reset(): void {}

  info(drive: number, address: number): number {
    const unit = this.drives[drive];
    if (unit === undefined) return -HC_ENODEV;
    const into = this.memory.view(address, HC_BLOCK_INFO_SIZE);
    if (into === undefined) return -HC_EFAULT;
    const view = new DataView(into.buffer, into.byteOffset, into.length);
    view.setBigUint64(0, BigInt(unit.backend.sizeBytes / HC_SECTOR_SIZE), true);
    view.setUint32(8, this.#isReadOnly(unit) ? READ_ONLY : 0, true);
    view.setUint32(12, 0, true);
    this.memory.written(address, HC_BLOCK_INFO_SIZE);
    return 0;
  }

  read(drive: number, address: number, low: number, high: number, count: number): MaybePromise<number> {
    const unit = this.drives[drive];
    if (unit === undefined) return -HC_ENODEV;
    const offset = this.#offset(unit, low, high, count);
    if (offset === undefined) return -HC_EINVAL;
    const length = count * HC_SECTOR_SIZE;
    if (this.memory.view(address, length) === undefined) return -HC_EFAULT;
    // Not into guest memory itself: a disk that is slow to answer must not write there after a reset.
    const bytes = new Uint8Array(length);
    return this.#done(
      () => unit.backend.read(offset, bytes),
      () => {
        this.memory.write(address, bytes);
        this.#reads++;
        this.#sectors += count;
      },
    );
  }

  write(drive: number, address: number, low: number, high: number, count: number): MaybePromise<number> {
    const unit = this.drives[drive];
    if (unit === undefined) return -HC_ENODEV;
    if (this.#isReadOnly(unit)) return -HC_EROFS;
    const offset = this.#offset(unit, low, high, count);
    if (offset === undefined) return -HC_EINVAL;
    const bytes = this.memory.view(address, count * HC_SECTOR_SIZE);
    if (bytes === undefined) return -HC_EFAULT;
    return this.#done(
      () => unit.backend.write(offset, bytes.slice()),
      () => {
        this.#writes++;
        this.#sectors += count;
      },
    );
  }

  flush(drive: number): MaybePromise<number> {
    const unit = this.drives[drive];
    if (unit === undefined) return -HC_ENODEV;
    return this.#done(
      () => unit.backend.flush(),
      () => {
        this.#flushes++;
      },
    );
  }

  #isReadOnly({ backend, readOnly }: Unit): boolean {
    return readOnly || backend.readOnly;
  }

  /** Bytes; undefined for sectors that the drive does not have. */
  #offset({ backend }: Unit, low: number, high: number, count: number): number | undefined {
    const sector = high * 0x100000000 + low;
    const end = (sector + count) * HC_SECTOR_SIZE;
    return count < 1 || count > HC_BLOCK_MAX || end > backend.sizeBytes ? undefined : sector * HC_SECTOR_SIZE;
  }

  #done(work: () => MaybePromise<void>, finish: () => void): MaybePromise<number> {
    const failed = (): number => {
      this.#errors++;
      return -HC_EIO;
    };
    const finished = (): number => {
      finish();
      return 0;
    };
    try {
      const going = work();
      return isPromise(going) ? going.then(finished, failed) : finished();
    } catch {
      return failed();
    }
  }

  save(): DeviceState {
    return {};
  }
  load(): void {}

  metrics(): Readonly<Record<string, number>> {
    return {
      reads: this.#reads,
      writes: this.#writes,
      sectors: this.#sectors,
      flushes: this.#flushes,
      errors: this.#errors,
    };
  }
}
