// Which frames a network card hands to its driver, as the driver asked over the control queue (virtio 1.2, 5.1.6.5).
import { sameBytes } from "../../vmm/compare-bytes.ts";
import type { DeviceState } from "../../vmm/device.ts";
import type { SavedState } from "../saved-state.ts";

const ADDRESS_BYTES = 6;
/** Addresses of each kind that are kept; a driver with more gets all of that kind. */
const ADDRESSES_MAX = 64;
const TYPE_VLAN = 0x8100;
const VLANS = 4096;

/** Commands of class RX, in order of their numbers. */
const MODES = ["promiscuous", "allMulticast", "allUnicast", "noMulticast", "noUnicast", "noBroadcast"] as const;
type Mode = (typeof MODES)[number];

export class NetFilter {
  #modes: Record<Mode, boolean> = NetFilter.#initialModes();
  #unicast: Uint8Array[] = [];
  #multicast: Uint8Array[] = [];
  #tooManyUnicast = false;
  #tooManyMulticast = false;
  readonly #vlans = new Uint8Array(VLANS / 8);
  /** The driver keeps a list of VLANs. */
  filtersVlans = false;

  /** A card that was told nothing lets everything through. */
  static #initialModes(): Record<Mode, boolean> {
    return {
      promiscuous: true,
      allMulticast: false,
      allUnicast: false,
      noMulticast: false,
      noUnicast: false,
      noBroadcast: false,
    };
  }

  reset(): void {
    this.#modes = NetFilter.#initialModes();
    this.#unicast = [];
    this.#multicast = [];
    this.#tooManyUnicast = this.#tooManyMulticast = false;
    this.#vlans.fill(0);
    this.filtersVlans = false;
  }

  /** `own` is the card's address. */
  accepts(frame: Uint8Array, own: Uint8Array): boolean {
    const modes = this.#modes;
    if (this.filtersVlans && frame[12] === TYPE_VLAN >> 8 && frame[13] === (TYPE_VLAN & 0xff)) {
      const vlan = (((frame[14] ?? 0) << 8) | (frame[15] ?? 0)) & 0xfff;
      if (!(((this.#vlans[vlan >> 3] ?? 0) >> (vlan & 7)) & 1)) return false;
    }
    if (modes.promiscuous) return true;
    const to = frame.subarray(0, ADDRESS_BYTES);
    if (to.every((byte) => byte === 0xff)) return !modes.noBroadcast;
    const among = (list: readonly Uint8Array[]): boolean => list.some((address) => sameBytes(address, to));
    if ((to[0] ?? 0) & 1) {
      return !modes.noMulticast && (modes.allMulticast || this.#tooManyMulticast || among(this.#multicast));
    }
    return !modes.noUnicast && (modes.allUnicast || this.#tooManyUnicast || sameBytes(own, to) || among(this.#unicast));
  }

  // ---- commands: true if they are understood

  setMode(command: number, on: number | undefined): boolean {
    const mode = MODES[command];
    if (mode === undefined || on === undefined) return false;
    this.#modes[mode] = on !== 0;
    return true;
  }

  setTables(data: Uint8Array): boolean {
    const unicast = addressList(data, 0);
    const multicast = unicast && addressList(data, unicast.end);
    if (unicast === undefined || multicast === undefined) return false;
    this.#tooManyUnicast = unicast.addresses.length > ADDRESSES_MAX;
    this.#tooManyMulticast = multicast.addresses.length > ADDRESSES_MAX;
    this.#unicast = this.#tooManyUnicast ? [] : unicast.addresses;
    this.#multicast = this.#tooManyMulticast ? [] : multicast.addresses;
    return true;
  }

  setVlan(data: Uint8Array, on: boolean): boolean {
    if (data.length < 2) return false;
    const vlan = (data[0] ?? 0) | ((data[1] ?? 0) << 8);
    if (vlan >= VLANS) return false;
    const bit = 1 << (vlan & 7);
    const old = this.#vlans[vlan >> 3] ?? 0;
    this.#vlans[vlan >> 3] = on ? old | bit : old & ~bit;
    return true;
  }

  // ---- save and load

  save(): DeviceState {
    return {
      modes: Uint8Array.from(MODES, (mode) => (this.#modes[mode] ? 1 : 0)),
      unicast: joined(this.#unicast),
      multicast: joined(this.#multicast),
      tooManyUnicast: this.#tooManyUnicast,
      tooManyMulticast: this.#tooManyMulticast,
      vlans: this.#vlans.slice(),
      filtersVlans: this.filtersVlans,
    };
  }

  load(saved: SavedState): void {
    const modes = saved.bytes("modes", MODES.length);
    for (const [i, mode] of MODES.entries()) this.#modes[mode] = modes[i] !== 0;
    this.#unicast = split(saved.bytes("unicast", ADDRESSES_MAX * ADDRESS_BYTES, false));
    this.#multicast = split(saved.bytes("multicast", ADDRESSES_MAX * ADDRESS_BYTES, false));
    this.#tooManyUnicast = saved.flag("tooManyUnicast");
    this.#tooManyMulticast = saved.flag("tooManyMulticast");
    this.#vlans.set(saved.bytes("vlans", VLANS / 8));
    this.filtersVlans = saved.flag("filtersVlans");
  }
}

/** A count of 32 bits and so many addresses. */
function addressList(data: Uint8Array, at: number): { addresses: Uint8Array[]; end: number } | undefined {
  if (at + 4 > data.length) return undefined;
  const count = new DataView(data.buffer, data.byteOffset + at, 4).getUint32(0, true);
  const end = at + 4 + count * ADDRESS_BYTES;
  if (end > data.length) return undefined;
  return { addresses: split(data.subarray(at + 4, end)), end };
}

function split(bytes: Uint8Array): Uint8Array[] {
  const count = Math.floor(bytes.length / ADDRESS_BYTES);
  return Array.from({ length: count }, (_, i) => bytes.slice(i * ADDRESS_BYTES, (i + 1) * ADDRESS_BYTES));
}

function joined(list: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(list.length * ADDRESS_BYTES);
  for (const [i, address] of list.entries()) all.set(address, i * ADDRESS_BYTES);
  return all;
}
