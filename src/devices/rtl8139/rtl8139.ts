// Realtek's RTL8139C+, the card that every operating system of its time has a driver for, and the RTL8139D, which lacks the
// second mode (RTL8139C(L)+ and RTL8139D datasheets).
import type { Device, DeviceClock, DeviceState, DeviceTimer, DmaMemory } from "../../vmm/device.ts";
import type { NetworkBackend } from "../../vmm/network.ts";
import { MacTranslation, randomMac } from "../mac-translation.ts";
import { COMMAND_MASTER, PciFunction } from "../pci/function.ts";
import { SavedState } from "../saved-state.ts";
import { RateLimiter, type RateLimitOptions } from "../token-bucket.ts";
import { DescriptorMode, type DescriptorRing } from "./descriptor-mode.ts";
import { multicastBit } from "./ethernet-crc.ts";
import { RegisterFile } from "./register-file.ts";
import * as reg from "./registers.ts";
import { DESCRIPTORS, type Destination, RingMode } from "./ring-mode.ts";
import { Settings } from "./settings.ts";

const VENDOR = 0x10ec;
const DEVICE = 0x8139;
const CLASS_ETHERNET = 0x020000;
const REVISION_PLUS = 0x20;
const REVISION_D = 0x10;
const ADDRESS_BYTES = 6;
const FRAME_MIN = 60;
const FRAME_MAX = 65_550;
/** Longest frame of the first mode: the driver's size field. */
const HEADER_MIN = 14;
/** Packets that one turn may send: what is left waits until the vCPU had its turn. */
const PACKETS_PER_TURN = 256;

export interface Rtl8139Options {
  readonly backend: NetworkBackend;
  readonly clock: DeviceClock;
  /** Six bytes, unicast. */
  readonly mac: Uint8Array;
  /** With C+ mode; else an RTL8139D. */
  readonly plus: boolean;
  readonly receiveLimits?: RateLimitOptions;
  readonly transmitLimits?: RateLimitOptions;
}

