// The pCPU's end of the protocol: owns the VMs that live on this thread, does what the host asks and reports what they do.

import { shareImages } from "../boot/share-images.ts";
import type { Frame } from "../display/frame.ts";
import type { MemoryKind, Platform } from "../platform/platform.ts";
import type { SnapshotName } from "../snapshot/restore.ts";
import type { SnapshotInfo } from "../snapshot/take.ts";
import type { PortableConfig } from "../vmm/config.ts";
import type { DiskSource, VmLimitsChange } from "../vmm/device-config.ts";
import { VmError } from "../vmm/error.ts";
import type { DetachOptions } from "../vmm/hotplug.ts";
import type { ConnectNic } from "../vmm/nics.ts";
import type { VmEvents, VmStatistics } from "../vmm/status.ts";
import { Vm } from "../vmm/vm.ts";
import { ConsoleBatch } from "./console-batch.ts";
import { FramePipe } from "./frame-pipe.ts";
import type { BalloonReport } from "./memory-governor.ts";
import { Pcpu, type PcpuAccount } from "./pcpu.ts";
import {
  type CallMessage,
  type FramesMessage,
  type MovedVm,
  type PcpuCalls,
  type PcpuMessage,
  type PcpuSetup,
  type PortableRestoreOptions,
  type PortableSnapshotOptions,
  packError,
  packEvent,
  type ReportedEvent,
  type SnapshotBytes,
  type SnapshotFile,
  type VmNumber,
} from "./protocol.ts";
import type { SchedParameters } from "./sched/policy.ts";
import { createPolicy } from "./sched/registry.ts";
import type { Cards, NewCard } from "./stopped-cards.ts";

interface Resident {
  readonly vm: Vm;
  readonly consoles: ConsoleBatch;
  /** Somebody watches its screen. */
  screen?: Disposable | undefined;
}

/** Name of a snapshot that is no file. */
const IN_MEMORY = "snapshot";
const loadStores = (): Promise<typeof import("../snapshot/store.ts")> => import("../snapshot/store.ts");

async function placeOf(from: SnapshotFile | SnapshotBytes): Promise<SnapshotName> {
  const { MemorySnapshots, snapshotFolder } = await loadStores();
  if ("folder" in from) return { store: await snapshotFolder(from.folder), name: from.name };
  const store = new MemorySnapshots();
  const { bytes } = from;
  store.put(IN_MEMORY, bytes instanceof Uint8Array ? bytes : new Uint8Array(await bytes.arrayBuffer()));
  return { store, name: IN_MEMORY };
}

export class PcpuAgent implements PcpuCalls {
  readonly #pcpu: Pcpu;
  readonly #vms = new Map<VmNumber, Resident>();
  readonly #pipes = new Map<string, FramePipe>();

  constructor(
    private readonly platform: Platform,
    private readonly memory: MemoryKind,
    setup: PcpuSetup,
    private readonly post: (message: PcpuMessage) => void,
  ) {
    this.#pcpu = new Pcpu(platform, createPolicy(setup.policy, setup.policyOptions));
  }

  receive(message: CallMessage | FramesMessage): void {
    if (message.kind === "frames") {
      this.#pipes.get(pipeKey(message.vm, message.nic))?.receive(message.batch);
      return;
    }
    const { id, method, args } = message;
    const fail = (error: unknown): void => this.post({ kind: "error", id, error: packError(error) });
    const done = (value: unknown): void => this.post({ kind: "result", id, value });
    try {
      const result = (this[method] as (...args: readonly unknown[]) => unknown)(...args);
      if (result instanceof Promise) result.then(done, fail);
      else done(result);
    } catch (error) {
      fail(error);
    }
  }

  // ---- the pCPU

  setPolicy(name: string, options: unknown): void {
    this.#pcpu.setPolicy(createPolicy(name, options));
  }

  account(): PcpuAccount {
    return this.#pcpu.account();
  }

  schedule(vm: VmNumber, scheduling: SchedParameters): void {
    this.#pcpu.set(vm, scheduling);
  }

  fail(): void {
    queueMicrotask(() => {
      throw new Error("this pCPU was asked to fail");
    });
  }

  // ---- VMs

  create(number: VmNumber, config: PortableConfig, scheduling: SchedParameters): Promise<void> {
    const executor = this.#pcpu.add(number, scheduling);
    return this.#settle(number, Vm.create(config, { executor, memory: this.memory, connectNic: this.#cables(number) }));
  }

