// The VM as users hold it: verbs, consoles, events, and a look inside. What the verbs do is life-cycle.ts.
import type { ByteConsole } from "../backends/stream.ts";
import { prepareBoot } from "../boot/index.ts";
import { type Screen, screenOf } from "../display/screen.ts";
import { loadPlatform, type MemoryKind, type Platform } from "../platform/platform.ts";
import type { RestoreOptions, SnapshotName } from "../snapshot/restore.ts";
import type { SnapshotInfo, SnapshotOptions, SnapshotTaker } from "../snapshot/take.ts";
import type { Vcpu } from "../vcpu/vcpu.ts";
import type { BlockBackend } from "./block.ts";
import { type CheckedConfig, checkConfig, requireNetworkCards, toConfig } from "./check-config.ts";
import type { ClockKind, PortableConfig, ResumeTime, VmConfig } from "./config.ts";
import type { BreakConditions } from "./debug-controls.ts";
import type { DetachedVm } from "./detached-vm.ts";
import type { ByteBackend, GuestMemory } from "./device.ts";
import type { DiskSource, DriveConfig, NicConfig, VmLimitsChange } from "./device-config.ts";
import { VmError } from "./error.ts";
import { Emitter } from "./events.ts";
import type { Executor } from "./executor.ts";
import type { DetachOptions } from "./hotplug.ts";
import { Keyboard } from "./keyboard.ts";
import { LifeCycle } from "./life-cycle.ts";
import { Machine, type MachineEvents } from "./machine.ts";
import { loadMachine } from "./machine-state.ts";
import type { ConnectNic } from "./nics.ts";
import { makeOutputs, type Outputs } from "./outputs.ts";
import { powerOn } from "./power-on.ts";
import { ScreenWatch } from "./screen-watch.ts";
import { SoloExecutor } from "./solo-executor.ts";
import { hashState } from "./state-hash.ts";
import type { DebugStop, ExitStatus, TraceKind, VmEvents, VmState, VmStatistics } from "./status.ts";
import type { VirtioSet } from "./virtio-set.ts";

/** Where a VM runs; by default alone, in memory of this thread. */
export interface VmPlacement {
  readonly executor?: Executor;
  readonly memory?: MemoryKind;
  /** Connects its cards; by default the machine does so itself. */
  readonly connectNic?: ConnectNic;
}

export class Vm implements AsyncDisposable {
  readonly name: string;
  readonly keyboard: Keyboard;
  readonly debugcon: ByteConsole;
  readonly parallel: ByteConsole;

  readonly #machine: Machine;
  readonly #life: LifeCycle;
  readonly #events: Emitter<VmEvents>;
  readonly #outputs: Outputs;
  /** Made when it is asked for. */
  #snapshots: Promise<SnapshotTaker> | undefined;

