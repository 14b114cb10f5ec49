// Earliest deadline first for vCPUs with a real-time reservation: `budgetNs` of CPU time in every `periodNs`, by the
// deadline at the period's end. Each reservation is a constant-bandwidth server (Abeni and Buttazzo 1998; Linux's
// SCHED_DEADLINE): one that wakes too late to use its rest without taking more than its share begins a new period. So the
// sum of budget/period at most 1 is enough for every deadline to be met, whenever the vCPUs sleep and wake.
// vCPUs without a reservation share what is left by weight (EEVDF), and so does, with `extraTime`, who has used its budget.
import { VmError } from "../../vmm/error.ts";
import { REST_NS } from "./cap.ts";
import type { Cause, Discipline, Leaving, Standing } from "./discipline.ts";
import { EEVDF_OPTIONS, Eevdf, VirtualContender } from "./eevdf.ts";
import { Heap, type HeapItem } from "./heap.ts";
import type { Ns, SchedParameters, VcpuId } from "./policy.ts";

export const EARLIEST_DEADLINE_OPTIONS = {
  sliceNs: { ...EEVDF_OPTIONS.sliceNs, title: "slice of vCPUs in the slack, ns" },
  extraTime: { kind: "boolean", title: "who has used its budget shares in the slack", default: true },
  utilization: { kind: "number", title: "most that reservations may sum up to, in pCPUs", min: 0, max: 1, default: 1 },
} as const;

/** Reserved: runs by its deadline. Slack: shares what is left. Waiting: its budget is used up and it gets no extra time. */
type Mode = "reserved" | "slack" | "waiting";

class Reservation extends VirtualContender implements HeapItem {
  mode: Mode = "slack";
  budgetLeftNs = 0;
  deadlineNs = -Infinity;
  readonly replenishment: Replenishment = { heapIndex: -1, atNs: 0, reservation: this };
}

interface Replenishment extends HeapItem {
  atNs: number;
  readonly reservation: Reservation;
}

