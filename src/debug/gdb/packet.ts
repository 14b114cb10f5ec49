// Framing of gdb's remote serial protocol (gdb manual, appendix E): $data#checksum, with + and - and a bare Ctrl-C.

export type Incoming =
  | { readonly kind: "packet"; readonly data: Buffer }
  | { readonly kind: "interrupt" }
  | { readonly kind: "bad" };

const DOLLAR = 0x24;
const HASH = 0x23;
const ESCAPE = 0x7d;
const INTERRUPT = 0x03;
/** A packet longer than this is not from gdb: PacketSize tells it less. */
const PACKET_MAX = 64 * 1024;

/** Bytes in any pieces to packets. */
export class PacketReader {
  #buffer: Buffer = Buffer.alloc(0);

  push(bytes: Uint8Array): Incoming[] {
    this.#buffer = Buffer.concat([this.#buffer, bytes]);
    const found: Incoming[] = [];
    for (;;) {
      const start = this.#buffer.findIndex((byte) => byte === DOLLAR || byte === INTERRUPT);
      if (start < 0) {
        // Acknowledgements and noise.
        this.#buffer = Buffer.alloc(0);
        return found;
      }
      if (this.#buffer[start] === INTERRUPT) {
        found.push({ kind: "interrupt" });
        this.#buffer = this.#buffer.subarray(start + 1);
        continue;
      }
      const end = this.#buffer.indexOf(HASH, start);
      if (end < 0 || end + 2 >= this.#buffer.length) {
        this.#buffer = this.#buffer.subarray(start);
        if (this.#buffer.length > PACKET_MAX) {
          found.push({ kind: "bad" });
          this.#buffer = Buffer.alloc(0);
        }
        return found;
      }
      const data = this.#buffer.subarray(start + 1, end);
      const expected = Number.parseInt(this.#buffer.toString("latin1", end + 1, end + 3), 16);
      found.push(checksum(data) === expected ? { kind: "packet", data: unescapeBytes(data) } : { kind: "bad" });
      this.#buffer = this.#buffer.subarray(end + 3);
    }
  }
}

/** Frames text (latin1); what has a meaning of its own in the protocol is escaped. */
export function encodePacket(text: string): Buffer {
  const escaped = text.replace(/[$#}*]/g, (char) => `}${String.fromCharCode(char.charCodeAt(0) ^ 0x20)}`);
  const data = Buffer.from(escaped, "latin1");
  return Buffer.concat([Buffer.from("$"), data, Buffer.from(`#${checksum(data).toString(16).padStart(2, "0")}`)]);
}

function checksum(data: Uint8Array): number {
  return data.reduce((sum, byte) => (sum + byte) & 0xff, 0);
}

function unescapeBytes(data: Buffer): Buffer {
  if (!data.includes(ESCAPE)) return Buffer.from(data);
  const out: number[] = [];
  for (let i = 0; i < data.length; i++) {
    const byte = data[i] ?? 0;
    out.push(byte === ESCAPE ? (data[++i] ?? 0) ^ 0x20 : byte);
  }
  return Buffer.from(out);
}
