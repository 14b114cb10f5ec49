// Guest memory as a snapshot counts it: the pages of RAM, then those of video memory, then those of ROM.
import type { MemoryMap } from "../vmm/memory.ts";
import { addPage, CHUNK_PAGES, emptyMask, PAGE_BYTES } from "./format.ts";

/** Pages of one chunk that go into a snapshot, copied: the guest may run on. */
export interface CapturedChunk {
  readonly chunk: number;
  readonly present: Uint8Array;
  readonly zero: Uint8Array;
  readonly bytes: Uint8Array;
}

/** How much memory of each kind a machine has. */
export interface MemorySizes {
  readonly ramBytes: number;
  readonly vramBytes: number;
  readonly romBytes: number;
}

export function sameSizes(a: MemorySizes, b: MemorySizes): boolean {
  return a.ramBytes === b.ramBytes && a.vramBytes === b.vramBytes && a.romBytes === b.romBytes;
}

export function totalBytes({ ramBytes, vramBytes, romBytes }: MemorySizes): number {
  return ramBytes + vramBytes + romBytes;
}

const PAGE_WORDS = PAGE_BYTES / 4;

export class GuestPages {
  readonly count: number;
  /** What the guest can write to; the pages after these are ROM. */
  readonly writableCount: number;
  readonly #ramCount: number;
  /** A view for each page would cost more than the page's comparison. */
  readonly #words: Int32Array;

  private constructor(
    private readonly bytes: Uint8Array,
    private readonly ramBase: number,
    private readonly vramBase: number,
    private readonly romBase: number,
    sizes: MemorySizes,
  ) {
    this.#words = new Int32Array(bytes.buffer, bytes.byteOffset, bytes.length >>> 2);
    this.#ramCount = sizes.ramBytes / PAGE_BYTES;
    this.writableCount = this.#ramCount + sizes.vramBytes / PAGE_BYTES;
    this.count = this.writableCount + sizes.romBytes / PAGE_BYTES;
  }

  static ofMachine(memory: WebAssembly.Memory, map: MemoryMap): GuestPages {
    return new GuestPages(new Uint8Array(memory.buffer), map.ramBase, map.vramBase, map.romBase, map);
  }

  /** Memory of its own, all zero. */
  static scratch(sizes: MemorySizes): GuestPages {
    const { ramBytes, vramBytes } = sizes;
    return new GuestPages(new Uint8Array(totalBytes(sizes)), 0, ramBytes, ramBytes + vramBytes, sizes);
  }

  /** A view. */
  page(page: number): Uint8Array {
    const at = this.#address(page);
    return this.bytes.subarray(at, at + PAGE_BYTES);
  }

  /** Pages from `page` on, all of RAM, of video memory or of ROM. */
  put(page: number, bytes: Uint8Array): void {
    this.bytes.set(bytes, this.#address(page));
  }

  isZero(page: number): boolean {
    const words = this.#words;
    const start = this.#address(page) >>> 2;
    for (let i = start; i < start + PAGE_WORDS; i++) if (words[i] !== 0) return false;
    return true;
  }

  /** True where `other`, of the same shape, has the same page. */
  isSame(page: number, other: GuestPages): boolean {
    const [a, b] = [this.#words, other.#words];
    const start = this.#address(page) >>> 2;
    const shift = (other.#address(page) >>> 2) - start;
    for (let i = start; i < start + PAGE_WORDS; i++) if (a[i] !== b[i + shift]) return false;
    return true;
  }

  #address(page: number): number {
    if (page < this.#ramCount) return this.ramBase + page * PAGE_BYTES;
    if (page < this.writableCount) return this.vramBase + (page - this.#ramCount) * PAGE_BYTES;
    return this.romBase + (page - this.writableCount) * PAGE_BYTES;
  }

  /** Everything that is not zero. */
  captureAll(): CapturedChunk[] {
    return this.#capture((page) => (this.isZero(page) ? "same" : "present"));
  }

  /** Pages that `changed` names, whatever is in them now. */
  captureChanged(changed: (page: number) => boolean): CapturedChunk[] {
    return this.#capture((page) => (!changed(page) ? "same" : this.isZero(page) ? "zero" : "present"));
  }

  #capture(kindOf: (page: number) => "same" | "zero" | "present"): CapturedChunk[] {
    const chunks: CapturedChunk[] = [];
    for (let first = 0; first < this.count; first += CHUNK_PAGES) {
      const present = emptyMask();
      const zero = emptyMask();
      const stored: number[] = [];
      let zeros = 0;
      for (let i = 0; i < CHUNK_PAGES && first + i < this.count; i++) {
        const kind = kindOf(first + i);
        if (kind === "same") continue;
        addPage(kind === "zero" ? zero : present, i);
        if (kind === "zero") zeros++;
        else stored.push(first + i);
      }
      if (stored.length === 0 && zeros === 0) continue;
      const bytes = new Uint8Array(stored.length * PAGE_BYTES);
      stored.forEach((page, n) => bytes.set(this.page(page), n * PAGE_BYTES));
      chunks.push({ chunk: first / CHUNK_PAGES, present, zero, bytes });
    }
    return chunks;
  }
}
