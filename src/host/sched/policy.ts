// What a vCPU scheduling policy is: a pure object over vCPU ids and nanoseconds. It reads no clock, sets no timer and
// draws no random numbers, so the same object runs under real guests, in the discrete-event simulation and in property
// tests. One policy object serves one run queue (one pCPU); src/host/sched/balance.ts moves vCPUs between queues.

/** Unique within a host, so that a vCPU keeps its number when it changes queues. */
export type VcpuId = number;

/** Nanoseconds of the host's monotonic clock: any origin, the same for all run queues, never backwards. */
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
  /** Part of a pCPU that is held for it, from its claim on CPU (docs/RESOURCES.md); no setting of its own. */
  readonly reservation?: number;
}

/** Who runs next, and at most how long before `account` and another `pick`. */
export interface Pick {
  readonly vcpu: VcpuId;
  /** Above 0; Infinity under policies that let it run until it blocks. Never reaches beyond an event of nextEventNs that could change the choice. */
  readonly sliceNs: Ns;
}

/** What of its account a vCPU takes along to another run queue or another policy. Each policy reads what it keeps itself. */
export interface SchedCarry {
  /** CPU time that its cap still allows in the period that `remove` fell into; negative after an overrun. Undefined: no cap. */
  readonly capLeftNs: Ns | undefined;
  /** Service that it is behind its share (positive) or ahead of it (negative). 0 where the policy keeps none. */
  readonly lagNs: Ns;
  /** Predicted CPU burst. Undefined where the policy predicts none. */
  readonly burstNs: Ns | undefined;
}

export interface SchedMember {
  readonly vcpu: VcpuId;
  readonly parameters: SchedParameters;
  readonly runnable: boolean;
}

/**
 * The order of calls: `add` brings a vCPU in, blocked; `wake` and `block` follow what it does; `pick` says who runs, and
 * what ran is told by `account` before the next `pick`, `block` or `remove` of it. The vCPU that was picked stays the
 * current one until it blocks, leaves, or another `pick`. An id that is not here is a defect: VmError("internal").
 */
export interface SchedPolicy {
  readonly name: string;
  /** False: every vCPU stays on the pCPU where it was added, and the balancer leaves this queue alone. */
  readonly migrates: boolean;
  /** A vCPU joins, blocked. Throws VmError("admission") when its reservation does not fit, changing nothing. */
  add(vcpu: VcpuId, parameters: SchedParameters, now: Ns, carry?: SchedCarry): void;
  /** What it would take along if it left now. */
  carry(vcpu: VcpuId, now: Ns): SchedCarry;
  /** It leaves, whatever its state; a running one is accounted for first. */
  remove(vcpu: VcpuId, now: Ns): SchedCarry;
  /** New parameters for a vCPU that is here, whatever its state. Throws as add does, changing nothing. */
  set(vcpu: VcpuId, parameters: SchedParameters, now: Ns): void;
  /** Blocked to runnable. True if `pick` is due now: nobody runs, or it should preempt who does. No effect when it is runnable. */
  wake(vcpu: VcpuId, now: Ns): boolean;
  /** Runnable or running to blocked. A running one is accounted for first. No effect when it is blocked. */
  block(vcpu: VcpuId, now: Ns): void;
  /**
   * The vCPU that runs from now. Undefined: nobody may run (none runnable, or all parked at their caps). Calling it early,
   * in the middle of a slice, is harmless: nobody loses the rest of a slice or its place unless a better one is there.
   */
  pick(now: Ns): Pick | undefined;
  /** The vCPU that `pick` returned ran for `ranNs`, ending now, and stays runnable unless `block` follows. May be called several times a slice. */
  account(vcpu: VcpuId, ranNs: Ns, now: Ns): void;
  /** When to call `pick` although nothing happens (a parked vCPU's cap refills, a period starts): asked when `pick` gave undefined. Infinity for never. */
  nextEventNs(now: Ns): Ns;
  /** Runnable vCPUs, the running one and parked ones included. */
  readonly runnable: number;
  /** Runnable vCPUs that could run now if this pCPU were free: neither running nor parked. What an idle pCPU may take. */
  readonly waiting: number;
  /** Whether this one is among the waiting. */
  waits(vcpu: VcpuId): boolean;
  /** Whether the balancer may move it to another queue. */
  movable(vcpu: VcpuId): boolean;
  /** Who is here. See exchangePolicy for replacing a policy while it runs. */
  members(): Iterable<SchedMember>;
}
