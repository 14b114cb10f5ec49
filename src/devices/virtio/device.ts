// What all virtio devices share: features, status, configuration space, queues and how they are worked off. A transport
// (pci.ts) shows it to the driver; a subclass is one kind of device.
import type { DeviceState, DmaMemory } from "../../vmm/device.ts";
import { SavedState } from "../saved-state.ts";
import type { DescriptorChain } from "./chain.ts";
import { VirtQueue } from "./queue.ts";

// ---- device status (virtio 1.2, section 2.1)
export const STATUS_ACKNOWLEDGE = 1;
export const STATUS_DRIVER = 2;
export const STATUS_DRIVER_OK = 4;
export const STATUS_FEATURES_OK = 8;
export const STATUS_NEEDS_RESET = 0x40;
export const STATUS_FAILED = 0x80;

// ---- feature bits that belong to no kind of device (section 6)
export const F_INDIRECT_DESC = 28;
export const F_EVENT_IDX = 29;
export const F_VERSION_1 = 32;
export const F_RING_RESET = 40;

/** Bytes of buffers that one turn may handle, and the least of them: a kick must not hold up the machine. */
const BYTES_PER_TURN = 32 * 1024 * 1024;

/** What a device asks of the transport that carries it. */
export interface VirtioTransport {
  /** The driver is to look at this queue's used ring. */
  interruptQueue(index: number): void;
  /** The driver is to look at configuration and status. */
  interruptConfig(): void;
  /** Calls `kicked` again for this queue before the vCPU goes on for long. */
  defer(index: number): void;
}

export interface VirtioIdentity {
  /** Unique in the machine: "virtio-blk0". */
  readonly name: string;
  /** Device ID of virtio 1.2, section 5. */
  readonly type: number;
  /** Largest size of each queue, powers of two. */
  readonly queueSizes: readonly number[];
  /** Bits of the device's own features. */
  readonly features: readonly number[];
  readonly configBytes: number;
}

export abstract class VirtioDevice {
  readonly name: string;
  readonly type: number;
  readonly stateVersion: number = 1;
  readonly queues: readonly VirtQueue[];
  /** Feature bits offered, as 32-bit words. */
  readonly offered: Uint32Array;
  /** What the driver accepted of them. */
  readonly accepted = new Uint32Array(2);
  /** Device configuration space, little-endian. */
  readonly config: DataView;
  configGeneration = 0;
  status = 0;
  /** What the driver did wrong that made the device need a reset: for people, not part of the state. */
  lastFault: string | undefined;
  #transport: VirtioTransport | undefined;
  #kicks = 0;
  #chains = 0;
  #interrupts = 0;
  #faults = 0;

  constructor(
    identity: VirtioIdentity,
    protected readonly memory: DmaMemory,
  ) {
    this.name = identity.name;
    this.type = identity.type;
    this.queues = identity.queueSizes.map((size) => new VirtQueue(memory, size));
    this.config = new DataView(new ArrayBuffer(identity.configBytes));
    this.offered = featureWords([...identity.features, F_INDIRECT_DESC, F_EVENT_IDX, F_VERSION_1, F_RING_RESET]);
  }

  // ---- what a kind of device defines

  /** The driver has added chains to a queue. Also called when nothing is new. */
  abstract kicked(queue: number): void;
  /** The driver is ready; features are final. */
  protected started(): void {}
  /** Everything of the device itself to its initial state; work under way is forgotten. */
  protected stopped(): void {}
  /** One queue was reset; its work under way is forgotten. */
  protected queueStopped(_queue: number): void {}
  /** The driver wrote to configuration space; most devices have nothing there to be written. */
  writeConfig(_offset: number, _size: number, _value: number): void {}
  protected saveDevice(): DeviceState {
    return {};
  }
  protected loadDevice(_saved: SavedState): void {}
  protected deviceMetrics(): Readonly<Record<string, number>> {
    return {};
  }
  dispose(): void {}

  // ---- for the transport

  attach(transport: VirtioTransport): void {
    this.#transport = transport;
  }

  /** The driver may be served: it has said DRIVER_OK and done nothing wrong since. */
  get running(): boolean {
    return (this.status & (STATUS_DRIVER_OK | STATUS_NEEDS_RESET)) === STATUS_DRIVER_OK;
  }

  hasFeature(bit: number): boolean {
    return (((this.accepted[bit >> 5] ?? 0) >>> (bit & 31)) & 1) !== 0;
  }
  offers(bit: number): boolean {
    return (((this.offered[bit >> 5] ?? 0) >>> (bit & 31)) & 1) !== 0;
  }

  /** Status bits that the driver sets (3.1.1); 0 resets. FEATURES_OK does not stick for features that cannot be. */
  writeStatus(value: number): void {
    if (value === 0) {
      this.reset();
      return;
    }
    const set = value & ~this.status & ~STATUS_NEEDS_RESET;
    if (set & STATUS_FEATURES_OK && !this.#featuresFit()) value &= ~STATUS_FEATURES_OK;
    this.status = (value & 0xff & ~STATUS_NEEDS_RESET) | this.status;
    if (set & STATUS_DRIVER_OK) {
      this.started();
      for (const [index, queue] of this.queues.entries()) if (queue.enabled) this.serve(index);
    }
  }

  #featuresFit(): boolean {
    const known = this.accepted.every((word, i) => (word & ~(this.offered[i] ?? 0)) === 0);
    return known && this.hasFeature(F_VERSION_1);
  }

  enableQueue(index: number): void {
    const queue = this.queues[index];
    if (queue === undefined || queue.enabled) return;
    queue.eventIndex = this.hasFeature(F_EVENT_IDX);
    queue.indirect = this.hasFeature(F_INDIRECT_DESC);
    queue.enable();
    this.checkRing(queue);
    if (this.running) this.serve(index);
  }

