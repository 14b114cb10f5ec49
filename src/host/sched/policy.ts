// What a vCPU scheduling policy is: a pure object over vCPU ids and nanoseconds. It reads no clock, sets no timer and
// draws no random numbers, so the same object runs under real guests (src/host/pcpu.ts), in the discrete-event simulation
// and in property tests. One policy object serves one run queue (one pCPU); src/host/sched/balance.ts moves vCPUs
// between queues.

/** Unique within a run queue; the host numbers its vCPUs. */
export type VcpuId = number;

/** Nanoseconds of the run queue's clock, any origin, never backwards. */
export type Ns = number;

/** What a user can say of one vCPU; a policy looks at what concerns it. Checked by checkSchedParameters. */
export interface SchedParameters {
  /** Share relative to others, 1 to 65,535. Default 256. */
  readonly weight: number;
  /** Most of one pCPU that it may use, in percent; 0 = no cap. Default 0. */
  readonly capPercent: number;
  /** 0 (most urgent) to 139. Default 100. */
  readonly priority: number;
  /** Longest run before others get a look. Undefined: the policy's own. */
  readonly sliceNs: Ns | undefined;
  /** Real-time reservation: `budgetNs` in every `periodNs`. Undefined: none. */
  readonly realtime: { readonly periodNs: Ns; readonly budgetNs: Ns } | undefined;
}

/** Who runs next, and at most how long before `account` and another `pick`. */
export interface Pick {
  readonly vcpu: VcpuId;
  readonly sliceNs: Ns;
}

export interface SchedPolicy {
  readonly name: string;
  /** A vCPU joins, blocked. Throws VmError("admission") when its reservation does not fit. */
  add(vcpu: VcpuId, parameters: SchedParameters, now: Ns): void;
  remove(vcpu: VcpuId, now: Ns): void;
  /** New parameters for a vCPU that is here, whatever its state. Throws as add does, changing nothing. */
  set(vcpu: VcpuId, parameters: SchedParameters, now: Ns): void;
  /** Blocked to runnable. True if it should preempt the vCPU that runs now, as the policy sees it. No effect when it is runnable. */
  wake(vcpu: VcpuId, now: Ns): boolean;
  /** Runnable or running to blocked. A running one is accounted for first. */
  block(vcpu: VcpuId, now: Ns): void;
  /** The vCPU that runs from now. Undefined: nobody may run (none runnable, or all parked at their caps). */
  pick(now: Ns): Pick | undefined;
  /** The vCPU that `pick` returned ran for `ranNs` and stays runnable unless `block` follows. May be called several times a slice. */
  account(vcpu: VcpuId, ranNs: Ns, now: Ns): void;
  /** When to call `pick` again though nothing happens (a parked vCPU's cap refills, a period starts); Infinity for never. */
  nextEventNs(now: Ns): Ns;
  /** Runnable vCPUs, the running one included. */
  readonly runnable: number;
  /** State to take over by another policy when it is exchanged while running: who is here and who is runnable. */
  members(): Iterable<{ readonly vcpu: VcpuId; readonly parameters: SchedParameters; readonly runnable: boolean }>;
}
