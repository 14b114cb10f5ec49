// The machine of one VM: its memory, core, vCPU, buses and board, and what exit handlers and devices ask of it. It
// knows nothing of the host's event loop or of the VM's life cycle; those are run-loop.ts and life-cycle.ts.
import { CTRL_FLAGS, CTRLF_HLT, FERR_IGNNE, FPU_FERR } from "../../spec/layout.ts";
import { CONTROLS } from "../../spec/virtualization.ts";
import { VRAM_AREA_BYTES } from "../devices/vga/vga.ts";
import type { MemoryKind, Platform } from "../platform/platform.ts";
import { buildCpuid, type CpuModel, installCpuModel } from "../vcpu/cpu-model.ts";
import { Vcpu } from "../vcpu/vcpu.ts";
import { AbsentPages } from "./absent-pages.ts";
import type { BlockBackend, MaybePromise } from "./block.ts";
import { type Board, type BoardEvents, buildBoard } from "./board.ts";
import { MmioBus, PortBus } from "./bus.ts";
import { type CheckedConfig, checkFirmwareSize, VIRTUAL_EPOCH_SECONDS } from "./check-config.ts";
import { checkLimitsChange } from "./check-devices.ts";
import type { CheckedNic } from "./check-network.ts";
import { VmClock } from "./clock.ts";
import { ClockSync } from "./clock-sync.ts";
import { type Core, type CoreImports, instantiateCore } from "./core.ts";
import { corePortRanges } from "./core-ports.ts";
import { DebugControls } from "./debug-controls.ts";
import type { DeviceState } from "./device.ts";
import type { DiskSource, DriveConfig, VmLimitsChange } from "./device-config.ts";
import { type DeviceFamilies, loadFamilies } from "./device-families.ts";
import { DirtyLog } from "./dirty-log.ts";
import { heldBackend, type OpenDrive, OpenDrives } from "./drives.ts";
import { VmError } from "./error.ts";
import type { ExitContext } from "./exits/handler.ts";
import { SlotMemory } from "./guest-memory.ts";
import { type CardKind, Hotplug } from "./hotplug.ts";
import { type Hypercalls, hypercalls } from "./hypercalls.ts";
import { IrqWiring } from "./irq.ts";
import { IrqLog } from "./irq-log.ts";
import { applyLimits, changeLimits } from "./limits.ts";
import { allocateMemory, checkHeader, layOut, type MemoryMap, vcpuAddress, writeHeader } from "./memory.ts";
import { UnknownMsrs } from "./msrs.ts";
import { type ConnectNic, type OpenNic, OpenNics } from "./nics.ts";
import { machineSlots, SlotTable } from "./slots.ts";
import type { DebugStop, ExitStatus, ResetCause, TraceEvent, TraceKind } from "./status.ts";
import { videoMemory } from "./video-memory.ts";

/** The TSC ticks once a nanosecond of guest time. */
export const TSC_KHZ = 1_000_000;
/** An 8-bit access on an ISA bus. */
const ISA_ACCESS_NS = 1000n;

/** What the run loop must look at before it goes on; the first of each kind wins. */
export interface Requests {
  end: ExitStatus | undefined;
  reset: ResetCause | undefined;
  debug: DebugStop | undefined;
  /** Virtual clock: work of the host that must be done before the guest goes on. */
  hold: Promise<void> | undefined;
}

export interface MachineEvents
  extends Omit<
    BoardEvents,
    "reset" | "powerOff" | "debugExit" | "a20" | "ejected" | "ignne" | "ioDelay" | "replacePit"
  > {
  /** Something changed that may wake a halted vCPU, or that the run loop must look at. */
  wake(): void;
  trace(event: TraceEvent): void;
  /** A drive or network card is gone, because the host or the guest wanted it. */
  removed(kind: CardKind, id: string): void;
}

