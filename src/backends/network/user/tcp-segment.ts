// TCP segments (RFC 9293, 3.1): reading, writing, and the arithmetic of their numbers.
import { get16, get32, onesComplementSum, put16, put32 } from "../../../vmm/network-bytes.ts";
import { ETHERNET_HEADER } from "../frame.ts";
import { IPV4_HEADER, PROTOCOL_TCP, pseudoHeaderSum, writeIpv4Header } from "../ipv4.ts";

export const FIN = 0x01;
export const SYN = 0x02;
export const RST = 0x04;
export const PSH = 0x08;
export const ACK = 0x10;

export const TCP_HEADER = 20;
const OPTION_END = 0;
const OPTION_NOP = 1;
const OPTION_MSS = 2;
const OPTION_WINDOW_SCALE = 3;
/** RFC 7323, 2.3. */
const SCALE_MAX = 14;

// ---- offsets of fields
const AT_SEQUENCE = 4;
const AT_ACKNOWLEDGEMENT = 8;
const AT_DATA_OFFSET = 12;
const AT_FLAGS = 13;
const AT_WINDOW = 14;
const AT_CHECKSUM = 16;

export interface TcpSegment {
  readonly sourcePort: number;
  readonly targetPort: number;
  readonly sequence: number;
  readonly acknowledgement: number;
  readonly flags: number;
  /** As it stands there, not scaled. */
  readonly window: number;
  readonly payload: Uint8Array;
  readonly mss: number | undefined;
  readonly windowScale: number | undefined;
}

/** Undefined for what is no segment, or has a wrong checksum. */
export function readTcp(bytes: Uint8Array, source: number, target: number): TcpSegment | undefined {
  const headerBytes = ((bytes[AT_DATA_OFFSET] ?? 0) >> 4) * 4;
  if (headerBytes < TCP_HEADER || headerBytes > bytes.length) return undefined;
  const pseudo = pseudoHeaderSum(source, target, PROTOCOL_TCP, bytes.length);
  if (onesComplementSum(bytes, 0, bytes.length, pseudo) !== 0xffff) return undefined;
  return {
    sourcePort: get16(bytes, 0),
    targetPort: get16(bytes, 2),
    sequence: get32(bytes, AT_SEQUENCE),
    acknowledgement: get32(bytes, AT_ACKNOWLEDGEMENT),
    flags: bytes[AT_FLAGS] ?? 0,
    window: get16(bytes, AT_WINDOW),
    payload: bytes.subarray(headerBytes),
    ...readOptions(bytes.subarray(TCP_HEADER, headerBytes)),
  };
}

function readOptions(options: Uint8Array): Pick<TcpSegment, "mss" | "windowScale"> {
  let mss: number | undefined;
  let windowScale: number | undefined;
  for (let at = 0; at < options.length; ) {
    const kind = options[at];
    if (kind === OPTION_END) break;
    if (kind === OPTION_NOP) {
      at++;
      continue;
    }
    const length = options[at + 1] ?? 0;
    if (length < 2 || at + length > options.length) break;
    if (kind === OPTION_MSS && length === 4) mss = get16(options, at + 2);
    if (kind === OPTION_WINDOW_SCALE && length === 3) windowScale = Math.min(SCALE_MAX, options[at + 2] ?? 0);
    at += length;
  }
  return { mss, windowScale };
}

export interface TcpEnds {
  readonly source: number;
  readonly sourcePort: number;
  readonly target: number;
  readonly targetPort: number;
}

export type OutgoingSegment = Omit<TcpSegment, "sourcePort" | "targetPort" | "mss" | "windowScale"> & {
  readonly mss?: number | undefined;
  readonly windowScale?: number | undefined;
};

/** A frame with the segment in it, its Ethernet header still empty. */
export function tcpFrame(ends: TcpEnds, segment: OutgoingSegment, id: number): Uint8Array {
  const { mss, windowScale, payload } = segment;
  const headerBytes = TCP_HEADER + (mss === undefined ? 0 : 4) + (windowScale === undefined ? 0 : 4);
  const l4 = ETHERNET_HEADER + IPV4_HEADER;
  const frame = new Uint8Array(l4 + headerBytes + payload.length);
  const length = headerBytes + payload.length;
  const { source, target } = ends;
  writeIpv4Header(frame, ETHERNET_HEADER, { source, target, protocol: PROTOCOL_TCP, id }, length);
  put16(frame, l4, ends.sourcePort);
  put16(frame, l4 + 2, ends.targetPort);
  put32(frame, l4 + AT_SEQUENCE, segment.sequence);
  put32(frame, l4 + AT_ACKNOWLEDGEMENT, segment.acknowledgement);
  frame[l4 + AT_DATA_OFFSET] = (headerBytes / 4) << 4;
  frame[l4 + AT_FLAGS] = segment.flags;
  put16(frame, l4 + AT_WINDOW, segment.window);
  let at = l4 + TCP_HEADER;
  if (mss !== undefined) {
    frame.set([OPTION_MSS, 4, mss >> 8, mss & 0xff], at);
    at += 4;
  }
  if (windowScale !== undefined) frame.set([OPTION_NOP, OPTION_WINDOW_SCALE, 3, windowScale], at);
  frame.set(payload, l4 + headerBytes);
  const pseudo = pseudoHeaderSum(source, target, PROTOCOL_TCP, length);
  put16(frame, l4 + AT_CHECKSUM, ~onesComplementSum(frame, l4, frame.length, pseudo));
  return frame;
}

/** How far `a` is behind `b` on the circle of sequence numbers; negative: before it (RFC 9293, 3.4). */
export function distance(a: number, b: number): number {
  return (a - b) | 0;
}

export function advance(sequence: number, by: number): number {
  return (sequence + by) >>> 0;
}
