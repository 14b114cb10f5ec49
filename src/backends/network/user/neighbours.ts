// ARP of the gateway (RFC 826): it answers for its own addresses, and remembers where guests are.
import { get16, get32, put16, put32 } from "../../../vmm/network-bytes.ts";
import { BROADCAST, ETHERNET_HEADER, isGroup, MAC_BYTES, makeFrame, TYPE_ARP, TYPE_IPV4 } from "../frame.ts";

const HARDWARE_ETHERNET = 1;
const REQUEST = 1;
const REPLY = 2;
const ARP_BYTES = 28;
const NEIGHBOURS_MAX = 1024;

// ---- offsets of fields
const AT_PROTOCOL = 2;
const AT_LENGTHS = 4;
const AT_OPERATION = 6;
const AT_SENDER_MAC = 8;
const AT_SENDER = 14;
const AT_TARGET_MAC = 18;
const AT_TARGET = 24;

export class Neighbours {
  readonly #macs = new Map<number, Uint8Array>();

  constructor(
    /** Of all addresses of the gateway. */
    private readonly mac: Uint8Array,
    private readonly gateway: number,
    private readonly isOwn: (address: number) => boolean,
    /** Whether there may be a guest of this address. */
    private readonly isGuest: (address: number) => boolean,
    private readonly output: (frame: Uint8Array) => void,
  ) {}

  get size(): number {
    return this.#macs.size;
  }

  /** A guest of this address is there. */
  learn(address: number, mac: Uint8Array): void {
    if (!this.isGuest(address) || isGroup(mac)) return;
    const known = this.#macs.get(address);
    if (known !== undefined) {
      known.set(mac.subarray(0, MAC_BYTES));
      return;
    }
    if (this.#macs.size >= NEIGHBOURS_MAX) {
      for (const oldest of this.#macs.keys()) {
        this.#macs.delete(oldest);
        break;
      }
    }
    this.#macs.set(address, mac.slice(0, MAC_BYTES));
  }

  /** Undefined for nobody yet: then it is asked, and what wanted to be sent must come again. */
  find(address: number): Uint8Array | undefined {
    const known = this.#macs.get(address);
    if (known === undefined && this.isGuest(address)) this.#ask(address);
    return known;
  }

  input(frame: Uint8Array): void {
    const arp = frame.subarray(ETHERNET_HEADER);
    const understood =
      arp.length >= ARP_BYTES &&
      get16(arp, 0) === HARDWARE_ETHERNET &&
      get16(arp, AT_PROTOCOL) === TYPE_IPV4 &&
      get16(arp, AT_LENGTHS) === ((MAC_BYTES << 8) | 4);
    if (!understood) return;
    const senderMac = arp.subarray(AT_SENDER_MAC, AT_SENDER);
    const sender = get32(arp, AT_SENDER);
    const target = get32(arp, AT_TARGET);
    this.learn(sender, senderMac);
    if (get16(arp, AT_OPERATION) !== REQUEST || !this.isOwn(target)) return;
    this.output(this.#frame(senderMac, REPLY, target, senderMac, sender));
  }

  #ask(address: number): void {
    this.output(this.#frame(BROADCAST, REQUEST, this.gateway, new Uint8Array(MAC_BYTES), address));
  }

  #frame(to: Uint8Array, operation: number, sender: number, targetMac: Uint8Array, target: number): Uint8Array {
    const frame = makeFrame(to, this.mac, TYPE_ARP, ARP_BYTES);
    const arp = frame.subarray(ETHERNET_HEADER);
    put16(arp, 0, HARDWARE_ETHERNET);
    put16(arp, AT_PROTOCOL, TYPE_IPV4);
    put16(arp, AT_LENGTHS, (MAC_BYTES << 8) | 4);
    put16(arp, AT_OPERATION, operation);
    arp.set(this.mac, AT_SENDER_MAC);
    put32(arp, AT_SENDER, sender);
    arp.set(targetMac, AT_TARGET_MAC);
    put32(arp, AT_TARGET, target);
    return frame;
  }
}