export class EarliestDeadline implements Discipline<Reservation> {
  readonly name = "edf";
  readonly migrates = true;
  readonly #extraTime: boolean;
  readonly #limit: number;
  readonly #slack: Eevdf<Reservation>;
  readonly #reserved = new Set<Reservation>();
  readonly #order = new Heap<Reservation>((a, b) =>
    a.deadlineNs === b.deadlineNs ? a.sequence < b.sequence : a.deadlineNs < b.deadlineNs,
  );
  readonly #replenishments = new Heap<Replenishment>((a, b) =>
    a.atNs === b.atNs ? a.reservation.vcpu < b.reservation.vcpu : a.atNs < b.atNs,
  );

  constructor(options: { readonly sliceNs: number; readonly extraTime: boolean; readonly utilization: number }) {
    this.#extraTime = options.extraTime;
    this.#limit = options.utilization;
    this.#slack = new Eevdf(options);
  }

  contender(vcpu: VcpuId, parameters: SchedParameters, _now: Ns, standing?: Standing): Reservation {
    const reservation = new Reservation(vcpu, parameters);
    this.admit(reservation, parameters);
    this.#slack.join(reservation, standing);
    return reservation;
  }

  admit(reservation: Reservation, { realtime }: SchedParameters): void {
    if (!realtime) {
      this.#reserved.delete(reservation);
      return;
    }
    let used = 0;
    for (const { vcpu, parameters } of this.#reserved)
      if (vcpu !== reservation.vcpu && parameters.realtime)
        used += parameters.realtime.budgetNs / parameters.realtime.periodNs;
    const asked = realtime.budgetNs / realtime.periodNs;
    // Sums such as 0.1 + 0.2 + 0.7 are not to fail by rounding.
    if (used + asked > this.#limit + 1e-9)
      throw new VmError(
        "admission",
        `vCPU ${reservation.vcpu} asks for ${percent(asked)} of a pCPU of which ${percent(Math.max(0, this.#limit - used))} can still be reserved; lower realtime.budgetNs or raise realtime.periodNs`,
        { vcpu: reservation.vcpu, asked, reserved: used, limit: this.#limit },
      );
    this.#reserved.add(reservation);
  }

  dismiss(reservation: Reservation): void {
    this.#reserved.delete(reservation);
  }

  insert(reservation: Reservation, cause: Cause, now: Ns): void {
    if (reservation.parameters.realtime === undefined) {
      reservation.mode = "slack";
      this.#slack.insert(reservation, cause, now);
      return;
    }
    if (cause === "wake" || cause === "change" || cause === "refill") this.#open(reservation, now);
    this.#queue(reservation, cause, now);
  }

  leave(reservation: Reservation, why: Leaving, now: Ns): void {
    if (reservation.replenishment.heapIndex >= 0) this.#replenishments.delete(reservation.replenishment);
    if (reservation.competes) this.#slack.leave(reservation, why, now);
    else if (reservation.heapIndex >= 0) this.#order.delete(reservation);
  }

  best(now: Ns): Reservation | undefined {
    for (let next = this.#replenishments.top; next && next.atNs <= now; next = this.#replenishments.top) {
      this.#replenishments.delete(next);
      const { reservation } = next;
      this.#replenish(reservation, now);
      if (reservation.competes) this.#slack.leave(reservation, "park", now);
      this.#queue(reservation, "refill", now);
    }
    return this.#order.top ?? this.#slack.best(now);
  }

  hold(reservation: Reservation): void {
    if (reservation.mode === "reserved") this.#order.delete(reservation);
    else if (reservation.mode === "slack") this.#slack.hold(reservation);
  }

  charge(reservation: Reservation, ranNs: Ns): void {
    if (reservation.mode === "reserved") reservation.budgetLeftNs -= ranNs;
    else this.#slack.charge(reservation, ranNs);
  }

  preempts(reservation: Reservation, held: Reservation): boolean {
    if (reservation.mode === "slack") return held.mode === "slack" && this.#slack.preempts(reservation, held);
    if (reservation.mode === "waiting") return false;
    return held.mode !== "reserved" || reservation.deadlineNs < held.deadlineNs;
  }

  /** A reservation was admitted to this pCPU. */
  movable(reservation: Reservation): boolean {
    return reservation.parameters.realtime === undefined;
  }

  sliceOf(reservation: Reservation): Ns {
    return reservation.mode === "slack" ? this.#slack.sliceOf(reservation) : Infinity;
  }

  limitNs(reservation: Reservation): Ns {
    return reservation.mode === "reserved" ? reservation.budgetLeftNs : Infinity;
  }

  nextEventNs(): Ns {
    return this.#replenishments.top?.atNs ?? Infinity;
  }

  standing(reservation: Reservation): Standing {
    return this.#slack.standing(reservation);
  }

  /** It wakes: goes on in its period, or begins a new one where the rest would be more than its share until the deadline. */
  #open(reservation: Reservation, now: Ns): void {
    const { periodNs, budgetNs } = reservation.parameters.realtime ?? { periodNs: 0, budgetNs: 0 };
    const restNs = reservation.deadlineNs - now;
    if (restNs > 0 && reservation.budgetLeftNs * periodNs <= restNs * budgetNs) return;
    reservation.deadlineNs = now + periodNs;
    reservation.budgetLeftNs = Math.min(budgetNs, budgetNs + Math.min(0, reservation.budgetLeftNs));
  }

  /** The next period with its budget, less what the last one overran. */
  #replenish(reservation: Reservation, now: Ns): void {
    const { periodNs, budgetNs } = reservation.parameters.realtime ?? { periodNs: 0, budgetNs: 0 };
    const dueNs = reservation.deadlineNs;
    reservation.deadlineNs = dueNs + periodNs > now ? dueNs + periodNs : now + periodNs;
    reservation.budgetLeftNs = Math.min(budgetNs, reservation.budgetLeftNs + budgetNs);
  }

  /** To its deadline's place, or, its budget used up, to the slack or to wait for the next period. */
  #queue(reservation: Reservation, cause: Cause, now: Ns): void {
    if (reservation.budgetLeftNs >= REST_NS) {
      reservation.mode = "reserved";
      this.#order.push(reservation);
      return;
    }
    if (reservation.replenishment.heapIndex < 0) {
      reservation.replenishment.atNs = Math.max(reservation.deadlineNs, now + REST_NS);
      this.#replenishments.push(reservation.replenishment);
    }
    reservation.mode = this.#extraTime ? "slack" : "waiting";
    if (this.#extraTime) this.#slack.insert(reservation, cause, now);
  }
}

function percent(part: number): string {
  return `${part < 1e-9 ? 0 : Number((part * 100).toPrecision(3))}%`;
}