  async restore(
    number: VmNumber,
    from: SnapshotFile | SnapshotBytes,
    { name, ...options }: PortableRestoreOptions,
    scheduling: SchedParameters,
  ): Promise<PortableConfig> {
    const executor = this.#pcpu.add(number, scheduling);
    const open = async (): Promise<Vm> => {
      const placement = { executor, memory: this.memory, connectNic: this.#cables(number) };
      const config = name === undefined ? {} : { name };
      return await Vm.restore(await placeOf(from), { ...options, config }, placement);
    };
    await this.#settle(number, open());
    const config = this.#vm(number).portableConfig;
    return this.memory === "shared" ? { ...config, boot: shareImages(config.boot) } : config;
  }

  async snapshot(number: VmNumber, to: SnapshotFile, options: PortableSnapshotOptions): Promise<SnapshotInfo> {
    const store = await (await loadStores()).snapshotFolder(to.folder);
    return await this.#vm(number).snapshot({ ...options, store, name: to.name });
  }

  async snapshotBytes(number: VmNumber, options: PortableSnapshotOptions): Promise<Uint8Array> {
    const store = new (await loadStores()).MemorySnapshots();
    await this.#vm(number).snapshot({ ...options, store, name: IN_MEMORY });
    return store.get(IN_MEMORY) as Uint8Array;
  }

  async detach(number: VmNumber): Promise<MovedVm | undefined> {
    const vm = await this.#vm(number).detach();
    if (vm === undefined) return undefined;
    this.#vms.get(number)?.consoles.flush();
    this.#vms.delete(number);
    return { vm, carry: this.#pcpu.remove(number) };
  }

  attach(number: VmNumber, config: PortableConfig, scheduling: SchedParameters, moved: MovedVm): Promise<void> {
    const executor = this.#pcpu.add(number, scheduling, moved.carry);
    return this.#settle(number, Vm.attach(config, moved.vm, { executor, connectNic: this.#cables(number) }));
  }

  async destroy(number: VmNumber): Promise<void> {
    const resident = this.#vms.get(number);
    if (resident === undefined) return;
    await resident.vm.stop("destroyed");
    this.#vms.delete(number);
    this.#pcpu.remove(number);
  }

  start(vm: VmNumber): void {
    this.#vm(vm).start();
  }
  pause(vm: VmNumber): Promise<void> {
    return this.#vm(vm).pause();
  }
  resume(vm: VmNumber): void {
    this.#vm(vm).resume();
  }
  reset(vm: VmNumber): Promise<void> {
    return this.#vm(vm).reset();
  }
  async stop(vm: VmNumber, reason: string | undefined): Promise<void> {
    await this.#vm(vm).stop(reason);
  }
  pressPowerButton(vm: VmNumber): boolean {
    return this.#vm(vm).pressPowerButton();
  }
  sendNmi(vm: VmNumber): void {
    this.#vm(vm).sendNmi();
  }
  input(vm: VmNumber, port: number, bytes: Uint8Array): void {
    this.#vm(vm).serial(port).write(bytes);
  }
  type(vm: VmNumber, text: string): void {
    this.#vm(vm).keyboard.type(text);
  }
  sendKeys(vm: VmNumber, combinations: readonly string[]): void {
    for (const combination of combinations) this.#vm(vm).keyboard.send(combination);
  }
  key(vm: VmNumber, code: string, down: boolean): void {
    const { keyboard } = this.#vm(vm);
    if (down) keyboard.press(code);
    else keyboard.release(code);
  }
  moveMouse(vm: VmNumber, dx: number, dy: number, wheel: number, buttons: number): void {
    this.#vm(vm).keyboard.moveMouse(dx, dy, wheel, buttons);
  }
  frame(vm: VmNumber): Frame {
    return this.#vm(vm).screen().frame;
  }
  watchScreen(number: VmNumber, watched: boolean): void {
    const vm = this.#vm(number);
    const resident = this.#vms.get(number) as Resident;
    resident.screen?.[Symbol.dispose]();
    resident.screen = watched ? vm.on("screen", (event) => this.#report(number, "screen", event)) : undefined;
  }
  statistics(vm: VmNumber): VmStatistics {
    return this.#vm(vm).statistics();
  }
  stateHash(vm: VmNumber): Promise<string> {
    return this.#vm(vm).stateHash();
  }
  async attachCard(number: VmNumber, { drive, nic }: NewCard): Promise<Cards> {
    const vm = this.#vm(number);
    if (drive !== undefined) await vm.attachDrive(drive);
    else await vm.attachNic(nic);
    return cardsOf(vm);
  }
  async detachCard(number: VmNumber, id: string, options: DetachOptions): Promise<Cards> {
    const vm = this.#vm(number);
    await vm.detachDevice(id, options);
    return cardsOf(vm);
  }
  async changeMedium(number: VmNumber, drive: string, medium: DiskSource | undefined, force: boolean): Promise<Cards> {
    const vm = this.#vm(number);
    await vm.changeMedium(drive, medium, { force });
    return cardsOf(vm);
  }
  setLimits(vm: VmNumber, limits: VmLimitsChange): void {
    this.#vm(vm).setLimits(limits);
  }
  balloons(): readonly BalloonReport[] {
    return [...this.#vms].flatMap(([number, { vm }]) => {
      const { balloon } = vm.virtio;
      return balloon === undefined
        ? []
        : [
            {
              vm: number,
              targetBytes: balloon.targetBytes,
              balloonBytes: balloon.balloonBytes,
              usedBytes: balloon.usedBytes,
            },
          ];
    });
  }
  setBalloonTarget(vm: VmNumber, bytes: number): void {
    this.#vm(vm).virtio.balloon?.setTarget(bytes);
  }

  // ---- inside

  /** How the cards of a VM are connected: to the host's thread. */
  #cables(vm: VmNumber): ConnectNic {
    return ({ id: nic }) => {
      const pipe = new FramePipe(
        (batch) => this.post({ kind: "frames", vm, nic, batch }),
        (flush) => void this.platform.yieldToEventLoop().then(flush),
      );
      const key = pipeKey(vm, nic);
      this.#pipes.set(key, pipe);
      return {
        send: (frame) => pipe.send(frame),
        onReceive: (listener) => pipe.onReceive(listener),
        onLink: (listener) => pipe.onLink(listener),
        [Symbol.dispose]: () => {
          if (this.#pipes.get(key) === pipe) this.#pipes.delete(key);
        },
      };
    };
  }

  #vm(number: VmNumber): Vm {
    const resident = this.#vms.get(number);
    if (resident === undefined) throw new VmError("internal", `This pCPU has no VM number ${number}.`, { number });
    return resident.vm;
  }

  #report<K extends ReportedEvent>(vm: VmNumber, name: K, event: VmEvents[K]): void {
    this.post({ kind: "event", vm, name, event: packEvent(name, event) });
  }

