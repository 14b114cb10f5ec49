// Pages of RAM that a restored machine does not have yet: the guest runs, and each is brought from the snapshot when the core
// or a device first needs it, the rest in between. Who asks for bytes of RAM asks here first: the core by its import
// `fillPage` (assembly/mmu/absent.ts), devices and debuggers by GuestMemory, whoever wants all of it by `complete`.
//
// Bringing a page is synchronous and cannot be seen by the guest: the same machine restored whole does the same. Where
// asynchronous page faults are wanted, programs of the guest's may be told to wait instead (assembly/pv/async-pf.ts).
import { FILL_DONE, FILL_FAILED, FILL_LATER, FILL_MAY, FILL_TOKEN } from "../../spec/fill-page.ts";
import { PAGE_ABSENT } from "../../spec/layout.ts";
import type { Platform } from "../platform/platform.ts";
import { asVmError, VmError } from "./error.ts";
import type { MemoryMap } from "./memory.ts";

const PAGE_SHIFT = 12;
const PAGE_BYTES = 1 << PAGE_SHIFT;
/** In the background nothing is brought at first, while a guest that was just restored needs its thread most. */
const BACKGROUND_AFTER_MS = 200;
/** Then about a fifth of the thread's time, in portions shorter than the run loop's. */
const PORTION_NS = 1e6;
const PORTION_EVERY_MS = 5;
/** When somebody waits for all of it: how long others wait for the thread. */
const FINISH_PORTION_NS = 4e6;

/** Fewer than the number that stands for all tokens. */
const TOKENS = 0x7fff0000;

/** Puts pages of RAM from `page` on, counted from the start of RAM; those that are there already stay as they are. */
export type PutPages = (page: number, bytes: Uint8Array) => void;

/** Where absent pages come from. */
export interface PageSource {
  /** Every page that it has, each once, in runs. */
  forEachRun(each: (page: number, count: number) => void): void;
  /** Puts `page` now, and of its neighbours what costs little more. Throws VmError. */
  load(page: number, put: PutPages): void;
  /** The same on other threads. Rejects with VmError. */
  loadLater(page: number, put: PutPages): Promise<void>;
  close(): Promise<void>;
}

/** Closes sources of machines that ended before they were whole, once nobody can look at their memory any more. */
const leftOpen = new FinalizationRegistry<PageSource>((source) => void source.close().catch(() => {}));

export class AbsentPages {
  readonly #flags: Uint8Array;
  readonly #ram: Uint8Array;
  #source: PageSource | undefined;
  /** Who can do something else meanwhile waits for the source's other threads. */
  #asynchronous = false;
  #left = 0;
  /** No page below it is absent. */
  #next = 0;
  #failure: VmError | undefined;
  #ended = false;
  /** Tokens of asynchronous page faults that the guest was given. */
  #tokens = 0;
  /** Pages that were brought because the guest or the host needed them, with their neighbours; and the others. */
  demanded = 0;
  fetched = 0;
  /** Asynchronous page faults. */
  asynchronous = 0;

  constructor(
    memory: WebAssembly.Memory,
    private readonly map: MemoryMap,
    private readonly platform: Pick<Platform, "monotonicNs" | "sleep" | "yieldToEventLoop">,
    /** The snapshot is damaged or cannot be read any more: the VM is lost. Called once. */
    private readonly onFailure: (error: VmError) => void,
    /** The guest may be told that the page of a token is there. Undefined: it is never made to wait (a virtual clock). */
    private readonly onReady: ((token: number) => void) | undefined,
  ) {
    this.#ram = new Uint8Array(memory.buffer, map.ramBase, map.ramBytes);
    const flags = map.pageFlags + (map.ramBase >>> PAGE_SHIFT);
    this.#flags = new Uint8Array(memory.buffer, flags, map.ramBytes >>> PAGE_SHIFT);
  }

  /** Pages that are absent. */
  get left(): number {
    return this.#left;
  }

