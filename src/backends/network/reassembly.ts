// Fragments of IPv4 packets become packets (RFC 791, 3.2; RFC 815). A few packets at a time, for a short time: a guest that
// sends pieces only makes older ones go.
import type { Ipv4Packet } from "./ipv4.ts";

const PACKETS_MAX = 16;
const PIECES_MAX = 64;
const PAYLOAD_MAX = 65_515;
const TIMEOUT_NS = 30e9;

interface Incomplete {
  readonly sinceNs: number;
  readonly pieces: { readonly at: number; readonly data: Uint8Array }[];
  /** Known once the last piece has come. */
  length: number | undefined;
}

export class Reassembly {
  readonly #incomplete = new Map<string, Incomplete>();

  /** The whole packet's payload once this was its last missing piece; the packet's own where it is no fragment. */
  add(packet: Ipv4Packet, nowNs: number): Uint8Array | undefined {
    const { source, target, protocol, id, offset, more, payload } = packet;
    if (offset === 0 && !more) return payload;
    if (payload.length === 0 || offset + payload.length > PAYLOAD_MAX) return undefined;
    const key = `${source} ${target} ${protocol} ${id}`;
    let whole = this.#incomplete.get(key);
    if (whole !== undefined && nowNs - whole.sinceNs > TIMEOUT_NS) {
      this.#incomplete.delete(key);
      whole = undefined;
    }
    if (whole === undefined) {
      whole = { sinceNs: nowNs, pieces: [], length: undefined };
      this.#incomplete.set(key, whole);
      this.#bound();
    }
    whole.pieces.push({ at: offset, data: payload.slice() });
    if (!more) whole.length = offset + payload.length;
    if (whole.pieces.length > PIECES_MAX) this.#incomplete.delete(key);
    const joined = join(whole);
    if (joined !== undefined) this.#incomplete.delete(key);
    return joined;
  }

  #bound(): void {
    if (this.#incomplete.size <= PACKETS_MAX) return;
    for (const oldest of this.#incomplete.keys()) {
      this.#incomplete.delete(oldest);
      return;
    }
  }
}

/** Undefined while something is missing. Of pieces that overlap the later one counts. */
function join({ pieces, length }: Incomplete): Uint8Array | undefined {
  if (length === undefined) return undefined;
  const sorted = [...pieces].sort((a, b) => a.at - b.at);
  let end = 0;
  for (const { at, data } of sorted) {
    if (at > end) return undefined;
    end = Math.max(end, at + data.length);
  }
  if (end !== length) return undefined;
  const whole = new Uint8Array(length);
  for (const { at, data } of pieces) whole.set(data, at);
  return whole;
}
