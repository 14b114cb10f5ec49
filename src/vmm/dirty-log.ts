// Which pages of guest RAM were written since the log began: by the guest, by devices, by the host. While it is off it
// costs nothing; while it is on, the first write to each page after it began or was taken costs one slow access.
import { PAGE_DIRTY, VM_BASE, VM_DIRTY_LOG } from "../../spec/layout.ts";
import type { Core } from "./core.ts";
import type { MemoryMap } from "./memory.ts";

const PAGE_SHIFT = 12;

export class DirtyLog {
  readonly pageCount: number;
  readonly #flags: Uint8Array;
  readonly #view: DataView;

  constructor(
    memory: WebAssembly.Memory,
    map: MemoryMap,
    private readonly core: Core,
  ) {
    this.pageCount = map.ramBytes >>> PAGE_SHIFT;
    const first = map.pageFlags + (map.ramBase >>> PAGE_SHIFT);
    this.#flags = new Uint8Array(memory.buffer).subarray(first, first + this.pageCount);
    this.#view = new DataView(memory.buffer);
  }

  get on(): boolean {
    return this.#view.getUint32(VM_BASE + VM_DIRTY_LOG, true) !== 0;
  }

  /** Begins with no page dirty, also when the log is on. No vCPU may be running, here and below. */
  start(): void {
    this.core.setDirtyLog(1);
  }

  stop(): void {
    this.core.setDirtyLog(0);
  }

  /** One bit a page of RAM, lowest first: written since the log began. */
  read(): Uint8Array {
    const bitmap = new Uint8Array((this.pageCount + 7) >>> 3);
    for (let page = 0; page < this.pageCount; page++) {
      if ((this.#flags[page] as number) & PAGE_DIRTY)
        bitmap[page >>> 3] = (bitmap[page >>> 3] as number) | (1 << (page & 7));
    }
    return bitmap;
  }

  /** Reads the log and empties it. */
  take(): Uint8Array {
    const bitmap = this.read();
    this.start();
    return bitmap;
  }
}
