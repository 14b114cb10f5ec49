// The VM as users hold it: its life cycle, its consoles, its events and its end.
import type { ByteConsole } from "../backends/stream.ts";
import { prepareBoot } from "../boot/index.ts";
import type { Frame } from "../display/frame.ts";
import { type Screen, screenOf } from "../display/screen.ts";
import { loadPlatform, type MemoryKind, type Platform } from "../platform/platform.ts";
import { openSnapshot, type RestoreOptions, type SnapshotName } from "../snapshot/restore.ts";
import { type SnapshotInfo, type SnapshotOptions, SnapshotTaker } from "../snapshot/take.ts";
import type { Vcpu } from "../vcpu/vcpu.ts";
import type { BlockBackend } from "./block.ts";
import type { VirtioSet } from "./board-virtio.ts";
import { type CheckedConfig, checkConfig, toConfig } from "./check-config.ts";
import type { ClockKind, PortableConfig, ResumeTime, VmConfig } from "./config.ts";
import type { BreakConditions } from "./debug-controls.ts";
import type { DetachedVm } from "./detached-vm.ts";
import type { ByteBackend, GuestMemory } from "./device.ts";
import type { DiskSource } from "./device-config.ts";
import { VmError } from "./error.ts";
import { Emitter } from "./events.ts";
import type { Executor } from "./executor.ts";
import { Keyboard } from "./keyboard.ts";
import { Machine, type MachineEvents } from "./machine.ts";
import { loadMachine, saveMachine } from "./machine-state.ts";
import { makeOutputs, type Outputs } from "./outputs.ts";
import { RunLoop } from "./run-loop.ts";
import { ScreenWatch } from "./screen-watch.ts";
import { SoloExecutor } from "./solo-executor.ts";
import { hashState } from "./state-hash.ts";
import { collectStatistics, loadUse, saveUse } from "./statistics.ts";
import type { DebugStop, ExitStatus, ResetCause, TraceKind, VmEvents, VmState, VmStatistics } from "./status.ts";

interface RestWork {
  readonly work: () => void;
  readonly done: () => void;
  readonly failed: (error: unknown) => void;
}

/** Where a VM runs; by default alone, in memory of this thread. */
export interface VmPlacement {
  readonly executor?: Executor;
  readonly memory?: MemoryKind;
}

export class Vm implements AsyncDisposable {
  readonly name: string;
  /** Resolves once, when the VM has ended; never rejects. */
  readonly exited: Promise<ExitStatus>;
  readonly keyboard: Keyboard;
  readonly debugcon: ByteConsole;
  readonly parallel: ByteConsole;

  #state: VmState = "created";
  readonly #machine: Machine;
  readonly #loop: RunLoop;
  readonly #events: Emitter<VmEvents>;
  readonly #outputs: Outputs;
  #resolveExited: (status: ExitStatus) => void = () => {};
  /** The loop is to park: pause() waits for it. */
  #pauseRequested = false;
  #driving: Promise<void> | undefined;
  #closed: Promise<void> | undefined;
  /** Another thread takes over: the loop parks, and nobody hears of it. */
  #detaching = false;
  #resets = 0;
  #hostNs = 0;
  #runningSince = 0;
  #timeout: ReturnType<typeof setTimeout> | undefined;
  readonly #screenWatch: ScreenWatch | undefined;
  readonly #onAbort: () => void;
  readonly #snapshots: SnapshotTaker;
  /** What waits for the vCPU to stand between two instructions. */
  readonly #atRest: RestWork[] = [];

