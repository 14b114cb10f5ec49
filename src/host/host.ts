// A host: pCPUs, and the VMs that share them.

import { shareImages } from "../boot/share-images.ts";
import { loadPlatform, type Platform } from "../platform/platform.ts";
import { checkConfig, requireNetworkCards } from "../vmm/check-config.ts";
import type { PortableConfig } from "../vmm/config.ts";
import { isSource } from "../vmm/drives.ts";
import { VmError } from "../vmm/error.ts";
import { Emitter } from "../vmm/events.ts";
import { isNetworkSource } from "../vmm/nics.ts";
import type { VmState } from "../vmm/status.ts";
import { BalanceLoop } from "./balance-loop.ts";
import { shareOf } from "./hosted-claims.ts";
import { HostedVm } from "./hosted-vm.ts";
import { MemoryGovernor } from "./memory-governor.ts";
import { HostNetworks, withAddresses } from "./networks.ts";
import type { PcpuAccount } from "./pcpu.ts";
import { PcpuLink } from "./pcpu-link.ts";
import type { PortableRestoreOptions, SnapshotBytes, SnapshotFile } from "./protocol.ts";
import { admit } from "./resources/admission.ts";
import { type CapacityInput, checkCapacity, checkResources, type ResourcesInput } from "./resources/check-claims.ts";
import { CPU, capacityOf, claimOf, type HostCapacity, MEMORY, PAGE_BYTES, type VmClaims } from "./resources/model.ts";
import { checkRunClaims, fillResources, ramOf, schedulingOf } from "./resources/run-claims.ts";
import { checkSchedParameters } from "./sched/parameters.ts";
import type { SchedParameters } from "./sched/policy.ts";
import { createPolicy, DEFAULT_POLICY } from "./sched/registry.ts";

const PCPUS_MAX = 256;
/** What guests may have of the machine's memory where nobody says; the rest is for the host and its other programs. */
const GUEST_MEMORY_PART = 0.75;
/** Balloon of a VM that asks for one without more: the governor reads it once a second. */
const HOSTED_BALLOON = { statisticsIntervalMs: 1000 };
/** In messages of admission. */
const HOST_NAME = "localhost";

/** `capacity`: by default three quarters of the machine's memory, and its pCPUs. `overcommit`: by default no bound. */
export interface HostConfig extends CapacityInput {
  /** How many pCPUs; default: as many as the host has processors. */
  readonly pcpus?: number;
  /** Scheduling policy and its options; default "credit". */
  readonly policy?: string;
  readonly policyOptions?: unknown;
  /** "workers": a thread for each pCPU, where the runtime has them (default); "in-process": one pCPU in this thread. */
  readonly threads?: "workers" | "in-process";
  /** Whether VMs change pCPU by themselves, so that shares hold over the whole host. Default true. */
  readonly balance?: boolean;
}

export interface HostedVmConfig extends PortableConfig {
  /** Weight, cap, priority, slice, real-time reservation. */
  readonly scheduling?: Partial<SchedParameters>;
  /**
   * Reservation, limit and shares of memory, CPU and what else the host has (docs/RESOURCES.md). Where it is silent, RAM is
   * reservation and limit of memory, weight and cap are shares and limit of CPU; where it speaks, it wins.
   */
  readonly resources?: ResourcesInput;
  /** Index of the pCPU to run on first; default: the one with the least weight on it. */
  readonly pcpu?: number;
  /** It stays on its pCPU whatever the others do. Default false. */
  readonly pinned?: boolean;
}

export interface RestoredVmConfig
  extends Pick<HostedVmConfig, "name" | "scheduling" | "resources" | "pcpu" | "pinned">,
    Omit<PortableRestoreOptions, "name"> {}

export interface HostEvents {
  "vm-created": { readonly vm: HostedVm };
  "vm-state": { readonly vm: HostedVm; readonly state: VmState; readonly previous: VmState };
  "vm-destroyed": { readonly vm: HostedVm };
  "pcpu-lost": { readonly pcpu: number; readonly reason: string };
}

/** It is shown on terminals and in metrics, and becomes part of file names. */
function requireName(name: string): void {
  if (/^(?!\.{1,2}$)[^\p{C}/]{1,64}$/u.test(name)) return;
  throw new VmError(
    "bad-config",
    `name is ${JSON.stringify(name)}; it takes 1 to 64 characters, none of them "/" or a control character.`,
    { field: "name" },
  );
}

