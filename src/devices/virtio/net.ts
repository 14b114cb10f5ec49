// Network card (virtio 1.2, section 5.1): one pair of queues and a control queue, over a NetworkBackend.
import type { DeviceClock, DeviceState, DeviceTimer, DmaMemory } from "../../vmm/device.ts";
import type { NetworkBackend } from "../../vmm/network.ts";
import { MacTranslation, randomMac } from "../mac-translation.ts";
import { finishChecksum, segmentTcp } from "../net-offload.ts";
import { SavedState } from "../saved-state.ts";
import { RateLimiter, type RateLimitOptions } from "../token-bucket.ts";
import type { DescriptorChain } from "./chain.ts";
import { VirtioDevice } from "./device.ts";
import { NetFilter } from "./net-filter.ts";

const TYPE_NETWORK = 1;
const RECEIVE = 0;
const TRANSMIT = 1;
const CONTROL = 2;
const FRAME_MIN = 14;
const FRAME_MAX = 65_550;
const ADDRESS_BYTES = 6;
/** Frames for a driver that has no buffer for them just now; beyond that they are dropped. */
const BACKLOG_FRAMES = 256;
const BACKLOG_BYTES = 512 * 1024;
/** A control command: tables of addresses are the longest. */
const COMMAND_BYTES_MAX = 64 * 1024;

// ---- features
const F_CSUM = 0;
const F_GUEST_CSUM = 1;
const F_MTU = 3;
const F_MAC = 5;
const F_HOST_TSO4 = 11;
const F_HOST_TSO6 = 12;
const F_HOST_ECN = 13;
const F_MRG_RXBUF = 15;
const F_STATUS = 16;
const F_CTRL_VQ = 17;
const F_CTRL_RX = 18;
const F_CTRL_VLAN = 19;
const F_CTRL_RX_EXTRA = 20;
const F_GUEST_ANNOUNCE = 21;
const F_CTRL_MAC_ADDR = 23;

// ---- configuration
const CONFIG_MAC = 0;
const CONFIG_STATUS = 6;
const CONFIG_PAIRS = 8;
const CONFIG_MTU = 10;
const CONFIG_BYTES = 12;
const STATUS_LINK_UP = 1;
const STATUS_ANNOUNCE = 2;

// ---- struct virtio_net_hdr
const HEADER_BYTES = 12;
const HEADER_NEEDS_CSUM = 1;
const HEADER_DATA_VALID = 2;
const GSO_NONE = 0;
const GSO_TCPV4 = 1;
const GSO_TCPV6 = 4;
const GSO_ECN = 0x80;

// ---- control commands
const CLASS_RX = 0;
const CLASS_MAC = 1;
const CLASS_VLAN = 2;
const CLASS_ANNOUNCE = 3;
const MAC_TABLE_SET = 0;
const MAC_ADDR_SET = 1;
const VLAN_ADD = 0;
const VLAN_DELETE = 1;
const ACK_OK = 0;
const ACK_ERROR = 1;

export interface VirtioNetOptions {
  readonly backend: NetworkBackend;
  readonly clock: DeviceClock;
  /** Six bytes, unicast. */
  readonly mac: Uint8Array;
  /** Largest packet in bytes, told to the guest; none by default. */
  readonly mtu?: number;
  /** What arrives has correct checksums for certain: the guest need not look. Default false. */
  readonly trustedChecksums?: boolean;
  readonly receiveLimits?: RateLimitOptions;
  readonly transmitLimits?: RateLimitOptions;
}

