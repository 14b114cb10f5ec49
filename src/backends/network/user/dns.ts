// The gateway's name server: asks those of the host, in the guest's place, and reads of the answers which addresses the names
// that it is allowed to know have.
import { put16 } from "../../../vmm/network-bytes.ts";
import type { Destinations } from "./destinations.ts";
import {
  DNS_HEADER,
  type DnsQuestion,
  emptyResponse,
  isResponse,
  REFUSED,
  readAddresses,
  readQuestion,
  SERVER_FAILED,
} from "./dns-message.ts";
import type { HostSockets, UdpSocket } from "./host-sockets.ts";

export const DNS_PORT = 53;
const QUERIES_MAX = 128;
/** A guest asks again by itself after some seconds. */
const TIMEOUT_NS = 5e9;
/** Answers are good at least so long: a connection follows the answer. */
const LEARNED_MIN_SECONDS = 60;
const LEARNED_MAX_SECONDS = 86_400;

interface Query {
  readonly question: DnsQuestion;
  readonly server: string;
  readonly sinceNs: number;
  readonly answer: (message: Uint8Array) => void;
}

export interface NameServerParts {
  readonly sockets: HostSockets;
  readonly destinations: Destinations;
  nowNs(): number;
  random(): number;
}

export class NameServer {
  /** By the number that we gave it. */
  readonly #queries = new Map<number, Query>();
  #socket: UdpSocket | undefined;
  #turn = 0;
  readonly counts = { queries: 0, refused: 0, failed: 0 };

  constructor(private readonly parts: NameServerParts) {}

  get size(): number {
    return this.#queries.size;
  }

  /** Where the host's name servers are, for those who ask by TCP. */
  server(): { readonly address: string; readonly port: number } | undefined {
    const servers = this.parts.sockets.nameServers();
    const text = servers[this.#turn % Math.max(1, servers.length)];
    if (text === undefined) return undefined;
    const [, address = "", port = String(DNS_PORT)] = /^(.*?)(?::(\d+))?$/.exec(text) ?? [];
    return { address, port: Number(port) };
  }

  /** `answer` is called at most once, perhaps at once. */
  ask(message: Uint8Array, answer: (message: Uint8Array) => void): void {
    const question = readQuestion(message);
    if (question === undefined) return;
    this.counts.queries++;
    if (!this.parts.destinations.permitsName(question.name)) {
      this.counts.refused++;
      answer(emptyResponse(message, question, REFUSED));
      return;
    }
    const server = this.server();
    if (server === undefined) {
      this.counts.failed++;
      answer(emptyResponse(message, question, SERVER_FAILED));
      return;
    }
    this.#makeRoom();
    const id = this.#freeId();
    const forwarded = message.slice();
    put16(forwarded, 0, id);
    this.#queries.set(id, {
      question,
      server: `${server.address}:${server.port}`,
      sinceNs: this.parts.nowNs(),
      answer,
    });
    this.#socket ??= this.parts.sockets.openUdp({
      data: (bytes, address, port) => this.#answered(bytes, `${address}:${port}`),
      closed: () => {
        this.#socket = undefined;
      },
    });
    this.#socket.send(forwarded, server.address, server.port);
  }

  #answered(bytes: Uint8Array, from: string): void {
    if (bytes.length < DNS_HEADER || !isResponse(bytes)) return;
    const id = ((bytes[0] ?? 0) << 8) | (bytes[1] ?? 0);
    const query = this.#queries.get(id);
    if (query === undefined || query.server !== from) return;
    this.#queries.delete(id);
    const now = this.parts.nowNs();
    for (const { address, seconds } of readAddresses(bytes)) {
      const forSeconds = Math.min(LEARNED_MAX_SECONDS, Math.max(LEARNED_MIN_SECONDS, seconds));
      this.parts.destinations.learn(query.question.name, address, now + forSeconds * 1e9);
    }
    const response = bytes.slice();
    put16(response, 0, query.question.id);
    query.answer(response);
  }

  /** Forgets what was never answered, and goes to the next server then. */
  #makeRoom(): void {
    const now = this.parts.nowNs();
    for (const [id, { sinceNs }] of this.#queries) {
      if (now - sinceNs < TIMEOUT_NS && this.#queries.size < QUERIES_MAX) return;
      this.#queries.delete(id);
      this.counts.failed++;
      this.#turn++;
    }
  }

  /** Not to be guessed by who would like to answer in the server's place. */
  #freeId(): number {
    for (;;) {
      const id = this.parts.random() & 0xffff;
      if (!this.#queries.has(id)) return id;
    }
  }

  close(): void {
    this.#socket?.close();
    this.#queries.clear();
  }
}
