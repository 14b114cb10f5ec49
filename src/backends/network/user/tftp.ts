// The gateway's TFTP server (RFC 1350) with the options that boot ROMs ask for (RFC 2347, 2348, 2349): reads files of one
// directory, and nothing outside of it. The client sends again what was not answered; so nothing here needs a timer.

import type { FilePath, FileTree, OpenFile } from "../../../vmm/file-tree.ts";
import { get16, put16 } from "../../../vmm/network-bytes.ts";
import type { Datagram } from "./udp.ts";
import type { UdpService } from "./user-network.ts";

export const TFTP_PORT = 69;
const READ_REQUEST = 1;
const DATA = 3;
const ACKNOWLEDGE = 4;
const ERROR = 5;
const OPTIONS = 6;
const ERROR_NOT_FOUND = 1;
const ERROR_ACCESS = 2;
const ERROR_ILLEGAL = 4;
const BLOCK_DEFAULT = 512;
const BLOCK_MIN = 8;
/** What fits a packet of 1500 bytes. */
const BLOCK_MAX = 1468;
const TRANSFERS_MAX = 32;
const IDLE_NS = 60e9;
const FIRST_PORT = 40_000;
const LAST_PORT = 48_000;
const REQUEST_MAX = 512;

interface Transfer {
  readonly key: string;
  readonly port: number;
  readonly file: OpenFile;
  readonly sizeBytes: number;
  readonly blockBytes: number;
  /** The number of the block that the client has not acknowledged, counted without end. */
  block: number;
  usedNs: number;
}

export interface TftpParts {
  readonly tree: FileTree;
  nowNs(): number;
  /** From now on datagrams to that port of the gateway are for `service`; undefined: no more. */
  listen(port: number, service: UdpService | undefined): void;
}

export class TftpServer {
  /** By the client's address and port. */
  readonly #transfers = new Map<string, Transfer>();
  #nextPort = FIRST_PORT;
  readonly counts = { requests: 0, refused: 0, bytes: 0 };

