// The scheduling policies by name, with their options.
import { VmError } from "../../vmm/error.ts";
import { type Checked, checkFields, type FieldTable } from "../fields.ts";
import { CREDIT_OPTIONS, Credit } from "./credit.ts";
import type { Contender, Discipline } from "./discipline.ts";
import { EARLIEST_DEADLINE_OPTIONS, EarliestDeadline } from "./edf.ts";
import { EEVDF_OPTIONS, Eevdf } from "./eevdf.ts";
import { FirstCome } from "./fcfs.ts";
import { PINNED_OPTIONS, Pinned } from "./pinned.ts";
import type { SchedPolicy } from "./policy.ts";
import { PRIORITY_OPTIONS, Priority, STRICT_PRIORITY_OPTIONS } from "./priority.ts";
import { ROUND_ROBIN_OPTIONS, RoundRobin } from "./rr.ts";
import { RunQueue } from "./run-queue.ts";
import { SHORTEST_JOB_OPTIONS, ShortestJob } from "./sjf.ts";

/** Every policy has these. */
const QUEUE_OPTIONS = {
  capPeriodNs: {
    kind: "number",
    title: "period over which caps hold, ns",
    min: 1_000_000,
    max: 1_000_000_000,
    default: 20_000_000,
  },
} as const satisfies FieldTable;

export interface PolicyInfo {
  readonly description: string;
  /** Its options; each has a default. */
  readonly options: FieldTable;
  /** A run queue of this policy. Throws VmError("bad-config") naming the option and what is accepted. */
  create(options?: unknown): SchedPolicy;
}

function policy<const T extends FieldTable, C extends Contender>(
  description: string,
  table: T,
  discipline: (options: Checked<T>) => Discipline<C>,
): PolicyInfo {
  const options = { ...table, ...QUEUE_OPTIONS };
  return {
    description,
    options,
    create(given = {}) {
      const checked: Checked<FieldTable> = checkFields(options, given);
      return new RunQueue(discipline(checked as Checked<T>), checked["capPeriodNs"] as number);
    },
  };
}

export const POLICIES = {
  fcfs: policy("first come, first served, until it blocks", {}, () => new FirstCome()),
  sjf: policy(
    "shortest predicted CPU burst first; long ones starve",
    SHORTEST_JOB_OPTIONS,
    (options) => new ShortestJob(options),
  ),
  priority: policy(
    "most urgent first; waiting raises the priority",
    PRIORITY_OPTIONS,
    (options) => new Priority(options),
  ),
  "priority-strict": policy(
    "most urgent first, always; lower levels starve",
    STRICT_PRIORITY_OPTIONS,
    ({ sliceNs }) => new Priority({ sliceNs, agingNs: Infinity }),
  ),
  rr: policy(
    "each in turn for a slice, whatever its weight",
    ROUND_ROBIN_OPTIONS,
    (options) => new RoundRobin(options),
  ),
  credit: policy(
    "most credit for its weight first; a boost for who wakes with credit",
    CREDIT_OPTIONS,
    (options) => new Credit(options),
  ),
  eevdf: policy(
    "earliest eligible virtual deadline first: fair shares within a slice",
    EEVDF_OPTIONS,
    (options) => new Eevdf(options),
  ),
  edf: policy(
    "real-time reservations by earliest deadline, the others in the slack",
    EARLIEST_DEADLINE_OPTIONS,
    (options) => new EarliestDeadline(options),
  ),
  pinned: policy(
    "each vCPU stays on its pCPU and has it, or a turn of it, undisturbed",
    PINNED_OPTIONS,
    (options) => new Pinned(options),
  ),
} as const satisfies Record<string, PolicyInfo>;

export type PolicyName = keyof typeof POLICIES;
export const POLICY_NAMES = Object.keys(POLICIES) as readonly PolicyName[];

/** Shares by weight, and who sleeps much is served at once. */
export const DEFAULT_POLICY: PolicyName = "credit";

/** A run queue of the policy called `name`. Throws VmError("bad-config") naming the policy or option and what there is. */
export function createPolicy(name: string, options: unknown = {}): SchedPolicy {
  if (!Object.hasOwn(POLICIES, name))
    throw new VmError("bad-config", `no scheduling policy is called "${name}"; there are ${POLICY_NAMES.join(", ")}`, {
      field: "policy",
    });
  return POLICIES[name as PolicyName].create(options);
}
