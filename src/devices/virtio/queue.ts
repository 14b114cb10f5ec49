// The split virtqueue (virtio 1.2, section 2.7): descriptors, available and used ring in guest RAM, indirect tables and
// event indices. Nothing in a ring is trusted: the first thing that cannot be sets `fault`, and the queue is dead until
// it is reset. Ring indices are read and written atomically: on a shared memory another vCPU may run meanwhile.
import type { DeviceState, DmaMemory } from "../../vmm/device.ts";
import { SavedState } from "../saved-state.ts";
import { DescriptorChain } from "./chain.ts";

// ---- layout
export const DESCRIPTOR_BYTES = 16;
export const DESC_NEXT = 1;
export const DESC_WRITE = 2;
export const DESC_INDIRECT = 4;
export const AVAIL_NO_INTERRUPT = 1;
export const USED_NO_NOTIFY = 1;
const USED_ELEMENT_BYTES = 8;
/** The rings' places are 64-bit numbers of the guest's; beyond this they are not RAM in any case. */
const ADDRESS_MAX = Number.MAX_SAFE_INTEGER;
/** "The driver must not add a chain longer than 2^32 bytes" (2.7.5.2). */
const CHAIN_MAX = 0xffffffff;

/** Words of the rings: flags, index, then the elements. */
const FLAGS = 0;
const INDEX = 1;
const RING = 2;

export class VirtQueue {
  // ---- what the driver sets, through the transport
  size: number;
  enabled = false;
  descriptorsAt = 0;
  availableAt = 0;
  usedAt = 0;
  /** Negotiated features. */
  eventIndex = false;
  indirect = false;

  /** What the driver did wrong. */
  fault: string | undefined;

  #descriptors: DataView | undefined;
  #available: Uint16Array = new Uint16Array(RING);
  #used16: Uint16Array = new Uint16Array(RING);
  #used32: Uint32Array = new Uint32Array(1);
  /** Free-running: the next entry to take, the next to fill, and the used index that the driver last saw. */
  #next = 0;
  #filled = 0;
  #published = 0;
  /** Chains taken and not yet given back: a driver has a descriptor for each. */
  #outstanding = 0;
  #wantsKicks = true;

  constructor(
    private readonly memory: DmaMemory,
    readonly sizeMax: number,
  ) {
    this.size = sizeMax;
  }

  // ---- set-up

  /** Finds the rings in RAM. They may be anywhere that is aligned (2.7); else the queue has a fault. */
  enable(): void {
    this.enabled = true;
    const { size } = this;
    const descriptors = this.memory.view(this.descriptorsAt, size * DESCRIPTOR_BYTES);
    const available = this.memory.view(this.availableAt, 2 * (RING + size + 1));
    const used = this.memory.view(this.usedAt, 2 * (RING + 1) + size * USED_ELEMENT_BYTES);
    if (descriptors === undefined || available === undefined || used === undefined) {
      this.#fail("a ring is not in RAM");
      return;
    }
    if (this.descriptorsAt % 16 !== 0 || this.availableAt % 2 !== 0 || this.usedAt % 4 !== 0) {
      this.#fail("a ring is not aligned");
      return;
    }
    this.#descriptors = new DataView(descriptors.buffer, descriptors.byteOffset, descriptors.length);
    this.#available = new Uint16Array(available.buffer, available.byteOffset, available.length / 2);
    this.#used16 = new Uint16Array(used.buffer, used.byteOffset, used.length / 2);
    this.#used32 = new Uint32Array(used.buffer, used.byteOffset, (used.length - 2) / 4);
  }

  reset(): void {
    this.size = this.sizeMax;
    this.enabled = false;
    this.descriptorsAt = this.availableAt = this.usedAt = 0;
    this.fault = undefined;
    this.#descriptors = undefined;
    this.#next = this.#filled = this.#published = this.#outstanding = 0;
    this.#wantsKicks = true;
  }

  get ready(): boolean {
    return this.#descriptors !== undefined && this.fault === undefined;
  }

