// Time over a network, as NTP has it (RFC 5905): packets, the offset and delay that four timestamps give, and the filter
// that chooses among samples. Pure functions over bytes and numbers. What carries the packets is somebody else's.
import type { OffsetSample } from "./discipline.ts";

/** Bytes of a packet without extensions and authenticator. */
export const NTP_PACKET_BYTES = 48;
/** UDP port. */
export const NTP_PORT = 123;

const VERSION = 4;
const MODE_CLIENT = 3;
const MODE_SERVER = 4;
/** Seconds from 1900 to 1970. */
const NTP_TO_UNIX = 2_208_988_800;
const NS = 1_000_000_000n;

// Offsets of fields (RFC 5905 figure 8)
const FLAGS = 0;
const STRATUM = 1;
const POLL = 2;
const PRECISION = 3;
const ROOT_DELAY = 4;
const ROOT_DISPERSION = 8;
const REFERENCE_ID = 12;
const REFERENCE_TIME = 16;
const ORIGIN_TIME = 24;
const RECEIVE_TIME = 32;
const TRANSMIT_TIME = 40;

/** Timestamps of one exchange, ns since 1970: the client's sending, the server's receiving and sending, the client's receiving. */
export interface NtpExchange {
  readonly clientSentNs: bigint;
  readonly serverReceivedNs: bigint;
  readonly serverSentNs: bigint;
  readonly clientReceivedNs: bigint;
}

export interface NtpSample {
  /** Server's clock minus client's. */
  readonly offsetNs: number;
  /** Both ways together; the offset is wrong by at most half of it. */
  readonly delayNs: number;
}

/** RFC 5905 section 8: theta and delta. */
export function ntpSample(exchange: NtpExchange): NtpSample {
  const { clientSentNs, serverReceivedNs, serverSentNs, clientReceivedNs } = exchange;
  const out = Number(serverReceivedNs - clientSentNs);
  const back = Number(serverSentNs - clientReceivedNs);
  return {
    offsetNs: (out + back) / 2,
    // A delay below nothing is a clock that moved meanwhile.
    delayNs: Math.max(0, Number(clientReceivedNs - clientSentNs) - Number(serverSentNs - serverReceivedNs)),
  };
}

/** 64-bit NTP timestamp (seconds since 1900 modulo 2^32, then a fraction) of ns since 1970. */
export function toNtpTime(unixNs: bigint): bigint {
  const seconds = unixNs / NS + BigInt(NTP_TO_UNIX);
  // Rounded to nearest: fromNtpTime gives the same nanosecond back.
  const fraction = (((unixNs % NS) << 32n) + NS / 2n) / NS;
  return BigInt.asUintN(64, (seconds << 32n) + fraction);
}

/** Nanoseconds since 1970 of an NTP timestamp, in the era that is nearest to `nearNs` (136 years each). */
export function fromNtpTime(time: bigint, nearNs: bigint): bigint {
  const ns = ((time >> 32n) - BigInt(NTP_TO_UNIX)) * NS + (((time & 0xffffffffn) * NS + (1n << 31n)) >> 32n);
  const era = NS << 32n;
  // Rounded to nearest; BigInt division rounds to zero.
  const distance = nearNs - ns;
  const eras = (distance + (distance >= 0n ? era / 2n : -era / 2n)) / era;
  return ns + eras * era;
}

export interface NtpServerIdentity {
  /** 1 to 15: how far from a reference clock. */
  readonly stratum: number;
  /** Four characters (stratum 1) or an IPv4 address as a number. */
  readonly referenceId: number;
  /** log2 of the clock's precision in seconds. */
  readonly precision: number;
}

/** The host's clock, of which nobody here knows better. */
export const LOCAL_HOST: NtpServerIdentity = { stratum: 2, referenceId: 0x4c4f434c /* LOCL */, precision: -20 };

/**
 * Answers a client's request that came at `receivedNs` and is answered at `sentNs`, ns since 1970. Undefined for anything
 * that is no client request of version 1 to 4: it is dropped.
 */
