// Switches, links between them, and cards on them, in any topology. The same seed, clock and traffic give the same losses,
// delays and order.
import { Random } from "../../host/sched/sim/random.ts";
import type { DeviceClock } from "../../vmm/device.ts";
import { VmError } from "../../vmm/error.ts";
import type { LinkSettings, NetworkBackend } from "../../vmm/network.ts";
import { guestNetworkClock, type NetworkClock } from "./clock.ts";
import { EthernetSwitch, type SwitchPort } from "./ethernet-switch.ts";
import { EventQueue } from "./event-queue.ts";
import { closesCircle } from "./spanning-tree.ts";
import { checkLink, Wire, type WireCounts } from "./wire.ts";

const SWITCHES_MAX = 1024;
const PORTS_MAX = 16_384;

export interface VirtualNetworkOptions {
  /** Default: the clock of the first card that is connected, and so of one machine. */
  readonly clock?: NetworkClock;
  /** Of losses and jitter, a whole number. Default 1. */
  readonly seed?: number;
}

/** A card's place on a switch. */
export interface NetworkPort extends NetworkBackend, Disposable {
  readonly switchName: string;
  onLink(listener: (up: boolean) => void): { dispose(): void };
  /** Pulls the cable, or puts it back. */
  setLink(up: boolean): void;
  setSettings(link: LinkSettings): void;
  /** What came from the card, and what went to it. */
  readonly counts: { readonly sent: WireCounts; readonly received: WireCounts };
}

/** A cable between two switches. */
export interface SwitchLink extends Disposable {
  readonly between: readonly [string, string];
  /** It would close a circle, and waits until another link fails. */
  readonly blocked: boolean;
  setLink(up: boolean): void;
  setSettings(link: LinkSettings): void;
  readonly counts: readonly [WireCounts, WireCounts];
}

interface Trunk {
  readonly a: EthernetSwitch;
  readonly b: EthernetSwitch;
  readonly ends: readonly [SwitchPort, SwitchPort];
  readonly wires: readonly [Wire, Wire];
  blocked: boolean;
}

export class VirtualNetwork implements Disposable {
  readonly #switches = new Map<string, EthernetSwitch>();
  readonly #trunks: Trunk[] = [];
  readonly #seed: number;
  #clock: NetworkClock | undefined;
  #events: EventQueue | undefined;
  #streams = 0;
  #ports = 0;

  constructor(options: VirtualNetworkOptions = {}) {
    const { seed = 1, clock } = options;
    if (!Number.isSafeInteger(seed))
      throw new VmError("bad-config", `seed is ${String(seed)}; accepted: a whole number.`, { field: "seed" });
    this.#seed = seed;
    this.#clock = clock;
  }

