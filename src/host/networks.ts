// The networks of a host: switches by name, with links between them and a gateway where one is asked for, and what VMs' cards
// are connected to.
import { hostNetworkClock, type NetworkClock } from "../backends/network/clock.ts";
import { capturedNetwork, type OpenedNetwork, openUserNetwork, UNPLUGGED } from "../backends/network/open.ts";
import { checkRelayUrl, RelayCable } from "../backends/network/relay.ts";
import type { UserNetwork } from "../backends/network/user/user-network.ts";
import { type SwitchLink, VirtualNetwork } from "../backends/network/virtual-network.ts";
import { checkLink } from "../backends/network/wire.ts";
import { openWebSocket, type Platform } from "../platform/platform.ts";
import { checkNetworkSource, checkSwitchName } from "../vmm/check-network.ts";
import { integer, refuse } from "../vmm/check-values.ts";
import type { NicConfig } from "../vmm/device-config.ts";
import { VmError } from "../vmm/error.ts";
import type { LinkSettings, NetworkSource, UserNetworkSettings } from "../vmm/network.ts";

const NETWORKS_MAX = 256;
const LINKS_MAX = 256;

export interface NetworkLink extends LinkSettings {
  /** The other network. */
  readonly to: string;
}

export interface HostNetworkSettings {
  readonly name: string;
  /** Gateway to the host's network, with DHCP: the settings of a user network. Default none. */
  readonly gateway?: UserNetworkSettings;
  /** Address of a relay (ws://, wss://) that joins it to networks elsewhere. Default none. */
  readonly relay?: string;
  /** Of each card on it that says nothing else. */
  readonly link?: LinkSettings;
  /** To networks that are there already. */
  readonly links?: readonly NetworkLink[];
}

export interface HostNetwork extends HostNetworkSettings {
  /** Cards, links and the gateway. */
  readonly ports: number;
  /** Addresses it has seen. */
  readonly addresses: number;
  readonly metrics: Readonly<Record<string, number>>;
}

interface Entry {
  readonly settings: HostNetworkSettings;
  readonly gateway: UserNetwork | undefined;
  /** What is on it beside cards: gateway and relay. */
  readonly attached: readonly Disposable[];
  readonly links: { readonly to: string; readonly link: SwitchLink }[];
  cards: number;
}

/** A card that is in, and the ports of the host that lead to it. */
export interface ConnectedCard extends Disposable {
  readonly backend: OpenedNetwork;
  readonly forwards: readonly { readonly hostPort: number; readonly guestPort: number; readonly protocol: string }[];
}

export class HostNetworks implements Disposable {
  readonly #network: VirtualNetwork;
  readonly #clock: NetworkClock;
  readonly #entries = new Map<string, Entry>();

  constructor(
    private readonly platform: Platform,
    /** Of losses and delays. */
    seed = 1,
  ) {
    this.#clock = hostNetworkClock(platform.monotonicNs);
    this.#network = new VirtualNetwork({ clock: this.#clock, seed: integer("seed", seed, 0, 0xffffffff) });
  }