  private constructor(
    private readonly config: CheckedConfig,
    private readonly platform: Platform,
    machine: Machine,
    events: Emitter<VmEvents>,
    outputs: Outputs,
    hooks: { wake: () => void },
    executor: Executor,
  ) {
    this.name = config.name;
    this.#machine = machine;
    this.#events = events;
    this.#outputs = outputs;
    this.debugcon = outputs.debugcon.console;
    this.parallel = outputs.parallel.console;
    this.keyboard = new Keyboard(machine.board.keyboard, () => {
      if (this.#life.ended) this.#life.refuse("type to", "created, running or paused");
    });
    for (const [n, uart] of machine.board.uarts.entries())
      outputs.serial[n]?.console.onInput((bytes) => uart.receive(bytes));
    const { vga } = machine.board;
    const screenWatch =
      vga &&
      new ScreenWatch(
        () => vga.frame(),
        () => platform.monotonicNs(),
        () => events.has("screen"),
        (frame) => events.emit("screen", { screen: screenOf(frame) }),
      );
    this.#life = new LifeCycle({ config, platform, machine, events, outputs, executor, screenWatch });
    hooks.wake = () => this.#life.wake();
  }

  /**
   * Makes a VM, loaded and ready to start. Throws VmError: "bad-config" names the field, "bad-image" the image and what is
   * wrong with it, "host" what the host lacks.
   */
  static async create(config: VmConfig, placement: VmPlacement = {}): Promise<Vm> {
    const checked = checkConfig(config);
    // A host has looked when the VM was made: it starts again without the cards that its guest ejected.
    if (placement.executor === undefined) requireNetworkCards(config, checked);
    checked.signal?.throwIfAborted();
    const vm = await Vm.#build(checked, placement, (platform, events) =>
      Machine.create(checked, platform, events, placement.memory, placement.connectNic),
    );
    try {
      await powerOn(vm.#machine, (board) => prepareBoot(checked.boot, board));
    } catch (error) {
      await vm.#machine.dispose();
      throw error;
    }
    return vm;
  }

  /**
   * Goes on with a VM that another thread detached, of the same configuration.
   * Throws VmError("bad-snapshot") where the two do not fit.
   * @internal
   */
  static async attach(config: VmConfig, detached: DetachedVm, placement: VmPlacement): Promise<Vm> {
    const checked = checkConfig(config);
    const vm = await Vm.#build(checked, placement, (platform, events) =>
      Machine.adopt(checked, platform, events, detached.memory, placement.connectNic),
    );
    loadMachine(vm.#machine, detached.machine, "adopted");
    vm.#life.adopt(detached);
    return vm;
  }

  /**
   * Makes a VM of a snapshot, ready to start, as it was when that was taken. Throws VmError: "not-found", or
   * "bad-snapshot" naming what is damaged, what this build lacks, or the field of `options.config` that cannot be another.
   */
  static async restore(from: SnapshotName, options: RestoreOptions = {}, placement: VmPlacement = {}): Promise<Vm> {
    options.config?.signal?.throwIfAborted();
    const { openSnapshot } = await import("../snapshot/restore.ts");
    const opened = await openSnapshot(from, options, await loadPlatform());
    try {
      const vm = await Vm.#build(opened.config, placement, (platform, events) =>
        opened.fill(() => Machine.create(opened.config, platform, events, placement.memory, placement.connectNic)),
      );
      if (options.track) (await vm.#snapshotTaker()).trackFrom(opened.id);
      return vm;
    } finally {
      await opened.close();
    }
  }

  /** Several VMs from one snapshot, each with an identity of its own; `options` are asked for each, counted from 0. */
  static async clone(
    from: SnapshotName,
    count: number,
    options: (copy: number) => Omit<RestoreOptions, "identity"> = () => ({}),
  ): Promise<Vm[]> {
    const vms: Vm[] = [];
    try {
      for (let copy = 0; copy < count; copy++) vms.push(await Vm.restore(from, { ...options(copy), identity: "new" }));
    } catch (error) {
      // All of them or none.
      for (const vm of vms) await vm.stop("another copy could not be made");
      throw error;
    }
    return vms;
  }

  static async #build(
    config: CheckedConfig,
    placement: VmPlacement,
    build: (platform: Platform, events: MachineEvents) => Promise<Machine>,
  ): Promise<Vm> {
    const platform = await loadPlatform();
    const events = new Emitter<VmEvents>();
    const outputs = makeOutputs(config, events);
    const hooks = { wake: (): void => {} };
    const machine = await build(platform, {
      serial: (port, byte) => outputs.serial[port]?.put(byte),
      debugcon: (byte) => outputs.debugcon.put(byte),
      firmwareLog: (byte) => outputs.debugcon.put(byte),
      parallel: (byte) => outputs.parallel.put(byte),
      post: (code) => events.emit("post", { code }),
      wake: () => hooks.wake(),
      trace: (event) => events.emit("trace", event),
      removed: (kind, id) => events.emit("removed", { kind, id }),
    });
    const executor = placement.executor ?? new SoloExecutor(platform);
    return new Vm(config, platform, machine, events, outputs, hooks, executor);
  }

  // ---- life cycle