  #fail(what: string): undefined {
    this.fault ??= what;
    this.#descriptors = undefined;
    return undefined;
  }

  // ---- available ring

  /** How many chains wait; 0 after a fault. */
  get waiting(): number {
    if (this.#descriptors === undefined) return 0;
    const waiting = (Atomics.load(this.#available, INDEX) - this.#next) & 0xffff;
    if (waiting > this.size) {
      this.#fail("the available index jumped");
      return 0;
    }
    return waiting;
  }

  /** The next chain, undefined when there is none or on a fault. */
  pop(): DescriptorChain | undefined {
    if (this.waiting === 0) return undefined;
    if (this.#outstanding >= this.size) return this.#fail("more chains than descriptors");
    const head = this.#available[RING + (this.#next & (this.size - 1))] as number;
    const chain = this.#collect(head);
    if (chain === undefined) return undefined;
    this.#next = (this.#next + 1) & 0xffff;
    this.#outstanding++;
    return chain;
  }

  /** Takes back the last `count` pops: the same chains come again. */
  unpop(count = 1): void {
    this.#next = (this.#next - count) & 0xffff;
    this.#outstanding -= count;
  }

  /** The chain of a head that was popped before (2.7.5); its content is judged anew. */
  reopen(head: number): DescriptorChain | undefined {
    return this.#collect(head);
  }

  #collect(head: number): DescriptorChain | undefined {
    if (this.#descriptors === undefined) return undefined;
    let table: DataView = this.#descriptors;
    const chain = new DescriptorChain(head, this.memory);
    let entries = this.size;
    let index = head;
    let inTable = false;
    // Shorter than the queue (2.7.5.3.1); drivers with small queues and indirect tables do not all keep to that, so the
    // bound is the largest queue. The descriptor that leads to a table is not counted with it: Linux fills tables to the
    // brim when it writes back much at once.
    let left = this.sizeMax;
    for (; ; left--) {
      if (index >= entries) return this.#fail("a descriptor index is beyond its table");
      if (left === 0) return this.#fail("a chain is longer than the queue or loops");
      const at = index * DESCRIPTOR_BYTES;
      const address = table.getUint32(at, true) + table.getUint32(at + 4, true) * 0x100000000;
      const length = table.getUint32(at + 8, true);
      const flags = table.getUint16(at + 12, true);
      const next = table.getUint16(at + 14, true);
      if (length === 0) return this.#fail("a descriptor is empty");
      const view = address <= ADDRESS_MAX ? this.memory.view(address, length) : undefined;
      if (view === undefined) return this.#fail("a descriptor points outside RAM");
      if (flags & DESC_INDIRECT) {
        if (!this.indirect || inTable || flags & DESC_NEXT)
          return this.#fail("an indirect descriptor where none may be");
        if (length % DESCRIPTOR_BYTES !== 0 || length / DESCRIPTOR_BYTES > this.sizeMax) {
          return this.#fail("an indirect table has a wrong length");
        }
        table = new DataView(view.buffer, view.byteOffset, view.length);
        entries = length / DESCRIPTOR_BYTES;
        index = 0;
        inTable = true;
        left = this.sizeMax + 1;
        continue;
      }
      if (flags & DESC_WRITE) chain.addWritable(view, address);
      else if (chain.writable.length === 0) chain.addReadable(view);
      else return this.#fail("a readable descriptor follows a writable one");
      if (chain.readableBytes + chain.writableBytes > CHAIN_MAX) return this.#fail("a chain is longer than 4 GiB");
      if (!(flags & DESC_NEXT)) return chain;
      index = next;
    }
  }

  // ---- used ring

  /** Gives a chain back with so many bytes written; the driver sees it after `publish`. */
  push(head: number, writtenBytes: number): void {
    if (this.#descriptors === undefined) return;
    const slot = this.#filled & (this.size - 1);
    this.#used32[1 + slot * 2] = head;
    this.#used32[2 + slot * 2] = writtenBytes;
    this.memory.written(this.usedAt + 4 + slot * USED_ELEMENT_BYTES, USED_ELEMENT_BYTES);
    this.#filled = (this.#filled + 1) & 0xffff;
    this.#outstanding = Math.max(0, this.#outstanding - 1);
  }

  /** Makes pushed chains visible. True if the driver wants an interrupt for them (2.7.7). */
  publish(): boolean {
    if (this.#descriptors === undefined || this.#filled === this.#published) return false;
    const before = this.#published;
    Atomics.store(this.#used16, INDEX, this.#filled);
    this.memory.written(this.usedAt + 2, 2);
    this.#published = this.#filled;
    if (!this.eventIndex) return (Atomics.load(this.#available, FLAGS) & AVAIL_NO_INTERRUPT) === 0;
    const event = Atomics.load(this.#available, RING + this.size);
    return ((this.#filled - event - 1) & 0xffff) < ((this.#filled - before) & 0xffff);
  }

  /** Whether the driver is to kick for new chains at all. */
  wantKicks(on: boolean): void {
    this.#wantsKicks = on;
    this.askForKick();
  }

  /** Tells the driver when to kick next (2.7.10): after the next chain, or not in the next 32,768. */
  askForKick(): void {
    if (this.#descriptors === undefined) return;
    const word = this.eventIndex ? RING + this.size * 4 : FLAGS;
    const event = this.#wantsKicks ? this.#next : (this.#next - 1) & 0xffff;
    const value = this.eventIndex ? event : this.#wantsKicks ? 0 : USED_NO_NOTIFY;
    if (Atomics.load(this.#used16, word) === value) return;
    Atomics.store(this.#used16, word, value);
    this.memory.written(this.usedAt + word * 2, 2);
  }

  // ---- save and load

  save(): DeviceState {
    return {
      size: this.size,
      enabled: this.enabled,
      descriptorsAt: this.descriptorsAt,
      availableAt: this.availableAt,
      usedAt: this.usedAt,
      next: this.#next,
      filled: this.#filled,
      published: this.#published,
      outstanding: this.#outstanding,
      wantsKicks: this.#wantsKicks,
      faulty: this.fault !== undefined,
    };
  }

  /** The features must be set before. */
  load(device: string, state: DeviceState): void {
    const saved = new SavedState(device, state);
    this.reset();
    const size = saved.integer("size", this.sizeMax);
    this.size = size > 0 && (size & (size - 1)) === 0 ? size : this.sizeMax;
    this.descriptorsAt = saved.integer("descriptorsAt", ADDRESS_MAX);
    this.availableAt = saved.integer("availableAt", ADDRESS_MAX);
    this.usedAt = saved.integer("usedAt", ADDRESS_MAX);
    if (saved.flag("enabled")) this.enable();
    this.#next = saved.integer("next", 0xffff);
    this.#filled = saved.integer("filled", 0xffff);
    this.#published = saved.integer("published", 0xffff);
    this.#outstanding = saved.integer("outstanding", this.size);
    this.#wantsKicks = saved.flag("wantsKicks");
    if (saved.flag("faulty")) this.#fail("it was so when it was saved");
  }
}
