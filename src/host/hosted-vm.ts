// A VM of a host, as its users hold it: a name, a state, verbs that are legal in some states and refused in others, and
// consoles that outlive a run. The machine itself lives on a pCPU; this is its handle.
import type { ByteConsole } from "../backends/stream.ts";
import { type Screen, screenOf } from "../display/screen.ts";
import type { SnapshotInfo } from "../snapshot/take.ts";
import type { PortableConfig } from "../vmm/config.ts";
import { VmError } from "../vmm/error.ts";
import { Emitter } from "../vmm/events.ts";
import type { ExitStatus, VmEvents, VmState, VmStatistics } from "../vmm/status.ts";
import { HostedConsoles } from "./hosted-consoles.ts";
import type { VcpuAccount } from "./pcpu.ts";
import type { PcpuLink } from "./pcpu-link.ts";
import { PcpuSeat } from "./pcpu-seat.ts";
import {
  type PortableRestoreOptions,
  type PortableSnapshotOptions,
  type ReportedEvent,
  type SnapshotFile,
  unpackEvent,
  type VmNumber,
} from "./protocol.ts";
import type { ResourcesInput } from "./resources/check-claims.ts";
import { CPU, claimOf, MEMORY, type ResourceClaim, type VmClaims } from "./resources/model.ts";
import { changedResources, checkRunClaims, cpuClaimOf, schedulingOf } from "./resources/run-claims.ts";
import { checkSchedParameters } from "./sched/parameters.ts";
import type { SchedParameters } from "./sched/policy.ts";
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
  /** Throws VmError("admission") where the host cannot hold what these claims promise. */
  admit(claims: VmClaims): void;
  destroyed(vm: HostedVm): void;
}

export class HostedVm {
  readonly name: string;
  readonly number: VmNumber;
  readonly pinned: boolean;
  #config: PortableConfig;
  readonly #events = new Emitter<VmEvents>();
  readonly #consoles: HostedConsoles;
  readonly #seat: PcpuSeat;
  #state: VmState = "created";
  #scheduling: SchedParameters;
  #resources: VmClaims["resources"];
  #lastExit: ExitStatus | undefined;
  /** Verbs wait for the one before them. */
  #busy: Promise<unknown> = Promise.resolve();
  #verbs = 0;
  #gone = false;

  constructor(
    made: HostedVmParts,
    link: PcpuLink,
    private readonly owner: HostedVmOwner,
  ) {
    this.name = made.name;
    this.number = made.number;
    this.#config = made.config;
    this.pinned = made.pinned;
    this.#scheduling = made.scheduling;
    this.#resources = made.resources;
    this.#seat = new PcpuSeat(made.number, link);
    this.#consoles = new HostedConsoles(made.name, (port, bytes) => this.#input(port, bytes));
  }

