// The network cards of a VM of a host: their cables end here, at the host's networks, whichever pCPU the VM runs on.
import { checkLimits } from "../vmm/check-lists.ts";
import { type CheckedNic, checkNics } from "../vmm/check-network.ts";
import type { NicConfig } from "../vmm/device-config.ts";
import { VmError } from "../vmm/error.ts";
import { isNetworkSource } from "../vmm/nics.ts";
import { type FrameBatch, FramePipe } from "./frame-pipe.ts";
import type { ConnectedCard, HostNetworks } from "./networks.ts";
import type { NicLimits } from "./protocol.ts";

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
  /** The machine's cards are these now, and the one that there is at present is told. */
  setLimits(nics: readonly NicConfig[], nic: string, limits: NicLimits): Promise<void>;
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
      for (const nic of checkNics(this.parts.config())) {
        const { backend: source, capture } = nic;
        // An object of this thread is the machine's own affair.
        if (!isNetworkSource(source)) continue;
        const card = await this.parts.networks.connect(source, { capture, anyPort: isCopy });
        this.#add(nic, card);
      }
    } catch (error) {
      this.close();
      throw error;
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

  /** Pulls a cable, or puts it back. Throws VmError("not-found"). */
  setLink(id: string, up: boolean): void {
    const entry = this.#find(id);
    entry.plugged = up;
    this.#tellLink(entry);
  }

  /** Rate limits of a card, from now on; what is left out stays. Throws VmError("not-found" | "bad-config"). */
  async setLimits(id: string, limits: NicLimits): Promise<void> {
    this.#find(id);
    checkLimits("receiveLimits", limits.receiveLimits);
    checkLimits("transmitLimits", limits.transmitLimits);
    const nics = this.parts.config().map((nic) => (nic.id === id ? { ...nic, ...limits } : nic));
    await this.parts.setLimits(nics, id, limits);
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
