// Time as networks see it: of the host, or of the guest whose card is connected.
import type { DeviceClock } from "../../vmm/device.ts";

export interface NetworkTimer {
  /** One deadline: a second call replaces the first. */
  arm(deadlineNs: number): void;
  disarm(): void;
}

export interface NetworkClock {
  nowNs(): number;
  timer(fire: () => void): NetworkTimer;
}

/** Timers of the host count whole milliseconds, and fewer than 2^31 of them. */
const TIMEOUT_MAX_MS = 0x7fffffff;

/** Follows the host; real clocks of VMs do so too. */
export function hostNetworkClock(monotonicNs: () => number): NetworkClock {
  return {
    nowNs: monotonicNs,
    timer: (fire) => {
      let id: ReturnType<typeof setTimeout> | undefined;
      return {
        arm: (deadlineNs) => {
          clearTimeout(id);
          const waitMs = Math.max(0, Math.ceil((deadlineNs - monotonicNs()) / 1e6));
          id = setTimeout(fire, Math.min(waitMs, TIMEOUT_MAX_MS));
          // A network that only waits keeps no program from ending.
          if (typeof id === "object") id.unref();
        },
        disarm: () => clearTimeout(id),
      };
    },
  };
}

/** Follows one guest: with its virtual clock the same run twice has the same traffic. `name` is unique in the machine. */
export function guestNetworkClock(clock: DeviceClock, name: string): NetworkClock {
  let timers = 0;
  return {
    nowNs: () => clock.nowNs(),
    timer: (fire) => clock.timer(`${name}.${timers++}`, fire),
  };
}
