// From what a configuration names to a network that a card can be connected to.
import type { Platform } from "../../platform/platform.ts";
import { VmError } from "../../vmm/error.ts";
import type { NetworkBackend, NetworkSource, UserNetworkSettings } from "../../vmm/network.ts";
import { hostNetworkClock, type NetworkClock } from "./clock.ts";
import type { NetworkHost } from "./network-host.ts";
import { capturedBackend, pcapHeader } from "./pcap.ts";
import { checkUserNetwork } from "./user/settings.ts";
import type { UserNetwork } from "./user/user-network.ts";
import { VirtualNetwork } from "./virtual-network.ts";

export type OpenedNetwork = NetworkBackend & Partial<Disposable>;

/** Without a cable: nothing arrives, and the card says so. */
export const UNPLUGGED: NetworkBackend = {
  send: () => {},
  onReceive: () => ({ dispose: () => {} }),
  onLink: (listener) => {
    listener(false);
    return { dispose: () => {} };
  },
};

export type NetworkPlatform = Pick<Platform, "monotonicNs" | "wallMs" | "entropy" | "networkHost">;

/** What one machine's cards are connected to. */
export class MachineNetworks {
  /** Switches that only this machine's cards are on. */
  #own: VirtualNetwork | undefined;

  constructor(private readonly platform: NetworkPlatform) {}

  /** Rejects with VmError: "host" for what the host lacks or a port that is taken, "not-found", "bad-config". */
  async open(source: NetworkSource): Promise<OpenedNetwork> {
    switch (source.kind) {
      case "user":
        return await openUserNetwork(source, this.platform);
      case "switch": {
        this.#own ??= new VirtualNetwork();
        if (!this.#own.switches.some(({ name }) => name === source.name)) this.#own.addSwitch(source.name);
        return this.#own.connect(source.name, source.link);
      }
      case "none":
        return UNPLUGGED;
    }
  }
}

/** The same network, with everything that passes it written to a file. Throws VmError("host"). */
export async function capturedNetwork(
  backend: OpenedNetwork,
  path: string,
  platform: NetworkPlatform,
): Promise<OpenedNetwork> {
  const file = (await requireHost(platform)).createCapture(path);
  file.write(pcapHeader());
  return {
    ...capturedBackend(backend, (bytes) => file.write(bytes), platform.wallMs),
    [Symbol.dispose]: () => file.close(),
  };
}

/** Ready, its forwarded ports open. */
export async function openUserNetwork(
  settings: UserNetworkSettings,
  platform: NetworkPlatform,
  clock: NetworkClock = hostNetworkClock(platform.monotonicNs),
): Promise<UserNetwork> {
  const host = await requireHost(platform);
  // Pages have no sockets, and most machines no such card.
  const { UserNetwork } = await import("./user/user-network.ts");
  const words = new Uint32Array(1);
  const checked = checkUserNetwork(settings);
  const network = new UserNetwork(checked, {
    files: settings.tftp === undefined ? undefined : host.openTree(settings.tftp),
    clock,
    sockets: host.sockets,
    wallMs: platform.wallMs,
    random: () => {
      platform.entropy(new Uint8Array(words.buffer));
      return words[0] ?? 0;
    },
  });
  try {
    await network.open();
  } catch (error) {
    network[Symbol.dispose]();
    throw error;
  }
  return network;
}

async function requireHost(platform: NetworkPlatform): Promise<NetworkHost> {
  const host = await platform.networkHost?.();
  if (host === undefined)
    throw new VmError("host", "This runtime has no sockets for a user network; connect the card to a switch.", {});
  return host;
}
