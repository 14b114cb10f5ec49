// Rate limits of a machine: which device gets which, when it is made and while it runs.
import type { RateLimitOptions } from "../devices/token-bucket.ts";
import type { Board } from "./board.ts";
import type { CheckedConfig } from "./check-config.ts";

const NONE: RateLimitOptions = {};

/** Gives every device of the board the limits that the configuration has for it. */
export function applyLimits(board: Board, { limits, drives, nics }: CheckedConfig): void {
  const { console = NONE, disks = NONE, network = NONE, devices = {} } = limits;
  for (const uart of board.uarts) uart.limitOutput(console);
  board.virtio.console?.limitOutput(console);
  for (const drive of drives) {
    const own = devices[drive.id] ?? drive.limits ?? disks;
    board.virtio.drives.get(drive.id)?.setLimits(own);
    board.storage.limited.get(drive.id)?.setLimits(own);
  }
  for (const nic of nics) {
    const { receiveLimits, transmitLimits, id } = nic;
    const own = devices[id];
    board.nics.cards.get(id)?.setLimits(own ?? receiveLimits ?? network, own ?? transmitLimits ?? network);
  }
}
