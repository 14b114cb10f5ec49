// The RTL8139C+'s second mode: rings of descriptors in memory, with checksums and segmentation (RTL8139C+ datasheet, chapter 6).
// Linux's 8139cp uses it.
import type { DmaMemory } from "../../vmm/device.ts";
import { fillChecksums, segmentTcp } from "../net-offload.ts";
import type { SavedState } from "../saved-state.ts";
import { frameCheckSequence } from "./ethernet-crc.ts";
import type { Destination } from "./ring-mode.ts";

const DESCRIPTOR_BYTES = 16;
/** A ring has at most 64 descriptors; more in a row is a ring without an end. */
const RING_MAX = 64;
const CHECK_BYTES = 4;
const FRAME_MAX = 65_550;
const ADDRESS_MAX = 2 ** 32;

// ---- first word of both kinds
const OWN = 0x8000_0000;
const END_OF_RING = 0x4000_0000;
const FIRST = 0x2000_0000;
const LAST = 0x1000_0000;

// ---- transmit
const LARGE_SEND = 0x0800_0000;
const MSS_SHIFT = 16;
const MSS_MASK = 0x7ff;
const IP_CHECKSUM = 0x0004_0000;
const UDP_CHECKSUM = 0x0002_0000;
const TCP_CHECKSUM = 0x0001_0000;
const SIZE_MASK = 0xffff;
/** Underrun, error summary, late collision, link failure, excessive collisions. */
const TRANSMIT_ERRORS = 0x02f0_0000;
const INSERT_VLAN = 0x0002_0000;

// ---- receive
const RECEIVE_SIZE_MASK = 0x1fff;
const RECEIVED: Readonly<Record<Destination, number>> = {
  multicast: 0x0400_0000,
  own: 0x0200_0000,
  broadcast: 0x0100_0000,
};

/** A ring of descriptors: where it is, and which one comes next. */
export class DescriptorRing {
  low = 0;
  high = 0;
  next = 0;

  get address(): number {
    return this.high * ADDRESS_MAX + this.low;
  }
  reset(): void {
    this.low = this.high = this.next = 0;
  }
  save() {
    return { low: this.low, high: this.high, next: this.next };
  }
  load(saved: SavedState): void {
    this.low = saved.integer("low");
    this.high = saved.integer("high");
    this.next = saved.integer("next", RING_MAX - 1);
  }
}

interface Descriptor {
  readonly at: number;
  readonly options: number;
  readonly tag: number;
  readonly address: number;
}

export type TransmitResult = { readonly frames: readonly Uint8Array[]; readonly malformed: boolean } | undefined;

export class DescriptorMode {
  readonly normal = new DescriptorRing();
  readonly high = new DescriptorRing();
  readonly receiveRing = new DescriptorRing();

  constructor(private readonly memory: DmaMemory) {}

  reset(): void {
    for (const ring of [this.normal, this.high, this.receiveRing]) ring.reset();
  }

  #descriptor(ring: DescriptorRing): Descriptor | undefined {
    const at = ring.address + ring.next * DESCRIPTOR_BYTES;
    const bytes = this.memory.view(at, DESCRIPTOR_BYTES);
    if (bytes === undefined) return undefined;
    const view = new DataView(bytes.buffer, bytes.byteOffset, DESCRIPTOR_BYTES);
    return {
      at,
      options: view.getUint32(0, true),
      tag: view.getUint32(4, true),
      address: view.getUint32(8, true) + view.getUint32(12, true) * ADDRESS_MAX,
    };
  }

  #giveBack(ring: DescriptorRing, { at, options }: Descriptor, status: number, tag?: number): void {
    const words = new DataView(new ArrayBuffer(8));
    words.setUint32(0, status >>> 0, true);
    words.setUint32(4, tag ?? 0, true);
    this.memory.write(at, new Uint8Array(words.buffer, 0, tag === undefined ? 4 : 8));
    ring.next = options & END_OF_RING ? 0 : (ring.next + 1) % RING_MAX;
  }

  /** The frames of the next packet of a ring; undefined where there is none. */
  transmit(ring: DescriptorRing): TransmitResult {
    const pieces: Uint8Array[] = [];
    let bytes = 0;
    let first: Descriptor | undefined;
    for (let i = 0; i < RING_MAX; i++) {
      const descriptor = this.#descriptor(ring);
      if (descriptor === undefined || !(descriptor.options & OWN)) return first && { frames: [], malformed: true };
      first ??= descriptor;
      const piece = new Uint8Array(descriptor.options & SIZE_MASK);
      bytes += piece.length;
      if (bytes <= FRAME_MAX) this.memory.read(descriptor.address, piece);
      pieces.push(piece);
      this.#giveBack(ring, descriptor, descriptor.options & ~OWN & ~TRANSMIT_ERRORS);
      if (descriptor.options & LAST) {
        if (bytes > FRAME_MAX) return { frames: [], malformed: true };
        return framesOf(joined(pieces, bytes), first);
      }
    }
    return { frames: [], malformed: true };
  }

  /** False where there is no descriptor with room. Which protocol it is is not said: the driver computes sums itself. */
  receive(frame: Uint8Array, to: Destination): boolean {
    const descriptor = this.#descriptor(this.receiveRing);
    if (descriptor === undefined || !(descriptor.options & OWN)) return false;
    const length = frame.length + CHECK_BYTES;
    if (length > (descriptor.options & RECEIVE_SIZE_MASK)) return false;
    this.memory.write(descriptor.address, frame);
    const check = new DataView(new ArrayBuffer(CHECK_BYTES));
    check.setUint32(0, frameCheckSequence(frame), true);
    this.memory.write(descriptor.address + frame.length, new Uint8Array(check.buffer));
    const kept = descriptor.options & END_OF_RING;
    const status = kept | FIRST | LAST | RECEIVED[to] | length;
    this.#giveBack(this.receiveRing, descriptor, status, 0);
    return true;
  }

  save() {
    return { normal: this.normal.save(), high: this.high.save(), receive: this.receiveRing.save() };
  }
}

function joined(pieces: readonly Uint8Array[], bytes: number): Uint8Array {
  const frame = new Uint8Array(bytes);
  let at = 0;
  for (const piece of pieces) {
    frame.set(piece, at);
    at += piece.length;
  }
  return frame;
}

/** What the driver left to the chip: segments, checksums, a VLAN tag. */
function framesOf(packet: Uint8Array, { options, tag }: Descriptor): TransmitResult {
  const frame = tag & INSERT_VLAN ? tagged(packet, tag & 0xffff) : packet;
  if (options & LARGE_SEND) {
    const segments = segmentTcp(frame, (options >>> MSS_SHIFT) & MSS_MASK);
    return { frames: segments ?? [], malformed: segments === undefined };
  }
  if (options & (IP_CHECKSUM | UDP_CHECKSUM | TCP_CHECKSUM)) {
    fillChecksums(frame, {
      ip: (options & IP_CHECKSUM) !== 0,
      tcp: (options & TCP_CHECKSUM) !== 0,
      udp: (options & UDP_CHECKSUM) !== 0,
    });
  }
  return { frames: [frame], malformed: false };
}

/** The tag comes with its bytes swapped. */
function tagged(packet: Uint8Array, tag: number): Uint8Array {
  if (packet.length < 12) return packet;
  const frame = new Uint8Array(packet.length + 4);
  frame.set(packet.subarray(0, 12));
  frame.set([0x81, 0x00, tag & 0xff, tag >> 8], 12);
  frame.set(packet.subarray(12), 16);
  return frame;
}
