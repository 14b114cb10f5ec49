// A VM of a host, as its users hold it: a name, a state, verbs that are legal in some states and refused in others, and
// consoles that outlive a run. The machine itself lives on a pCPU; this is its handle.
import type { ByteConsole } from "../backends/stream.ts";
import { type Screen, screenOf } from "../display/screen.ts";
import type { SnapshotInfo } from "../snapshot/take.ts";
import { checkLimitsChange } from "../vmm/check-devices.ts";
import type { PortableConfig } from "../vmm/config.ts";
import type { DiskSource, VmLimitsChange } from "../vmm/device-config.ts";
import { VmError } from "../vmm/error.ts";
import { Emitter } from "../vmm/events.ts";
import type { DetachOptions } from "../vmm/hotplug.ts";
import { changeLimits } from "../vmm/limits.ts";
import type { ExitStatus, VmEvents, VmState, VmStatistics } from "../vmm/status.ts";
import { HostedClaims } from "./hosted-claims.ts";
import { HostedConsoles } from "./hosted-consoles.ts";
import { HostedNics } from "./hosted-nics.ts";
import type { BalloonReport } from "./memory-governor.ts";
import { type HostNetworks, withAddress } from "./networks.ts";
import type { VcpuAccount } from "./pcpu.ts";
import type { PcpuLink } from "./pcpu-link.ts";
import { PcpuSeat } from "./pcpu-seat.ts";
import {
  type PortableRestoreOptions,
  type PortableSnapshotOptions,
  type ReportedEvent,
  type SnapshotBytes,
  type SnapshotFile,
  unpackEvent,
  type VmNumber,
} from "./protocol.ts";
import type { ResourcesInput } from "./resources/check-claims.ts";
import { MEMORY, type ResourceClaim, type VmClaims } from "./resources/model.ts";
import type { SchedParameters } from "./sched/policy.ts";
import { type Cards, droppedCard, type NewCard, withCard, withMedium, withoutCard } from "./stopped-cards.ts";
import { ALIVE, type HostedVmVerb, requireLegal } from "./verb-states.ts";

/** How long a guest may take to shut down when its power button is pressed. */
const STOP_TIMEOUT_MS = 10_000;

export interface StopOptions {
  /** Without asking the guest. Default false: ACPI first, where the machine has it. */
  readonly force?: boolean;
  /** What the guest gets to shut down, in milliseconds. Default 10,000. */
  readonly timeoutMs?: number;
}

export interface HostedVmParts {
  readonly name: string;
  readonly number: VmNumber;
  readonly config: PortableConfig;
  readonly scheduling: SchedParameters;
  readonly resources: VmClaims["resources"];
  /** The balancer leaves it where it is. */
  readonly pinned: boolean;
}

/** What a VM asks of its host. */
export interface HostedVmOwner {
  readonly networks: HostNetworks;
  /** Throws VmError("admission") where the host cannot hold what these claims promise. */
  admit(claims: VmClaims): void;
  destroyed(vm: HostedVm): void;
  /** Memory may be divided otherwise. */
  claimsChanged(): void;
  /** Throws VmError("bad-config") for what belongs to another thread. */
  requirePortable(card: NewCard): void;
}

export class HostedVm {
  readonly name: string;
  readonly number: VmNumber;
  readonly pinned: boolean;
  #config: PortableConfig;
  readonly #events = new Emitter<VmEvents>();
  readonly #consoles: HostedConsoles;
  readonly #seat: PcpuSeat;
  /** Its network cards. */
  readonly nics: HostedNics;
  #state: VmState = "created";
  readonly #claims: HostedClaims;
  #balloon: BalloonReport | undefined;
  #lastExit: ExitStatus | undefined;
  /** Verbs wait for the one before them. */
  #busy: Promise<unknown> = Promise.resolve();
  #verbs = 0;
  #gone = false;
  /** Its present machine reports its screen. */
  #screenWatched = false;