/** Devices with an object of this thread behind them cannot go to another one. */
function requirePortable(config: Partial<PortableConfig>): void {
  const refuse = (field: string, accepted: string): never => {
    throw new VmError("bad-config", `${field} belongs to this thread; a VM on a worker takes ${accepted}.`, { field });
  };
  for (const field of ["consoles", "shares", "vsock"] as const) {
    const value = config[field];
    if (Array.isArray(value) ? value.length > 0 : value !== undefined) refuse(field, "none");
  }
  for (const [i, { backend }] of (config.nics ?? []).entries())
    if (!isNetworkSource(backend)) refuse(`nics[${i}].backend`, 'what to connect it to: { kind: "user" }');
  for (const [i, { backend }] of (config.drives ?? []).entries())
    if (backend !== undefined && !isSource(backend)) refuse(`drives[${i}].backend`, "the path of an image: { path }");
}

/** What a VM boots of which nothing is known yet. */
const NOTHING = { kind: "flat", image: new Uint8Array(1), address: 0 } as const;

interface Place {
  readonly name: string;
  readonly number: number;
  readonly link: PcpuLink;
  readonly scheduling: SchedParameters;
}

export class Host implements AsyncDisposable {
  readonly #events = new Emitter<HostEvents>();
  readonly #vms = new Map<string, HostedVm>();
  readonly #byNumber = new Map<number, HostedVm>();
  readonly #links: PcpuLink[] = [];
  #policy: { name: string; options: unknown };
  readonly #balance: BalanceLoop;
  readonly #governor: MemoryGovernor;
  /** Networks that its VMs' cards can be connected to. */
  readonly networks: HostNetworks;
  #nextNumber = 1;
  #closed = false;

