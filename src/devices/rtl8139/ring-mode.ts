// The RTL8139's first mode: four transmit descriptors in registers, and one ring of bytes that frames are received into
// (RTL8139D datasheet, chapters 5 and 6). 8139too, iPXE and most small systems use it.
import type { DmaMemory } from "../../vmm/device.ts";
import type { SavedState } from "../saved-state.ts";
import { frameCheckSequence } from "./ethernet-crc.ts";
import { RCR_LENGTH_SHIFT, RCR_NO_WRAP, TSD_OWN, TSD_SENT, TSD_SIZE, TSD_THRESHOLD } from "./registers.ts";

export const DESCRIPTORS = 4;
const RING_MIN_BYTES = 8192;
const RING_MAX_SHIFT = 3;
const HEADER_BYTES = 4;
const CHECK_BYTES = 4;
/** The driver writes where it reads, less this. */
const CAPR_BIAS = 16;
const POINTER_MASK = 0xffff;

// ---- status in the header before a frame
const STATUS_OK = 0x0001;
const STATUS_BROADCAST = 0x2000;
const STATUS_OWN = 0x4000;
const STATUS_MULTICAST = 0x8000;

export type Destination = "broadcast" | "multicast" | "own";
const STATUS_OF: Readonly<Record<Destination, number>> = {
  broadcast: STATUS_BROADCAST,
  multicast: STATUS_MULTICAST,
  own: STATUS_OWN,
};

export class RingMode {
  readonly status = new Uint32Array(DESCRIPTORS);
  readonly addresses = new Uint32Array(DESCRIPTORS);
  /** Where the ring is. */
  start = 0;
  /** Where the chip writes next, and where the driver reads. */
  #written = 0;
  #read = 0;

  constructor(private readonly memory: DmaMemory) {
    this.reset();
  }

  reset(): void {
    this.status.fill(TSD_OWN);
    this.addresses.fill(0);
    this.start = 0;
    this.restart();
  }

  /** The receiver was switched on. */
  restart(): void {
    this.#written = 0;
    this.#read = 0;
  }

  // ---- transmit

  /** The driver has handed over a descriptor. */
  isWaiting(index: number): boolean {
    return ((this.status[index] ?? 0) & TSD_OWN) === 0;
  }

  frame(index: number): Uint8Array {
    const frame = new Uint8Array((this.status[index] ?? 0) & TSD_SIZE);
    this.memory.read(this.addresses[index] ?? 0, frame);
    return frame;
  }

  sent(index: number): void {
    this.status[index] = ((this.status[index] ?? 0) & (TSD_SIZE | TSD_THRESHOLD)) | TSD_OWN | TSD_SENT;
  }

  // ---- receive

  get capr(): number {
    return (this.#read - CAPR_BIAS) & POINTER_MASK;
  }
  setCapr(value: number, rcr: number): void {
    this.#read = ((value + CAPR_BIAS) & POINTER_MASK) % ringBytes(rcr);
  }
  get cbr(): number {
    return this.#written;
  }
  get isEmpty(): boolean {
    return this.#written === this.#read;
  }

  /** False where there is no room. */
  receive(frame: Uint8Array, to: Destination, rcr: number): boolean {
    const size = ringBytes(rcr);
    const needed = align(HEADER_BYTES + frame.length + CHECK_BYTES);
    const free = (size + this.#read - this.#written) % size;
    if (free !== 0 ? needed >= free : needed >= size) return false;
    const record = new Uint8Array(HEADER_BYTES + frame.length + CHECK_BYTES);
    const view = new DataView(record.buffer);
    view.setUint16(0, STATUS_OK | STATUS_OF[to], true);
    view.setUint16(2, frame.length + CHECK_BYTES, true);
    record.set(frame, HEADER_BYTES);
    view.setUint32(HEADER_BYTES + frame.length, frameCheckSequence(frame), true);
    const beyond = this.#written + record.length - size;
    const wraps = beyond > 0 && (!(rcr & RCR_NO_WRAP) || size === RING_MIN_BYTES << RING_MAX_SHIFT);
    const first = wraps ? record.length - beyond : record.length;
    this.memory.write(this.start + this.#written, record.subarray(0, first));
    if (wraps) this.memory.write(this.start, record.subarray(first));
    this.#written = (this.#written + needed) % size;
    return true;
  }

  // ---- save and load

  save() {
    return {
      status: [...this.status],
      addresses: [...this.addresses],
      start: this.start,
      written: this.#written,
      read: this.#read,
    };
  }

  load(saved: SavedState): void {
    this.status.set(saved.integers("status", DESCRIPTORS));
    this.addresses.set(saved.integers("addresses", DESCRIPTORS));
    this.start = saved.integer("start");
    this.#written = saved.integer("written", POINTER_MASK) & ~3;
    this.#read = saved.integer("read", POINTER_MASK) & ~3;
  }
}

function ringBytes(rcr: number): number {
  return RING_MIN_BYTES << ((rcr >> RCR_LENGTH_SHIFT) & RING_MAX_SHIFT);
}

const align = (bytes: number): number => (bytes + 3) & ~3;
