// The gateway's DHCP server (RFC 2131, 2132): each card its address, the same as long as the network is there; also what
// boots over the network (RFC 951, 4578 and 5859).
import { get16, get32, put16, put32 } from "../../../vmm/network-bytes.ts";
import { BROADCAST, formatMac, MAC_BYTES } from "../frame.ts";
import { formatIpv4, maskOf } from "../ipv4-address.ts";
import { broadcastOf, type CheckedUserNetwork } from "./settings.ts";

export const SERVER_PORT = 67;
export const CLIENT_PORT = 68;

const BOOT_REQUEST = 1;
const BOOT_REPLY = 2;
const HARDWARE_ETHERNET = 1;
const FLAG_BROADCAST = 0x8000;
const MAGIC = 0x63825363;
const MESSAGE_MIN = 236;
/** RFC 951: shorter answers are not taken by some. */
const ANSWER_BYTES = 548;
const LEASE_SECONDS = 86_400;
const SERVER_NAME_BYTES = 64;
const FILE_BYTES = 128;

// ---- offsets of fields
const AT_HARDWARE = 1;
const AT_TRANSACTION = 4;
const AT_FLAGS = 10;
const AT_CLIENT = 12;
const AT_YOURS = 16;
const AT_NEXT_SERVER = 20;
const AT_RELAY = 24;
const AT_MAC = 28;
const AT_SERVER_NAME = 44;
const AT_FILE = 108;
const AT_MAGIC = 236;
const AT_OPTIONS = 240;

// ---- options
const OPTION_PAD = 0;
const OPTION_MASK = 1;
const OPTION_ROUTER = 3;
const OPTION_DNS = 6;
const OPTION_HOSTNAME = 12;
const OPTION_DOMAIN = 15;
const OPTION_BROADCAST = 28;
const OPTION_NTP = 42;
const OPTION_REQUESTED = 50;
const OPTION_LEASE = 51;
const OPTION_TYPE = 53;
const OPTION_SERVER = 54;
const OPTION_MESSAGE = 56;
const OPTION_TFTP_SERVER = 66;
const OPTION_BOOT_FILE = 67;
const OPTION_END = 255;

// ---- types of messages
const DISCOVER = 1;
const OFFER = 2;
const REQUEST = 3;
const DECLINE = 4;
const ACKNOWLEDGE = 5;
const REFUSE = 6;
const RELEASE = 7;
const INFORM = 8;

export interface DhcpAnswer {
  readonly message: Uint8Array;
  /** Where the answer goes. */
  readonly mac: Uint8Array;
  readonly address: number;
}

export class DhcpServer {
  /** Address by card. */
  readonly #leases = new Map<string, number>();
  /** Somebody else was found to have them. */
  readonly #taken = new Set<number>();

  constructor(
    private readonly network: CheckedUserNetwork,
    /** A card has this address. */
    private readonly leased: (address: number, mac: Uint8Array) => void,
  ) {}

  get leases(): ReadonlyMap<string, number> {
    return this.#leases;
  }

  /** The answer to what came to the server's port; undefined for none. */
  answer(request: Uint8Array): DhcpAnswer | undefined {
    const wrong =
      request.length < MESSAGE_MIN ||
      request[0] !== BOOT_REQUEST ||
      request[AT_HARDWARE] !== HARDWARE_ETHERNET ||
      request[AT_HARDWARE + 1] !== MAC_BYTES ||
      get32(request, AT_RELAY) !== 0;
    if (wrong) return undefined;
    const options = readOptions(request);
    const mac = request.slice(AT_MAC, AT_MAC + MAC_BYTES);
    const type = options.get(OPTION_TYPE)?.[0];
    switch (type) {
      case undefined:
        // BOOTP: no lease, just an address.
        return this.#give(request, mac, undefined);
      case DISCOVER:
        return this.#give(request, mac, OFFER);
      case REQUEST:
        return this.#requested(request, mac, options);
      case INFORM:
        return this.#reply(request, mac, ACKNOWLEDGE, 0);
      case RELEASE:
        this.#leases.delete(formatMac(mac));
        return undefined;
      case DECLINE: {
        const address = this.#leases.get(formatMac(mac));
        if (address !== undefined && this.#taken.size < this.network.dhcpCount / 2) this.#taken.add(address);
        this.#leases.delete(formatMac(mac));
        return undefined;
      }
      default:
        return undefined;
    }
  }

  #requested(request: Uint8Array, mac: Uint8Array, options: ReadonlyMap<number, Uint8Array>): DhcpAnswer | undefined {
    const server = options.get(OPTION_SERVER);
    if (server?.length === 4 && get32(server, 0) !== this.network.host) return undefined;
    const asked = options.get(OPTION_REQUESTED);
    const wanted = asked?.length === 4 ? get32(asked, 0) : get32(request, AT_CLIENT);
    const address = this.#address(mac, wanted);
    if (address === undefined || address !== wanted) return this.#reply(request, mac, REFUSE, 0);
    this.leased(address, mac);
    return this.#reply(request, mac, ACKNOWLEDGE, address);
  }

