// The network cards of a machine with what they are connected to: opened before it is made, closed after its end.
import { MachineNetworks, type OpenedNetwork } from "../backends/network/open.ts";
import type { Platform } from "../platform/platform.ts";
import type { CheckedNic } from "./check-network.ts";
import type { NetworkBackend, NetworkSource } from "./network.ts";

/** A card whose cable is in. */
export interface OpenNic extends CheckedNic {
  readonly backend: NetworkBackend;
}

/** Connects a card, in place of what the machine would do by itself. */
export type ConnectNic = (nic: CheckedNic) => OpenedNetwork;

export class OpenNics {
  readonly nics: OpenNic[] = [];
  /** What was opened here; what the user brought along is the user's to close. */
  readonly #opened: OpenedNetwork[] = [];

  private constructor() {}

  /** Throws VmError when a network cannot be opened; then none stays open. */
  static async open(nics: readonly CheckedNic[], platform: Platform, connect?: ConnectNic): Promise<OpenNics> {
    const all = new OpenNics();
    const networks = new MachineNetworks(platform);
    try {
      for (const nic of nics) {
        const { backend } = nic;
        let opened: OpenedNetwork;
        if (!isNetworkSource(backend)) opened = backend;
        else opened = all.#own(connect?.(nic) ?? (await networks.open(backend)));
        // Who connects the card elsewhere captures there.
        if (nic.capture !== undefined && connect === undefined)
          opened = all.#own(await networks.captured(opened, nic.capture));
        all.nics.push({ ...nic, backend: opened });
      }
    } catch (error) {
      all.close();
      throw error;
    }
    return all;
  }

  #own(opened: OpenedNetwork): OpenedNetwork {
    this.#opened.push(opened);
    return opened;
  }

  close(): void {
    for (const opened of this.#opened.splice(0).reverse()) opened[Symbol.dispose]?.();
  }
}

export function isNetworkSource(backend: NetworkBackend | NetworkSource): backend is NetworkSource {
  return "kind" in backend;
}
