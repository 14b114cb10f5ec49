// Ethernet as a network card sees it. Cards take one of these; switches, NAT and relays are backends
// (src/backends/network/). The VM wires them.

export interface NetworkBackend {
  /** One Ethernet frame from the guest, without FCS, 14 to 65,550 bytes; the bytes are valid during the call only. */
  send(frame: Uint8Array): void;
  /** Frames for the guest; the bytes are valid during the call only. A card without room drops. */
  onReceive(listener: (frame: Uint8Array) => void): { dispose(): void };
  /** Link up or down; a backend without this is always up. */
  onLink?(listener: (up: boolean) => void): { dispose(): void };
}