  get list(): readonly HostNetwork[] {
    return [...this.#entries.values()].map(({ settings, gateway }) => {
      const found = this.#network.switches.find(({ name }) => name === settings.name);
      return {
        ...settings,
        ports: found?.ports ?? 0,
        addresses: found?.addresses ?? 0,
        metrics: gateway?.metrics() ?? {},
      };
    });
  }

  /** Throws VmError: "bad-config" names the field, "not-found" a network that a link leads to, "host" a port that is taken. */
  async add(settings: HostNetworkSettings): Promise<void> {
    checkHostNetwork(settings);
    const { name, gateway, relay, links = [] } = settings;
    if (this.#entries.has(name))
      throw new VmError("bad-config", `There is a network "${name}" on this host already.`, { field: "name" });
    if (this.#entries.size >= NETWORKS_MAX)
      throw new VmError("bad-config", `A host has at most ${NETWORKS_MAX} networks.`, { field: "name" });
    for (const { to } of links) this.#entry(to);
    const opened = gateway && (await openUserNetwork(gateway, this.platform, this.#clock));
    const cable = relay === undefined ? undefined : new RelayCable(() => openWebSocket(relay));
    this.#network.addSwitch(name);
    const attached = [opened, cable].flatMap((other) =>
      other === undefined ? [] : [this.#network.attach(name, other), other],
    );
    this.#entries.set(name, {
      settings,
      gateway: opened,
      attached,
      links: links.map(({ to, ...link }) => ({ to, link: this.#network.link(name, to, link) })),
      cards: 0,
    });
  }

  /** Throws VmError: "not-found", "bad-state" while cards are on it or links lead to it. */
  remove(name: string): void {
    const entry = this.#entry(name);
    const linked = [...this.#entries.values()].find(({ links }) => links.some(({ to }) => to === name));
    if (entry.cards > 0)
      throw new VmError("bad-state", `${entry.cards} cards are on the network ${name}; remove their VMs first.`, {});
    if (linked !== undefined)
      throw new VmError("bad-state", `${linked.settings.name} is linked to ${name}; remove it first.`, {});
    this.#close(entry);
    this.#network.removeSwitch(name);
    this.#entries.delete(name);
  }

  /**
   * Connects a card. `anyPort`: forwarded ports that are taken become others that are free, for a copy beside its original.
   * Throws VmError("not-found" | "host").
   */
  async connect(
    source: NetworkSource,
    options: { capture?: string | undefined; anyPort?: boolean },
  ): Promise<ConnectedCard> {
    const opened = await this.#open(source, options.anyPort ?? false);
    if (options.capture === undefined) return opened;
    try {
      const backend = await capturedNetwork(opened.backend, options.capture, this.platform);
      return {
        ...opened,
        backend,
        [Symbol.dispose]: () => {
          opened[Symbol.dispose]();
          backend[Symbol.dispose]?.();
        },
      };
    } catch (error) {
      opened[Symbol.dispose]();
      throw error;
    }
  }

  async #open(source: NetworkSource, anyPort: boolean): Promise<ConnectedCard> {
    if (source.kind === "none") return { backend: UNPLUGGED, forwards: [], [Symbol.dispose]: () => {} };
    if (source.kind === "switch") {
      const entry = this.#entry(source.name);
      const port = this.#network.connect(source.name, source.link ?? entry.settings.link);
      entry.cards++;
      let closed = false;
      const close = (): void => {
        if (!closed) entry.cards--;
        closed = true;
        port[Symbol.dispose]();
      };
      return { backend: port, forwards: [], [Symbol.dispose]: close };
    }
    const network = await this.#openUser(source, anyPort);
    return { backend: network, forwards: network.forwards, [Symbol.dispose]: () => network[Symbol.dispose]() };
  }

  async #openUser(source: UserNetworkSettings, anyPort: boolean): Promise<UserNetwork> {
    try {
      return await openUserNetwork(source, this.platform, this.#clock);
    } catch (error) {
      if (!anyPort || !(error instanceof VmError && error.code === "host") || !source.forwards?.length) throw error;
      const forwards = source.forwards.map((forward) => ({ ...forward, hostPort: 0 }));
      return await openUserNetwork({ ...source, forwards }, this.platform, this.#clock);
    }
  }

  [Symbol.dispose](): void {
    for (const entry of this.#entries.values()) this.#close(entry);
    this.#entries.clear();
    this.#network[Symbol.dispose]();
  }

  #close({ attached, links }: Entry): void {
    for (const { link } of links) link[Symbol.dispose]();
    for (const other of attached) other[Symbol.dispose]();
  }

  #entry(name: string): Entry {
    const entry = this.#entries.get(name);
    if (entry !== undefined) return entry;
    const known = [...this.#entries.keys()].join(", ") || "none";
    throw new VmError("not-found", `There is no network "${name}" on this host; there are: ${known}.`, { name });
  }
}

/** Throws VmError("bad-config") that names the field, after `where` ("networks[0]."). */
export function checkHostNetwork(settings: HostNetworkSettings, where = ""): void {
  if (typeof settings !== "object" || settings === null) refuse(`${where}network`, settings, "an object { name }");
  for (const key of Object.keys(settings))
    if (!["name", "gateway", "relay", "link", "links"].includes(key))
      refuse(`${where}${key}`, undefined, "name, gateway, relay, link, links", "is not a setting of a network");
  checkSwitchName(`${where}name`, settings.name);
  if (settings.gateway !== undefined) {
    if (typeof settings.gateway !== "object" || settings.gateway === null)
      refuse(`${where}gateway`, settings.gateway, "an object with the settings of a user network, {} for none");
    checkNetworkSource(`${where}gateway`, { kind: "user", ...settings.gateway });
  }
  if (settings.relay !== undefined) checkRelayUrl(`${where}relay`, settings.relay);
  if (settings.link !== undefined) checkLink(`${where}link`, settings.link);
  const { links = [] } = settings;
  if (!Array.isArray(links) || links.length > LINKS_MAX)
    refuse(`${where}links`, links, `a list of at most ${LINKS_MAX}`);
  for (const [i, link] of links.entries()) {
    if (typeof link !== "object" || link === null) refuse(`${where}links[${i}]`, link, "an object { to }");
    checkSwitchName(`${where}links[${i}].to`, link.to);
    const { to, ...rest } = link;
    if (to === settings.name) refuse(`${where}links[${i}].to`, to, "another network");
    checkLink(`${where}links[${i}]`, rest);
  }
}

/** The cards of a VM, each with an address that no other of the host has where it was given none. */
export function withAddresses(nics: readonly NicConfig[], vm: number): readonly NicConfig[] {
  const addressed: NicConfig[] = [];
  for (const nic of nics) addressed.push(withAddress(nic, vm, addressed));
  return addressed;
}

/** One more card beside others of the VM. */
export function withAddress(nic: NicConfig, vm: number, others: readonly NicConfig[]): NicConfig {
  if (nic.mac !== undefined) return nic;
  for (let last = 1; ; last++) {
    const bytes = [(vm >> 8) & 0xff, vm & 0xff, last & 0xff].map((byte) => byte.toString(16).padStart(2, "0"));
    const mac = `02:70:76:${bytes.join(":")}`;
    if (!others.some((other) => other.mac?.toLowerCase() === mac)) return { ...nic, mac };
  }
}
