// A switch's cable to a relay: Ethernet frames over a WebSocket, one binary message a frame, as websockproxy and v86 have it.
import { VmError } from "../../vmm/error.ts";
import type { NetworkBackend } from "../../vmm/network.ts";

/** The part of WebSocket that is used. */
export interface FrameSocket {
  binaryType: string;
  readonly bufferedAmount: number;
  readonly readyState: number;
  onopen: (() => void) | null;
  onclose: (() => void) | null;
  onerror: (() => void) | null;
  onmessage: ((event: { readonly data: unknown }) => void) | null;
  send(bytes: Uint8Array): void;
  close(): void;
}

/** Of Ethernet, without FCS. */
export const FRAME_BYTES_LEAST = 14;
export const FRAME_BYTES_MOST = 65_550;
/** Frames that wait beyond this are lost, as on a cable that is too slow. */
const BACKLOG_BYTES = 1 << 20;
const OPEN = 1;
const RETRY_LEAST_MS = 500;
const RETRY_MOST_MS = 30_000;

/** Throws VmError("bad-config") that names the field. */
export function checkRelayUrl(field: string, value: unknown): string {
  try {
    const url = new URL(String(value));
    if (typeof value === "string" && (url.protocol === "ws:" || url.protocol === "wss:") && url.hash === "")
      return value;
  } catch {
    // Refused below.
  }
  throw new VmError(
    "bad-config",
    `${field} is ${JSON.stringify(value)}; accepted: the address of a relay, ws://... or wss://...`,
    {
      field,
    },
  );
}

export class RelayCable implements NetworkBackend, Disposable {
  readonly #receivers = new Set<(frame: Uint8Array) => void>();
  #socket: FrameSocket | undefined;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #retryMs = RETRY_LEAST_MS;
  #closed = false;
  readonly counts = { sentFrames: 0, receivedFrames: 0, lostFrames: 0, connections: 0 };

  /** Connects, and again whenever the relay went away. */
  constructor(private readonly open: () => FrameSocket) {
    this.#connect();
  }

  get connected(): boolean {
    return this.#socket?.readyState === OPEN;
  }

  send(frame: Uint8Array): void {
    const socket = this.#socket;
    if (socket === undefined || !this.connected || socket.bufferedAmount > BACKLOG_BYTES) {
      this.counts.lostFrames++;
      return;
    }
    // The bytes are ours during the call only, and may lie in shared memory.
    socket.send(frame.slice());
    this.counts.sentFrames++;
  }

  onReceive(listener: (frame: Uint8Array) => void): { dispose(): void } {
    this.#receivers.add(listener);
    return { dispose: () => void this.#receivers.delete(listener) };
  }

  [Symbol.dispose](): void {
    this.#closed = true;
    clearTimeout(this.#retry);
    this.#socket?.close();
    this.#receivers.clear();
  }

  #connect(): void {
    const socket = this.open();
    this.#socket = socket;
    socket.binaryType = "arraybuffer";
    socket.onopen = () => {
      this.#retryMs = RETRY_LEAST_MS;
      this.counts.connections++;
    };
    socket.onmessage = ({ data }) => this.#receive(data);
    // A close follows.
    socket.onerror = () => {};
    socket.onclose = () => {
      if (this.#closed) return;
      this.#retry = setTimeout(() => this.#connect(), this.#retryMs);
      (this.#retry as { unref?: () => void }).unref?.();
      this.#retryMs = Math.min(RETRY_MOST_MS, 2 * this.#retryMs);
    };
  }

  #receive(data: unknown): void {
    if (!(data instanceof ArrayBuffer)) return;
    if (data.byteLength < FRAME_BYTES_LEAST || data.byteLength > FRAME_BYTES_MOST) return;
    this.counts.receivedFrames++;
    const frame = new Uint8Array(data);
    for (const receiver of this.#receivers) receiver(frame);
  }
}