  private constructor(
    private readonly config: CheckedConfig,
    private readonly platform: Platform,
    machine: Machine,
    events: Emitter<VmEvents>,
    outputs: Outputs,
    hooks: { wake: () => void },
    private readonly executor: Executor,
  ) {
    this.name = config.name;
    this.#machine = machine;
    this.#events = events;
    this.#outputs = outputs;
    this.debugcon = outputs.debugcon.console;
    this.parallel = outputs.parallel.console;
    this.keyboard = new Keyboard(machine.board.keyboard, () => {
      if (this.#state === "stopped" || this.#state === "crashed") this.#refuse("type to", "created, running or paused");
    });
    this.exited = new Promise((resolve) => {
      this.#resolveExited = resolve;
    });
    this.#loop = new RunLoop(
      machine.core,
      machine.vcpu,
      machine.clock,
      machine.clockSync,
      machine,
      platform,
      executor,
      () => this.#pauseRequested || this.#atRest.length > 0 || machine.requested,
      () => this.#turn(),
      config.psPerInstruction,
    );
    hooks.wake = () => this.#loop.wake();
    for (const [n, uart] of machine.board.uarts.entries())
      outputs.serial[n]?.console.onInput((bytes) => uart.receive(bytes));
    const { vga } = machine.board;
    this.#screenWatch =
      vga &&
      new ScreenWatch(
        () => vga.frame(),
        () => platform.monotonicNs(),
        () => events.has("screen"),
        (frame) => events.emit("screen", { screen: screenOf(frame) }),
      );
    this.#snapshots = new SnapshotTaker(machine, config, platform, (work) => this.#rest(work));
    this.#onAbort = () => void this.stop(config.signal?.reason);
    config.signal?.addEventListener("abort", this.#onAbort, { once: true });
  }

  /**
   * Makes a VM, loaded and ready to start. Throws VmError: "bad-config" names the field, "bad-image" the image and what is
   * wrong with it, "host" what the host lacks.
   */
  static async create(config: VmConfig, placement: VmPlacement = {}): Promise<Vm> {
    const checked = checkConfig(config);
    checked.signal?.throwIfAborted();
    const vm = await Vm.#build(checked, placement, (platform, events) =>
      Machine.create(checked, platform, events, placement.memory),
    );
    try {
      await vm.#machine.powerOn((board) => prepareBoot(checked.boot, board));
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
      Machine.adopt(checked, platform, events, detached.memory),
    );
    const machine = vm.#machine;
    loadMachine(machine, detached.machine, "adopted");
    loadUse(machine, vm.#loop, detached.use);
    vm.#hostNs = detached.use.hostNs;
    vm.#resets = detached.use.resets;
    vm.#state = detached.state;
    if (detached.state === "running") {
      // A real clock went on meanwhile; a virtual one only moves with its vCPU.
      if (machine.clock.kind === "real") machine.clock.skip(vm.platform.monotonicNs() - detached.stoppedAtNs);
      vm.#run();
    }
    return vm;
  }

  /**
   * Makes a VM of a snapshot, ready to start, as it was when that was taken. Throws VmError: "not-found", or
   * "bad-snapshot" naming what is damaged, what this build lacks, or the field of `options.config` that cannot be another.
   */
  static async restore(from: SnapshotName, options: RestoreOptions = {}, placement: VmPlacement = {}): Promise<Vm> {
    options.config?.signal?.throwIfAborted();
    const opened = await openSnapshot(from, options, await loadPlatform());
    try {
      const vm = await Vm.#build(opened.config, placement, (platform, events) =>
        opened.fill(() => Machine.create(opened.config, platform, events, placement.memory)),
      );
      if (options.track) vm.#snapshots.trackFrom(opened.id);
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
    });
    const executor = placement.executor ?? new SoloExecutor(platform);
    return new Vm(config, platform, machine, events, outputs, hooks, executor);
  }

  // ---- life cycle

  /** The configuration that another thread, or a cold start, makes the same machine of. */
  get portableConfig(): PortableConfig {
    const { signal: _signal, core: _core, timeoutMs: _timeoutMs, ...portable } = toConfig(this.config);
    return portable;
  }

  /** What its clock follows. */
  get clock(): ClockKind {
    return this.config.clock;
  }

  get state(): VmState {
    return this.#state;
  }

  /** Begins to run. Throws VmError("bad-state") unless the VM was just created. */
  start(): void {
    if (this.#state !== "created") this.#refuse("start", "created");
    if (this.config.timeoutMs !== undefined) {
      this.#timeout = setTimeout(() => this.#timedOut(), this.config.timeoutMs);
    }
    this.#run();
  }

  /** Resolves when the vCPU stands still, between two instructions. */
  async pause(): Promise<void> {
    if (this.#state !== "running") this.#refuse("pause", "running");
    this.#pauseRequested = true;
    this.#loop.wake();
    await this.#driving;
  }

  /** Goes on. `time` says where guest time goes on, whatever clockSync says; the clock never goes back. */
  resume(options: { readonly time?: ResumeTime } = {}): void {
    if (this.#state !== "paused") this.#refuse("resume", "paused");
    this.#machine.leaveStop();
    this.#run(options.time);
  }

  /** Presses the reset button; the VM keeps running, or stays paused. */
  async reset(): Promise<void> {
    if (this.#state === "running") {
      this.#machine.requestReset("host");
      return;
    }
    if (this.#state !== "paused" && this.#state !== "created") this.#refuse("reset", "running, paused or created");
    await this.#reset("host");
  }

  /** Ends the VM at once, whatever its state. */
  async stop(reason?: unknown): Promise<ExitStatus> {
    if (this.#state === "running") {
      this.#machine.end({ kind: "killed", reason });
      await this.#driving;
    } else if (this.#state === "created" || this.#state === "paused") {
      this.#end({ kind: "killed", reason });
    }
    return this.exited;
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
    this.#machine.requireLastingDisks("snapshot");
    return await this.#snapshots.take(options);
  }

  /** Stops the VM and waits until its disks are closed. Rejects with VmError("io") when data of them may be lost. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop("disposed");
    await this.#closed;
  }

  /**
   * Takes the VM off this thread between two instructions; this object is of no more use. Undefined when it has ended
   * meanwhile. Its memory must be shared.
   * @internal
   */
  async detach(): Promise<DetachedVm | undefined> {
    this.#machine.requireLastingDisks("move");
    this.#detaching = true;
    if (this.#state === "running") {
      this.#pauseRequested = true;
      this.#loop.wake();
      await this.#driving;
    }
    const state = this.#state;
    if (state !== "running" && state !== "paused" && state !== "created") return undefined;
    const stoppedAtNs = this.platform.monotonicNs();
    this.#outputs.flush();
    const machine = saveMachine(this.#machine);
    // The other thread opens its disks anew.
    await this.#machine.dispose();
    const use = saveUse(this.#machine, this.#loop, this.#hostNs, this.#resets);
    return { memory: this.#machine.memory, machine, state, stoppedAtNs, use };
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
    return screenOf(this.frame());
  }

  /** The screen as it crosses threads. @internal */
  frame(): Frame {
    const { vga } = this.#machine.board;
    if (vga === undefined)
      throw new VmError("not-found", `This machine has no screen; make it with display: "vga".`, { field: "display" });
    return vga.frame();
  }

  /** Types text on its keyboard, as fast as the guest takes it; see `keyboard.type`. Returns how many characters it has. */
  type(text: string): number {
    return this.keyboard.type(text);
  }

  statistics(): VmStatistics {
    const running = this.#driving !== undefined ? this.platform.monotonicNs() - this.#runningSince : 0;
    return collectStatistics(this.#machine, this.#loop, this.#hostNs + running, this.#resets);
  }

  /** Hex SHA-256 over the architectural state, devices and RAM. The VM must not be running. */
  async stateHash(): Promise<string> {
    if (this.#state === "running") this.#refuse("hash", "paused, created or stopped");
    const { memory, map, vcpu } = this.#machine;
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
    if (this.#state === "stopped" || this.#state === "crashed")
      this.#refuse("change a medium of", "created, running or paused");
    await this.#machine.changeMedium(drive, medium, options.force ?? false);
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
  async step(instructions = 1): Promise<DebugStop> {
    if (this.#state !== "paused" && this.#state !== "created") this.#refuse("step", "paused or created");
    if (!Number.isInteger(instructions) || instructions < 1) {
      throw new VmError("bad-config", `step takes a number of instructions from 1; ${instructions} given.`, {
        instructions,
      });
    }
    const machine = this.#machine;
    if (this.#state === "created") this.#setState("paused");
    machine.clock.start();
    try {
      const end = machine.vcpu.retired + instructions;
      do {
        await this.#loop.step(end - machine.vcpu.retired);
        await machine.settleHold();
      } while (machine.vcpu.retired < end && !machine.requested);
    } catch (error) {
      machine.crash(asVmError(error));
    }
    machine.clock.stop();
    this.#outputs.flush();
    const stop = machine.requests.debug ?? { reason: "step", address: machine.vcpu.pc };
    machine.requests.debug = undefined;
    if (machine.requests.reset !== undefined) await this.#takeReset();
    if (machine.requests.end !== undefined) this.#end(machine.requests.end);
    return stop;
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
    this.#loop.wake();
  }

  // ---- inside

  #turn(): void {
    this.#outputs.flush();
    this.#screenWatch?.turn();
  }

  #timedOut(): void {
    if (this.#state === "running") this.#machine.end({ kind: "timeout" });
    else this.#end({ kind: "timeout" });
  }

  #run(time?: ResumeTime): void {
    this.#pauseRequested = false;
    this.#setState("running");
    this.#runningSince = this.platform.monotonicNs();
    this.#machine.clockSync.start(time);
    this.#driving = this.#drive();
  }

  /** Runs until the VM is paused or has ended; never rejects. */
  async #drive(): Promise<void> {
    const { requests } = this.#machine;
    try {
      // The first instructions run after start() or resume() has returned.
      await this.platform.yieldToEventLoop();
      while (true) {
        await this.#loop.run();
        this.#turn();
        if (requests.end !== undefined) return this.#park(requests.end);
        if (requests.hold !== undefined) await this.#machine.settleHold();
        else if (requests.reset !== undefined) await this.#takeReset();
        else if (this.#atRest.length > 0 && requests.debug === undefined) this.#workAtRest();
        else return this.#park(undefined);
      }
    } catch (error) {
      this.#park({ kind: "crashed", error: asVmError(error) });
    }
  }

  /** Calls `work` with the vCPU between two instructions and the clock standing, whatever the VM's state. */
  async #rest(work: () => void): Promise<void> {
    if (this.#state === "stopped" || this.#state === "crashed") this.#refuse("snapshot", "running, paused or created");
    if (this.#driving === undefined) return work();
    await new Promise<void>((done, failed) => {
      this.#atRest.push({ work, done, failed });
      this.#loop.wake();
    });
  }

  #workAtRest(): void {
    this.#machine.clock.stop();
    for (const { work, done, failed } of this.#atRest.splice(0)) {
      try {
        work();
        done();
      } catch (error) {
        failed(error);
      }
    }
    if (this.#driving !== undefined) this.#machine.clockSync.start();
  }

  #park(end: ExitStatus | undefined): void {
    this.#machine.clock.stop();
    this.#hostNs += this.platform.monotonicNs() - this.#runningSince;
    this.#pauseRequested = false;
    this.#driving = undefined;
    if (end !== undefined) {
      this.#end(end);
      return;
    }
    this.#workAtRest();
    if (this.#detaching) return;
    this.#setState("paused");
    const stop = this.#machine.requests.debug;
    this.#machine.requests.debug = undefined;
    if (stop !== undefined) this.#events.emit("debug-stop", stop);
  }

  async #takeReset(): Promise<void> {
    const { requests } = this.#machine;
    const cause = requests.reset ?? "host";
    requests.reset = undefined;
    if (this.config.onReset === "exit" && cause !== "host") requests.end ??= { kind: "reset", cause };
    else await this.executor.bill(() => this.#reset(cause));
  }

  async #reset(cause: ResetCause): Promise<void> {
    this.#resets++;
    await this.#machine.powerOn((board) => prepareBoot(this.config.boot, board));
    // A guest that resets itself again and again leaves others their turn.
    await this.platform.yieldToEventLoop();
    this.#events.emit("reset", { cause });
  }

  #end(status: ExitStatus): void {
    if (this.#state === "stopped" || this.#state === "crashed") return;
    for (const { failed } of this.#atRest.splice(0)) {
      failed(new VmError("bad-state", "The VM ended before it could be brought to rest.", { state: this.#state }));
    }
    clearTimeout(this.#timeout);
    this.config.signal?.removeEventListener("abort", this.#onAbort);
    this.#outputs.flush();
    this.#outputs.close();
    this.#screenWatch?.dispose();
    this.#closed = this.#machine.dispose();
    // Whoever disposes of the VM is told.
    this.#closed.catch(() => {});
    this.#setState(status.kind === "crashed" ? "crashed" : "stopped");
    this.#resolveExited(status);
    this.#events.emit("exit", status);
  }

  #setState(state: VmState): void {
    const previous = this.#state;
    if (state === previous) return;
    this.#state = state;
    this.#events.emit("state", { state, previous });
  }

  #refuse(verb: string, wanted: string): never {
    throw new VmError("bad-state", `Cannot ${verb} a VM that is ${this.#state}; it must be ${wanted}.`, {
      state: this.#state,
    });
  }
}

function asVmError(error: unknown): VmError {
  if (error instanceof VmError) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new VmError("internal", `The machine failed inside the host: ${message}.`, {}, { cause: error });
}
