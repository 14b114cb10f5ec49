// A driver for tests: the other side of the transport, as virtio 1.2 section 3.1 tells it, over real BARs and with rings
// in a RAM of its own.

import {
  COMMAND_MASTER,
  COMMAND_MEMORY,
  PCI_BAR0,
  PCI_CAPABILITIES,
  PCI_COMMAND,
} from "../../../src/devices/pci/function.ts";
import { F_EVENT_IDX, F_INDIRECT_DESC, type VirtioDevice } from "../../../src/devices/virtio/device.ts";
import { VirtioPci } from "../../../src/devices/virtio/pci.ts";
import { MmioBus } from "../../../src/vmm/bus.ts";
import type { IoRange } from "../../../src/vmm/device.ts";
import { TestClock, TestMemory } from "../bench-machine.ts";

const BAR0 = 0xe0000000;
const BAR1 = 0xe0010000;
const RINGS_AT = 0x1000;
const RING_BYTES = 0x4000;
const BUFFERS_AT = 0x40000;

export interface Buffer {
  /** Bytes for the device, or room for so many from it. */
  readonly bytes?: Uint8Array;
  readonly room?: number;
}

export interface Completion {
  readonly head: number;
  readonly length: number;
  /** What the device wrote, cut to `length`. */
  readonly bytes: Uint8Array;
}

interface Posted {
  readonly writable: { at: number; size: number }[];
}

export class TestQueue {
  size = 0;
  readonly desc: number;
  readonly avail: number;
  readonly used: number;
  #free = 0;
  #availIndex = 0;
  #usedIndex = 0;
  readonly #posted = new Map<number, Posted>();

  constructor(
    private readonly driver: TestDriver<VirtioDevice>,
    readonly index: number,
  ) {
    this.desc = RINGS_AT + index * RING_BYTES;
    this.avail = this.desc + 0x2000;
    this.used = this.desc + 0x3000;
  }

