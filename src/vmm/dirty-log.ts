// Which pages of guest RAM and video memory were written since the log began: by the guest, by devices, by the host. While it is off it
// costs nothing; while it is on, the first write to each page after it began or was taken costs one slow access.
import { PAGE_DIRTY, VM_BASE, VM_DIRTY_LOG } from "../../spec/layout.ts";
import type { Core } from "./core.ts";
import type { MemoryMap } from "./memory.ts";

const PAGE_SHIFT = 12;

export class DirtyLog {
  /** Pages of RAM, then those of video memory. */
  readonly pageCount: number;
  readonly #ram: Uint8Array;
  readonly #vram: Uint8Array;
  readonly #view: DataView;

  constructor(
    memory: WebAssembly.Memory,
    map: MemoryMap,
    private readonly core: Core,
  ) {
    this.pageCount = (map.ramBytes + map.vramBytes) >>> PAGE_SHIFT;
    const ramPages = map.ramBytes >>> PAGE_SHIFT;
    const flagsOf = (address: number, pages: number): Uint8Array => {
      const first = map.pageFlags + (address >>> PAGE_SHIFT);
      return new Uint8Array(memory.buffer).subarray(first, first + pages);
    };
    this.#ram = flagsOf(map.ramBase, ramPages);
    this.#vram = flagsOf(map.vramBase, this.pageCount - ramPages);
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

  /** One bit a page, RAM first, lowest first: written since the log began. */
  read(): Uint8Array {
    const bitmap = new Uint8Array((this.pageCount + 7) >>> 3);
    const collect = (flags: Uint8Array, first: number): void => {
      for (let i = 0, page = first; i < flags.length; i++, page++) {
        if ((flags[i] as number) & PAGE_DIRTY) bitmap[page >>> 3] = (bitmap[page >>> 3] as number) | (1 << (page & 7));
      }
    };
    collect(this.#ram, 0);
    collect(this.#vram, this.#ram.length);
    return bitmap;
  }

  /** Reads the log and empties it. */
  take(): Uint8Array {
    const bitmap = this.read();
    this.start();
    return bitmap;
  }
}
