// What a configuration says of devices that have something of the host behind them.
import type { RateLimitOptions } from "../devices/token-bucket.ts";
import type { BlockBackend } from "./block.ts";

export interface DriveConfig {
  /** Unique among the drives, 1 to 20 characters; the guest reads it as the serial number. */
  readonly id: string;
  readonly backend: BlockBackend;
  readonly bus: "virtio";
  /** Refuses writes even where the backend would take them. Default false. */
  readonly readOnly?: boolean;
  readonly limits?: RateLimitOptions;
}

export interface BalloonConfig {
  /** The guest takes pages back rather than kill a process. Default true. */
  readonly deflateOnOom?: boolean;
  /** Milliseconds of guest time between statistics; 0 for none but when asked. Default 0. */
  readonly statisticsIntervalMs?: number;
  /** Bytes that the guest is to give up from the start. Default 0. */
  readonly targetBytes?: number;
}