  get switches(): readonly EthernetSwitch[] {
    return [...this.#switches.values()];
  }

  /** Throws VmError("bad-config") where there is one of that name. */
  addSwitch(name: string): void {
    if (this.#switches.has(name))
      throw new VmError("bad-config", `There is a switch "${name}" already; choose another name.`, { field: "name" });
    if (this.#switches.size >= SWITCHES_MAX)
      throw new VmError("bad-config", `A network has at most ${SWITCHES_MAX} switches.`, { field: "switches" });
    this.#switches.set(name, new EthernetSwitch(name, () => this.#clock?.nowNs() ?? 0));
  }

  /** Its ports must be gone. Throws VmError("not-found" | "bad-state"). */
  removeSwitch(name: string): void {
    const { ports } = this.#switch(name);
    if (ports > 0) throw new VmError("bad-state", `${ports} cables are in the switch ${name}.`, { name });
    this.#switches.delete(name);
  }

  /** A new port of a switch, for a card. Throws VmError: "not-found" for the switch, "bad-config" for the link. */
  connect(switchName: string, link: LinkSettings = {}): NetworkPort {
    const target = this.#switch(switchName);
    this.#countPort();
    checkLink("link", link);
    const receivers = new Set<(frame: Uint8Array) => void>();
    const linkListeners = new Set<(up: boolean) => void>();
    const port: SwitchPort = { blocked: false, output: (frame) => wires.received.send(frame) };
    const wires = this.#wirePair(
      (frame) => target.input(port, frame),
      (frame) => {
        for (const receiver of receivers) receiver(frame);
      },
    );
    wires.set(link);
    target.add(port);
    return {
      switchName,
      counts: { sent: wires.sent.counts, received: wires.received.counts },
      send: (frame) => wires.sent.send(frame),
      onReceive: (listener) => listen(receivers, listener),
      onLink: (listener) => {
        if (!wires.sent.up) listener(false);
        return listen(linkListeners, listener);
      },
      useClock: (clock, name) => this.#useClock(clock, name),
      setLink: (up) => {
        wires.up(up);
        target.remove(port);
        target.add(port);
        for (const listener of linkListeners) listener(up);
      },
      setSettings: (settings) => wires.set(checkLink("link", settings)),
      [Symbol.dispose]: () => {
        if (wires.closed) return;
        wires.closed = true;
        wires.up(false);
        target.remove(port);
        this.#ports--;
      },
    };
  }

  /** Puts something that is a network itself, a gateway for one, on a switch. */
  attach(switchName: string, other: NetworkBackend, link: LinkSettings = {}): Disposable {
    const port = this.connect(switchName, link);
    const incoming = port.onReceive((frame) => other.send(frame));
    const outgoing = other.onReceive((frame) => port.send(frame));
    return {
      [Symbol.dispose]: () => {
        incoming.dispose();
        outgoing.dispose();
        port[Symbol.dispose]();
      },
    };
  }

  /** Connects two switches. One that would close a circle is blocked until it is needed. */
  link(first: string, second: string, link: LinkSettings = {}): SwitchLink {
    const [a, b] = [this.#switch(first), this.#switch(second)];
    if (a === b)
      throw new VmError("bad-config", `A link joins two switches; both ends are "${first}".`, { field: "to" });
    this.#countPort();
    checkLink("link", link);
    const endOfA: SwitchPort = { blocked: false, output: (frame) => wires.sent.send(frame) };
    const endOfB: SwitchPort = { blocked: false, output: (frame) => wires.received.send(frame) };
    const wires = this.#wirePair(
      (frame) => b.input(endOfB, frame),
      (frame) => a.input(endOfA, frame),
    );
    wires.set(link);
    const trunk: Trunk = { a, b, ends: [endOfA, endOfB], wires: [wires.sent, wires.received], blocked: false };
    a.add(endOfA);
    b.add(endOfB);
    this.#trunks.push(trunk);
    this.#span();
    return {
      between: [first, second],
      get blocked() {
        return trunk.blocked;
      },
      counts: [wires.sent.counts, wires.received.counts],
      setLink: (up) => {
        wires.up(up);
        this.#span();
      },
      setSettings: (settings) => wires.set(checkLink("link", settings)),
      [Symbol.dispose]: () => {
        const index = this.#trunks.indexOf(trunk);
        if (index < 0) return;
        this.#trunks.splice(index, 1);
        wires.up(false);
        a.remove(endOfA);
        b.remove(endOfB);
        this.#ports--;
        this.#span();
      },
    };
  }

  /** Nothing arrives any more. */
  [Symbol.dispose](): void {
    this.#events?.clear();
  }

  // ---- inside

  #switch(name: string): EthernetSwitch {
    const found = this.#switches.get(name);
    if (found !== undefined) return found;
    const known = [...this.#switches.keys()].join(", ") || "none";
    throw new VmError("not-found", `There is no switch "${name}"; there are: ${known}.`, { name });
  }

  #countPort(): void {
    if (this.#ports >= PORTS_MAX)
      throw new VmError("bad-config", `A network has at most ${PORTS_MAX} ports.`, { field: "ports" });
    this.#ports++;
  }

  #useClock(clock: DeviceClock, name: string): void {
    this.#clock ??= guestNetworkClock(clock, `${name}.network`);
    // At once: a snapshot knows the timers of a machine by name.
    this.#events ??= new EventQueue(this.#clock);
  }

  get #queue(): EventQueue {
    this.#events ??= new EventQueue(this.#clock ?? noClock());
    return this.#events;
  }

  /** Both directions, each with random numbers of its own. */
  #wirePair(arriveSent: (frame: Uint8Array) => void, arriveReceived: (frame: Uint8Array) => void) {
    const events = {
      add: (atNs: number, happen: () => void) => this.#queue.add(atNs, happen),
      nowNs: () => this.#clock?.nowNs() ?? 0,
    };
    const wire = (arrive: (frame: Uint8Array) => void): Wire =>
      new Wire(events, new Random(this.#seed, this.#streams++), arrive);
    const sent = wire(arriveSent);
    const received = wire(arriveReceived);
    return {
      sent,
      received,
      closed: false,
      set: (settings: LinkSettings): void => {
        sent.settings = settings;
        received.settings = settings;
      },
      up: (up: boolean): void => {
        sent.up = up;
        received.up = up;
      },
    };
  }

  /** Which links carry frames: in the order of their making, all that are up and close no circle. */
  #span(): void {
    const circle = closesCircle<EthernetSwitch>();
    let changed = false;
    for (const trunk of this.#trunks) {
      const blocked = !trunk.wires[0].up || circle(trunk.a, trunk.b);
      changed ||= blocked !== trunk.blocked;
      trunk.blocked = blocked;
      for (const end of trunk.ends) end.blocked = blocked;
    }
    if (changed) for (const each of this.#switches.values()) each.forgetAddresses();
  }
}

function listen<T>(listeners: Set<T>, listener: T): { dispose(): void } {
  listeners.add(listener);
  return { dispose: () => void listeners.delete(listener) };
}

function noClock(): never {
  throw new VmError("bad-state", "A network without a clock begins with the first card that is connected to it.");
}