  constructor(
    made: HostedVmParts,
    link: PcpuLink,
    private readonly owner: HostedVmOwner,
  ) {
    this.name = made.name;
    this.number = made.number;
    this.#config = made.config;
    this.pinned = made.pinned;
    const claims = {
      name: made.name,
      memoryBytes: () => this.memoryBytes,
      admit: (changed: VmClaims) => owner.admit(changed),
      schedule: (scheduling: SchedParameters) => this.#seat.call("schedule", scheduling),
    };
    this.#claims = new HostedClaims(claims, made.scheduling, made.resources);
    this.#seat = new PcpuSeat(made.number, link);
    this.nics = new HostedNics({
      networks: owner.networks,
      config: () => this.#config.nics ?? [],
      post: (nic, batch) => this.#seat.sendFrames(nic, batch),
    });
    this.#consoles = new HostedConsoles(made.name, (port, bytes) => this.#input(port, bytes));
  }

  /** Its machine exists: what it is made of is known. @internal */
  made(config: PortableConfig, resources: VmClaims["resources"]): void {
    this.#config = config;
    this.#claims.resources = resources;
    this.#consoles.open(config.serialPorts ?? 1);
  }

  get state(): VmState {
    return this.#state;
  }
  /** What a cold start makes it of. */
  get config(): PortableConfig {
    return this.#config;
  }
  /** A verb is being carried out. */
  get busy(): boolean {
    return this.#verbs > 0;
  }
  /** Index of the pCPU that runs it. */
  get pcpu(): number {
    return this.#seat.pcpu;
  }
  get scheduling(): SchedParameters {
    return this.#claims.scheduling;
  }
  /** What it claims of its host: memory, CPU, and whatever else the host has. */
  get resources(): VmClaims["resources"] {
    return this.#claims.resources;
  }
  /** Its balloon, as the host saw it last; undefined without one, or before the first look. */
  get balloon(): BalloonReport | undefined {
    return this.#balloon;
  }
  /** Guest RAM, bytes. */
  get memoryBytes(): number {
    return this.config.memoryBytes ?? 0;
  }
  /** How its last run ended; undefined before that. */
  get lastExit(): ExitStatus | undefined {
    return this.#lastExit;
  }

  // ---- verbs

