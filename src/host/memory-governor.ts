// Memory between guests while they run: reads their balloons once a second and says how large these are to be.

import { type MemoryTargetOptions, nextMemoryTargets, WorkingSet } from "./resources/memory-targets.ts";
import { PAGE_BYTES, type ResourceClaim } from "./resources/model.ts";
import type { Ns } from "./sched/policy.ts";

const INTERVAL_MS = 1000;

/** What a pCPU says of the balloon of one of its VMs. */
export interface BalloonReport {
  readonly vm: number;
  /** How large the host wants it. */
  readonly targetBytes: number;
  readonly balloonBytes: number;
  readonly usedBytes: number | undefined;
}

export interface GovernedVm {
  readonly number: number;
  /** Guest RAM, bytes. */
  readonly memoryBytes: number;
  readonly claim: ResourceClaim;
}

export interface GovernedHost {
  nowNs(): Ns;
  /** Memory for guests, bytes. */
  capacityBytes(): number;
  vms(): readonly GovernedVm[];
  /** Of the VMs that have a balloon. */
  balloons(): Promise<readonly BalloonReport[]>;
  /** They were looked at. */
  seen(reports: readonly BalloonReport[]): void;
  setBalloonTarget(vm: number, bytes: number): Promise<void>;
}

interface Governed {
  readonly workingSet: WorkingSet;
  /** What the guest was told to hold, bytes. */
  targetBytes: number;
}

export class MemoryGovernor {
  readonly #known = new Map<number, Governed>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #lookedNs: Ns | undefined;
  #closed = false;
  #looking = false;
  /** The next look is due at once. */
  #hurry = false;

  constructor(
    private readonly host: GovernedHost,
    private readonly options: MemoryTargetOptions = {},
  ) {}

  start(): void {
    if (this.#timer === undefined && !this.#closed) this.#again();
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
  }

  /** Claims have changed: looks before its time. */
  soon(): void {
    this.#hurry = true;
    if (this.#looking) return;
    clearTimeout(this.#timer);
    this.#again();
  }

  /** One look at everybody. A VM without a balloon holds its RAM, and nothing is asked of it. */
  async step(): Promise<void> {
    const now = this.host.nowNs();
    const seconds = this.#lookedNs === undefined ? INTERVAL_MS / 1e3 : (now - this.#lookedNs) / 1e9;
    this.#lookedNs = now;
    const balloons = await this.host.balloons();
    this.host.seen(balloons);
    const reports = new Map(balloons.map((report) => [report.vm, report]));
    const vms = this.host.vms();
    for (const number of this.#known.keys()) if (!reports.has(number)) this.#known.delete(number);
    const ballooned = vms.flatMap((vm) => {
      const report = reports.get(vm.number);
      return report === undefined ? [] : [{ vm, report, known: this.#sampled(vm, report, seconds) }];
    });
    if (ballooned.length === 0) return;
    const fixed = vms.reduce((sum, vm) => sum + (reports.has(vm.number) ? 0 : wholePages(vm.memoryBytes)), 0);
    const reserved = ballooned.reduce((sum, { vm }) => sum + vm.claim.reservation, 0);
    const targets = nextMemoryTargets(
      // Reservations hold also where VMs without a balloon were promised less than they may touch.
      Math.max(this.host.capacityBytes() - fixed, reserved),
      ballooned.map(({ vm, report, known }) => ({
        claim: { ...vm.claim, demand: known.workingSet.bytes },
        heldBytes: held(vm, report),
        targetBytes: known.targetBytes,
      })),
      seconds,
      this.options,
    );
    for (const [i, { vm, known }] of ballooned.entries()) {
      const target = targets[i] ?? known.targetBytes;
      if (target === known.targetBytes) continue;
      known.targetBytes = target;
      await this.host.setBalloonTarget(vm.number, vm.memoryBytes - target);
    }
  }

  #sampled(vm: GovernedVm, report: BalloonReport, seconds: number): Governed {
    let known = this.#known.get(vm.number);
    if (known === undefined) {
      known = { workingSet: new WorkingSet(), targetBytes: held(vm, report) };
      this.#known.set(vm.number, known);
    }
    if (report.usedBytes !== undefined) known.workingSet.sample(Math.min(report.usedBytes, vm.memoryBytes), seconds);
    return known;
  }

  #again(): void {
    if (this.#closed) return;
    const delayMs = this.#hurry ? 0 : INTERVAL_MS;
    this.#timer = setTimeout(() => {
      this.#looking = true;
      this.#hurry = false;
      // A pCPU was lost, or a VM ended on the way: the next look sees what is left.
      void this.step()
        .catch(() => {})
        .then(() => {
          this.#looking = false;
          this.#again();
        });
    }, delayMs);
    // It keeps no process alive.
    (this.#timer as { unref?: () => void }).unref?.();
  }
}

function held(vm: GovernedVm, report: BalloonReport): number {
  return Math.max(0, vm.memoryBytes - report.balloonBytes);
}

function wholePages(bytes: number): number {
  return Math.ceil(bytes / PAGE_BYTES) * PAGE_BYTES;
}
