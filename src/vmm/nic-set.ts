// The network cards of a board, of whatever model, for who controls them from the host.
import type { RateLimitOptions } from "../devices/token-bucket.ts";

/** A card as the host controls it. */
export interface NetworkCard {
  setLink(up: boolean): void;
  /** From now on; {} for none. */
  setLimits(receive: RateLimitOptions, transmit: RateLimitOptions): void;
}

/** By the id in the configuration. */
export interface NicSet {
  get(id: string): NetworkCard | undefined;
}