  /** Puts a chain up, direct descriptors or one table; no kick. Returns its head. */
  add(buffers: readonly Buffer[], indirect = false): number {
    const { view } = this.driver;
    const writable: { at: number; size: number }[] = [];
    const at = indirect ? this.driver.allocate(16 * buffers.length) : this.desc;
    const first = indirect ? 0 : this.#free;
    const head = this.#free;
    buffers.forEach((buffer, i) => {
      const size = buffer.bytes?.length ?? buffer.room ?? 0;
      const gpa = this.driver.allocate(size);
      if (buffer.bytes !== undefined) this.driver.memory.bytes.set(buffer.bytes, gpa);
      else writable.push({ at: gpa, size });
      const slot = at + ((first + i) % (indirect ? 65536 : this.size)) * 16;
      const more = i + 1 < buffers.length;
      this.descriptor(
        slot,
        gpa,
        size,
        (more ? 1 : 0) | (buffer.bytes === undefined ? 2 : 0),
        (first + i + 1) % this.size,
      );
    });
    if (indirect) this.descriptor(this.desc + head * 16, at, 16 * buffers.length, 4, 0);
    this.#free = (this.#free + (indirect ? 1 : buffers.length)) % this.size;
    this.#posted.set(head, { writable });
    view.setUint16(this.avail + 4 + (this.#availIndex % this.size) * 2, head, true);
    this.#availIndex = (this.#availIndex + 1) & 0xffff;
    view.setUint16(this.avail + 2, this.#availIndex, true);
    return head;
  }

  descriptor(at: number, gpa: number, size: number, flags: number, next: number): void {
    const { view } = this.driver;
    view.setBigUint64(at, BigInt(gpa), true);
    view.setUint32(at + 8, size, true);
    view.setUint16(at + 12, flags, true);
    view.setUint16(at + 14, next, true);
  }

  kick(): void {
    this.driver.write(0x3000 + this.index * 4, 2, this.index);
  }

  /** What the device has given back since the last call. */
  take(): Completion[] {
    const { view, memory } = this.driver;
    const done: Completion[] = [];
    for (
      const end = view.getUint16(this.used + 2, true);
      this.#usedIndex !== end;
      this.#usedIndex = (this.#usedIndex + 1) & 0xffff
    ) {
      const at = this.used + 4 + (this.#usedIndex % this.size) * 8;
      const head = view.getUint32(at, true);
      const length = view.getUint32(at + 4, true);
      const written: number[] = [];
      for (const { at: gpa, size } of this.#posted.get(head)?.writable ?? [])
        written.push(...memory.bytes.subarray(gpa, gpa + size));
      this.#posted.delete(head);
      done.push({ head, length, bytes: Uint8Array.from(written.slice(0, length)) });
    }
    return done;
  }

  /** Chain, kick, and the answer that must be there at once. */
  ask(...buffers: Buffer[]): Completion {
    this.add(buffers);
    this.kick();
    const [answer] = this.take();
    if (answer === undefined) throw new Error("the device did not answer");
    return answer;
  }
}

export class TestDriver<T extends VirtioDevice> {
  readonly mmio = new MmioBus();
  readonly pci: VirtioPci;
  readonly memory: TestMemory;
  readonly view: DataView;
  readonly clock: TestClock;
  /** MSI messages, oldest first, and the level of INTA. */
  readonly messages: number[] = [];
  intx = false;
  readonly queues: TestQueue[] = [];
  #allocated = BUFFERS_AT;

  constructor(
    readonly device: T,
    place: { memory: TestMemory; clock: TestClock },
  ) {
    this.memory = place.memory;
    this.clock = place.clock;
    this.view = new DataView(this.memory.bytes.buffer);
    const msi = { deliver: (_address: number, data: number) => void this.messages.push(data) };
    this.pci = new VirtioPci(device, { msi, clock: this.clock, classCode: 0xff00 });
    this.pci.pci.attach({
      map: (_space, range: IoRange) => this.mmio.add(range),
      setIntx: (_pin, level) => {
        this.intx = level;
      },
    });
    this.enablePci();
  }

  /** What firmware does. */
  enablePci(): void {
    const { pci } = this.pci;
    pci.writeConfig(PCI_BAR0, 4, BAR0);
    pci.writeConfig(PCI_BAR0 + 4, 4, BAR1);
    pci.writeConfig(PCI_COMMAND, 2, COMMAND_MEMORY | COMMAND_MASTER);
  }

  allocate(size: number): number {
    const at = this.#allocated;
    this.#allocated = (at + size + 15) & ~15;
    if (this.#allocated > this.memory.sizeBytes) {
      this.#allocated = (BUFFERS_AT + size + 15) & ~15;
      return BUFFERS_AT;
    }
    return at;
  }

  read(offset: number, size: number): number {
    return this.mmio.read(BAR0 + offset, size);
  }
  write(offset: number, size: number, value: number): void {
    this.mmio.write(BAR0 + offset, size, value);
  }
  config(offset: number, size: number): number {
    return this.read(0x2000 + offset, size);
  }
  get status(): number {
    return this.read(0x14, 1);
  }
  set status(value: number) {
    this.write(0x14, 1, value);
  }

  /** Offsets of capabilities with this id. */
  capabilities(id: number): number[] {
    const { pci } = this.pci;
    const found: number[] = [];
    for (let at = pci.readConfig(PCI_CAPABILITIES, 1); at !== 0; at = pci.readConfig(at + 1, 1))
      if (pci.readConfig(at, 1) === id) found.push(at);
    return found;
  }

  offered(): bigint {
    this.write(0, 4, 0);
    const low = BigInt(this.read(4, 4));
    this.write(0, 4, 1);
    return low | (BigInt(this.read(4, 4)) << 32n);
  }

  /** Steps 1 to 6 of 3.1.1. Without `features`, all that is offered. */
  negotiate(features = this.offered()): void {
    this.status = 0;
    this.status = 1;
    this.status = 3;
    for (const word of [0, 1]) {
      this.write(8, 4, word);
      this.write(0xc, 4, Number((features >> BigInt(32 * word)) & 0xffffffffn));
    }
    this.status = 11;
  }

  setUpQueue(index: number, size?: number): TestQueue {
    const queue = new TestQueue(this, index);
    this.write(0x16, 2, index);
    if (size !== undefined) this.write(0x18, 2, size);
    queue.size = this.read(0x18, 2);
    this.memory.bytes.fill(0, queue.desc, queue.desc + RING_BYTES);
    this.write(0x20, 4, queue.desc);
    this.write(0x28, 4, queue.avail);
    this.write(0x30, 4, queue.used);
    this.write(0x1c, 2, 1);
    this.queues[index] = queue;
    return queue;
  }

  /** Takes over a queue that is set up already: the device was loaded from a saved state. */
  adopt(index: number, size: number): void {
    const queue = new TestQueue(this, index);
    queue.size = size;
    this.queues[index] = queue;
  }

  /** The whole start: all features but those left out, all queues, DRIVER_OK. */
  start(options: { without?: readonly number[]; size?: number; only?: readonly number[] } = {}): this {
    let features = this.offered();
    for (const bit of options.without ?? []) features &= ~(1n << BigInt(bit));
    this.negotiate(features);
    const indices = options.only ?? this.device.queues.map((_, i) => i);
    for (const index of indices) this.setUpQueue(index, options.size);
    this.status = 15;
    return this;
  }

  queue(index: number): TestQueue {
    return this.queues[index] as TestQueue;
  }

  /** MSI-X on, one vector a queue after the one for configuration; messages carry the vector's number. */
  enableMsix(): void {
    const [at] = this.capabilities(0x11);
    for (let vector = 0; vector <= this.device.queues.length; vector++) {
      this.mmio.write(BAR1 + vector * 16, 4, 0xfee00000);
      this.mmio.write(BAR1 + vector * 16 + 8, 4, vector);
      this.mmio.write(BAR1 + vector * 16 + 12, 4, 0);
    }
    this.pci.pci.writeConfig((at ?? 0) + 2, 2, 0x8000);
    this.write(0x10, 2, 0);
    this.device.queues.forEach((_, i) => {
      this.write(0x16, 2, i);
      this.write(0x1a, 2, i + 1);
    });
  }
  msixTable(vector: number, field: number, value: number): void {
    this.mmio.write(BAR1 + vector * 16 + field, 4, value);
  }
  msixPending(): number {
    return this.mmio.read(BAR1 + 0x800, 4);
  }

  get needsReset(): boolean {
    return (this.status & 0x40) !== 0;
  }
}

/** Feature sets that change how rings work. */
export const PLAIN_RINGS = [F_EVENT_IDX, F_INDIRECT_DESC];

export function place(ramBytes = 1 << 20): { memory: TestMemory; clock: TestClock } {
  return { memory: new TestMemory(ramBytes), clock: new TestClock() };
}

export function bytesOf(...fields: (readonly [bits: 8 | 16 | 32 | 64, value: number])[]): Uint8Array {
  const all: number[] = [];
  for (const [bits, value] of fields) {
    let rest = BigInt(value);
    for (let i = 0; i < bits; i += 8) {
      all.push(Number(rest & 0xffn));
      rest >>= 8n;
    }
  }
  return Uint8Array.from(all);
}
