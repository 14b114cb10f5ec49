// Ethernet as a network card sees it. Cards take one of these; switches, NAT and relays are backends
// (src/backends/network/). The VM wires them.
import type { DeviceClock } from "./device.ts";

export interface NetworkBackend {
  /** One Ethernet frame from the guest, without FCS, 14 to 65,550 bytes; the bytes are valid during the call only. */
  send(frame: Uint8Array): void;
  /** Frames for the guest; the bytes are valid during the call only. A card without room drops. */
  onReceive(listener: (frame: Uint8Array) => void): { dispose(): void };
  /** Link up or down; a backend without this is always up. */
  onLink?(listener: (up: boolean) => void): { dispose(): void };
  /** Told once, before any frame, by a card whose machine's time it may follow. `name` is unique in the machine. */
  useClock?(clock: DeviceClock, name: string): void;
  /** What the guest's requests for the time say about its clock; undefined while there were none. */
  timeMetrics?(): Readonly<Record<string, number>> | undefined;
}

/** How a link between a card and a switch, or between two switches, behaves in each direction. Default: a perfect one. */
export interface LinkSettings {
  /** Default: no bound. */
  readonly bitsPerSecond?: number;
  /** What waits for a link with a bandwidth; what is more is dropped. Default 262,144. */
  readonly queueBytes?: number;
  readonly latencyMs?: number;
  /** Up to so much more latency, evenly distributed; frames do not overtake each other. */
  readonly jitterMs?: number;
  /** Share of the frames that get lost, 0 to 1. */
  readonly loss?: number;
}

/** A port of the host that leads to a port of a guest. */
export interface PortForward {
  readonly protocol: "tcp" | "udp";
  /** Default 127.0.0.1: who shall connect from elsewhere must be asked in. */
  readonly hostAddress?: string;
  /** 0: any free one. */
  readonly hostPort: number;
  /** Default: the first address that is given out. */
  readonly guestAddress?: string;
  readonly guestPort: number;
}

/** A network of its own for the card, with a gateway that leads to the host's network by address translation. */
export interface UserNetworkSettings {
  /** Default "10.0.2.0/24". */
  readonly net?: string;
  /** The gateway, behind which is the host itself. Default: the second address of the net. */
  readonly host?: string;
  /** The name server. Default: the third. */
  readonly dns?: string;
  /** First address that DHCP gives out. Default: the fifteenth. */
  readonly dhcpStart?: string;
  /** Name that DHCP gives the guest. Default none. */
  readonly hostname?: string;
  readonly domain?: string;
  /** Nothing but the gateway's own services, and connections from outside. Default false. */
  readonly restrict?: boolean;
  /** Where connections may go: "192.0.2.0/24", "192.0.2.1:80", "example.org:443", "*.example.org", "host:8080". Default: anywhere. */
  readonly allow?: readonly string[];
  readonly forwards?: readonly PortForward[];
  /** Directory that is served by TFTP and HTTP. */
  readonly tftp?: string;
  /** File, in that directory, that network boot is told to load. */
  readonly bootFile?: string;
}

/** What a card is connected to, by name: opened when the machine is made, and closed at its end. */
export type NetworkSource =
  | ({ readonly kind: "user" } & UserNetworkSettings)
  /** A switch of the host (docs/NETWORK.md); of a VM that is on no host, among its own cards. */
  | { readonly kind: "switch"; readonly name: string; readonly link?: LinkSettings }
  /** No cable. */
  | { readonly kind: "none" };
