// IPv4 packets (RFC 791): reading, writing, fragments.
import { get16, get32, onesComplementSum, put16, put32 } from "../../vmm/network-bytes.ts";

export const PROTOCOL_ICMP = 1;
export const PROTOCOL_TCP = 6;
export const PROTOCOL_UDP = 17;
export const IPV4_HEADER = 20;
const VERSION = 4;
const TTL = 64;
const FLAG_DONT_FRAGMENT = 0x4000;
const FLAG_MORE = 0x2000;
const OFFSET_MASK = 0x1fff;
/** Fragments lie at multiples of this. */
const OFFSET_UNIT = 8;

// ---- offsets of fields
const AT_LENGTH = 2;
const AT_ID = 4;
const AT_FLAGS = 6;
const AT_TTL = 8;
const AT_PROTOCOL = 9;
const AT_CHECKSUM = 10;
const AT_SOURCE = 12;
const AT_TARGET = 16;

export interface Ipv4Packet {
  readonly source: number;
  readonly target: number;
  readonly protocol: number;
  readonly ttl: number;
  readonly id: number;
  /** In bytes; not 0 or with `more`: a fragment. */
  readonly offset: number;
  readonly more: boolean;
  readonly payload: Uint8Array;
  /** Header and payload. */
  readonly bytes: Uint8Array;
}

/** Undefined for what is no whole packet with a right checksum; bytes behind its end are padding. */
export function readIpv4(bytes: Uint8Array): Ipv4Packet | undefined {
  const first = bytes[0] ?? 0;
  const headerBytes = (first & 15) * 4;
  const length = get16(bytes, AT_LENGTH);
  if (first >> 4 !== VERSION || headerBytes < IPV4_HEADER || length < headerBytes || length > bytes.length)
    return undefined;
  if (onesComplementSum(bytes, 0, headerBytes) !== 0xffff) return undefined;
  const flags = get16(bytes, AT_FLAGS);
  return {
    source: get32(bytes, AT_SOURCE),
    target: get32(bytes, AT_TARGET),
    protocol: bytes[AT_PROTOCOL] ?? 0,
    ttl: bytes[AT_TTL] ?? 0,
    id: get16(bytes, AT_ID),
    offset: (flags & OFFSET_MASK) * OFFSET_UNIT,
    more: (flags & FLAG_MORE) !== 0,
    payload: bytes.subarray(headerBytes, length),
    bytes: bytes.subarray(0, length),
  };
}

export interface Ipv4Header {
  readonly source: number;
  readonly target: number;
  readonly protocol: number;
  readonly id: number;
}

/** Writes a header for `payloadBytes` at `at` of a buffer that has zeros there. */
export function writeIpv4Header(
  into: Uint8Array,
  at: number,
  header: Ipv4Header,
  payloadBytes: number,
  flagsAndOffset = FLAG_DONT_FRAGMENT,
): void {
  into[at] = (VERSION << 4) | (IPV4_HEADER / 4);
  put16(into, at + AT_LENGTH, IPV4_HEADER + payloadBytes);
  put16(into, at + AT_ID, header.id);
  put16(into, at + AT_FLAGS, flagsAndOffset);
  into[at + AT_TTL] = TTL;
  into[at + AT_PROTOCOL] = header.protocol;
  put32(into, at + AT_SOURCE, header.source);
  put32(into, at + AT_TARGET, header.target);
  put16(into, at + AT_CHECKSUM, ~onesComplementSum(into, at, at + IPV4_HEADER));
}

/** A payload as one packet, or as fragments where it is longer than `mtu` allows. */
export function ipv4Packets(header: Ipv4Header, payload: Uint8Array, mtu: number): Uint8Array[] {
  const room = mtu - IPV4_HEADER;
  if (payload.length <= room) return [packet(header, payload, 0)];
  const piece = room - (room % OFFSET_UNIT);
  const packets: Uint8Array[] = [];
  for (let at = 0; at < payload.length; at += piece) {
    const more = at + piece < payload.length ? FLAG_MORE : 0;
    packets.push(packet(header, payload.subarray(at, at + piece), more | (at / OFFSET_UNIT)));
  }
  return packets;
}

function packet(header: Ipv4Header, payload: Uint8Array, flagsAndOffset: number): Uint8Array {
  const bytes = new Uint8Array(IPV4_HEADER + payload.length);
  writeIpv4Header(bytes, 0, header, payload.length, flagsAndOffset);
  bytes.set(payload, IPV4_HEADER);
  return bytes;
}

/** Sum of the pseudo header that checksums of TCP and UDP begin with (RFC 9293, 3.1). */
export function pseudoHeaderSum(source: number, target: number, protocol: number, length: number): number {
  return (source >>> 16) + (source & 0xffff) + (target >>> 16) + (target & 0xffff) + protocol + length;
}