export class Rtl8139 implements Device {
  readonly stateVersion = 1;
  readonly pci: PciFunction;
  readonly #settings: Settings;
  readonly #ring: RingMode;
  readonly #descriptors: DescriptorMode;
  readonly #receiveLimiter: RateLimiter;
  readonly #transmitLimiter: RateLimiter;
  /** Goes on with sending. */
  readonly #sendTimer: DeviceTimer;
  readonly #countTimer: DeviceTimer;
  readonly #subscriptions: { dispose(): void }[];
  /** The driver has said that there is something in these rings. */
  #polled = { normal: false, high: false };
  #nextDescriptor = 0;
  #translation: MacTranslation | undefined;
  #mac: Uint8Array;
  #counts = {
    sent: 0,
    sentBytes: 0,
    received: 0,
    receivedBytes: 0,
    dropped: 0,
    filtered: 0,
    malformed: 0,
    throttled: 0,
  };

  constructor(
    readonly name: string,
    private readonly memory: DmaMemory,
    private readonly options: Rtl8139Options,
  ) {
    this.#mac = options.mac.slice(0, ADDRESS_BYTES);
    this.#ring = new RingMode(memory);
    this.#descriptors = new DescriptorMode(memory);
    this.#settings = new Settings(options, {
      reset: () => this.#softReset(),
      interrupt: () => this.#driveInterrupt(),
      send: () => this.#send(),
      poll: (high) => {
        this.#polled[high ? "high" : "normal"] = true;
        this.#send();
      },
      receiverStarted: () => this.#ring.restart(),
      countTo: (atNs) => {
        if (atNs === undefined) this.#countTimer.disarm();
        else this.#countTimer.arm(atNs);
      },
      tally: (gpa) => this.memory.write(gpa, this.#tally()),
    });
    this.#receiveLimiter = new RateLimiter(options.receiveLimits);
    this.#transmitLimiter = new RateLimiter(options.transmitLimits);
    this.#sendTimer = options.clock.timer(`${name}.send`, () => this.#send());
    this.#countTimer = options.clock.timer(`${name}.count`, () => this.#settings.counted());
    const registers = new RegisterFile(this.#settings, this.#ring, this.#descriptors, options.plus);
    this.pci = new PciFunction(name, {
      vendor: VENDOR,
      device: DEVICE,
      revision: options.plus ? REVISION_PLUS : REVISION_D,
      classCode: CLASS_ETHERNET,
      subsystemVendor: VENDOR,
      subsystem: DEVICE,
      interruptPin: 1,
    });
    this.pci.addBar(0, { space: "io", sizeBytes: reg.REGISTER_BYTES, width: 4, handler: registers });
    this.pci.addBar(1, { space: "memory", sizeBytes: reg.REGISTER_BYTES, width: 4, handler: registers });
    this.#settings.powerOn(this.#mac);
    options.backend.useClock?.(options.clock, name);
    this.#subscriptions = [options.backend.onReceive((frame) => this.#receive(frame))];
    const link = options.backend.onLink?.((up) => this.setLink(up));
    if (link !== undefined) this.#subscriptions.push(link);
  }

  // ---- for the host

  setLink(up: boolean): void {
    this.#settings.setLink(up);
  }

  /** Rate limits from now on. What comes beyond them is dropped, what goes waits. */
  setLimits(receive: RateLimitOptions, transmit: RateLimitOptions): void {
    this.#receiveLimiter.change(receive);
    this.#transmitLimiter.change(transmit);
    if (this.#sendTimer.deadlineNs !== undefined) this.#sendTimer.arm(this.options.clock.nowNs());
  }

  renewIdentity(entropy: (into: Uint8Array) => void): void {
    const known = this.#translation?.known ?? this.#mac;
    this.#mac = randomMac(entropy);
    this.#translation = new MacTranslation(known, this.#mac);
    this.#settings.setEeprom(this.#mac);
  }

  // ---- guest to network

  /** Sends what the driver has handed over, as far as a turn and the limits go. */
  #send(): void {
    for (let packets = 0; packets < PACKETS_PER_TURN; packets++) {
      const wait = this.#sendOne();
      if (wait === undefined) return;
      if (wait > 0) {
        this.#sendTimer.arm(this.options.clock.nowNs() + wait);
        return;
      }
    }
    this.#sendTimer.arm(this.options.clock.nowNs());
  }

  /** Nanoseconds to wait before the next; undefined where there is none. */
  #sendOne(): number | undefined {
    if (!this.#settings.transmits || !(this.pci.command & COMMAND_MASTER)) return undefined;
    if (this.#polled.high || this.#polled.normal) return this.#sendFromRing();
    const index = this.#nextDescriptor;
    if (this.#settings.transmitsPlus || !this.#ring.isWaiting(index)) return undefined;
    const frame = this.#ring.frame(index);
    const wait = this.#admitSend(frame.length);
    if (wait > 0) return wait;
    this.#transmit(frame);
    this.#ring.sent(index);
    this.#nextDescriptor = (index + 1) % DESCRIPTORS;
    this.#settings.raise(reg.INT_SENT);
    return 0;
  }

  #sendFromRing(): number | undefined {
    const which = this.#polled.high ? "high" : "normal";
    if (!this.#settings.transmitsPlus) {
      this.#polled = { normal: false, high: false };
      return undefined;
    }
    // Its size is known only when it has been read.
    const wait = this.#admitSend(0);
    if (wait > 0) return wait;
    const ring: DescriptorRing = this.#descriptors[which];
    const packet = this.#descriptors.transmit(ring);
    if (packet === undefined) {
      this.#polled[which] = false;
      this.#settings.raise(reg.INT_NOTHING_TO_SEND);
      return 0;
    }
    if (packet.malformed) this.#counts.malformed++;
    let bytes = 0;
    for (const frame of packet.frames) {
      bytes += frame.length;
      this.#transmit(frame);
    }
    this.#transmitLimiter.charge(bytes, this.options.clock.nowNs());
    this.#settings.raise(reg.INT_SENT);
    return 0;
  }

  #admitSend(bytes: number): number {
    const wait = this.#transmitLimiter.admit(bytes, this.options.clock.nowNs());
    if (wait > 0) this.#counts.throttled++;
    return wait;
  }

  #transmit(frame: Uint8Array): void {
    if (frame.length < HEADER_MIN || frame.length > FRAME_MAX) {
      this.#counts.malformed++;
      return;
    }
    if (this.#settings.loopsBack) {
      this.#receive(frame);
      return;
    }
    if (!this.#settings.linkUp) {
      this.#counts.dropped++;
      return;
    }
    this.#counts.sent++;
    this.#counts.sentBytes += frame.length;
    this.options.backend.send(this.#translation?.outgoing(frame) ?? frame);
  }

  // ---- network to guest

  #receive(received: Uint8Array): void {
    const settings = this.#settings;
    const frame = padded(this.#translation?.incoming(received) ?? received);
    const ready = settings.receives && this.pci.command & COMMAND_MASTER && (settings.linkUp || settings.loopsBack);
    if (!ready || frame.length > FRAME_MAX) {
      this.#counts.dropped++;
      return;
    }
    const to = this.#destination(frame);
    if (to === undefined) {
      this.#counts.filtered++;
      return;
    }
    if (this.#receiveLimiter.admit(frame.length, this.options.clock.nowNs()) > 0) {
      this.#counts.throttled++;
      return;
    }
    const taken = settings.receivesPlus
      ? this.#descriptors.receive(frame, to)
      : this.#ring.receive(frame, to, settings.rcr);
    if (!taken) {
      this.#counts.dropped++;
      settings.missed();
      return;
    }
    this.#counts.received++;
    this.#counts.receivedBytes += frame.length;
    settings.raise(reg.INT_RECEIVED);
  }

  /** As what the chip takes a frame, if it does. */
  #destination(frame: Uint8Array): Destination | undefined {
    const { rcr, mac, multicast } = this.#settings;
    const target = frame.subarray(0, ADDRESS_BYTES);
    const all = (rcr & reg.RCR_ALL) !== 0;
    if (target.every((byte) => byte === 0xff)) return all || rcr & reg.RCR_BROADCAST ? "broadcast" : undefined;
    if ((target[0] ?? 0) & 1) {
      const bit = multicastBit(target);
      const listed = ((multicast[bit >> 3] ?? 0) >> (bit & 7)) & 1;
      return all || (rcr & reg.RCR_MULTICAST && listed) ? "multicast" : undefined;
    }
    const own = target.every((byte, i) => byte === mac[i]);
    return all || (rcr & reg.RCR_OWN && own) ? "own" : undefined;
  }

  // ---- interrupt, reset, counters

  #driveInterrupt(): void {
    this.pci.setIntx(this.#settings.interrupts);
  }

  #softReset(): void {
    this.#ring.reset();
    this.#descriptors.reset();
    this.#polled = { normal: false, high: false };
    this.#nextDescriptor = 0;
    this.#sendTimer.disarm();
  }

  /** The datasheet's 64 bytes of counters. */
  #tally(): Uint8Array {
    const view = new DataView(new ArrayBuffer(64));
    view.setBigUint64(0, BigInt(this.#counts.sent), true);
    view.setBigUint64(8, BigInt(this.#counts.received), true);
    view.setUint16(28, this.#counts.dropped & 0xffff, true);
    return new Uint8Array(view.buffer);
  }

  reset(): void {
    this.#softReset();
    this.#translation = undefined;
    this.#settings.powerOn(this.#mac);
  }

  // ---- save and load; configuration space is the PCI host's

  save(): DeviceState {
    return {
      settings: this.#settings.save(),
      ring: this.#ring.save(),
      descriptors: this.#descriptors.save(),
      polledNormal: this.#polled.normal,
      polledHigh: this.#polled.high,
      nextDescriptor: this.#nextDescriptor,
      mac: this.#mac.slice(),
      knownMac: this.#translation?.known.slice() ?? null,
      receiveLimits: this.#receiveLimiter.save(),
      transmitLimits: this.#transmitLimiter.save(),
    };
  }

  load(state: DeviceState, version: number): void {
    const saved = SavedState.open(this.name, state, version, this.stateVersion);
    const part = (field: string): SavedState => new SavedState(this.name, saved.nested(field));
    this.#mac = saved.bytes("mac", ADDRESS_BYTES);
    const known = saved.optionalBytes("knownMac", ADDRESS_BYTES);
    this.#translation = known && new MacTranslation(known, this.#mac);
    this.#settings.load(this.name, part("settings"));
    this.#settings.setEeprom(this.#mac);
    this.#ring.load(part("ring"));
    const rings = part("descriptors");
    this.#descriptors.normal.load(new SavedState(this.name, rings.nested("normal")));
    this.#descriptors.high.load(new SavedState(this.name, rings.nested("high")));
    this.#descriptors.receiveRing.load(new SavedState(this.name, rings.nested("receive")));
    this.#polled = { normal: saved.flag("polledNormal"), high: saved.flag("polledHigh") };
    this.#nextDescriptor = saved.integer("nextDescriptor", DESCRIPTORS - 1);
    this.#receiveLimiter.load(this.name, saved.nested("receiveLimits"));
    this.#transmitLimiter.load(this.name, saved.nested("transmitLimits"));
  }

  metrics(): Readonly<Record<string, number>> {
    return { ...this.#counts };
  }

  dispose(): void {
    for (const subscription of this.#subscriptions) subscription.dispose();
  }
}

/** Shorter ones come from networks that are no Ethernet. */
function padded(frame: Uint8Array): Uint8Array {
  if (frame.length >= FRAME_MIN) return frame;
  const whole = new Uint8Array(FRAME_MIN);
  whole.set(frame);
  return whole;
}