export class Machine implements ExitContext {
  readonly ports = new PortBus();
  readonly mmio = new MmioBus();
  readonly msrs = new UnknownMsrs();
  readonly requests: Requests = { end: undefined, reset: undefined, debug: undefined, hold: undefined };
  readonly vcpu: Vcpu;
  readonly clock: VmClock;
  readonly clockSync: ClockSync;
  readonly absent: AbsentPages;
  readonly guest: SlotMemory;
  readonly board: Board;
  readonly hotplug: Hotplug;
  readonly debugControls: DebugControls;
  readonly dirtyLog: DirtyLog;
  readonly onTripleFault: "exit" | "reboot";
  /** Set by the exception handler and by whoever resumes after a debugger's stop. */
  stepOverNext = false;
  traceExits = false;
  /** Interrupts are being traced. */
  irqLog: IrqLog | undefined;
  readonly irqs: IrqWiring;
  readonly cpu: CpuModel;
  readonly #hypercalls: Hypercalls;
  /** The core leaves MMIO of the APICs to the host. */
  readonly #apicExits: boolean;
  #tracing: ReadonlySet<TraceKind> = new Set();
  /** The last stop was behind an instruction, so that nothing is known of the next. */
  #stoppedBehind = false;
  /** Instructions retired when FERR# last froze the vCPU. */
  #frozenAt = -1;

