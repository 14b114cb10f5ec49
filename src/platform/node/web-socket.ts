// The server's side of WebSockets (RFC 6455) for binary messages: what a relay of Ethernet frames needs of them.
import { createHash } from "node:crypto";
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";

/** RFC 6455 section 1.3. */
const ACCEPT_SUFFIX = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/** Section 5.2. */
const FIN = 0x80;
const MASKED = 0x80;
const CONTINUATION = 0;
const BINARY = 2;
const CLOSE = 8;
const PING = 9;
const PONG = 10;
const CONTROL_BYTES_MOST = 125;
/** Section 7.4.1. */
const PROTOCOL_ERROR = 1002;
const UNSUPPORTED = 1003;
const TOO_BIG = 1009;

export interface WebSocketOptions {
  /** Larger messages end the connection. */
  readonly messageBytesMost: number;
  /** Messages to who does not read are lost once so much waits. */
  readonly backlogBytes: number;
  onMessage(bytes: Uint8Array): void;
  onClose(): void;
}

export interface ServerWebSocket {
  /** False where it was lost. */
  send(bytes: Uint8Array): boolean;
  close(): void;
}

/** The answer to a client's opening handshake; undefined for a request that is none. */
function acceptKey({ headers, method }: IncomingMessage): string | undefined {
  const key = headers["sec-websocket-key"];
  if (method !== "GET" || key === undefined || headers["sec-websocket-version"] !== "13") return undefined;
  if (headers.upgrade?.toLowerCase() !== "websocket") return undefined;
  return createHash("sha1")
    .update(key + ACCEPT_SUFFIX)
    .digest("base64");
}

/** Refuses an upgrade with an HTTP status. */
export function refuseUpgrade(socket: Duplex, status: string): void {
  socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
}

/** Takes an upgraded connection over. Undefined, and refused, where the handshake is wrong. */
export function acceptWebSocket(
  request: IncomingMessage,
  socket: Duplex,
  head: Uint8Array,
  options: WebSocketOptions,
): ServerWebSocket | undefined {
  const accept = acceptKey(request);
  if (accept === undefined) {
    refuseUpgrade(socket, "400 Bad Request");
    return undefined;
  }
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
  );
  const connection = new Connection(socket, options);
  connection.receive(head);
  return connection;
}

class Connection implements ServerWebSocket {
  #waiting = Buffer.alloc(0);
  /** Of a message in fragments. */
  #fragments: Buffer[] | undefined;
  #fragmentBytes = 0;
  #closed = false;

  constructor(
    private readonly socket: Duplex,
    private readonly options: WebSocketOptions,
  ) {
    socket.on("data", (bytes: Buffer) => this.receive(bytes));
    socket.on("error", () => socket.destroy());
    socket.on("close", () => {
      this.#closed = true;
      options.onClose();
    });
  }

  send(bytes: Uint8Array): boolean {
    if (this.#closed || this.socket.writableLength > this.options.backlogBytes) return false;
    this.#write(BINARY, bytes);
    return true;
  }

  close(code = 1001): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#write(CLOSE, Uint8Array.of(code >> 8, code & 0xff));
    this.socket.end();
  }

  receive(bytes: Uint8Array): void {
    if (this.#closed || bytes.length === 0) return;
    this.#waiting = Buffer.concat([this.#waiting, bytes]);
    while (!this.#closed && this.#takeFrame());
  }

  /** One frame of the protocol; false until all of it is there. */
  #takeFrame(): boolean {
    const all = this.#waiting;
    if (all.length < 2) return false;
    const [first, second] = [all.readUInt8(0), all.readUInt8(1)];
    const opcode = first & 0x0f;
    const control = opcode >= CLOSE;
    let length = second & 0x7f;
    let at = 2;
    // A client masks (section 5.1), and nobody has agreed on extensions.
    if ((second & MASKED) === 0 || (first & 0x70) !== 0) return this.#fail(PROTOCOL_ERROR);
    if (control && (length > CONTROL_BYTES_MOST || (first & FIN) === 0)) return this.#fail(PROTOCOL_ERROR);
    if (length === 126) {
      if (all.length < 4) return false;
      length = all.readUInt16BE(2);
      at = 4;
    } else if (length === 127) {
      if (all.length < 10) return false;
      length = Number(all.readBigUInt64BE(2));
      at = 10;
    }
    if (length + this.#fragmentBytes > this.options.messageBytesMost) return this.#fail(TOO_BIG);
    if (all.length < at + 4 + length) return false;
    const mask = all.subarray(at, at + 4);
    const payload = Buffer.from(all.subarray(at + 4, at + 4 + length));
    for (let i = 0; i < length; i++) payload[i] = (payload[i] as number) ^ (mask[i & 3] as number);
    this.#waiting = all.subarray(at + 4 + length);
    this.#takePayload(opcode, (first & FIN) !== 0, payload);
    return true;
  }

  #takePayload(opcode: number, last: boolean, payload: Buffer): void {
    if (opcode === CLOSE) return this.close(1000);
    if (opcode === PING) return this.#write(PONG, payload);
    if (opcode === PONG) return;
    if (opcode !== BINARY && opcode !== CONTINUATION) return void this.#fail(UNSUPPORTED);
    if ((opcode === CONTINUATION) !== (this.#fragments !== undefined)) return void this.#fail(PROTOCOL_ERROR);
    const fragments = [...(this.#fragments ?? []), payload];
    if (!last) {
      // Empty ones would be kept without end.
      if (payload.length === 0) return void this.#fail(PROTOCOL_ERROR);
      this.#fragments = fragments;
      this.#fragmentBytes += payload.length;
      return;
    }
    this.#fragments = undefined;
    this.#fragmentBytes = 0;
    this.options.onMessage(fragments.length === 1 ? payload : Buffer.concat(fragments));
  }

  #fail(code: number): false {
    this.close(code);
    return false;
  }

  #write(opcode: number, payload: Uint8Array): void {
    const { length } = payload;
    const head = Buffer.alloc(length < 126 ? 2 : length < 0x10000 ? 4 : 10);
    head[0] = FIN | opcode;
    if (length < 126) head[1] = length;
    else if (length < 0x10000) {
      head[1] = 126;
      head.writeUInt16BE(length, 2);
    } else {
      head[1] = 127;
      head.writeBigUInt64BE(BigInt(length), 2);
    }
    this.socket.write(Buffer.concat([head, payload]));
  }
}