export function answerNtp(
  request: Uint8Array,
  receivedNs: bigint,
  sentNs: bigint,
  identity: NtpServerIdentity = LOCAL_HOST,
): Uint8Array | undefined {
  if (request.length < NTP_PACKET_BYTES) return undefined;
  const asked = new DataView(request.buffer, request.byteOffset, request.byteLength);
  const version = (asked.getUint8(FLAGS) >> 3) & 7;
  if ((asked.getUint8(FLAGS) & 7) !== MODE_CLIENT || version < 1 || version > VERSION) return undefined;
  const answer = new DataView(new ArrayBuffer(NTP_PACKET_BYTES));
  // no leap second announced; the client's version
  answer.setUint8(FLAGS, (version << 3) | MODE_SERVER);
  answer.setUint8(STRATUM, identity.stratum);
  answer.setInt8(POLL, asked.getInt8(POLL));
  answer.setInt8(PRECISION, identity.precision);
  answer.setUint32(ROOT_DELAY, 0);
  // 16.16 seconds: a millisecond
  answer.setUint32(ROOT_DISPERSION, 66);
  answer.setUint32(REFERENCE_ID, identity.referenceId);
  answer.setBigUint64(REFERENCE_TIME, toNtpTime(receivedNs));
  answer.setBigUint64(ORIGIN_TIME, asked.getBigUint64(TRANSMIT_TIME));
  answer.setBigUint64(RECEIVE_TIME, toNtpTime(receivedNs));
  answer.setBigUint64(TRANSMIT_TIME, toNtpTime(sentNs));
  return new Uint8Array(answer.buffer);
}

/** A client's request. The answer repeats `sentNs` as its origin. */
export function ntpRequest(sentNs: bigint): Uint8Array {
  const packet = new DataView(new ArrayBuffer(NTP_PACKET_BYTES));
  packet.setUint8(FLAGS, (VERSION << 3) | MODE_CLIENT);
  packet.setBigUint64(TRANSMIT_TIME, toNtpTime(sentNs));
  return new Uint8Array(packet.buffer);
}

/** What the client's clock shows in a request, ns since 1970 in the era nearest to `nearNs`; undefined for anything else. */
export function ntpRequestTime(request: Uint8Array, nearNs: bigint): bigint | undefined {
  if (request.length < NTP_PACKET_BYTES) return undefined;
  const view = new DataView(request.buffer, request.byteOffset, request.byteLength);
  if ((view.getUint8(FLAGS) & 7) !== MODE_CLIENT) return undefined;
  return fromNtpTime(view.getBigUint64(TRANSMIT_TIME), nearNs);
}

/**
 * What an answer to the request of `sentNs` says. Undefined for an answer to something else, of a server that has no time
 * (stratum 0 or above 15), or malformed.
 */
export function readNtpAnswer(answer: Uint8Array, sentNs: bigint, receivedNs: bigint): NtpSample | undefined {
  if (answer.length < NTP_PACKET_BYTES) return undefined;
  const view = new DataView(answer.buffer, answer.byteOffset, answer.byteLength);
  const stratum = view.getUint8(STRATUM);
  if ((view.getUint8(FLAGS) & 7) !== MODE_SERVER || stratum === 0 || stratum > 15) return undefined;
  if (view.getBigUint64(ORIGIN_TIME) !== toNtpTime(sentNs) || view.getBigUint64(TRANSMIT_TIME) === 0n) return undefined;
  return ntpSample({
    clientSentNs: sentNs,
    serverReceivedNs: fromNtpTime(view.getBigUint64(RECEIVE_TIME), receivedNs),
    serverSentNs: fromNtpTime(view.getBigUint64(TRANSMIT_TIME), receivedNs),
    clientReceivedNs: receivedNs,
  });
}

/** Samples that the filter looks back (RFC 5905, NSTAGE). */
const STAGES = 8;
/** By how much a sample gets worse while it waits, in millionths (RFC 5905, PHI). */
const AGEING_PPM = 15;

/**
 * RFC 5905 section 10: of the last eight samples the one with the least delay, which is the one least disturbed, is used,
 * and none is used twice or after a later one.
 */
export class ClockFilter {
  #stages: { readonly atNs: number; readonly sample: NtpSample }[] = [];
  #usedNs = Number.NEGATIVE_INFINITY;

  /**
   * A sample taken at `atNs` of the uncorrected clock, in order of time. What the discipline is to be told, or undefined:
   * nothing better than before.
   */
  add(atNs: number, sample: NtpSample): OffsetSample | undefined {
    this.#stages = [...this.#stages.slice(-(STAGES - 1)), { atNs, sample }];
    const error = (stage: { atNs: number; sample: NtpSample }): number =>
      stage.sample.delayNs / 2 + ((atNs - stage.atNs) * AGEING_PPM) / 1e6;
    const best = this.#stages.reduce((a, b) => (error(b) <= error(a) ? b : a));
    if (best.atNs <= this.#usedNs) return undefined;
    this.#usedNs = best.atNs;
    return { atNs, offsetNs: best.sample.offsetNs, errorNs: error(best) };
  }

  /** The client's clock was set forward by `ns` (slewed or stepped): what was measured before is out by so much. */
  corrected(ns: number): void {
    this.#stages = this.#stages.map(({ atNs, sample }) => ({
      atNs,
      sample: { ...sample, offsetNs: sample.offsetNs - ns },
    }));
  }
}