  /** The VM lives here from now on: what it does is reported. */
  async #settle(number: VmNumber, coming: Promise<Vm>): Promise<void> {
    let vm: Vm;
    try {
      vm = await coming;
    } catch (error) {
      this.#pcpu.remove(number);
      throw error;
    }
    const report = <K extends ReportedEvent>(name: K, event: VmEvents[K]): void => this.#report(number, name, event);
    const consoles = new ConsoleBatch(this.platform, report, (ns) => this.#pcpu.charge(number, ns));
    const ordered = <K extends ReportedEvent>(name: K): void => {
      vm.on(name, (event) => {
        // What the guest printed before comes first.
        consoles.flush();
        report(name, event);
      });
    };
    vm.on("serial", ({ port, bytes }) => consoles.put("serial", port, bytes));
    vm.on("debugcon", ({ bytes }) => consoles.put("debugcon", 0, bytes));
    vm.on("parallel", ({ bytes }) => consoles.put("parallel", 0, bytes));
    // Its readers are on the host: nothing waits for them here a second time.
    for (let port = 0; port < vm.serialPorts; port++) void vm.serial(port).readable.cancel();
    for (const { readable } of [vm.debugcon, vm.parallel]) void readable.cancel();
    ordered("state");
    ordered("reset");
    ordered("removed");
    ordered("exit");
    this.#vms.set(number, { vm, consoles });
    // What follows a virtual clock must not depend on what else the host has to do.
    if (vm.clock === "real") this.#pcpu.reportSteal(number, vm.vcpu());
  }
}

function pipeKey(vm: VmNumber, nic: string): string {
  return `${vm} ${nic}`;
}

/** Without the images that portableConfig also has: this goes between threads. */
function cardsOf(vm: Vm): Cards {
  const { drives = [], nics = [] } = vm.portableConfig;
  return { drives, nics };
}
