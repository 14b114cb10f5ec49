// Stream sockets between programs of the guest and of the host, without a network (AF_VSOCK). The device takes a
// VsockBackend for what the guest connects to, and connects to ports of the guest itself.

/** What happens on a connection. */
export interface VsockEvents {
  /** Bytes from the guest, valid during the call only. */
  data?(bytes: Uint8Array): void;
  /** The guest will send no more. */
  end?(): void;
  /** The connection is up (for those that the host began). */
  open?(): void;
  /** There is room again after `write` said false. */
  drain?(): void;
  /** It is over, or was refused; the last call. */
  close?(): void;
}

/** The host's end of a connection. */
export interface VsockStream {
  readonly guestPort: number;
  readonly hostPort: number;
  /** Takes the bytes in any case. False: more waits than the guest has room for; wait for `drain`. */
  write(bytes: Uint8Array): boolean;
  /** The host will send no more, once what waits has gone. */
  end(): void;
  /** Ends both directions at once. */
  destroy(): void;
  /** No `data` until `resume`; the guest is held up when its credit is used. */
  pause(): void;
  resume(): void;
}

export interface VsockBackend {
  /** A program of the guest asks for a port of the host: what is to happen, or undefined to refuse. */
  connect(stream: VsockStream): VsockEvents | undefined;
}