  private constructor(
    /** As it is now: drives and network cards come and go. */
    public config: CheckedConfig,
    readonly memory: WebAssembly.Memory,
    readonly map: MemoryMap,
    readonly core: Core,
    hooks: CoreHooks,
    private readonly platform: Platform,
    private readonly events: MachineEvents,
    private readonly open: OpenDrives,
    private readonly networks: OpenNics,
    families: DeviceFamilies,
    /** The memory has a machine in it already: nothing in it is initialised. */
    adopted: boolean,
  ) {
    const slots = new SlotTable(memory, machineSlots(map, map.romBytes), core);
    this.absent = new AbsentPages(
      memory,
      map,
      platform,
      (error) => this.crash(error),
      // With a virtual clock nothing may depend on when something of the host is done.
      config.clock === "virtual"
        ? undefined
        : (token) => {
            core.asyncPfReady(this.vcpu.address, token);
            events.wake();
          },
    );
    hooks.fillPage = this.absent.fillPage;
    this.guest = new SlotMemory(
      memory,
      slots.slots,
      map.ramBytes,
      (gpa, size) => core.guestWritten(gpa, size),
      this.absent,
    );
    this.dirtyLog = new DirtyLog(memory, map, core);
    this.vcpu = new Vcpu(memory, core, vcpuAddress(0), this.guest);
    this.cpu = buildCpuid(config.cpu, { apic: config.apic, tscKhz: TSC_KHZ, paravirt: config.paravirt });
    if (!adopted) installCpuModel(new DataView(memory.buffer), this.vcpu.address, this.cpu);
    this.clock = new VmClock(memory, core, this.vcpu.address, config.clock, platform, wallOrigin(config));
    this.clockSync = new ClockSync(this.clock, core, this.vcpu, config.clockSync);
    if (!adopted) core.initVm();
    this.irqs = new IrqWiring((gsi, level) => {
      core.setIrqLine(gsi, level);
      if (level) events.wake();
    });
    this.onTripleFault = config.onTripleFault;
    this.debugControls = new DebugControls(this.vcpu, core, config.controls.includes("chipset"));
    for (const range of corePortRanges(core, this.vcpu.address)) this.ports.add(range);
    this.board = buildBoard(
      config,
      {
        ports: this.ports,
        mmio: this.mmio,
        irqs: this.irqs,
        clock: this.clock,
        memory: this.guest,
        msi: {
          deliver: (address, data) => {
            core.deliverMsi(address, data);
            events.wake();
          },
        },
        entropy: platform.entropy,
        families,
        nics: networks.nics,
        drives: config.clock === "virtual" ? open.drives.map((drive) => this.#held(drive)) : open.drives,
        generationId: generationId(config, platform),
        video: videoMemory(memory, map, slots, core),
      },
      {
        ...events,
        reset: (cause) => this.requestReset(cause),
        powerOff: () => this.end({ kind: "power-off" }),
        debugExit: (code) => this.end({ kind: "guest-exit", code }),
        a20: (enabled) => core.setA20(enabled ? 1 : 0),
        ejected: (slot) => this.hotplug.ejected(slot),
        // Guests wait by writing to the POST port and believe that a microsecond has passed; with the virtual clock it has.
        ioDelay: () => this.ioDelay(),
        replacePit: (replaced) => core.setPitReplaced(this.vcpu.address, replaced ? 1 : 0),
        ignne: () => this.vcpu.setU32(FPU_FERR, this.vcpu.getU32(FPU_FERR) | FERR_IGNNE),
      },
    );
    this.hotplug = new Hotplug(this, events.removed);
    applyLimits(this.board, config);
    this.#hypercalls = hypercalls({
      core,
      vcpu: this.vcpu.address,
      console: this.board.hypercallConsole,
      block: this.board.hypercallBlock,
      exit: (code) => this.end({ kind: "guest-exit", code }),
    });
    this.#apicExits = config.controls.includes("apic");
    this.setTrace(config.trace);
    // Another host's watches are none of this one's.
    if (adopted) this.debugControls.restore();
  }

  /** `kind`: plain memory, or shared, which other threads can take over. */
  static async create(
    config: CheckedConfig,
    platform: Platform,
    events: MachineEvents,
    kind: MemoryKind = "plain",
    connect?: ConnectNic,
  ): Promise<Machine> {
    const map = mapOf(config);
    const memory = allocateMemory(map, kind);
    const module = config.core ?? (await platform.loadCore(kind));
    const hooks = coreHooks(platform);
    const core = await instantiateCore(module, memory, hooks);
    writeHeader(memory, map, {
      kind: config.clock,
      psPerInstruction: config.psPerInstruction,
      tscKhz: TSC_KHZ,
      apic: config.apic,
    });
    return await Machine.#opened(
      config,
      platform,
      connect,
      (...parts) => new Machine(config, memory, map, core, hooks, platform, events, ...parts, false),
    );
  }

  /**
   * A machine around memory in which one already is, of the same configuration; its former objects must not be used any
   * more. What follows is `loadMachine(machine, state, "adopted")`. Throws VmError("bad-snapshot") when the memory has
   * another format or size.
   */
  static async adopt(
    config: CheckedConfig,
    platform: Platform,
    events: MachineEvents,
    memory: WebAssembly.Memory,
    connect?: ConnectNic,
  ): Promise<Machine> {
    const map = mapOf(config);
    checkHeader(memory, map);
    const shared = memory.buffer instanceof SharedArrayBuffer;
    const module = config.core ?? (await platform.loadCore(shared ? "shared" : "plain"));
    const hooks = coreHooks(platform);
    const core = await instantiateCore(module, memory, hooks);
    return await Machine.#opened(
      config,
      platform,
      connect,
      (...parts) => new Machine(config, memory, map, core, hooks, platform, events, ...parts, true),
    );
  }

  /** With its drives and networks open, and its devices there. */
  static async #opened(
    config: CheckedConfig,
    platform: Platform,
    connect: ConnectNic | undefined,
    make: (open: OpenDrives, networks: OpenNics, families: DeviceFamilies) => Machine,
  ): Promise<Machine> {
    const open = await OpenDrives.open(config.drives, platform);
    let networks: OpenNics | undefined;
    try {
      networks = await OpenNics.open(config.nics, platform, connect);
      return make(open, networks, await loadFamilies(config));
    } catch (error) {
      networks?.close();
      await open.close();
      throw error;
    }
  }

  // ---- requests (of devices and exit handlers to the run loop)

  requestReset(cause: ResetCause): void {
    this.requests.reset ??= cause;
    this.events.wake();
  }
  end(status: ExitStatus): void {
    this.requests.end ??= status;
    this.events.wake();
  }
  crash(error: VmError): void {
    this.end({ kind: "crashed", error });
  }
  debugStop(stop: DebugStop): void {
    this.requests.debug ??= stop;
    this.#stoppedBehind = stop.reason === "watch" || stop.reason === "port";
  }
  get requested(): boolean {
    const { end, reset, debug, hold } = this.requests;
    return end !== undefined || reset !== undefined || debug !== undefined || hold !== undefined;
  }

  readChipset(address: number, size: number): number | undefined {
    const value = this.#apicExits ? this.core.chipsetRead(this.vcpu.address, address, size) : -1n;
    return value < 0n ? undefined : Number(value);
  }
  writeChipset(address: number, size: number, value: number): boolean {
    return this.#apicExits && this.core.chipsetWrite(this.vcpu.address, address, size, value) !== 0;
  }
  hypercall(nr: number, args: readonly number[]): MaybePromise<number> {
    return this.#hypercalls(nr, args);
  }

  ioDelay(): void {
    if (this.clock.kind === "virtual") this.core.advanceClock(this.vcpu.address, ISA_ACCESS_NS);
  }

  /** Resolves when nothing is being waited for any more. */
  async settleHold(): Promise<void> {
    for (let { hold } = this.requests; hold !== undefined; hold = this.requests.hold) {
      await hold;
      // And those who waited for the same work have seen that it is done.
      await this.platform.yieldToEventLoop();
      if (this.requests.hold === hold) this.requests.hold = undefined;
    }
  }

  hold(work: Promise<void>): void {
    const settled = work.catch(() => {});
    const { hold } = this.requests;
    this.requests.hold = hold === undefined ? settled : Promise.all([hold, settled]).then(() => {});
    this.events.wake();
  }

  #held(drive: OpenDrive): OpenDrive {
    if (drive.backend === undefined) return drive;
    return { ...drive, backend: heldBackend(drive.backend, (work) => this.hold(work)) };
  }

  assertFerr(): boolean {
    const { retired } = this.vcpu;
    const moved = retired !== this.#frozenAt;
    this.#frozenAt = retired;
    this.board.ferr.assert();
    return moved;
  }

  // ---- debugger and trace

  breaksOnPort(port: number, size: number): boolean {
    return this.debugControls.stopsAtPort(port, size);
  }
  breaksOnMsr(msr: number): boolean {
    return this.debugControls.stopsAtMsr(msr);
  }
  breaksOnException(vector: number): boolean {
    return this.debugControls.stopsAtException(vector);
  }
  stepOver(): void {
    this.stepOverNext = true;
    this.#stoppedBehind = false;
  }

  /** The guest goes on from where it stands: not at once into the breakpoint there, which has stopped it already. */
  leaveStop(): void {
    if (!this.#stoppedBehind) this.stepOver();
    this.#stoppedBehind = false;
  }

  setTrace(kinds: readonly TraceKind[]): void {
    this.#tracing = new Set(kinds);
    this.traceExits = this.#tracing.has("exit");
    IrqLog.stop(this.memory);
    this.irqLog = this.#tracing.has("irq") ? new IrqLog(this.memory, this.events.trace) : undefined;
    const observe = (kind: "port" | "mmio") => {
      if (!this.#tracing.has(kind)) return undefined;
      return (write: boolean, at: number, size: number, value: number, known: boolean): void =>
        this.events.trace(
          kind === "port"
            ? { kind, write, port: at, size, value, known }
            : { kind, write, address: at, size, value, known },
        );
    };
    this.ports.observer = observe("port");
    this.mmio.observer = observe("mmio");
    this.debugControls.setTrace(this.#tracing.has("port"), this.#tracing.has("exception"));
  }

  tracer(kind: TraceKind): ((event: TraceEvent) => void) | undefined {
    return this.#tracing.has(kind) ? this.events.trace : undefined;
  }

  /** The debugger's execution controls on, or off around one instruction. */
  setDebugControls(on: boolean): void {
    this.debugControls.apply(on);
  }

  /** Execution controls as this host wants them; they are no part of the guest's state. */
  restoreControls(): void {
    let flags = CTRLF_HLT;
    for (const { name, flag } of CONTROLS) if (this.config.controls.includes(name)) flags |= flag;
    this.vcpu.setU32(CTRL_FLAGS, flags);
    this.debugControls.restore();
  }

  // ---- devices

  /** Other rate limits, while the guest runs; what is left out of `change` stays, null takes a limit away. Throws VmError("bad-config"). */
  setLimits(change: VmLimitsChange): void {
    checkLimitsChange("limits", change);
    this.config = { ...this.config, limits: changeLimits(this.config.limits, change) };
    applyLimits(this.board, this.config);
  }

  saveDevices(): Record<string, DeviceState> {
    return Object.fromEntries(this.board.devices.map((device) => [device.name, device.save()]));
  }

  /** What is behind a drive now. */
  backendOf(drive: string): BlockBackend | undefined {
    return this.open.backendOf(drive);
  }

  /** Ids of drives whose writes are gone at the end. */
  temporaryDrives(): string[] {
    return this.open.temporary();
  }

  /** Throws VmError("bad-state") when a disk would not outlive this object. */
  requireLastingDisks(verb: string): void {
    this.open.requireLasting(verb);
  }

  /** Opens the image of one more drive. Throws VmError. */
  async openDrive(config: DriveConfig): Promise<OpenDrive> {
    const drive = await this.open.add(config);
    return this.clock.kind === "virtual" ? this.#held(drive) : drive;
  }

  closeDrive(id: string): Promise<void> {
    return this.open.remove(id);
  }

  /** Connects one more network card. Throws VmError. */
  openNic(nic: CheckedNic): Promise<OpenNic> {
    return this.networks.add(nic);
  }

  /** What the guest's requests for the time say about its clock, by "ntp-" and the card's id. */
  timeMetrics(): Record<string, Readonly<Record<string, number>>> {
    return this.networks.timeMetrics();
  }

  closeNic(id: string): void {
    this.networks.remove(id);
  }

  /** Puts another medium into a CD or floppy drive, or takes it out. Throws VmError. */
  async changeMedium(id: string, backend: BlockBackend | DiskSource | undefined, force: boolean): Promise<void> {
    const drive = this.board.storage.media.get(id);
    if (drive === undefined) {
      const known = [...this.board.storage.media.keys()].join(", ") || "none";
      throw new VmError("not-found", `No drive "${id}" has a medium to change; drives that do: ${known}.`, { id });
    }
    await this.open.change(id, backend, (opened) => {
      const held = opened && this.clock.kind === "virtual" ? heldBackend(opened, (work) => this.hold(work)) : opened;
      drive.changeMedium(held, force);
    });
    const drives = this.config.drives.map((one) => (one.id === id ? { ...one, backend } : one));
    this.config = { ...this.config, drives };
  }

  /** Rejects with VmError("io") when a disk could not be closed and may lack data. */
  async dispose(): Promise<void> {
    for (const device of this.board.devices) device.dispose?.();
    this.absent.end();
    this.networks.close();
    await this.open.close();
  }
}

function mapOf(config: CheckedConfig): MemoryMap {
  const romBytes = config.boot.kind === "firmware" ? config.boot.image.length : 0;
  if (romBytes > 0) checkFirmwareSize(romBytes);
  const vramBytes = config.display === "vga" ? VRAM_AREA_BYTES : 0;
  return layOut({ ramBytes: config.memoryBytes, romBytes, vramBytes, vcpuCount: 1, paging: config.paging });
}

/** The core is made before the machine that answers it. */
interface CoreHooks extends CoreImports {
  fillPage: CoreImports["fillPage"];
}

function coreHooks(platform: Platform): CoreHooks {
  return {
    nowNs: platform.monotonicNs,
    fillPage: () => {
      throw new VmError("internal", "The core asks for a page before there is a machine.");
    },
  };
}

/** With a virtual clock the same run twice is the same run. */
function generationId(config: CheckedConfig, platform: Platform): Uint8Array {
  const id = new TextEncoder().encode("paravane virtual");
  if (config.clock === "real") platform.entropy(id);
  return id;
}

/** Undefined: the host's date of the moment. */
function wallOrigin(config: CheckedConfig): number | undefined {
  if (config.wallSeconds !== undefined) return config.wallSeconds * 1000;
  return config.clock === "virtual" ? VIRTUAL_EPOCH_SECONDS * 1000 : undefined;
}
