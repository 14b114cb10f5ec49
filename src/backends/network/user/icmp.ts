// ICMP of the gateway (RFC 792): answers to echo requests, and news of what could not be delivered.
import { onesComplementSum, put16 } from "../../../vmm/network-bytes.ts";
import { IPV4_HEADER } from "../ipv4.ts";

const ECHO_REPLY = 0;
const UNREACHABLE = 3;
const ECHO_REQUEST = 8;
const TIME_EXCEEDED = 11;
const HEADER_BYTES = 8;
/** Of the packet that failed: its header and so much more. */
const QUOTED_BYTES = IPV4_HEADER + 40 + 8;

/** RFC 1812, 5.2.7.1. */
export const CODE_PORT = 3;
export const CODE_PROHIBITED = 13;

/** The reply to a message; undefined where it is no echo request, or has a wrong checksum. */
export function echoReply(message: Uint8Array): Uint8Array | undefined {
  if (message.length < HEADER_BYTES || message[0] !== ECHO_REQUEST || message[1] !== 0) return undefined;
  if (onesComplementSum(message, 0, message.length) !== 0xffff) return undefined;
  const reply = message.slice();
  reply[0] = ECHO_REPLY;
  return sealed(reply);
}

export function isEchoRequest(message: Uint8Array): boolean {
  return message[0] === ECHO_REQUEST;
}

/** `packet`: the IPv4 packet that could not be delivered. */
export function unreachable(packet: Uint8Array, code: number): Uint8Array {
  return about(packet, UNREACHABLE, code);
}

export function timeExceeded(packet: Uint8Array): Uint8Array {
  return about(packet, TIME_EXCEEDED, 0);
}

function about(packet: Uint8Array, type: number, code: number): Uint8Array {
  const quoted = packet.subarray(0, QUOTED_BYTES);
  const message = new Uint8Array(HEADER_BYTES + quoted.length);
  message[0] = type;
  message[1] = code;
  message.set(quoted, HEADER_BYTES);
  return sealed(message);
}

function sealed(message: Uint8Array): Uint8Array {
  put16(message, 2, 0);
  put16(message, 2, ~onesComplementSum(message, 0, message.length));
  return message;
}