  constructor(private readonly parts: TftpParts) {
    parts.listen(TFTP_PORT, (datagram, reply) => this.#request(datagram, reply));
  }

  get size(): number {
    return this.#transfers.size;
  }

  close(): void {
    for (const transfer of [...this.#transfers.values()]) this.#end(transfer);
  }

  #request({ source, sourcePort, data }: Datagram, reply: (data: Uint8Array, sourcePort?: number) => void): void {
    const refuse = (code: number, why: string): void => {
      this.counts.refused++;
      reply(errorPacket(code, why));
    };
    const words = data.length <= REQUEST_MAX ? wordsOf(data.subarray(2)) : [];
    if (get16(data, 0) !== READ_REQUEST || words.length < 2) {
      refuse(ERROR_ILLEGAL, "files can be read only");
      return;
    }
    this.counts.requests++;
    const [name = "", mode = "", ...rest] = words;
    if (!/^(octet|netascii)$/i.test(mode)) {
      refuse(ERROR_ILLEGAL, "the mode must be octet");
      return;
    }
    const path = pathOf(name);
    const key = `${source}:${sourcePort}`;
    const before = this.#transfers.get(key);
    if (before !== undefined) this.#end(before);
    let file: OpenFile;
    let sizeBytes: number;
    try {
      if (path === undefined) throw new Error("no path of the directory");
      file = this.parts.tree.open(path, { read: true, write: false });
      sizeBytes = Number(file.stat().sizeBytes);
    } catch {
      refuse(path === undefined ? ERROR_ACCESS : ERROR_NOT_FOUND, `there is no ${name.slice(0, 100)}`);
      return;
    }
    this.#makeRoom();
    const { blockBytes, answer } = negotiate(rest, sizeBytes);
    const port = this.#freePort();
    const transfer = {
      key,
      port,
      file,
      sizeBytes,
      blockBytes,
      block: answer === undefined ? 1 : 0,
      usedNs: this.parts.nowNs(),
    };
    this.#transfers.set(key, transfer);
    this.parts.listen(port, (datagram, respond) => this.#acknowledged(transfer, datagram, respond));
    reply(answer ?? this.#data(transfer), port);
  }

  #acknowledged(transfer: Transfer, { source, sourcePort, data }: Datagram, reply: (data: Uint8Array) => void): void {
    if (`${source}:${sourcePort}` !== transfer.key) return;
    transfer.usedNs = this.parts.nowNs();
    if (get16(data, 0) === ERROR) {
      this.#end(transfer);
      return;
    }
    if (get16(data, 0) !== ACKNOWLEDGE || data.length < 4) return;
    // Of an older block: sent again by somebody who heard of it twice, and not answered (RFC 1123, 4.2.3.1).
    if (get16(data, 2) !== (transfer.block & 0xffff)) return;
    const sent = transfer.block * transfer.blockBytes;
    if (transfer.block > 0 && sent > transfer.sizeBytes) {
      this.#end(transfer);
      return;
    }
    transfer.block++;
    reply(this.#data(transfer));
  }

  #data({ file, block, blockBytes }: Transfer): Uint8Array {
    const packet = new Uint8Array(4 + blockBytes);
    put16(packet, 0, DATA);
    put16(packet, 2, block);
    let length = 0;
    try {
      length = file.read(BigInt(block - 1) * BigInt(blockBytes), packet.subarray(4));
    } catch {
      return errorPacket(0, "the file cannot be read");
    }
    this.counts.bytes += length;
    return packet.subarray(0, 4 + length);
  }

  #end(transfer: Transfer): void {
    this.#transfers.delete(transfer.key);
    this.parts.listen(transfer.port, undefined);
    transfer.file.close();
  }

  #makeRoom(): void {
    const now = this.parts.nowNs();
    for (const transfer of [...this.#transfers.values()]) if (now - transfer.usedNs > IDLE_NS) this.#end(transfer);
    const [oldest] = this.#transfers.values();
    if (this.#transfers.size >= TRANSFERS_MAX && oldest !== undefined) this.#end(oldest);
  }

  #freePort(): number {
    const used = new Set([...this.#transfers.values()].map(({ port }) => port));
    do this.#nextPort = this.#nextPort === LAST_PORT ? FIRST_PORT : this.#nextPort + 1;
    while (used.has(this.#nextPort));
    return this.#nextPort;
  }
}

function wordsOf(bytes: Uint8Array): string[] {
  return Array.from(bytes, (byte) => String.fromCharCode(byte))
    .join("")
    .split("\0")
    .slice(0, -1);
}

/** Names from the directory; undefined for one that would lead out of it. */
function pathOf(name: string): FilePath | undefined {
  const path = name.split(/[/\\]/).filter((part) => part !== "" && part !== ".");
  return path.length === 0 || path.includes("..") ? undefined : path;
}

/** What of the client's options is granted, and the packet that says so. */
function negotiate(
  words: readonly string[],
  sizeBytes: number,
): { blockBytes: number; answer: Uint8Array | undefined } {
  let blockBytes = BLOCK_DEFAULT;
  const granted: string[] = [];
  for (let i = 0; i + 1 < words.length; i += 2) {
    const [name = "", value = ""] = [words[i]?.toLowerCase(), words[i + 1]];
    if (name === "blksize" && Number(value) >= BLOCK_MIN) {
      blockBytes = Math.min(BLOCK_MAX, Math.floor(Number(value)));
      granted.push(name, String(blockBytes));
    } else if (name === "tsize") {
      granted.push(name, String(sizeBytes));
    }
  }
  if (granted.length === 0) return { blockBytes, answer: undefined };
  const text = granted.map((word) => `${word}\0`).join("");
  return { blockBytes, answer: Uint8Array.of(0, OPTIONS, ...new TextEncoder().encode(text)) };
}

function errorPacket(code: number, why: string): Uint8Array {
  return Uint8Array.of(0, ERROR, 0, code, ...new TextEncoder().encode(why), 0);
}
