// The network cards of a machine with what they are connected to: opened before it is made, closed after its end.
import type { MachineNetworks, OpenedNetwork } from "../backends/network/open.ts";
import type { Platform } from "../platform/platform.ts";
import type { CheckedNic } from "./check-network.ts";
import type { NetworkBackend, NetworkSource } from "./network.ts";

/** A card whose cable is in. */
export interface OpenNic extends CheckedNic {
  readonly backend: NetworkBackend;
}

const loadNetworks = (): Promise<typeof import("../backends/network/open.ts")> => import("../backends/network/open.ts");

/** Connects a card, in place of what the machine would do by itself. */
export type ConnectNic = (nic: CheckedNic) => OpenedNetwork;

export class OpenNics {
  readonly nics: OpenNic[] = [];
  /** Made when a card needs it. */
  #networks: MachineNetworks | undefined;
  /** What was opened here, by card; what the user brought along is the user's to close. */
  readonly #opened = new Map<string, OpenedNetwork[]>();

  private constructor(
    private readonly platform: Platform,
    private readonly connect: ConnectNic | undefined,
  ) {}

  /** Throws VmError when a network cannot be opened; then none stays open. */
  static async open(nics: readonly CheckedNic[], platform: Platform, connect?: ConnectNic): Promise<OpenNics> {
    const all = new OpenNics(platform, connect);
    try {
      for (const nic of nics) await all.add(nic);
    } catch (error) {
      all.close();
      throw error;
    }
    return all;
  }

  /** One more card. Throws VmError when its network cannot be opened. */
  async add(nic: CheckedNic): Promise<OpenNic> {
    const { backend, id } = nic;
    const mine: OpenedNetwork[] = [];
    this.#opened.set(id, mine);
    const own = (network: OpenedNetwork): OpenedNetwork => {
      mine.push(network);
      return network;
    };
    try {
      let opened: OpenedNetwork;
      if (!isNetworkSource(backend)) opened = backend;
      else opened = own(this.connect?.(nic) ?? (await this.#open(backend)));
      // Who connects the card elsewhere captures there.
      if (nic.capture !== undefined && this.connect === undefined)
        opened = own(await (await loadNetworks()).capturedNetwork(opened, nic.capture, this.platform));
      const card = { ...nic, backend: opened };
      this.nics.push(card);
      return card;
    } catch (error) {
      this.remove(id);
      throw error;
    }
  }

  async #open(source: NetworkSource): Promise<OpenedNetwork> {
    const { MachineNetworks } = await loadNetworks();
    this.#networks ??= new MachineNetworks(this.platform);
    return await this.#networks.open(source);
  }

  /** What guests' requests for the time say about their clock, by "ntp-" and the card's id. */
  timeMetrics(): Record<string, Readonly<Record<string, number>>> {
    return timeMetricsOf(this.nics);
  }

  /** The card is gone. */
  remove(id: string): void {
    const at = this.nics.findIndex((nic) => nic.id === id);
    if (at >= 0) this.nics.splice(at, 1);
    for (const opened of (this.#opened.get(id) ?? []).reverse()) opened[Symbol.dispose]?.();
    this.#opened.delete(id);
  }

  close(): void {
    for (const id of [...this.#opened.keys()].reverse()) this.remove(id);
  }
}

/** By "ntp-" and the card's id, where there is any. */
export function timeMetricsOf(
  cards: Iterable<{ readonly id: string; readonly backend: NetworkBackend }>,
): Record<string, Readonly<Record<string, number>>> {
  return Object.fromEntries(
    [...cards].flatMap(({ id, backend }) => {
      const metrics = backend.timeMetrics?.();
      return metrics === undefined ? [] : [[`ntp-${id}`, metrics]];
    }),
  );
}

export function isNetworkSource(backend: NetworkBackend | NetworkSource): backend is NetworkSource {
  return "kind" in backend;
}