  private constructor(
    private readonly platform: Platform,
    private readonly inProcess: boolean,
    pcpus: number,
    policy: string,
    policyOptions: unknown,
    /** What its VMs may have. */
    readonly capacity: HostCapacity,
  ) {
    this.#policy = { name: policy, options: policyOptions };
    this.networks = new HostNetworks(platform);
    for (let index = 0; index < pcpus; index++) this.#links.push(this.#link(index));
    this.#balance = new BalanceLoop({
      nowNs: () => platform.monotonicNs(),
      vmCount: () => this.#vms.size,
      accounts: () => this.accounts(),
      apply: async ({ vcpu, to }) => {
        const vm = this.#byNumber.get(vcpu);
        if (vm === undefined || vm.pinned || vm.busy || vm.state !== "running") return;
        const { reservation } = claimOf(vm, CPU);
        // Weights may ask for it; what is held for others there does not give way.
        if (reservation > 0 && this.#reservedOn(to) + reservation > 1) return;
        await this.move(vm, to);
      },
    });
    this.#governor = new MemoryGovernor({
      nowNs: () => platform.monotonicNs(),
      capacityBytes: () => capacityOf(capacity, MEMORY),
      vms: () => this.vms.map(({ number, memoryBytes, memoryClaim }) => ({ number, memoryBytes, claim: memoryClaim })),
      balloons: async () => (await Promise.all(this.#links.map((link) => link.call("balloons")))).flat(),
      seen: (reports) => {
        for (const report of reports) this.#byNumber.get(report.vm)?.balloonSeen(report);
      },
      setBalloonTarget: async (number, bytes) => await this.#byNumber.get(number)?.setBalloonTarget(bytes),
    });
  }

  /** Throws VmError("bad-config") naming the field. */
  static async create(config: HostConfig = {}): Promise<Host> {
    const platform = await loadPlatform();
    const { pcpus = platform.processors, policy = DEFAULT_POLICY, policyOptions, threads = "workers" } = config;
    if (config.balance !== undefined && typeof config.balance !== "boolean") {
      throw new VmError("bad-config", `balance is ${String(config.balance)}; accepted: true or false.`, {
        field: "balance",
      });
    }
    if (!Number.isInteger(pcpus) || pcpus < 1 || pcpus > PCPUS_MAX) {
      throw new VmError("bad-config", `pcpus is ${String(pcpus)}; accepted: an integer from 1 to ${PCPUS_MAX}.`, {
        field: "pcpus",
      });
    }
    if (threads !== "workers" && threads !== "in-process") {
      throw new VmError("bad-config", `threads is ${String(threads)}; accepted: workers, in-process.`, {
        field: "threads",
      });
    }
    createPolicy(policy, policyOptions);
    const inProcess = threads === "in-process" || platform.startPcpuWorker === undefined;
    // Without memory that threads share, another worker could take nobody over.
    const there = inProcess || platform.workerMemory === "plain" ? 1 : pcpus;
    const memory = Math.floor((platform.memoryBytes * GUEST_MEMORY_PART) / PAGE_BYTES) * PAGE_BYTES;
    const capacity = {
      name: HOST_NAME,
      ...checkCapacity("", {
        capacity: { [CPU]: there, [MEMORY]: memory, ...config.capacity },
        overcommit: config.overcommit,
      }),
    };
    const host = new Host(platform, inProcess, there, policy, policyOptions, capacity);
    host.#governor.start();
    if (config.balance !== false && host.pcpus > 1) host.#balance.start();
    return host;
  }

  // ---- VMs

  /**
   * Makes a VM, loaded and ready to start. Throws VmError: "bad-config" names the field, "bad-image" the image, "admission"
   * what is missing.
   */
  async createVm(config: HostedVmConfig): Promise<HostedVm> {
    if (this.#closed) throw new VmError("bad-state", "The host has been closed.");
    const { scheduling, resources, pcpu, pinned, balloon, ...portable } = config;
    const ram = portable.memoryBytes ?? ramOf("resources", resources);
    const asked: PortableConfig = {
      ...portable,
      ...(ram === undefined ? {} : { memoryBytes: ram }),
      ...(balloon === undefined ? {} : { balloon: balloon === true ? HOSTED_BALLOON : balloon }),
    };
    const checked = checkConfig(asked);
    requireNetworkCards(asked, checked);
    if (!this.inProcess) requirePortable(portable);
    const { memoryBytes } = checked;
    return await this.#join({ name: config.name, scheduling, resources, pcpu, pinned }, memoryBytes, (place) => {
      const boot = place.link.memory === "shared" ? shareImages(checked.boot) : checked.boot;
      const nics = portable.nics && { nics: withAddresses(portable.nics, place.number) };
      const shared: PortableConfig = { ...asked, name: place.name, memoryBytes, boot, ...nics };
      return {
        config: shared,
        make: async () => {
          await place.link.call("create", place.number, shared, place.scheduling);
          return shared;
        },
      };
    });
  }

  /**
   * Makes a VM of a snapshot, ready to go on from there. Throws VmError: "not-found", "bad-snapshot" naming what is damaged or
   * cannot be honoured, "bad-config", "admission".
   */
  async restoreVm(from: SnapshotFile | SnapshotBytes, config: RestoredVmConfig = {}): Promise<HostedVm> {
    if (this.#closed) throw new VmError("bad-state", "The host has been closed.");
    const { name, scheduling, resources, pcpu, pinned, ...options } = config;
    const isCopy = options.identity !== "same";
    return await this.#join({ name, scheduling, resources, pcpu, pinned, isCopy }, undefined, (place) => ({
      // Until the file has been read nobody knows better.
      config: { boot: NOTHING },
      make: () => place.link.call("restore", place.number, from, { ...options, name: place.name }, place.scheduling),
    }));
  }

  /** So many VMs from one snapshot, named NAME-1, NAME-2..., each with an identity of its own. All of them or none. */
  async cloneVms(
    from: SnapshotFile | SnapshotBytes,
    count: number,
    config: RestoredVmConfig & { name: string },
  ): Promise<HostedVm[]> {
    const vms: HostedVm[] = [];
    try {
      for (let copy = 1; copy <= count; copy++)
        vms.push(await this.restoreVm(from, { ...config, name: `${config.name}-${copy}`, identity: "new" }));
    } catch (error) {
      for (const vm of vms) await vm.destroy();
      throw error;
    }
    return vms;
  }

  /** By name. Throws VmError("not-found"). */
  vm(name: string): HostedVm {
    const vm = this.#vms.get(name);
    if (vm === undefined) throw new VmError("not-found", `There is no VM called "${name}" on this host.`, { name });
    return vm;
  }

  get vms(): readonly HostedVm[] {
    return [...this.#vms.values()];
  }

  // ---- pCPUs

  get pcpus(): number {
    return this.#links.length;
  }

  /** Times that a VM was moved to keep shares. */
  get balancingMoves(): number {
    return this.#balance.moves;
  }

  get policy(): string {
    return this.#policy.name;
  }

  /** Another policy for every pCPU, while everybody runs. */
  async setPolicy(name: string, options?: unknown): Promise<void> {
    createPolicy(name, options);
    await Promise.all(this.#links.map((link) => link.call("setPolicy", name, options)));
    this.#policy = { name, options };
  }

  /**
   * A VM goes on on another pCPU, without noticing. Throws VmError("bad-config") for a pCPU that does not exist and
   * "admission" when that one has no room for its reservation; it then stays where it was.
   */
  async move(vm: HostedVm, pcpu: number): Promise<void> {
    await vm.move(this.#linkAt(pcpu));
  }

  /** What each pCPU did and for whom. */
  accounts(): Promise<PcpuAccount[]> {
    return Promise.all(this.#links.map((link) => link.call("account")));
  }

  on<K extends keyof HostEvents>(event: K, listener: (event: HostEvents[K]) => void): Disposable {
    return this.#events.on(event, listener);
  }

  /** Ends every VM and every pCPU. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#balance.close();
    this.#governor.close();
    await Promise.all(this.vms.map((vm) => vm.destroy()));
    await Promise.all(this.#links.map((link) => link.close()));
    this.networks[Symbol.dispose]();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** For tests: the thread of a pCPU fails as it would by a defect. @internal */
  failPcpu(index: number): Promise<void> {
    return this.#linkAt(index).call("fail");
  }

  // ---- inside

  /**
   * Admits a VM, gives it a name, a number and a pCPU, and makes it; on failure nothing is left of it. `memoryBytes`: its RAM;
   * undefined where only the machine will tell, which is then admitted a second time.
   */
  async #join(
    wanted: { [K in "name" | "scheduling" | "resources" | "pcpu" | "pinned"]: HostedVmConfig[K] | undefined } & {
      readonly isCopy?: boolean;
    },
    memoryBytes: number | undefined,
    plan: (place: Place) => { config: PortableConfig; make: () => Promise<PortableConfig> },
  ): Promise<HostedVm> {
    const given = checkSchedParameters(wanted.scheduling ?? {});
    const claims = (ram: number | undefined): VmClaims["resources"] => {
      const settings = { memoryBytes: ram, scheduling: given };
      if (ram !== undefined) return checkRunClaims("resources", wanted.resources, { ...settings, memoryBytes: ram });
      return checkResources("resources", fillResources("resources", wanted.resources, settings));
    };
    const resources = claims(memoryBytes);
    const cpu = wanted.resources?.[CPU] === undefined ? undefined : resources[CPU];
    const scheduling = cpu === undefined ? given : checkSchedParameters({ ...given, ...schedulingOf(cpu) });
    const number = this.#nextNumber++;
    const name = wanted.name ?? `vm${number}`;
    requireName(name);
    if (this.#vms.has(name)) {
      throw new VmError("bad-config", `name "${name}" is taken by another VM of this host.`, { field: "name" });
    }
    this.#admit({ name, resources });
    const link = this.#place(wanted.pcpu, claimOf({ name, resources }, CPU).reservation);
    const { config, make } = plan({ name, number, link, scheduling: shareOf(name, scheduling, resources) });
    const parts = { name, number, config, scheduling, resources, pinned: wanted.pinned ?? false };
    const vm = new HostedVm(parts, link, {
      networks: this.networks,
      admit: (changed) => this.#admit(changed),
      destroyed: (gone) => this.#forget(gone),
      claimsChanged: () => this.#governor.soon(),
      requirePortable: ({ drive, nic }) => {
        const cards = { ...(drive && { drives: [drive] }), ...(nic && { nics: [nic] }) };
        if (!this.inProcess) requirePortable(cards);
      },
    });
    // The name is taken, and what it reserves, while the machine is made.
    this.#vms.set(name, vm);
    this.#byNumber.set(number, vm);
    try {
      const made = await make();
      vm.made(made, memoryBytes === undefined ? await this.#admitMade(vm, claims, made) : resources);
      await this.#connect(vm, wanted.isCopy ?? false);
    } catch (error) {
      this.#forgetQuietly(vm);
      throw error;
    }
    vm.on("state", ({ state, previous }) => this.#events.emit("vm-state", { vm, state, previous }));
    this.#events.emit("vm-created", { vm });
    return vm;
  }

  /** A machine whose RAM nobody knew before it was made; where the host cannot hold it, it goes again. */
  async #admitMade(
    vm: HostedVm,
    claims: (ram: number | undefined) => VmClaims["resources"],
    made: PortableConfig,
  ): Promise<VmClaims["resources"]> {
    try {
      const resources = claims(made.memoryBytes ?? 0);
      this.#admit({ name: vm.name, resources });
      return resources;
    } catch (error) {
      await this.#linkAt(vm.pcpu).call("destroy", vm.number);
      throw error;
    }
  }

  /** Puts its cables in; where that fails the machine goes again. */
  async #connect(vm: HostedVm, isCopy: boolean): Promise<void> {
    try {
      await vm.nics.connect(isCopy);
    } catch (error) {
      await this.#linkAt(vm.pcpu).call("destroy", vm.number);
      throw error;
    }
  }

  #link(index: number): PcpuLink {
    const setup = { policy: this.#policy.name, policyOptions: this.#policy.options };
    return new PcpuLink(index, this.platform, setup, this.inProcess, {
      event: (number, name, event) => this.#byNumber.get(number)?.report(name, event),
      frames: ({ vm, nic, batch }) => this.#byNumber.get(vm)?.nics.frames(nic, batch),
      lost: (reason) => this.#lost(index, reason),
    });
  }

  #linkAt(index: number): PcpuLink {
    const link = this.#links[index];
    if (link === undefined) {
      throw new VmError("bad-config", `pcpu is ${index}; accepted: an integer from 0 to ${this.#links.length - 1}.`, {
        field: "pcpu",
      });
    }
    return link;
  }

  #admit(claims: VmClaims): void {
    admit(this.capacity, this.vms, claims);
  }

  /** Where there is room for the reservation, the one with the least weight on it. */
  #place(pcpu: number | undefined, reservation: number): PcpuLink {
    if (pcpu !== undefined) return this.#linkAt(pcpu);
    const free = this.#links.map((_, index) => 1 - this.#reservedOn(index));
    const roomy = free.map((part) => part >= reservation);
    const weights = this.#links.map(() => 0);
    for (const vm of this.#vms.values()) weights[vm.pcpu] = (weights[vm.pcpu] ?? 0) + vm.scheduling.weight;
    // Without room anywhere, where most is left.
    if (!roomy.includes(true)) return this.#linkAt(free.indexOf(Math.max(...free)));
    const least = Math.min(...weights.filter((_, index) => roomy[index]));
    return this.#linkAt(weights.findIndex((weight, index) => roomy[index] && weight === least));
  }

  /** Sum of the reservations on a pCPU. */
  #reservedOn(pcpu: number): number {
    return this.vms.reduce((sum, vm) => sum + (vm.pcpu === pcpu ? claimOf(vm, CPU).reservation : 0), 0);
  }

  /** Its VMs are gone; a new thread takes its place, and the others go on. */
  #lost(index: number, reason: Error): void {
    // One that never ran would fail again, and again: its program cannot be loaded. Calls to it say so.
    const dead = this.#links[index];
    const link = dead?.answered === false ? dead : this.#link(index);
    this.#links[index] = link;
    const error = new VmError(
      "internal",
      `pCPU ${index} failed: ${reason.message}.`,
      { pcpu: index },
      { cause: reason },
    );
    this.#events.emit("pcpu-lost", { pcpu: index, reason: reason.message });
    for (const vm of this.#vms.values()) if (vm.pcpu === index) vm.lose(link, error);
  }

  #forget(vm: HostedVm): void {
    this.#forgetQuietly(vm);
    this.#events.emit("vm-destroyed", { vm });
  }

  #forgetQuietly(vm: HostedVm): void {
    this.#vms.delete(vm.name);
    this.#byNumber.delete(vm.number);
  }
}
