// A fleet file: hosts, VMs and what to plan for, as a user writes them (docs/fleet.schema.json, docs/RESOURCES.md).

import { flag, oneOf, refuse, text } from "../../vmm/check-values.ts";
import { VmError } from "../../vmm/error.ts";
import { checkFields, type FieldTable } from "../fields.ts";
import { VM_SPEC_FIELDS } from "../vm-spec.ts";
import {
  amount,
  checkCapacity,
  checkResources,
  given,
  list,
  name,
  onlyFields,
  quantity,
  record,
} from "./check-claims.ts";
import { leastCpu } from "./delay.ts";
import { CPU, claimOf, DEFAULT_SHARES, MEMORY, SHARES_MAX } from "./model.ts";
import { OBJECTIVES, type PlanHost, type PlanProblem, type PlanVm } from "./problem.ts";
import { fillResources } from "./run-claims.ts";
import { IDLE_TAX, STRATEGIES, type StrategyName } from "./strategies.ts";

export interface Fleet {
  readonly problem: PlanProblem;
  readonly strategy: StrategyName;
  readonly idleTax: number;
}

/** Members of a fleet file that only planning reads, and of a VM's entry in it but for `resources`: `paravane up` passes over them. */
export const PLAN_FLEET_FIELDS: readonly string[] = ["hosts", "affinity", "antiAffinity", "plan"];
export const PLAN_VM_FIELDS: readonly string[] = [
  "resources",
  "load",
  "delayCost",
  "work",
  "optional",
  "host",
  "placementCost",
];
/** What running it reads; of these planning takes memoryMib and scheduling, where `resources` does not say. */
export const RUN_VM_FIELDS: readonly string[] = [...Object.keys(VM_SPEC_FIELDS), "start"].filter(
  (field) => field !== "name" && !PLAN_VM_FIELDS.includes(field),
);
const FLEET_FIELDS = ["$schema", "name", "host", "networks", "vms", ...PLAN_FLEET_FIELDS];
export const HOSTS_MAX = 1000;
export const VMS_MAX = 10_000;
/** A program has a column for each VM on each host: more than this would not be solved, and take gigabytes to find out. */
export const PAIRS_MAX = 100_000;
/** Larger costs and weights would drown the small ones in a double. */
const COST_MAX = 1e9;
const cost = (title: string) => ({ kind: "number", title, min: 0, max: COST_MAX }) as const;

const OPTIONS = {
  objective: { kind: "choice", title: "what is best", of: OBJECTIVES, default: "cost" },
  strategy: { kind: "choice", title: "how what is left is divided", of: STRATEGIES, default: "maximum" },
  timeSeconds: {
    kind: "number",
    title: "time in which work is done, seconds",
    min: 0.001,
    max: COST_MAX,
    default: 3600,
  },
  idleTax: { kind: "number", title: "of the dynamic strategy", min: 0, max: 0.999, default: IDLE_TAX },
} as const satisfies FieldTable;
const LOAD = {
  requestsPerSecond: { ...cost("requests a second"), required: true },
  cpuSecondsPerRequest: { ...cost("seconds of one pCPU for each"), required: true },
} as const satisfies FieldTable;
const DELAY_COST = {
  fixed: { ...cost("cost without any delay"), default: 0 },
  perSecond: { ...cost("cost of a second of mean latency"), default: 1 },
} as const satisfies FieldTable;
const WORK = {
  cpuSeconds: cost("what there is to compute, seconds of one pCPU; no end when left out"),
  weight: { ...cost("what a second of it is worth"), default: 1 },
} as const satisfies FieldTable;

/** Throws VmError("bad-config") naming the field and what is accepted. */
export function checkFleet(value: unknown): Fleet {
  const fleet = record("the fleet", value);
  onlyFields("", fleet, FLEET_FIELDS);
  if (fleet.$schema !== undefined) text("$schema", fleet.$schema);
  if (fleet.name !== undefined) text("name", fleet.name);
  const options = checkFields(OPTIONS, given(fleet.plan, {}), "plan.");
  const hosts = list("hosts", fleet.hosts).map((host, i) => checkHost(`hosts[${i}]`, host));
  if (hosts.length === 0 || hosts.length > HOSTS_MAX) refuse("hosts", hosts.length, `1 to ${HOSTS_MAX} hosts`);
  unique("hosts", hosts);
  /** Members of a name: itself, or its copies. */
  const members = new Map<string, string[]>();
  const vms = list("vms", fleet.vms).flatMap((vm, i) => checkVm(`vms[${i}]`, vm, hosts, members));
  if (vms.length > VMS_MAX) refuse("vms", vms.length, `at most ${VMS_MAX} VMs`);
  if (vms.length * hosts.length > PAIRS_MAX) {
    refuse("vms", `${vms.length} on ${hosts.length} hosts`, `VMs times hosts up to ${PAIRS_MAX}`);
  }
  unique("vms", vms);
  return {
    problem: {
      hosts,
      vms,
      affinity: groups("affinity", fleet.affinity, vms, members),
      antiAffinity: groups("antiAffinity", fleet.antiAffinity, vms, members),
      objective: options.objective,
      timeSeconds: options.timeSeconds,
    },
    strategy: options.strategy,
    idleTax: options.idleTax,
  };
}