export class VirtioNet extends VirtioDevice {
  readonly #backend: NetworkBackend;
  readonly #clock: DeviceClock;
  #mac: Uint8Array;
  /** While a copy's driver believes that the card has the original's address. */
  #translation: MacTranslation | undefined;
  readonly #trusted: boolean;
  readonly #filter = new NetFilter();
  readonly #receiveLimiter: RateLimiter;
  readonly #transmitLimiter: RateLimiter;
  readonly #receiveTimer: DeviceTimer;
  readonly #transmitTimer: DeviceTimer;
  readonly #subscriptions: { dispose(): void }[];
  #backlog: Uint8Array[] = [];
  #backlogBytes = 0;
  #counts = {
    sent: 0,
    sentBytes: 0,
    received: 0,
    receivedBytes: 0,
    dropped: 0,
    filtered: 0,
    malformed: 0,
    segmented: 0,
  };

  constructor(name: string, memory: DmaMemory, options: VirtioNetOptions) {
    const features = [F_CSUM, F_MAC, F_HOST_TSO4, F_HOST_TSO6, F_HOST_ECN, F_MRG_RXBUF, F_STATUS];
    features.push(F_CTRL_VQ, F_CTRL_RX, F_CTRL_RX_EXTRA, F_CTRL_VLAN, F_GUEST_ANNOUNCE, F_CTRL_MAC_ADDR);
    if (options.mtu !== undefined) features.push(F_MTU);
    if (options.trustedChecksums) features.push(F_GUEST_CSUM);
    super({ name, type: TYPE_NETWORK, queueSizes: [256, 256, 64], features, configBytes: CONFIG_BYTES }, memory);
    this.#backend = options.backend;
    this.#clock = options.clock;
    this.#mac = options.mac.slice(0, ADDRESS_BYTES);
    this.#trusted = options.trustedChecksums ?? false;
    this.#receiveLimiter = new RateLimiter(options.receiveLimits);
    this.#transmitLimiter = new RateLimiter(options.transmitLimits);
    this.#receiveTimer = options.clock.timer(`${name}.receive-limit`, () => this.#deliver());
    this.#transmitTimer = options.clock.timer(`${name}.transmit-limit`, () => this.serve(TRANSMIT));
    this.#setMac(this.#mac);
    this.config.setUint16(CONFIG_STATUS, STATUS_LINK_UP, true);
    this.config.setUint16(CONFIG_PAIRS, 1, true);
    this.config.setUint16(CONFIG_MTU, options.mtu ?? 0, true);
    this.#backend.useClock?.(options.clock, name);
    this.#subscriptions = [this.#backend.onReceive((frame) => this.#receive(frame))];
    const link = this.#backend.onLink?.((up) => this.setLink(up));
    if (link !== undefined) this.#subscriptions.push(link);
  }

  // ---- for the host

  setLink(up: boolean): void {
    this.#setStatus(STATUS_LINK_UP, up);
  }

  /** Asks the guest to tell the network where it is: after a move to another host or switch. */
  announce(): void {
    if (this.hasFeature(F_GUEST_ANNOUNCE)) this.#setStatus(STATUS_ANNOUNCE, true);
  }

  setLimits(receive: RateLimitOptions, transmit: RateLimitOptions): void {
    this.#receiveLimiter.change(receive);
    this.#transmitLimiter.change(transmit);
    // What waited may go now.
    for (const timer of [this.#receiveTimer, this.#transmitTimer])
      if (timer.deadlineNs !== undefined) timer.arm(this.#clock.nowNs());
  }

  #setStatus(bit: number, on: boolean): void {
    const old = this.config.getUint16(CONFIG_STATUS, true);
    const status = on ? old | bit : old & ~bit;
    if (status === old) return;
    this.config.setUint16(CONFIG_STATUS, status, true);
    this.configChanged();
  }

  #setMac(mac: Uint8Array): void {
    for (let i = 0; i < ADDRESS_BYTES; i++) this.config.setUint8(CONFIG_MAC + i, mac[i] ?? 0);
  }

  get #linkUp(): boolean {
    return (this.config.getUint16(CONFIG_STATUS, true) & STATUS_LINK_UP) !== 0;
  }

  /** A copy's card has an address of its own; the driver learns of it when it next resets the card. */
  override renewIdentity(entropy: (into: Uint8Array) => void): void {
    const known = this.#translation?.known ?? new Uint8Array(this.config.buffer).slice(CONFIG_MAC, ADDRESS_BYTES);
    this.#mac = randomMac(entropy);
    this.#translation = this.running ? new MacTranslation(known, this.#mac) : undefined;
    if (!this.running) this.#setMac(this.#mac);
  }

  // ---- for the driver

  override kicked(queue: number): void {
    if (queue === RECEIVE) this.#deliver();
    else if (queue === TRANSMIT) this.#transmit();
    else if (this.hasFeature(F_CTRL_VQ)) this.#control();
  }

  protected override started(): void {
    this.#filter.filtersVlans = this.hasFeature(F_CTRL_VLAN);
  }

  // ---- guest to network

  #transmit(): void {
    this.drain(TRANSMIT, (chain) => {
      const wait = this.#transmitLimiter.admit(chain.readableBytes, this.#clock.nowNs());
      if (wait > 0) {
        this.#transmitTimer.arm(this.#clock.nowNs() + wait);
        return false;
      }
      this.#send(chain);
      this.complete(TRANSMIT, chain);
      return true;
    });
  }

  #send(chain: DescriptorChain): void {
    const bytes = chain.readCopy(HEADER_BYTES);
    const length = chain.unreadBytes;
    if (bytes.length < HEADER_BYTES || length < FRAME_MIN || length > FRAME_MAX) {
      this.#counts.malformed++;
      return;
    }
    if (!this.#linkUp) {
      this.#counts.dropped++;
      return;
    }
    const header = new DataView(bytes.buffer, bytes.byteOffset);
    const gso = header.getUint8(1) & ~GSO_ECN;
    if (gso === GSO_TCPV4 || gso === GSO_TCPV6) {
      const segments = segmentTcp(chain.readCopy(length), header.getUint16(4, true));
      if (segments === undefined) this.#counts.malformed++;
      else this.#counts.segmented++;
      for (const segment of segments ?? []) this.#toBackend(segment);
    } else if (gso !== GSO_NONE) {
      this.#counts.malformed++;
    } else if (header.getUint8(0) & HEADER_NEEDS_CSUM) {
      const frame = chain.readCopy(length);
      const fits = finishChecksum(frame, header.getUint16(6, true), header.getUint16(8, true));
      if (fits) this.#toBackend(frame);
      else this.#counts.malformed++;
    } else {
      this.#toBackend(chain.read(length));
    }
  }

  #toBackend(frame: Uint8Array): void {
    this.#counts.sent++;
    this.#counts.sentBytes += frame.length;
    this.#backend.send(this.#translation?.outgoing(frame) ?? frame);
  }

  // ---- network to guest

  #receive(received: Uint8Array): void {
    const frame = this.#translation?.incoming(received) ?? received;
    if (!this.running || !this.#linkUp || frame.length < FRAME_MIN || frame.length > FRAME_MAX) {
      this.#counts.dropped++;
      return;
    }
    const own = new Uint8Array(this.config.buffer, CONFIG_MAC, ADDRESS_BYTES);
    if (!this.#filter.accepts(frame, own)) {
      this.#counts.filtered++;
      return;
    }
    if (this.#backlog.length >= BACKLOG_FRAMES || this.#backlogBytes + frame.length > BACKLOG_BYTES) {
      this.#counts.dropped++;
      return;
    }
    this.#backlog.push(frame.slice());
    this.#backlogBytes += frame.length;
    this.#deliver();
  }

  /** Hands over what waits, while the driver has buffers and the limit allows. */
  #deliver(): void {
    const queue = this.queues[RECEIVE];
    if (!this.running || queue === undefined || !queue.enabled) return;
    while (this.#backlog.length > 0) {
      const frame = this.#backlog[0] as Uint8Array;
      const chains = this.#buffersFor(frame.length);
      if (chains === undefined) break;
      const now = this.#clock.nowNs();
      const wait = this.#receiveLimiter.admit(frame.length, now);
      if (wait > 0) {
        queue.unpop(chains.length);
        this.#receiveTimer.arm(now + wait);
        break;
      }
      this.#backlog.shift();
      this.#backlogBytes -= frame.length;
      this.#fill(chains, frame);
    }
    this.flush(RECEIVE);
    this.checkRing(queue);
    // A driver need not say that it has fresh buffers unless a frame waits for them.
    queue.wantKicks(this.#backlog.length > 0);
  }

  /** Chains with room for header and frame: several only if the driver can merge them. Undefined for not yet. */
  #buffersFor(length: number): DescriptorChain[] | undefined {
    const queue = this.queues[RECEIVE];
    const chains: DescriptorChain[] = [];
    const merge = this.hasFeature(F_MRG_RXBUF);
    for (let room = 0; room < HEADER_BYTES + length; ) {
      const chain = queue?.pop();
      if (chain === undefined) {
        queue?.unpop(chains.length);
        return undefined;
      }
      if (chains.length === 0 && chain.writableBytes < (merge ? HEADER_BYTES : HEADER_BYTES + FRAME_MIN)) {
        this.needsReset("a receive buffer without room for a header");
        return undefined;
      }
      chains.push(chain);
      room += chain.writableBytes;
      if (!merge) break;
    }
    return chains;
  }

  #fill(chains: readonly DescriptorChain[], frame: Uint8Array): void {
    const header = new DataView(new ArrayBuffer(HEADER_BYTES));
    if (this.#trusted && this.hasFeature(F_GUEST_CSUM)) header.setUint8(0, HEADER_DATA_VALID);
    header.setUint16(10, chains.length, true);
    const [first] = chains as [DescriptorChain];
    first.write(new Uint8Array(header.buffer));
    let at = 0;
    for (const chain of chains) {
      at += chain.write(frame.subarray(at));
      this.complete(RECEIVE, chain);
    }
    // Too small a buffer of a driver that does not merge: it gets a cut frame, as a card would give it.
    if (at < frame.length) this.#counts.dropped++;
    this.#counts.received++;
    this.#counts.receivedBytes += at;
  }

  // ---- control queue

  #control(): void {
    this.drain(CONTROL, (chain) => {
      if (chain.readableBytes < 2 || chain.readableBytes > COMMAND_BYTES_MAX || chain.writableBytes < 1) {
        this.needsReset("a control command without class, command or room for the answer");
        return true;
      }
      const [kind = 0, command = 0, ...rest] = chain.readCopy(COMMAND_BYTES_MAX);
      const done = this.#command(kind, command, Uint8Array.from(rest));
      chain.write(Uint8Array.of(done ? ACK_OK : ACK_ERROR));
      this.complete(CONTROL, chain);
      return true;
    });
  }

  #command(kind: number, command: number, data: Uint8Array): boolean {
    switch (kind) {
      case CLASS_RX:
        return this.#filter.setMode(command, data[0]);
      case CLASS_MAC:
        if (command === MAC_TABLE_SET) return this.#filter.setTables(data);
        if (command !== MAC_ADDR_SET || data.length !== ADDRESS_BYTES || (data[0] ?? 0) & 1) return false;
        this.#setMac(data);
        return true;
      case CLASS_VLAN:
        if (command !== VLAN_ADD && command !== VLAN_DELETE) return false;
        return this.#filter.setVlan(data, command === VLAN_ADD);
      case CLASS_ANNOUNCE: {
        const status = this.config.getUint16(CONFIG_STATUS, true);
        this.config.setUint16(CONFIG_STATUS, status & ~STATUS_ANNOUNCE, true);
        return command === 0;
      }
      default:
        return false;
    }
  }

  // ---- reset, save and load

  protected override stopped(): void {
    this.#backlog = [];
    this.#backlogBytes = 0;
    this.#filter.reset();
    this.#translation = undefined;
    this.#receiveTimer.disarm();
    this.#transmitTimer.disarm();
    this.#setMac(this.#mac);
    const status = this.config.getUint16(CONFIG_STATUS, true);
    this.config.setUint16(CONFIG_STATUS, status & ~STATUS_ANNOUNCE, true);
  }

  protected override saveDevice(): DeviceState {
    return {
      mac: this.#mac.slice(),
      knownMac: this.#translation?.known.slice() ?? null,
      filter: this.#filter.save(),
      receiveLimits: this.#receiveLimiter.save(),
      transmitLimits: this.#transmitLimiter.save(),
    };
  }

  /** Frames that waited are lost, as frames may be. */
  protected override loadDevice(saved: SavedState): void {
    this.#filter.load(new SavedState(this.name, saved.nested("filter")));
    // Older states have the address of the configuration.
    const fields = saved.fields();
    if (fields.includes("mac")) this.#mac = saved.bytes("mac", ADDRESS_BYTES);
    const known = fields.includes("knownMac") ? saved.optionalBytes("knownMac", ADDRESS_BYTES) : undefined;
    this.#translation = known && new MacTranslation(known, this.#mac);
    this.#receiveLimiter.load(this.name, saved.nested("receiveLimits"));
    this.#transmitLimiter.load(this.name, saved.nested("transmitLimits"));
  }

  protected override deviceMetrics(): Readonly<Record<string, number>> {
    const throttled = this.#receiveLimiter.throttled + this.#transmitLimiter.throttled;
    return { ...this.#counts, throttled };
  }

  override dispose(): void {
    for (const subscription of this.#subscriptions) subscription.dispose();
  }
}