  /** Its machine exists: what it is made of is known. @internal */
  made(config: PortableConfig, resources: VmClaims["resources"]): void {
    this.#config = config;
    this.#resources = resources;
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
    return this.#scheduling;
  }
  /** What it claims of its host: memory, CPU, and whatever else the host has. */
  get resources(): VmClaims["resources"] {
    return this.#resources;
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
        await this.#seat.call("create", this.#config, this.#scheduling);
        this.#setState("created");
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

  /** Becomes what the snapshot is; `start` then goes on from there. Throws VmError("bad-snapshot" | "not-found"). */
  restore(from: SnapshotFile, options: Omit<PortableRestoreOptions, "name"> = {}): Promise<void> {
    return this.#verb("restore", async () => {
      await this.#seat.call("destroy");
      try {
        const config = await this.#seat.call("restore", from, { ...options, name: this.name }, this.#scheduling);
        this.made(config, await this.#readmitted(config));
      } catch (error) {
        // As it was: a machine that can be started.
        await this.#seat.call("create", this.#config, this.#scheduling);
        throw error;
      } finally {
        this.#setState("created");
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
    const scheduling = checkSchedParameters({ ...this.#scheduling, ...change });
    await this.#adopt(scheduling, { [CPU]: cpuClaimOf(scheduling, this.#scheduling) });
  }

  /**
   * Reservation, limit and shares of resources, while it runs: `{ memory: { reservation: "64M" } }`. What is left out stays;
   * shares and limit of CPU are its weight and cap. Throws VmError("bad-config" | "admission").
   */
  async setResources(change: ResourcesInput): Promise<void> {
    const resources = this.#changed(change);
    const cpu = resources[CPU];
    const scheduling =
      cpu === undefined || change[CPU] === undefined
        ? this.#scheduling
        : checkSchedParameters({ ...this.#scheduling, ...schedulingOf(cpu) });
    await this.#adopt(scheduling, change);
  }

  // ---- what it says

  on<K extends keyof VmEvents>(event: K, listener: (event: VmEvents[K]) => void): Disposable {
    return this.#events.on(event, listener);
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

  /** Moves its PS/2 mouse: counts (y up), wheel clicks (down is positive), buttons (1 left, 2 right, 4 middle). */
  moveMouse(dx: number, dy: number, wheel = 0, buttons = 0): Promise<void> {
    return this.#seat.call("moveMouse", dx, dy, wheel, buttons);
  }

  /** What its screen shows now. Throws VmError("not-found") where it has none. */
  async screen(): Promise<Screen> {
    return screenOf(await this.#seat.call("frame"));
  }

  statistics(): Promise<VmStatistics> {
    return this.#seat.call("statistics");
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
    this.#events.emit(name, event);
  }

  /** Nothing where it has no balloon. @internal */
  setBalloonTarget(bytes: number): Promise<void> {
    return this.#seat.call("setBalloonTarget", bytes);
  }

  /** @internal */
  get memoryClaim(): ResourceClaim {
    return claimOf({ name: this.name, resources: this.#resources }, MEMORY);
  }

  /** Goes on running on another pCPU. False when it has ended meanwhile. @internal */
  move(to: PcpuLink): Promise<boolean> {
    return this.#exclusive(async () => {
      if (this.#gone) return false;
      return await this.#seat.move(to, ALIVE.includes(this.#state), this.#config, this.#scheduling);
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

  #changed(change: ResourcesInput): VmClaims["resources"] {
    const resources = changedResources("resources", this.#resources, change);
    return checkRunClaims("resources", resources, { memoryBytes: this.memoryBytes, scheduling: {} });
  }

  /** A machine with another RAM claims all of it; where the host cannot hold that, it goes again. */
  async #readmitted({ memoryBytes }: PortableConfig): Promise<VmClaims["resources"]> {
    if (memoryBytes === undefined || memoryBytes === this.memoryBytes) return this.#resources;
    const { [MEMORY]: _other, ...rest } = changedResources("resources", this.#resources, {});
    const resources = checkRunClaims("resources", rest, { memoryBytes, scheduling: {} });
    try {
      this.owner.admit({ name: this.name, resources });
    } catch (error) {
      await this.#seat.call("destroy");
      throw error;
    }
    return resources;
  }

  async #adopt(scheduling: SchedParameters, change: ResourcesInput): Promise<void> {
    const [before, resources] = [this.#resources, this.#changed(change)];
    this.owner.admit({ name: this.name, resources });
    // From here on others are admitted against the new claims.
    this.#resources = resources;
    try {
      if (scheduling !== this.#scheduling) await this.#seat.call("schedule", scheduling);
    } catch (error) {
      if (this.#resources === resources) this.#resources = before;
      throw error;
    }
    this.#scheduling = scheduling;
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

  #setState(state: VmState): void {
    const previous = this.#state;
    if (state === previous) return;
    this.#state = state;
    this.#events.emit("state", { state, previous });
  }

  #leave(): void {
    this.#gone = true;
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
