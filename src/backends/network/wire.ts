// One direction of a link: bandwidth, a queue before it, latency with jitter, loss. Frames never overtake each other.
import type { Random } from "../../host/sched/sim/random.ts";
import { integer, refuse } from "../../vmm/check-values.ts";
import type { LinkSettings } from "../../vmm/network.ts";
import type { EventQueue } from "./event-queue.ts";

/** What the queue before a link with a bandwidth holds, where nobody says. */
const QUEUE_BYTES = 256 * 1024;
/** Frames on their way over one link: a link of a day's latency must not fill the host's memory. */
const FRAMES_MAX = 16_384;
const BYTES_MAX = 64 * 1024 * 1024;
/** Preamble, FCS and the gap between frames, which take time and carry nothing. */
const FRAMING_BYTES = 24;
const BITS = 8;
const NS = 1e9;

export interface WireCounts {
  frames: number;
  bytes: number;
  /** By the model. */
  lost: number;
  /** The queue was full, or the link down. */
  dropped: number;
}

export class Wire {
  readonly counts: WireCounts = { frames: 0, bytes: 0, lost: 0, dropped: 0 };
  up = true;
  #settings: LinkSettings = {};
  /** When the last frame's last bit leaves, and when it arrives. */
  #freeNs = 0;
  #arrivedNs = 0;
  #inFlight = 0;
  #inFlightBytes = 0;

  constructor(
    private readonly events: Pick<EventQueue, "add" | "nowNs">,
    private readonly random: Random,
    private readonly arrive: (frame: Uint8Array) => void,
  ) {}

  set settings(settings: LinkSettings) {
    this.#settings = settings;
  }

  /** The frame's bytes are valid during the call only. */
  send(frame: Uint8Array): void {
    const { bitsPerSecond, latencyMs = 0, jitterMs = 0, loss = 0, queueBytes = QUEUE_BYTES } = this.#settings;
    if (!this.up || this.#inFlight >= FRAMES_MAX || this.#inFlightBytes + frame.length > BYTES_MAX) {
      this.counts.dropped++;
      return;
    }
    if (loss > 0 && this.random.uniform() < loss) {
      this.counts.lost++;
      return;
    }
    const now = this.events.nowNs();
    let leavesNs = now;
    if (bitsPerSecond !== undefined) {
      const waitingBytes = (Math.max(0, this.#freeNs - now) * bitsPerSecond) / (BITS * NS);
      if (waitingBytes > 0 && waitingBytes + frame.length > queueBytes) {
        this.counts.dropped++;
        return;
      }
      leavesNs = Math.max(now, this.#freeNs) + ((frame.length + FRAMING_BYTES) * BITS * NS) / bitsPerSecond;
      this.#freeNs = leavesNs;
    }
    const jitterNs = jitterMs > 0 ? this.random.uniform() * jitterMs * 1e6 : 0;
    const arrivesNs = Math.max(this.#arrivedNs, leavesNs + latencyMs * 1e6 + jitterNs);
    this.#arrivedNs = arrivesNs;
    this.counts.frames++;
    this.counts.bytes += frame.length;
    const copy = frame.slice();
    this.#inFlight++;
    this.#inFlightBytes += copy.length;
    this.events.add(arrivesNs, () => {
      this.#inFlight--;
      this.#inFlightBytes -= copy.length;
      // A cable that was pulled meanwhile loses what was in it.
      if (this.up) this.arrive(copy);
      else this.counts.dropped++;
    });
  }
}

const DAY_MS = 86_400_000;
const TERABIT = 1e12;

/** Throws VmError("bad-config") that names the field. */
export function checkLink(field: string, link: LinkSettings): LinkSettings {
  if (typeof link !== "object" || link === null) refuse(field, link, "an object { bitsPerSecond, latencyMs, loss }");
  const number = (name: "latencyMs" | "jitterMs" | "loss", most: number): void => {
    const value = link[name];
    if (value !== undefined && !(typeof value === "number" && value >= 0 && value <= most))
      refuse(`${field}.${name}`, value, `a number from 0 to ${most}`);
  };
  number("latencyMs", DAY_MS);
  number("jitterMs", DAY_MS);
  number("loss", 1);
  if (link.bitsPerSecond !== undefined) integer(`${field}.bitsPerSecond`, link.bitsPerSecond, 1, TERABIT);
  if (link.queueBytes !== undefined) integer(`${field}.queueBytes`, link.queueBytes, 1, BYTES_MAX);
  return link;
}
