// As much of DNS messages (RFC 1035, section 4) as a forwarder with rules must read.
import { get16, get32, put16 } from "../../../vmm/network-bytes.ts";

export const DNS_HEADER = 12;
const FLAG_RESPONSE = 0x80;
const FLAGS_KEPT = 0x79;
const RECURSION_AVAILABLE = 0x80;
const TYPE_A = 1;
const CLASS_IN = 1;
const LABEL_MAX = 63;
const NAME_MAX = 255;
const POINTER = 0xc0;
const ANSWERS_MAX = 64;

export const SERVER_FAILED = 2;
export const REFUSED = 5;

export interface DnsQuestion {
  readonly id: number;
  readonly name: string;
  /** Where the question ends. */
  readonly end: number;
}

/** Undefined for what is no query with one question. */
export function readQuestion(message: Uint8Array): DnsQuestion | undefined {
  if (message.length < DNS_HEADER || (message[2] ?? 0) & FLAG_RESPONSE || get16(message, 4) !== 1) return undefined;
  const name = readName(message, DNS_HEADER);
  if (name === undefined || name.end + 4 > message.length) return undefined;
  return { id: get16(message, 0), name: name.text, end: name.end + 4 };
}

export function isResponse(message: Uint8Array): boolean {
  return message.length >= DNS_HEADER && ((message[2] ?? 0) & FLAG_RESPONSE) !== 0;
}

/** A response to a query, without records. */
export function emptyResponse(query: Uint8Array, question: DnsQuestion, code: number): Uint8Array {
  const response = query.slice(0, question.end);
  response[2] = FLAG_RESPONSE | ((query[2] ?? 0) & FLAGS_KEPT);
  response[3] = RECURSION_AVAILABLE | code;
  put16(response, 6, 0);
  put16(response, 8, 0);
  put16(response, 10, 0);
  return response;
}

/** IPv4 addresses in the answers of a response to one question, with how many seconds they are good for. */
export function readAddresses(message: Uint8Array): { readonly address: number; readonly seconds: number }[] {
  const found: { address: number; seconds: number }[] = [];
  let at = DNS_HEADER;
  for (let question = get16(message, 4); question > 0; question--) {
    const name = readName(message, at);
    if (name === undefined || question > 1) return found;
    at = name.end + 4;
  }
  const answers = Math.min(ANSWERS_MAX, get16(message, 6));
  for (let i = 0; i < answers; i++) {
    const name = readName(message, at);
    if (name === undefined || name.end + 10 > message.length) return found;
    at = name.end;
    const length = get16(message, at + 8);
    if (at + 10 + length > message.length) return found;
    if (get16(message, at) === TYPE_A && get16(message, at + 2) === CLASS_IN && length === 4)
      found.push({ address: get32(message, at + 10), seconds: get32(message, at + 4) });
    at += 10 + length;
  }
  return found;
}

/** A name, perhaps ending in a pointer; pointers only lead back, so that reading ends. */
function readName(message: Uint8Array, start: number): { readonly text: string; readonly end: number } | undefined {
  let text = "";
  let at = start;
  let end: number | undefined;
  let before = start;
  for (;;) {
    const length = message[at];
    if (length === undefined) return undefined;
    if (length === 0) return { text, end: end ?? at + 1 };
    if ((length & POINTER) === POINTER) {
      const target = get16(message, at) & 0x3fff;
      end ??= at + 2;
      if (target >= before) return undefined;
      before = target;
      at = target;
      continue;
    }
    if (length > LABEL_MAX || at + 1 + length > message.length) return undefined;
    for (let i = 1; i <= length; i++) {
      // A dot within a label would look like two.
      const byte = message[at + i] ?? 0;
      text += i === 1 && text !== "" ? "." : "";
      text += byte === 0x2e ? "\\." : String.fromCharCode(byte);
    }
    if (text.length > NAME_MAX * 2) return undefined;
    at += 1 + length;
  }
}
