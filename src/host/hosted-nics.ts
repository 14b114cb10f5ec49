// The network cards of a VM of a host: their cables end here, at the host's networks, whichever pCPU the VM runs on.
import { type CheckedNic, checkNics } from "../vmm/check-network.ts";
import type { NicConfig } from "../vmm/device-config.ts";
import { VmError } from "../vmm/error.ts";
import { isNetworkSource, timeMetricsOf } from "../vmm/nics.ts";
import { type FrameBatch, FramePipe } from "./frame-pipe.ts";
import type { ConnectedCard, HostNetworks } from "./networks.ts";

interface HostedNic {
  readonly nic: CheckedNic;
  readonly pipe: FramePipe;
  readonly card: ConnectedCard;
  /** The network's end, and whether somebody has pulled the cable. */
  networkUp: boolean;
  plugged: boolean;
}

/** What there is to be known of a card. */
export interface NicView {
  readonly id: string;
  readonly model: string;
  readonly mac: string;
  /** "user", "none", or the name of a network of the host. */
  readonly network: string;
  readonly up: boolean;
  /** Ports of the host that lead to the guest. */
  readonly forwards: ConnectedCard["forwards"];
}

export interface HostedNicsParts {
  readonly networks: HostNetworks;
  config(): readonly NicConfig[];
  /** Frames for the guest. */
  post(nic: string, batch: FrameBatch): void;
}

export class HostedNics {
  readonly #nics = new Map<string, HostedNic>();

  constructor(private readonly parts: HostedNicsParts) {}

  get list(): readonly NicView[] {
    return [...this.#nics.values()].map(({ nic, card, networkUp, plugged }) => ({
      id: nic.id,
      model: nic.model,
      mac: nic.mac,
      network: networkOf(nic),
      up: networkUp && plugged,
      forwards: card.forwards,
    }));
  }

  /**
   * Connects them to the host's networks; where forwarded ports are taken a copy has others. Throws VmError; then none is.
   * @internal
   */
  async connect(isCopy = false): Promise<void> {
    this.close();
    try {
      await this.follow(isCopy);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /**
   * Cards have come or gone: those that are new are connected, cables of those that are gone are taken out. `coming`: of a
   * card that the machine gets next. @internal
   */
  async follow(isCopy = false, coming?: NicConfig): Promise<void> {
    const nics = checkNics([...this.parts.config(), ...(coming === undefined ? [] : [coming])]);
    for (const [id, { card }] of this.#nics) {
      if (nics.some((nic) => nic.id === id)) continue;
      this.#nics.delete(id);
      card[Symbol.dispose]();
    }
    for (const nic of nics) {
      const { id, backend: source, capture } = nic;
      // An object of this thread is the machine's own affair.
      if (this.#nics.has(id) || !isNetworkSource(source)) continue;
      const card = await this.parts.networks.connect(source, { capture, anyPort: isCopy });
      // Two may have followed at a time.
      if (this.#nics.has(id)) card[Symbol.dispose]();
      else this.#add(nic, card);
    }
  }

  #add(nic: CheckedNic, card: ConnectedCard): void {
    const pipe = new FramePipe(
      (batch) => this.parts.post(nic.id, batch),
      (flush) => queueMicrotask(flush),
    );
    const entry: HostedNic = { nic, pipe, card, networkUp: true, plugged: true };
    this.#nics.set(nic.id, entry);
    pipe.onReceive((frame) => {
      if (entry.plugged) card.backend.send(frame);
    });
    card.backend.onReceive((frame) => {
      if (entry.plugged) pipe.send(frame);
    });
    card.backend.onLink?.((up) => {
      entry.networkUp = up;
      this.#tellLink(entry);
    });
  }

  /** Frames of the guest. @internal */
  frames(nic: string, batch: FrameBatch): void {
    this.#nics.get(nic)?.pipe.receive(batch);
  }

  /** The machine is another one, or elsewhere. @internal */
  reset(): void {
    for (const entry of this.#nics.values()) {
      entry.pipe.reset();
      if (!entry.networkUp || !entry.plugged) this.#tellLink(entry);
    }
  }

  /** What the guest's requests for the time say about its clock, by "ntp-" and the card's id. @internal */
  timeMetrics(): Record<string, Readonly<Record<string, number>>> {
    return timeMetricsOf([...this.#nics].map(([id, { card }]) => ({ id, backend: card.backend })));
  }

  /** Pulls a cable, or puts it back. Throws VmError("not-found"). */
  setLink(id: string, up: boolean): void {
    const entry = this.#find(id);
    entry.plugged = up;
    this.#tellLink(entry);
  }

  #find(id: string): HostedNic {
    const entry = this.#nics.get(id);
    if (entry !== undefined) return entry;
    const known = [...this.#nics.keys()].join(", ") || "none";
    throw new VmError("not-found", `There is no network card "${id}"; there are: ${known}.`, { id });
  }

  /** @internal */
  close(): void {
    for (const { card } of this.#nics.values()) card[Symbol.dispose]();
    this.#nics.clear();
  }

  #tellLink({ pipe, networkUp, plugged }: HostedNic): void {
    pipe.setLink(networkUp && plugged);
  }
}

function networkOf({ backend }: CheckedNic): string {
  if (!isNetworkSource(backend)) return "own";
  return backend.kind === "switch" ? backend.name : backend.kind;
}
