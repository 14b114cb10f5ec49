// The bus master of one IDE channel (SFF-8038i, "Programming Interface for Bus Master IDE Controller"): a table of physical
// region descriptors in guest memory says where data goes.
import type { DeviceState, GuestMemory } from "../../vmm/device.ts";
import { SavedState } from "../saved-state.ts";
import type { DmaTarget } from "./drive.ts";

export const BM_COMMAND = 0;
export const BM_STATUS = 2;
export const BM_TABLE = 4;

const COMMAND_START = 0x01;
/** The drive's data goes to memory. */
const COMMAND_TO_MEMORY = 0x08;
const STATUS_ACTIVE = 0x01;
const STATUS_ERROR = 0x02;
const STATUS_INTERRUPT = 0x04;
/** "Drive n can DMA": for software to remember. */
const STATUS_CAPABLE = 0x60;

const DESCRIPTOR_BYTES = 8;
/** A table does not cross 64 KiB, so this many descriptors are all that there can be. */
const DESCRIPTORS_MAX = 65536 / DESCRIPTOR_BYTES;
const END_OF_TABLE = 0x80;

export class BusMaster {
  #command = 0;
  #status = 0;
  #table = 0;
  #scatter: Scatter | undefined;

  constructor(private readonly memory: GuestMemory) {}

  /** Set to 1 by software: the channel looks whether a drive waits. */
  get started(): boolean {
    return (this.#command & COMMAND_START) !== 0;
  }

  read(offset: number): number {
    if (offset === BM_COMMAND) return this.#command;
    if (offset === BM_STATUS) return this.#status;
    if (offset >= BM_TABLE) return (this.#table >>> (8 * (offset - BM_TABLE))) & 0xff;
    return 0xff;
  }

  /** One byte. True when software has just started the bus master. */
  write(offset: number, value: number): boolean {
    if (offset === BM_COMMAND) {
      const start = (value & COMMAND_START) !== 0 && !this.started;
      this.#command = value & (COMMAND_START | COMMAND_TO_MEMORY);
      if (start) this.#status |= STATUS_ACTIVE;
      if (!this.started) {
        this.#status &= ~STATUS_ACTIVE;
        this.#scatter?.cancel();
      }
      return start;
    }
    if (offset === BM_STATUS) {
      const kept = this.#status & ~STATUS_CAPABLE & ~(value & (STATUS_INTERRUPT | STATUS_ERROR));
      this.#status = kept | (value & STATUS_CAPABLE);
    } else if (offset >= BM_TABLE) {
      const shift = 8 * (offset - BM_TABLE);
      this.#table = ((this.#table & ~(0xff << shift)) | (value << shift)) & ~3;
    }
    return false;
  }

  /** The drive's interrupt line has risen. */
  interrupt(): void {
    this.#status |= STATUS_INTERRUPT;
  }

  /** A transfer by the table as it is now, from its first descriptor. */
  open(): Scatter {
    this.#scatter = new Scatter(this.memory, this.#table >>> 0, (this.#command & COMMAND_TO_MEMORY) !== 0);
    return this.#scatter;
  }

  /**
   * The drive has ended its command. Active goes when the descriptors are used up as well; where they describe more, it
   * stays until software stops the bus master.
   */
  end(): void {
    if (this.#scatter?.usedUp ?? true) this.#status &= ~STATUS_ACTIVE;
    this.#scatter = undefined;
  }

  reset(): void {
    this.#scatter?.cancel();
    this.#scatter = undefined;
    this.#command = this.#status = this.#table = 0;
  }

  save(): DeviceState {
    return { command: this.#command, status: this.#status, table: this.#table >>> 0 };
  }

  load(name: string, state: DeviceState): void {
    const saved = new SavedState(name, state);
    this.#command = saved.integer("command", 0xff) & (COMMAND_START | COMMAND_TO_MEMORY);
    this.#status = saved.integer("status", 0xff);
    this.#table = saved.integer("table") & ~3;
  }
}

/** Goes through the descriptors of one transfer. Whatever the table says, it comes to an end. */
export class Scatter implements DmaTarget {
  #index = 0;
  /** What is left of the descriptor that the last one moved is in. */
  #address = 0;
  #left = 0;
  #last = false;

  constructor(
    private readonly memory: GuestMemory,
    private readonly table: number,
    private readonly toMemory: boolean,
  ) {}

  put(from: Uint8Array): number {
    if (!this.toMemory) return 0;
    return this.#move(from.length, (address, at, length) => this.memory.write(address, from.subarray(at, at + length)));
  }

  take(into: Uint8Array): number {
    if (this.toMemory) return 0;
    return this.#move(into.length, (address, at, length) => this.memory.read(address, into.subarray(at, at + length)));
  }

  /** Software has stopped the bus master: nothing moves any more. */
  cancel(): void {
    this.#last = true;
    this.#left = 0;
  }

  /** No more bytes are described. */
  get usedUp(): boolean {
    return this.#left === 0 && (this.#last || this.#index >= DESCRIPTORS_MAX);
  }

  #move(length: number, move: (address: number, at: number, length: number) => void): number {
    let at = 0;
    while (at < length) {
      if (this.#left === 0 && !this.#next()) break;
      const run = Math.min(length - at, this.#left);
      move(this.#address, at, run);
      this.#address += run;
      this.#left -= run;
      at += run;
    }
    return at;
  }

  #next(): boolean {
    if (this.#last || this.#index >= DESCRIPTORS_MAX) return false;
    const bytes = new Uint8Array(DESCRIPTOR_BYTES);
    // The address counter has 16 bits: a table that runs over its 64 KiB goes on at their beginning.
    const offset = ((this.table & 0xffff) + this.#index * DESCRIPTOR_BYTES) & 0xffff;
    this.memory.read(((this.table & ~0xffff) >>> 0) + offset, bytes);
    this.#index++;
    const view = new DataView(bytes.buffer);
    this.#address = (view.getUint32(0, true) & ~1) >>> 0;
    this.#left = view.getUint16(4, true) & ~1 || 65536;
    this.#last = ((bytes[7] ?? 0) & END_OF_TABLE) !== 0;
    return true;
  }
}
