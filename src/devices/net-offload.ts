// What a network card does for the driver: checksums that it left open, and TCP segments that it left in one piece.
import { get16, get32, onesComplementSum, put16, put32 } from "../vmm/network-bytes.ts";

const ETHERNET_HEADER = 14;
const VLAN_TAG = 4;
const TYPE_VLAN = 0x8100;
const TYPE_IPV4 = 0x0800;
const TYPE_IPV6 = 0x86dd;
const IPV4_HEADER = 20;
/** More fragments, or not the first. */
const IPV4_FRAGMENT = 0x3fff;
const PROTOCOL_TCP = 6;
const PROTOCOL_UDP = 17;
/** Offsets of checksums. */
const TCP_SUM = 16;
const UDP_SUM = 6;
const IPV6_HEADER = 40;
const TCP_HEADER = 20;
const TCP_FIN_PSH = 0x09;
const TCP_CWR = 0x80;
/** What is left of a 64 KiB packet in segments of the smallest size that makes sense is a bounded number of frames. */
const SEGMENT_MIN = 64;

/**
 * Puts in the checksum of everything from `start`, at `start + offset`, where the driver left the sum of the pseudo
 * header (virtio 1.2, 5.1.6.2). False if that is not in the frame.
 */
export function finishChecksum(frame: Uint8Array, start: number, offset: number): boolean {
  const at = start + offset;
  if (at + 2 > frame.length) return false;
  const sum = ~onesComplementSum(frame, start, frame.length) & 0xffff;
  // 0 would say "no checksum" in UDP; its other form is the same number.
  put16(frame, at, sum === 0 ? 0xffff : sum);
  return true;
}

/**
 * Cuts a TCP packet into segments of at most `segmentBytes` of data, each a frame with headers and checksums of its own.
 * Undefined if it is no TCP packet over IPv4 or IPv6 whose headers fit.
 */
export function segmentTcp(frame: Uint8Array, segmentBytes: number): Uint8Array[] | undefined {
  const tagged = get16(frame, 12) === TYPE_VLAN;
  const l3 = ETHERNET_HEADER + (tagged ? VLAN_TAG : 0);
  const type = get16(frame, l3 - 2);
  const ipv4 = type === TYPE_IPV4;
  if (!ipv4 && type !== TYPE_IPV6) return undefined;
  const l4 = l3 + (ipv4 ? ((frame[l3] ?? 0) & 0x0f) * 4 : IPV6_HEADER);
  const protocol = frame[l3 + (ipv4 ? 9 : 6)];
  const data = l4 + ((frame[l4 + 12] ?? 0) >> 4) * 4;
  if (protocol !== PROTOCOL_TCP || data < l4 + TCP_HEADER || (ipv4 && l4 < l3 + 20)) return undefined;
  if (data >= frame.length || segmentBytes < SEGMENT_MIN) return undefined;

  const segments: Uint8Array[] = [];
  const sequence = get32(frame, l4 + 4);
  const flags = frame[l4 + 13] ?? 0;
  for (let at = data; at < frame.length; at += segmentBytes) {
    const end = Math.min(frame.length, at + segmentBytes);
    const segment = new Uint8Array(data + end - at);
    segment.set(frame.subarray(0, data));
    segment.set(frame.subarray(at, end), data);
    if (ipv4) {
      put16(segment, l3 + 2, segment.length - l3);
      put16(segment, l3 + 4, get16(frame, l3 + 4) + segments.length);
      put16(segment, l3 + 10, 0);
      put16(segment, l3 + 10, ~onesComplementSum(segment, l3, l4));
    } else {
      put16(segment, l3 + 4, segment.length - l4);
    }
    put32(segment, l4 + 4, sequence + at - data);
    // The stream ends, and is pushed, with the last segment; congestion was reported once (RFC 3168).
    segment[l4 + 13] = flags & ~(end < frame.length ? TCP_FIN_PSH : 0) & ~(at > data ? TCP_CWR : 0);
    put16(segment, l4 + 16, 0);
    const addresses = ipv4 ? onesComplementSum(segment, l3 + 12, l3 + 20) : onesComplementSum(segment, l3 + 8, l3 + 40);
    const pseudoHeader = addresses + PROTOCOL_TCP + segment.length - l4;
    put16(segment, l4 + 16, ~onesComplementSum(segment, l4, segment.length, pseudoHeader));
    segments.push(segment);
  }
  return segments;
}

/** Computes the checksums that a driver left to its card altogether. What is no IPv4 packet, or a fragment, stays as it is. */
export function fillChecksums(frame: Uint8Array, which: { ip: boolean; tcp: boolean; udp: boolean }): void {
  const tagged = get16(frame, 12) === TYPE_VLAN;
  const l3 = ETHERNET_HEADER + (tagged ? VLAN_TAG : 0);
  if (get16(frame, l3 - 2) !== TYPE_IPV4) return;
  const headerBytes = ((frame[l3] ?? 0) & 0x0f) * 4;
  const l4 = l3 + headerBytes;
  const end = l3 + get16(frame, l3 + 2);
  if (headerBytes < IPV4_HEADER || end > frame.length || l4 > end) return;
  if (which.ip) {
    put16(frame, l3 + 10, 0);
    put16(frame, l3 + 10, ~onesComplementSum(frame, l3, l4));
  }
  const protocol = frame[l3 + 9] ?? 0;
  const isFragment = (get16(frame, l3 + 6) & IPV4_FRAGMENT) !== 0;
  const at = which.tcp && protocol === PROTOCOL_TCP ? TCP_SUM : which.udp && protocol === PROTOCOL_UDP ? UDP_SUM : 0;
  if (at === 0 || isFragment || l4 + at + 2 > end) return;
  put16(frame, l4 + at, 0);
  const pseudoHeader = onesComplementSum(frame, l3 + 12, l3 + 20) + protocol + end - l4;
  const sum = ~onesComplementSum(frame, l4, end, pseudoHeader) & 0xffff;
  put16(frame, l4 + at, sum === 0 ? 0xffff : sum);
}