  /** The configuration that another thread, or a cold start, makes the same machine of. */
  get portableConfig(): PortableConfig {
    const { signal: _signal, core: _core, timeoutMs: _timeoutMs, ...portable } = toConfig(this.#machine.config);
    return portable;
  }

  /** What its clock follows. */
  get clock(): ClockKind {
    return this.config.clock;
  }

  get state(): VmState {
    return this.#life.state;
  }

  /** Resolves once, when the VM has ended; never rejects. */
  get exited(): Promise<ExitStatus> {
    return this.#life.exited;
  }

  /** Begins to run. Throws VmError("bad-state") unless the VM was just created. */
  start(): void {
    this.#life.start();
  }

  /** Resolves when the vCPU stands still, between two instructions. */
  pause(): Promise<void> {
    return this.#life.pause();
  }

  /** Goes on. `time` says where guest time goes on, whatever clockSync says; the clock never goes back. */
  resume(options: { readonly time?: ResumeTime } = {}): void {
    this.#life.resume(options.time);
  }

  /** Presses the reset button; the VM keeps running, or stays paused. */
  reset(): Promise<void> {
    return this.#life.reset();
  }

  /** Ends the VM at once, whatever its state. */
  stop(reason?: unknown): Promise<ExitStatus> {
    return this.#life.stop(reason);
  }

  /** Asks the guest to shut down (ACPI); false when it does not listen. Throws VmError("bad-state") on a machine without ACPI. */
  pressPowerButton(): boolean {
    const { pm } = this.#machine.board;
    if (pm === undefined) throw new VmError("bad-state", "A machine without ACPI has no power button.");
    return pm.pressPowerButton();
  }

  /**
   * Writes the whole VM to a store; a running one stands still meanwhile for as long as its memory takes to copy, and runs
   * on while it is written. Throws VmError: "bad-state" for one that has ended, "bad-snapshot" for a parent that does not
   * fit, "io" when it cannot be written; then nothing of it is left and an older one of that name is as it was.
   */
  async snapshot(options: SnapshotOptions): Promise<SnapshotInfo> {
    return await (await this.#snapshotTaker()).take(options);
  }

  #snapshotTaker(): Promise<SnapshotTaker> {
    this.#snapshots ??= import("../snapshot/take.ts").then(
      ({ SnapshotTaker }) =>
        new SnapshotTaker(this.#machine, this.platform, (work) => this.#life.rest("snapshot", work)),
      (error: unknown) => {
        // The page's server may answer again.
        this.#snapshots = undefined;
        throw error;
      },
    );
    return this.#snapshots;
  }

  /** Stops the VM and waits until its disks are closed. Rejects with VmError("io") when data of them may be lost. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop("disposed");
    await this.#machine.absent.dispose();
    await this.#life.closed;
  }

  /**
   * Takes the VM off this thread between two instructions; this object is of no more use. Undefined when it has ended
   * meanwhile. Its memory must be shared.
   * @internal
   */
  async detach(): Promise<DetachedVm | undefined> {
    this.#machine.requireLastingDisks("move");
    return await this.#life.detach();
  }

  // ---- what it says

  on<K extends keyof VmEvents>(event: K, listener: (event: VmEvents[K]) => void): Disposable {
    return this.#events.on(event, listener);
  }

  /** How many 16550s it has. */
  get serialPorts(): number {
    return this.config.serialPorts;
  }

  /** Serial port 0..3 as Web Streams. Throws VmError("not-found") when the machine does not have it. */
  serial(port = 0): ByteConsole {
    const output = this.#outputs.serial[port];
    if (output === undefined)
      throw new VmError(
        "not-found",
        `This machine has ${this.config.serialPorts} serial ports; there is no port ${port}.`,
        { port },
      );
    return output.console;
  }

  /** What the screen shows now, or showed at the end. Throws VmError("not-found") for a machine without a display. */
  screen(): Screen {
    const { vga } = this.#machine.board;
    if (vga === undefined)
      throw new VmError("not-found", `This machine has no screen; make it with display: "vga".`, { field: "display" });
    return screenOf(vga.frame());
  }

  /** Types text on its keyboard, as fast as the guest takes it; see `keyboard.type`. Returns how many characters it has. */
  type(text: string): number {
    return this.keyboard.type(text);
  }

  statistics(): VmStatistics {
    return this.#life.statistics();
  }

  /** Hex SHA-256 over the architectural state, devices and RAM. The VM must not be running. */
  async stateHash(): Promise<string> {
    if (this.state === "running") this.#life.refuse("hash", "paused, created or stopped");
    const { memory, map, vcpu, absent } = this.#machine;
    absent.complete();
    return await hashState(memory, map, [vcpu], this.#machine.saveDevices(), this.platform.sha256);
  }

  // ---- media

  /**
   * Puts another disc or disk into a CD or floppy drive, or takes it out. Throws VmError: "not-found" for a drive that has no
   * medium to change, "bad-state" while the guest has locked it, unless forced, "bad-image" for what does not fit.
   */
  async changeMedium(
    drive: string,
    medium?: BlockBackend | DiskSource,
    options: { readonly force?: boolean } = {},
  ): Promise<void> {
    this.#requireMachine("change a medium of");
    await this.#machine.changeMedium(drive, medium, options.force ?? false);
  }

  /** Other rate limits, while it runs; what is left out stays as it is, null takes a limit away. Throws VmError("bad-config" | "bad-state"). */
  setLimits(limits: VmLimitsChange): void {
    this.#requireMachine("limit");
    this.#machine.setLimits(limits);
  }

  // ---- drives and network cards that come and go

  /**
   * Puts a disk (bus virtio) into the machine; the guest hears of it by ACPI. Throws VmError: "bad-config" naming the field,
   * "bad-state" where the machine cannot, and what opening the disk throws.
   */
  async attachDrive(drive: DriveConfig): Promise<void> {
    this.#requireMachine("attach a drive to");
    await this.#machine.hotplug.attachDrive(drive);
  }

  /** Puts a network card into the machine, as attachDrive does a disk. */
  async attachNic(nic: NicConfig): Promise<void> {
    this.#requireMachine("attach a network card to");
    await this.#machine.hotplug.attachNic(nic);
  }

  /**
   * Asks the guest for a disk or network card, by its id, and takes it once it has let go. Throws VmError: "not-found",
   * "bad-state" where the guest cannot be asked, "timeout" when it keeps it.
   */
  async detachDevice(id: string, options: DetachOptions = {}): Promise<void> {
    this.#requireMachine("detach a device from");
    if (this.state === "paused" && !options.force) this.#life.refuse("ask for a device of", "running, or use force");
    await this.#machine.hotplug.detach(id, options);
  }

  #requireMachine(verb: string): void {
    if (this.#life.ended) this.#life.refuse(verb, "created, running or paused");
  }

  // ---- looking inside and debugging

  /** Guest-physical memory. */
  get memory(): GuestMemory {
    return this.#machine.guest;
  }

  /** The virtio devices that have something to say to the host. */
  get virtio(): VirtioSet {
    return this.#machine.board.virtio;
  }

  vcpu(index = 0): Vcpu {
    if (index !== 0) throw new VmError("not-found", `This machine has one vCPU; there is no vCPU ${index}.`, { index });
    return this.#machine.vcpu;
  }

  /** Executes instructions one at a time; stops early at what the debugger breaks on. */
  step(instructions = 1): Promise<DebugStop> {
    return this.#life.step(instructions);
  }

  /** Breakpoints on linear addresses, at most 32; replaces those set before. */
  setBreakpoints(addresses: readonly number[]): void {
    this.#machine.debugControls.setBreakpoints(addresses);
  }

  /** What else stops the guest; replaces what was set before. */
  breakOn(what: BreakConditions): void {
    this.#machine.debugControls.setBreaks(what);
  }

  setTrace(kinds: readonly TraceKind[]): void {
    this.#machine.setTrace(kinds);
  }

  /** Connects a backend to a serial port, both ways, until disposed of. */
  attachSerial(port: number, backend: ByteBackend): Disposable {
    const console = this.serial(port);
    const output = this.on("serial", (event) => {
      if (event.port === port) backend.write(event.bytes);
    });
    const input = backend.onInput((bytes) => console.write(bytes));
    return {
      [Symbol.dispose]: () => {
        output[Symbol.dispose]();
        input.dispose();
      },
    };
  }

  /** Asserts the NMI pin once, as a "dump" button does; the RTC's index port may mask it. */
  sendNmi(): void {
    if (this.#machine.board.rtc.nmiMasked) return;
    this.#machine.core.raiseNmi(this.#machine.vcpu.address);
    this.#life.wake();
  }
}