  /**
   * From now on the source's pages are absent. RAM is zero and no vCPU has run. `background`: they come by and by, also where nobody
   * needs them. `asynchronous`: guests that can wait for a page are told to.
   */
  begin(source: PageSource, { background, asynchronous }: { background: boolean; asynchronous: boolean }): void {
    this.#source = source;
    this.#asynchronous = asynchronous;
    source.forEachRun((page, count) => {
      this.#flags.fill(PAGE_ABSENT, page, page + count);
      this.#left += count;
    });
    if (this.#left === 0) void this.#close();
    else if (background) void this.#background();
  }

  /** The page at a Wasm address, for the core; spec/fill-page.ts has the numbers. */
  readonly fillPage = (address: number, how: number): number => {
    const page = ((address >>> 0) - this.map.ramBase) >>> PAGE_SHIFT;
    if (how === FILL_LATER && this.#failure === undefined) {
      const token = this.#later(page);
      if (token !== undefined) return token;
    }
    const before = this.#left;
    const brought = this.#bring(page);
    this.demanded += before - this.#left;
    if (!brought && how !== FILL_MAY) throw this.#failure;
    return brought ? FILL_DONE : FILL_FAILED;
  };

  /** Begins to bring a page on other threads. The token that says which; undefined where that is not to be. */
  #later(page: number): number | undefined {
    const source = this.#source;
    if (source === undefined || !this.#asynchronous || this.onReady === undefined) return undefined;
    this.#tokens = (this.#tokens + 1) % TOKENS;
    const token = FILL_TOKEN + this.#tokens;
    this.asynchronous++;
    const put: PutPages = (first, bytes) => {
      const before = this.#left;
      this.#put(first, bytes);
      this.demanded += before - this.#left;
    };
    source.loadLater(page, put).then(
      () => {
        if (this.#ended) return;
        if (this.#left === 0) void this.#close();
        this.onReady?.(token);
      },
      (error: unknown) => this.#fail(error),
    );
    return token;
  }

  /** Brings what of `sizeBytes` from a Wasm address on is absent RAM. False where that failed: the VM ends. */
  bring(address: number, sizeBytes: number): boolean {
    const before = this.#left;
    if (before === 0 || sizeBytes === 0) return true;
    const first = Math.max(0, (address - this.map.ramBase) >> PAGE_SHIFT);
    const last = Math.min(this.#flags.length - 1, (address + sizeBytes - 1 - this.map.ramBase) >> PAGE_SHIFT);
    let brought = true;
    for (let page = first; brought && page <= last; page++) brought = this.#bring(page);
    this.demanded += before - this.#left;
    return brought;
  }

  /** Brings everything, now. Throws VmError where that fails; the VM ends. */
  complete(): void {
    while (this.#left > 0) this.#portion(Number.POSITIVE_INFINITY);
  }

  /** The same, letting others have the thread in between. */
  async finish(): Promise<void> {
    while (this.#left > 0) {
      this.#portion(FINISH_PORTION_NS);
      await this.platform.yieldToEventLoop();
    }
  }

  /** The machine will not run any more; what is absent is still brought for who looks at its memory. */
  end(): void {
    this.#ended = true;
    if (this.#source !== undefined) leftOpen.register(this, this.#source, this);
  }

  /** Nobody will look at it. */
  async dispose(): Promise<void> {
    this.#ended = true;
    await this.#close();
  }

  async #background(): Promise<void> {
    await this.platform.sleep(BACKGROUND_AFTER_MS).done;
    try {
      while (this.#left > 0 && !this.#ended) {
        this.#portion(PORTION_NS);
        await this.platform.sleep(PORTION_EVERY_MS).done;
      }
    } catch {
      // The VM was told and ends with it.
    }
  }

  /** Brings pages for about `limitNs`. Throws the failure. */
  #portion(limitNs: number): void {
    const before = this.#left;
    const end = this.platform.monotonicNs() + limitNs;
    for (; this.#left > 0 && this.#next < this.#flags.length; this.#next++) {
      if (!((this.#flags[this.#next] as number) & PAGE_ABSENT)) continue;
      if (!this.#bring(this.#next)) throw this.#failure;
      if (this.platform.monotonicNs() >= end) break;
    }
    this.fetched += before - this.#left;
  }

  #bring(page: number): boolean {
    if (!((this.#flags[page] as number) & PAGE_ABSENT)) return true;
    if (this.#failure !== undefined) return false;
    try {
      if (this.#source === undefined)
        throw new VmError("bad-state", "The VM was disposed of before all of its memory was read.");
      this.#source.load(page, this.#put);
      if ((this.#flags[page] as number) & PAGE_ABSENT)
        throw new VmError("internal", `Page ${page} of RAM did not come.`);
    } catch (error) {
      this.#fail(error);
      return false;
    }
    if (this.#left === 0) void this.#close();
    return true;
  }

  /** What did not come stays absent: the guest must not go on with a page of zeros. */
  #fail(error: unknown): void {
    if (this.#failure !== undefined) return;
    this.#failure = asVmError(error);
    this.onFailure(this.#failure);
  }

  readonly #put: PutPages = (page, bytes) => {
    const flags = this.#flags;
    const end = page + (bytes.length >>> PAGE_SHIFT);
    for (let at = page; at < end; ) {
      const start = at;
      for (; at < end && (flags[at] as number) & PAGE_ABSENT; at++) flags[at] = (flags[at] as number) & ~PAGE_ABSENT;
      if (at > start) {
        this.#ram.set(bytes.subarray((start - page) * PAGE_BYTES, (at - page) * PAGE_BYTES), start * PAGE_BYTES);
        this.#left -= at - start;
      } else at++;
    }
  };

  async #close(): Promise<void> {
    const source = this.#source;
    this.#source = undefined;
    leftOpen.unregister(this);
    await source?.close();
  }
}