  /** Cold start: a new machine, or the one that `create` made. */
  start(): Promise<void> {
    return this.#verb("start", async () => {
      if (this.#state !== "created") {
        await this.#seat.call("destroy");
        await this.#seat.call("create", this.#config, this.#claims.share);
        this.nics.reset();
        this.#setState("created");
        this.#renewScreen();
      }
      await this.#seat.call("start");
    });
  }

  pause(): Promise<void> {
    return this.#verb("pause", () => this.#seat.call("pause"));
  }

  resume(): Promise<void> {
    return this.#verb("resume", () => this.#seat.call("resume"));
  }

  /** The reset button: a warm start. */
  reset(): Promise<void> {
    return this.#verb("reset", () => this.#seat.call("reset"));
  }

  /** Asks the guest to shut down, then makes it; resolves when the VM has ended. */
  stop(options: StopOptions = {}): Promise<ExitStatus> {
    return this.#verb("stop", async () => {
      const ended = this.ended();
      const asks = !options.force && this.#state === "running" && this.config.acpi !== false;
      if (asks && (await this.#seat.call("pressPowerButton"))) {
        if (await settledWithin(ended, options.timeoutMs ?? STOP_TIMEOUT_MS)) return await ended;
      }
      await this.#seat.call("stop", "stopped by the host");
      return await ended;
    });
  }

  /** Writes what it is at this moment; it runs on meanwhile. Throws VmError("bad-state" | "bad-snapshot" | "io"). */
  snapshot(to: SnapshotFile, options: PortableSnapshotOptions = {}): Promise<SnapshotInfo> {
    return this.#verb("snapshot", () => this.#seat.call("snapshot", to, options));
  }

  /** The same as the bytes of a file, to send or to keep elsewhere. */
  snapshotBytes(options: Pick<PortableSnapshotOptions, "compress"> = {}): Promise<Uint8Array> {
    return this.#verb("snapshot", () => this.#seat.call("snapshotBytes", options));
  }

  /** Becomes what the snapshot is; `start` then goes on from there. Throws VmError("bad-snapshot" | "not-found"). */
  restore(from: SnapshotFile | SnapshotBytes, options: Omit<PortableRestoreOptions, "name"> = {}): Promise<void> {
    return this.#verb("restore", async () => {
      await this.#seat.call("destroy");
      try {
        const config = await this.#seat.call("restore", from, { ...options, name: this.name }, this.#claims.share);
        try {
          this.made(config, this.#claims.readmitted(config));
          await this.nics.connect(options.identity !== "same");
        } catch (error) {
          await this.#seat.call("destroy");
          throw error;
        }
      } catch (error) {
        // As it was: a machine that can be started.
        await this.#seat.call("create", this.#config, this.#claims.share);
        throw error;
      } finally {
        this.#setState("created");
        this.#renewScreen();
      }
    });
  }

  /** Ends it, whatever its state, and forgets it. */
  destroy(): Promise<void> {
    return this.#exclusive(async () => {
      if (this.#gone) return;
      await this.#seat.call("destroy").catch(() => {
        // Its pCPU is gone, and the machine with it.
      });
      this.#leave();
    });
  }

  /** False when the guest does not listen to its power button. */
  pressPowerButton(): Promise<boolean> {
    return this.#seat.call("pressPowerButton");
  }

  sendNmi(): Promise<void> {
    return this.#seat.call("sendNmi");
  }

  /** Weight, cap, priority, slice and reservation, while it runs. Throws VmError("bad-config" | "admission"). */
  async schedule(change: Partial<SchedParameters>): Promise<void> {
    await this.#claims.schedule(change);
  }

  /**
   * Reservation, limit and shares of resources, while it runs: `{ memory: { reservation: "64M" } }`. What is left out stays;
   * shares and limit of CPU are its weight and cap. Throws VmError("bad-config" | "admission").
   */
  async setResources(change: ResourcesInput): Promise<void> {
    await this.#claims.setResources(change);
    this.owner.claimsChanged();
  }

  /**
   * So much of its RAM the guest may have from now on: the rest goes to its balloon, as far as the guest gives it.
   * Throws VmError("bad-state") for a VM without a balloon, "bad-config" for more than its RAM.
   */
  async setMemory(bytes: number): Promise<void> {
    const { balloon } = this.#config;
    if (balloon === undefined || balloon === false) {
      throw new VmError("bad-state", `${this.name} has no balloon; make it with balloon: true.`, { vm: this.name });
    }
    const { reservation } = this.memoryClaim;
    await this.setResources({ [MEMORY]: { limit: bytes, reservation: Math.min(reservation, bytes) } });
  }

  /** Rate limits; what is left out stays as it is, null takes a limit away. Throws VmError("bad-config"). */
  setLimits(change: VmLimitsChange): Promise<void> {
    return this.#exclusive(async () => {
      checkLimitsChange("limits", change);
      const ids = [...(this.#config.drives ?? []), ...(this.#config.nics ?? [])].map(({ id }) => id);
      for (const id of Object.keys(change.devices ?? {})) {
        if (ids.includes(id)) continue;
        throw new VmError(
          "bad-config",
          `limits.devices.${id}: ${this.name} has no drive or network card called ${id}; there are: ${ids.join(", ") || "none"}. Kinds are disks, network and console.`,
          { field: `limits.devices.${id}` },
        );
      }
      if (ALIVE.includes(this.#state)) await this.#seat.call("setLimits", change);
      this.#config = { ...this.#config, limits: changeLimits(this.#config.limits ?? {}, change) };
    });
  }

  /**
   * One more disk or network card. A guest that runs hears of it by ACPI (drives on bus virtio); a VM that does not run has it
   * from its next start. Throws VmError: "bad-config" naming the field, "bad-state" where the machine cannot.
   */
  attach(given: NewCard): Promise<void> {
    return this.#exclusive(async () => {
      const card = given.nic ? { nic: withAddress(given.nic, this.number, this.#config.nics ?? []) } : given;
      this.owner.requirePortable(card);
      // A card whose network cannot be reached does not come at all.
      await this.nics.follow(false, card.nic);
      try {
        if (ALIVE.includes(this.#state)) this.#adopt(await this.#seat.call("attachCard", card));
        else this.#adopt(withCard(this.#config, card));
      } finally {
        await this.nics.follow();
      }
    });
  }

  /** Asks the guest for a disk or network card and takes it. Throws VmError: "not-found", "bad-state", "timeout". */
  detach(id: string, options: DetachOptions = {}): Promise<void> {
    return this.#exclusive(async () => {
      if (ALIVE.includes(this.#state)) this.#adopt(await this.#seat.call("detachCard", id, options));
      else this.#adopt(withoutCard(this.#config, id));
    });
  }

  /** Another disc or disk in a CD or floppy drive, or none. Throws VmError: "not-found", "bad-state", "bad-image". */
  changeMedium(drive: string, medium: DiskSource | undefined, force = false): Promise<void> {
    return this.#exclusive(async () => {
      if (ALIVE.includes(this.#state)) this.#adopt(await this.#seat.call("changeMedium", drive, medium, force));
      else this.#adopt(withMedium(this.#config, drive, medium));
    });
  }

  // ---- what it says

  /** "screen" costs the guest what drawing costs, as long as somebody listens. */
  on<K extends keyof VmEvents>(event: K, listener: (event: VmEvents[K]) => void): Disposable {
    const subscription = this.#events.on(event, listener);
    if (event !== "screen") return subscription;
    this.#watchScreen();
    return {
      [Symbol.dispose]: () => {
        subscription[Symbol.dispose]();
        this.#watchScreen();
      },
    };
  }

  /** Resolves when the run that goes on, or comes next, has ended. */
  ended(): Promise<ExitStatus> {
    return new Promise((resolve) => {
      const subscription = this.on("exit", (status) => {
        subscription[Symbol.dispose]();
        resolve(status);
      });
    });
  }

  /** Serial port 0..3; it stays the same over stops and starts. Throws VmError("not-found"). */
  serial(port = 0): ByteConsole {
    return this.#consoles.stream(port);
  }

  /** The last 64 KiB that a serial port printed. */
  scrollback(port = 0): Uint8Array {
    return this.#consoles.scrollback(port);
  }

  /** Types on the guest's PS/2 keyboard; characters that a US layout lacks are skipped. */
  type(text: string): Promise<void> {
    return this.#seat.call("type", text);
  }

  /** Presses combinations of keys such as "ctrl-alt-delete", one after the other. Throws VmError("not-found"). */
  sendKeys(...combinations: string[]): Promise<void> {
    return this.#seat.call("sendKeys", combinations);
  }

  /** A key of it by its KeyboardEvent.code. Rejects with VmError("not-found") for a name that no PC keyboard has. */
  press(code: string): Promise<void> {
    return this.#seat.call("key", code, true);
  }
  release(code: string): Promise<void> {
    return this.#seat.call("key", code, false);
  }

  /** Mouse movement in counts (y up), wheel clicks (down is positive), buttons (1 left, 2 right, 4 middle). */
  moveMouse(dx: number, dy: number, wheel = 0, buttons = 0): Promise<void> {
    return this.#seat.call("moveMouse", dx, dy, wheel, buttons);
  }

  /** What the screen shows now. Rejects with VmError("not-found") for a machine without a display. */
  async screen(): Promise<Screen> {
    return screenOf(await this.#seat.call("frame"));
  }

  async statistics(): Promise<VmStatistics> {
    const statistics = await this.#seat.call("statistics");
    // Its cables end here.
    return { ...statistics, devices: { ...statistics.devices, ...this.nics.timeMetrics() } };
  }

  /** What it got of its pCPU since it came there. */
  async account(): Promise<VcpuAccount | undefined> {
    return (await this.#seat.account()).vcpus.find(({ vcpu }) => vcpu === this.number);
  }

  /** Hex SHA-256 over the machine's state; it must not be running. */
  stateHash(): Promise<string> {
    return this.#seat.call("stateHash");
  }

  // ---- for the host

  /** @internal */
  report(name: ReportedEvent, packed: unknown): void {
    if (name === "state") {
      this.#setState(unpackEvent(name, packed).state);
      return;
    }
    const event = unpackEvent(name, packed);
    if (name === "serial") {
      const { port, bytes } = event as VmEvents["serial"];
      this.#consoles.output(port, bytes);
    }
    if (name === "exit") this.#lastExit = event as ExitStatus;
    if (name === "removed") {
      this.#adopt(droppedCard(this.#config, (event as VmEvents["removed"]).id));
      // Cables that are taken out cannot fail; others are connected by who puts the card in.
      void this.nics.follow().catch(() => {});
    }
    this.#events.emit(name, event);
  }

  /** @internal */
  balloonSeen(report: BalloonReport): void {
    this.#balloon = report;
  }

  /** Nothing where it has no balloon. @internal */
  setBalloonTarget(bytes: number): Promise<void> {
    return this.#seat.call("setBalloonTarget", bytes);
  }

  /** @internal */
  get memoryClaim(): ResourceClaim {
    return this.#claims.memory;
  }

  /** Goes on running on another pCPU. False when it has ended meanwhile. @internal */
  move(to: PcpuLink): Promise<boolean> {
    return this.#exclusive(async () => {
      if (this.#gone) return false;
      try {
        return await this.#seat.move(to, ALIVE.includes(this.#state), this.#config, this.#claims.share);
      } finally {
        this.#renewScreen();
        this.nics.reset();
      }
    });
  }

  /** Its pCPU is gone. @internal */
  lose(link: PcpuLink, error: VmError): void {
    const ran = this.#state === "running" || this.#state === "paused";
    this.#seat.replace(link);
    if (!ran && this.#state !== "created") return;
    this.#setState("crashed");
    this.report("exit", { kind: "crashed", error });
  }

  // ---- inside

  /** What the next start, and another pCPU, makes its drives and network cards of. */
  #adopt(cards: Cards): void {
    const { drives, nics } = cards;
    this.#config = { ...this.#config, ...(drives && { drives }), ...(nics && { nics }) };
  }

  #verb<T>(verb: HostedVmVerb, action: () => Promise<T>): Promise<T> {
    return this.#exclusive(async () => {
      if (this.#gone) throw new VmError("bad-state", `Cannot ${verb} ${this.name}: it has been destroyed.`, {});
      requireLegal(verb, this.name, this.#state);
      return await action();
    });
  }

  #exclusive<T>(action: () => Promise<T>): Promise<T> {
    this.#verbs++;
    const result = this.#busy.then(action).finally(() => {
      this.#verbs--;
    });
    this.#busy = result.catch(() => {});
    return result;
  }

  #input(port: number, bytes: Uint8Array): void {
    if (!ALIVE.includes(this.#state)) return;
    // Whoever types does not wait; a pCPU that is gone reports by itself.
    this.#seat.call("input", port, bytes.slice()).catch(() => {});
  }

  /** Another machine took the place of the one that was told. */
  #renewScreen(): void {
    this.#screenWatched = false;
    this.#watchScreen();
  }

  /** Its machine is told whether anybody looks. */
  #watchScreen(): void {
    const watched = this.#events.has("screen");
    if (watched === this.#screenWatched || !ALIVE.includes(this.#state)) return;
    this.#screenWatched = watched;
    this.#seat.call("watchScreen", watched).catch(() => {});
  }

  #setState(state: VmState): void {
    const previous = this.#state;
    if (state === previous) return;
    this.#state = state;
    this.#events.emit("state", { state, previous });
  }

  #leave(): void {
    this.#gone = true;
    this.nics.close();
    this.#consoles.close();
    this.owner.destroyed(this);
  }
}

async function settledWithin(promise: Promise<unknown>, milliseconds: number): Promise<boolean> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<false>((resolve) => {
    timer = setTimeout(() => resolve(false), milliseconds);
  });
  const inTime = await Promise.race([promise.then(() => true as const), late]);
  clearTimeout(timer);
  return inTime;
}
