// A copy of a machine has a network card with an address of its own, which the driver that runs in the copy does not know:
// until it resets the card, what it sends and gets is translated. Else two machines on one switch would have one address.
const ADDRESS_BYTES = 6;
const TYPE_ARP = 0x0806;
const AT_TYPE = 12;
const AT_ARP_SENDER = 22;
const AT_ARP_TARGET = 32;

export class MacTranslation {
  /** `known`: the driver's, `own`: the card's. */
  constructor(
    readonly known: Uint8Array,
    readonly own: Uint8Array,
  ) {}

  /** From the guest; a copy where there is something to translate. */
  outgoing(frame: Uint8Array): Uint8Array {
    return this.#translated(frame, ADDRESS_BYTES, AT_ARP_SENDER, this.known, this.own);
  }

  /** To the guest. */
  incoming(frame: Uint8Array): Uint8Array {
    return this.#translated(frame, 0, AT_ARP_TARGET, this.own, this.known);
  }

  #translated(frame: Uint8Array, at: number, inArp: number, from: Uint8Array, to: Uint8Array): Uint8Array {
    const isArp = frame[AT_TYPE] === TYPE_ARP >> 8 && frame[AT_TYPE + 1] === (TYPE_ARP & 0xff);
    const places = [at, ...(isArp && frame.length >= inArp + ADDRESS_BYTES ? [inArp] : [])].filter((place) =>
      from.every((byte, i) => frame[place + i] === byte),
    );
    if (places.length === 0) return frame;
    const copy = frame.slice();
    for (const place of places) copy.set(to, place);
    return copy;
  }
}

/** A random address: locally administered, of one card. */
export function randomMac(entropy: (into: Uint8Array) => void): Uint8Array {
  const mac = new Uint8Array(ADDRESS_BYTES);
  entropy(mac);
  mac[0] = ((mac[0] ?? 0) & 0xfc) | 0x02;
  return mac;
}