  #give(request: Uint8Array, mac: Uint8Array, type: number | undefined): DhcpAnswer | undefined {
    const asked = readOptions(request).get(OPTION_REQUESTED);
    const address = this.#address(mac, asked?.length === 4 ? get32(asked, 0) : undefined);
    if (address === undefined) return undefined;
    if (type === undefined) this.leased(address, mac);
    return this.#reply(request, mac, type, address);
  }

  /** The card's address: the one it has, else the one it wants if that is free, else the first that is. */
  #address(mac: Uint8Array, wanted: number | undefined): number | undefined {
    const key = formatMac(mac);
    const known = this.#leases.get(key);
    if (known !== undefined) return known;
    const { dhcpStart, dhcpCount } = this.network;
    const used = new Set(this.#leases.values());
    const isFree = (address: number): boolean =>
      address >= dhcpStart && address < dhcpStart + dhcpCount && !used.has(address) && !this.#taken.has(address);
    let address = wanted !== undefined && isFree(wanted) ? wanted : dhcpStart;
    while (!isFree(address) && address < dhcpStart + dhcpCount) address++;
    if (!isFree(address)) {
      // A guest that made up cards until none was left: the first of them goes.
      const [oldest] = this.#leases;
      if (oldest === undefined) return undefined;
      this.#leases.delete(oldest[0]);
      address = oldest[1];
    }
    this.#leases.set(key, address);
    return address;
  }

  #reply(request: Uint8Array, mac: Uint8Array, type: number | undefined, address: number): DhcpAnswer {
    const { host, bootFile } = this.network;
    const options = this.#options(type, address);
    const message = new Uint8Array(Math.max(ANSWER_BYTES, AT_OPTIONS + options.length));
    message[0] = BOOT_REPLY;
    message.set(request.subarray(AT_HARDWARE, AT_HARDWARE + 2), AT_HARDWARE);
    message.set(request.subarray(AT_TRANSACTION, AT_TRANSACTION + 4), AT_TRANSACTION);
    const flags = get16(request, AT_FLAGS);
    put16(message, AT_FLAGS, flags);
    const client = get32(request, AT_CLIENT);
    if (type !== REFUSE) put32(message, AT_CLIENT, client);
    put32(message, AT_YOURS, address);
    message.set(request.subarray(AT_MAC, AT_SERVER_NAME), AT_MAC);
    if (type !== REFUSE && bootFile !== undefined) {
      put32(message, AT_NEXT_SERVER, host);
      message.set(ascii(bootFile).subarray(0, FILE_BYTES - 1), AT_FILE);
      message.set(ascii(formatIpv4(host)).subarray(0, SERVER_NAME_BYTES - 1), AT_SERVER_NAME);
    }
    put32(message, AT_MAGIC, MAGIC);
    message.set(options, AT_OPTIONS);
    // To the card at once: it has the address only when it has read this.
    const everybody = (flags & FLAG_BROADCAST) !== 0 || type === REFUSE;
    if (client !== 0 && type !== REFUSE) return { message, mac, address: client };
    return { message, mac: everybody ? BROADCAST : mac, address: everybody || address === 0 ? 0xffffffff : address };
  }

  #options(type: number | undefined, address: number): Uint8Array {
    const { net, host, dns, hostname, domain, bootFile } = this.network;
    const bytes: number[] = [];
    const option = (code: number, value: ArrayLike<number>): void => {
      bytes.push(code, value.length, ...Array.from(value));
    };
    const number = (value: number): number[] => [value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255];
    if (type !== undefined) {
      option(OPTION_TYPE, [type]);
      option(OPTION_SERVER, number(host));
    }
    if (type === REFUSE) {
      option(OPTION_MESSAGE, ascii("not an address of this network"));
    } else {
      if (type !== undefined && address !== 0) option(OPTION_LEASE, number(LEASE_SECONDS));
      option(OPTION_MASK, number(maskOf(net.bits)));
      option(OPTION_BROADCAST, number(broadcastOf(net)));
      option(OPTION_ROUTER, number(host));
      option(OPTION_DNS, number(dns));
      option(OPTION_NTP, number(host));
      if (hostname !== undefined) option(OPTION_HOSTNAME, ascii(hostname).subarray(0, 63));
      if (domain !== undefined) option(OPTION_DOMAIN, ascii(domain).subarray(0, 63));
      if (bootFile !== undefined) {
        option(OPTION_TFTP_SERVER, ascii(formatIpv4(host)));
        option(OPTION_BOOT_FILE, ascii(bootFile));
      }
    }
    bytes.push(OPTION_END);
    return Uint8Array.from(bytes);
  }
}

function readOptions(message: Uint8Array): ReadonlyMap<number, Uint8Array> {
  const options = new Map<number, Uint8Array>();
  if (get32(message, AT_MAGIC) !== MAGIC) return options;
  for (let at = AT_OPTIONS; at < message.length; ) {
    const code = message[at] ?? OPTION_END;
    if (code === OPTION_END) break;
    if (code === OPTION_PAD) {
      at++;
      continue;
    }
    const length = message[at + 1] ?? 0;
    if (at + 2 + length > message.length) break;
    options.set(code, message.subarray(at + 2, at + 2 + length));
    at += 2 + length;
  }
  return options;
}

const ascii = (text: string): Uint8Array => new TextEncoder().encode(text);
