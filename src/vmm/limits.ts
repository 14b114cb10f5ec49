// Rate limits of a machine: which device gets which, when it is made and while it runs.
import type { RateLimitChange, RateLimitOptions } from "../devices/token-bucket.ts";
import type { Board } from "./board.ts";
import type { CheckedConfig } from "./check-config.ts";
import type { DriveConfig, VmLimits, VmLimitsChange } from "./device-config.ts";

const NONE: RateLimitOptions = {};

/** Gives every device of the board the limits that the configuration has for it. */
export function applyLimits(board: Board, { limits, drives, nics }: CheckedConfig): void {
  const { console = NONE, network = NONE, devices = {} } = limits;
  for (const uart of board.uarts) uart.limitOutput(console);
  board.virtio.console?.limitOutput(console);
  for (const drive of drives) {
    const own = driveRates(limits, drive);
    board.virtio.drives.get(drive.id)?.setLimits(own);
    board.storage.limited.get(drive.id)?.setLimits(own);
  }
  for (const nic of nics) {
    const { receiveLimits, transmitLimits, id } = nic;
    const own = devices[id];
    board.nics
      .get(id)
      ?.setLimits(changeRates(receiveLimits ?? network, own), changeRates(transmitLimits ?? network, own));
  }
}

/** Its own limits, and what its kind has where they say nothing. */
export function driveRates(
  limits: VmLimits,
  { id, limits: own }: Pick<DriveConfig, "id" | "limits">,
): RateLimitOptions {
  return changeRates(own ?? limits.disks ?? NONE, limits.devices?.[id]);
}

function changeRates(rates: RateLimitOptions, change: RateLimitChange = {}): RateLimitOptions {
  return Object.fromEntries(Object.entries({ ...rates, ...change }).filter(([, bucket]) => bucket !== null));
}

const KINDS = ["console", "disks", "network"] as const;

/** The limits with the change. */
export function changeLimits(limits: VmLimits, change: VmLimitsChange): VmLimits {
  const kinds = KINDS.flatMap((kind) => {
    const rates = change[kind];
    if (rates === null) return [];
    return rates === undefined ? [[kind, limits[kind]]] : [[kind, changeRates(limits[kind] ?? NONE, rates)]];
  });
  const devices = new Map(Object.entries(limits.devices ?? {}));
  for (const [id, rates] of Object.entries(change.devices ?? {})) {
    if (rates === null) devices.delete(id);
    else devices.set(id, { ...devices.get(id), ...rates });
  }
  return {
    ...Object.fromEntries(kinds.filter(([, rates]) => rates !== undefined)),
    ...(devices.size === 0 ? {} : { devices: Object.fromEntries(devices) }),
  };
}