  resetQueue(index: number): void {
    const queue = this.queues[index];
    if (queue === undefined || !queue.enabled) return;
    this.queueStopped(index);
    queue.reset();
  }

  /** A kick, counted. */
  notify(index: number): void {
    this.#kicks++;
    this.serve(index);
  }

  serve(index: number): void {
    const queue = this.queues[index];
    if (!this.running || queue === undefined || !queue.enabled) return;
    this.kicked(index);
    this.checkRing(queue);
  }

  reset(): void {
    this.stopped();
    for (const queue of this.queues) queue.reset();
    this.accepted.fill(0);
    this.status = 0;
  }

  /** The VM is a copy: see Device. */
  renewIdentity(_entropy: (into: Uint8Array) => void): void {}

  // ---- for devices

  /** The driver broke the protocol: it must reset the device before anything goes on (2.1.2). */
  protected needsReset(why: string): void {
    if (this.status & STATUS_NEEDS_RESET) return;
    this.lastFault = why;
    this.#faults++;
    this.status |= STATUS_NEEDS_RESET;
    if (this.status & STATUS_DRIVER_OK) this.#transport?.interruptConfig();
  }

  protected checkRing(queue: VirtQueue): void {
    if (queue.fault !== undefined) this.needsReset(queue.fault);
  }

  /** Configuration space has changed: generation and interrupt (2.5.1, 4.1.4.5). */
  protected configChanged(): void {
    this.configGeneration = (this.configGeneration + 1) & 0xff;
    if (this.status & STATUS_DRIVER_OK) this.#transport?.interruptConfig();
  }

  /**
   * Hands over the chains that wait in a queue, as many as one turn may, and publishes what `handle` pushed. `handle`
   * returns false to leave its chain for later, which ends the turn. `weight` is how many bytes the handler touches for
   * each byte of a chain.
   */
  protected drain(index: number, handle: (chain: DescriptorChain) => boolean, weight = 1): void {
    const queue = this.queues[index] as VirtQueue;
    let bytes = 0;
    let emptied = false;
    for (let chains = 0; this.running; chains++) {
      if (chains > queue.size || bytes > BYTES_PER_TURN) {
        this.defer(index);
        break;
      }
      const chain = queue.pop();
      if (chain === undefined) {
        emptied = true;
        break;
      }
      if (!handle(chain)) {
        queue.unpop();
        break;
      }
      this.#chains++;
      bytes += (chain.readableBytes + chain.writableBytes) * weight;
    }
    this.flush(index);
    queue.askForKick();
    // A chain added between the last look and the asking comes without a kick (2.7.10.1).
    if (emptied && queue.waiting > 0) this.defer(index);
  }

  /** The next chain for something that the device itself has to say; undefined when the driver gave none. */
  protected take(index: number): DescriptorChain | undefined {
    const queue = this.queues[index];
    if (!this.running || queue === undefined || !queue.enabled) return undefined;
    const chain = queue.pop();
    this.checkRing(queue);
    return chain;
  }

  /** Gives a chain back. */
  protected complete(index: number, chain: DescriptorChain): void {
    this.queues[index]?.push(chain.head, chain.writtenBytes);
  }

  /** Makes what was given back visible and interrupts where the driver wants it. */
  protected flush(index: number): void {
    if (this.queues[index]?.publish()) {
      this.#interrupts++;
      this.#transport?.interruptQueue(index);
    }
  }

  protected defer(index: number): void {
    this.#transport?.defer(index);
  }

  // ---- save and load

  /** Queues that whoever loads this state must look at again, beside those deferred anyway. */
  protected unfinished(): readonly number[] {
    return [];
  }

  save(): DeviceState {
    // The transport's timer is saved with the clock's, so it must be armed now.
    for (const index of this.unfinished()) this.defer(index);
    return {
      status: this.status,
      acceptedLow: this.accepted[0],
      acceptedHigh: this.accepted[1],
      configGeneration: this.configGeneration,
      config: new Uint8Array(this.config.buffer).slice(),
      queues: Object.fromEntries(this.queues.map((queue, i) => [String(i), queue.save()])),
      device: this.saveDevice(),
    };
  }

  load(state: DeviceState): void {
    const saved = new SavedState(this.name, state);
    this.reset();
    this.status = saved.integer("status", 0xff);
    this.accepted[0] = saved.integer("acceptedLow");
    this.accepted[1] = saved.integer("acceptedHigh");
    this.configGeneration = saved.integer("configGeneration", 0xff);
    new Uint8Array(this.config.buffer).set(saved.bytes("config", this.config.byteLength));
    const queues = new SavedState(this.name, saved.nested("queues"));
    for (const [i, queue] of this.queues.entries()) {
      queue.eventIndex = this.hasFeature(F_EVENT_IDX);
      queue.indirect = this.hasFeature(F_INDIRECT_DESC);
      queue.load(this.name, queues.nested(String(i)));
    }
    this.loadDevice(new SavedState(this.name, saved.nested("device")));
  }

  metrics(): Readonly<Record<string, number>> {
    return {
      kicks: this.#kicks,
      chains: this.#chains,
      interrupts: this.#interrupts,
      faults: this.#faults,
      ...this.deviceMetrics(),
    };
  }
}

/** Feature bits as 32-bit words. */
export function featureWords(bits: readonly number[]): Uint32Array {
  const words = new Uint32Array(2);
  for (const bit of bits) words[bit >> 5] = (words[bit >> 5] ?? 0) | (1 << (bit & 31));
  return words;
}
