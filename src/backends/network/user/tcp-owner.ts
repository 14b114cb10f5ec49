// What a TCP connection of a guest asks of the table that it is in.
import type { TcpEvents, TcpStream } from "./host-sockets.ts";
import type { TcpConnection } from "./tcp-connection.ts";
import type { OutgoingSegment } from "./tcp-segment.ts";

export type TcpState = "connecting" | "syn-received" | "syn-sent" | "established" | "time-wait" | "closed";

/** What a connection asks of whoever owns it. */
export interface TcpOwner {
  nowNs(): number;
  emit(connection: TcpConnection, segment: OutgoingSegment): void;
  /** It must be asked at this time, at the latest. */
  deadline(atNs: number): void;
  closed(connection: TcpConnection): void;
}

/** Opens the host's side, which speaks to `events` from then on. */
export type OpenStream = (events: TcpEvents) => TcpStream;

export interface TcpOpening {
  /** Ours. */
  readonly initialSequence: number;
  /** Largest segment that goes to the guest. */
  readonly mss: number;
  readonly receiveBytes: number;
}