function checkHost(field: string, value: unknown): PlanHost {
  const host = record(field, value);
  onlyFields(field, host, ["name", "capacity", "overcommit", "cost"]);
  return {
    name: name(`${field}.name`, host.name),
    ...checkCapacity(field, host),
    cost: quantity(`${field}.cost`, given(host.cost, 1), 0, COST_MAX),
  };
}

function checkVm(field: string, value: unknown, hosts: readonly PlanHost[], members: Map<string, string[]>): PlanVm[] {
  const entry = record(field, value);
  onlyFields(field, entry, ["name", "count", ...PLAN_VM_FIELDS, ...RUN_VM_FIELDS]);
  const base = name(`${field}.name`, entry.name);
  const hostNames = hosts.map((host) => host.name);
  const work = checkFields(WORK, given(entry.work, {}), `${field}.work.`);
  const vm: PlanVm = {
    name: base,
    resources: checkResources(`${field}.resources`, withRunFields(field, entry)),
    load: entry.load === undefined ? undefined : checkFields(LOAD, entry.load, `${field}.load.`),
    delayCost: checkFields(DELAY_COST, given(entry.delayCost, {}), `${field}.delayCost.`),
    work: { ...work, cpuSeconds: work.cpuSeconds ?? Infinity },
    optional: flag(`${field}.optional`, given(entry.optional, false)),
    pinned: entry.host === undefined ? undefined : oneOf(`${field}.host`, entry.host, hostNames),
    placementCost: checkPlacementCost(`${field}.placementCost`, given(entry.placementCost, {}), hostNames),
  };
  if (vm.resources[MEMORY] === undefined) {
    refuse(
      `${field}.resources.memory`,
      undefined,
      'a claim such as { "reservation": "128M", "limit": "512M" }',
      "is missing",
    );
  }
  const { limit } = claimOf(vm, CPU);
  if (vm.load && leastCpu(vm.load) > limit) {
    refuse(
      `${field}.load`,
      undefined,
      `a load that needs at most resources.cpu.limit, ${limit} pCPUs`,
      `needs ${Number(leastCpu(vm.load).toPrecision(4))} pCPUs`,
    );
  }
  if (entry.count === undefined) return [vm];
  if (!Number.isInteger(entry.count)) refuse(`${field}.count`, entry.count, `a whole number from 1 to ${VMS_MAX}`);
  const count = quantity(`${field}.count`, entry.count, 1, VMS_MAX);
  const copies = Array.from({ length: count }, (_, i) => ({ ...vm, name: `${base}-${i + 1}` }));
  if (members.has(base)) refuse(`${field}.name`, base, "a name that no other entry has");
  members.set(
    base,
    copies.map((copy) => copy.name),
  );
  return copies;
}

/** `resources`, with what the entry's fields for running say where it is silent. */
function withRunFields(field: string, entry: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const scheduling = record(`${field}.scheduling`, given(entry.scheduling, {}));
  const part = (name: string, otherwise: number, least: number, most: number): number =>
    quantity(`${field}.scheduling.${name}`, given(scheduling[name], otherwise), least, most);
  return fillResources(`${field}.resources`, entry.resources, {
    memoryBytes: entry.memoryMib === undefined ? undefined : ramBytes(`${field}.memoryMib`, entry.memoryMib),
    scheduling: { weight: part("weight", DEFAULT_SHARES, 1, SHARES_MAX), capPercent: part("capPercent", 0, 0, 100) },
  });
}

function ramBytes(field: string, mib: unknown): number {
  return amount(field, MEMORY, quantity(field, mib, 1, 3072) * 2 ** 20);
}

function checkPlacementCost(field: string, value: unknown, hosts: readonly string[]): Record<string, number> {
  const costs: Record<string, number> = {};
  for (const [host, cost] of Object.entries(record(field, value))) {
    if (!hosts.includes(host)) {
      refuse(field, undefined, `the hosts: ${hosts.join(", ")}`, `names ${JSON.stringify(host)}, which is no host`);
    }
    costs[host] = quantity(`${field}.${host}`, cost, 0, COST_MAX);
  }
  return costs;
}

/** Groups of names of VMs; a name with a count stands for all its copies. */
function groups(
  field: string,
  value: unknown,
  vms: readonly PlanVm[],
  members: ReadonlyMap<string, readonly string[]>,
): string[][] {
  const names = new Set(vms.map((vm) => vm.name));
  return list(field, given(value, [])).map((group, g) => {
    const all = list(`${field}[${g}]`, group).flatMap((member, k) => {
      if (typeof member === "string" && names.has(member)) return [member];
      const copies = typeof member === "string" ? members.get(member) : undefined;
      if (copies) return copies;
      return refuse(`${field}[${g}][${k}]`, member, "the name of a VM of this fleet");
    });
    return [...new Set(all)];
  });
}

function unique(field: string, things: readonly { readonly name: string }[]): void {
  const seen = new Set<string>();
  for (const thing of things) {
    if (seen.has(thing.name)) {
      throw new VmError("bad-config", `${field} has two called ${thing.name}; accepted: names that differ.`, { field });
    }
    seen.add(thing.name);
  }
}
