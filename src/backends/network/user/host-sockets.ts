// What a user network needs of the host: sockets, which only the platform has. A test puts its own behind it.

/** Why a connection could not be made or went. */
export type SocketFailure = "refused" | "reset" | "unreachable" | "timeout" | "failed";

/** What happens to a TCP connection; nothing after `closed`. */
export interface TcpEvents {
  connected(): void;
  /** The bytes are the receiver's to keep. */
  data(bytes: Uint8Array): void;
  /** The other side sends no more. */
  ended(): void;
  /** Some of what was written has gone on. */
  drained(): void;
  closed(failure: SocketFailure | undefined): void;
}

/** One end of a stream: of a socket of the host, or of a service of the gateway's own. */
export interface TcpStream {
  /** The bytes are the stream's to keep. */
  write(bytes: Uint8Array): void;
  /** Written, and not gone on yet. */
  readonly waitingBytes: number;
  /** Nothing more is written. */
  end(): void;
  /** Ends both directions at once. */
  reset(): void;
  /** Whether `data` may be called. */
  setReading(on: boolean): void;
}

export interface UdpEvents {
  data(bytes: Uint8Array, address: string, port: number): void;
  closed(): void;
}

export interface UdpSocket {
  /** What cannot be sent is lost. */
  send(bytes: Uint8Array, address: string, port: number): void;
  close(): void;
}

export interface Listener {
  /** The port that it really has. */
  readonly port: number;
  close(): void;
}

export interface HostSockets {
  /** The events come later, never during the call. */
  connectTcp(address: string, port: number, events: TcpEvents): TcpStream;
  /**
   * `accept` is given each new connection by a function that makes it speak to `events`, or is to return undefined to
   * refuse it. Rejects with VmError("host") where the port cannot be had.
   */
  listenTcp(
    address: string,
    port: number,
    accept: (open: (events: TcpEvents) => TcpStream) => boolean,
  ): Promise<Listener>;
  /** A socket on a port of its own choice. */
  openUdp(events: UdpEvents): UdpSocket;
  /** Rejects with VmError("host") where the port cannot be had. */
  bindUdp(address: string, port: number, events: UdpEvents): Promise<UdpSocket & Listener>;
  /** Addresses of the name servers that the host asks, "192.0.2.1" or "192.0.2.1:53". */
  nameServers(): readonly string[];
}
