// A fleet file: hosts, VMs and what to plan for, as a user writes them (docs/fleet.schema.json, docs/RESOURCES.md).
import { flag, oneOf, refuse, text } from "../../vmm/check-config.ts";
import { VmError } from "../../vmm/error.ts";
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
import { type Load, leastCpu } from "./delay.ts";
import { CPU, claimOf, MEMORY, SHARES_MAX } from "./model.ts";
import { OBJECTIVES, type Objective, type PlanHost, type PlanProblem, type PlanVm } from "./problem.ts";
import { IDLE_TAX, STRATEGIES, type StrategyName } from "./strategies.ts";

export interface Fleet {
  readonly problem: PlanProblem;
  readonly strategy: StrategyName;
  readonly idleTax: number;
}

/** What of a VM's entry planning reads. */
const PLAN_FIELDS = ["name", "count", "resources", "load", "delayCost", "work", "optional", "pinned", "placementCost"];
/** What running it reads; of these planning takes memory, weight and cap where `resources` does not say. */
export const RUN_FIELDS: readonly string[] = [
  "image",
  "boot",
  "memory",
  "weight",
  "cap",
  "priority",
  "cpu",
  "vcpus",
  "drives",
  "networks",
  "clock",
  "serial",
  "start",
];
const FLEET_FIELDS = ["$schema", "name", "hosts", "vms", "affinity", "antiAffinity", "plan"];
const PLAN_OPTION_FIELDS = ["objective", "strategy", "timeSeconds", "idleTax"];
export const HOSTS_MAX = 1000;
export const VMS_MAX = 10_000;
/** Larger costs and weights would drown the small ones in a double. */
const COST_MAX = 1e9;

/** Throws VmError("bad-config") naming the field and what is accepted. */
export function checkFleet(value: unknown): Fleet {
  const fleet = record("the fleet", value);
  onlyFields("", fleet, FLEET_FIELDS);
  if (fleet.$schema !== undefined) text("$schema", fleet.$schema);
  if (fleet.name !== undefined) text("name", fleet.name);
  const options = record("plan", given(fleet.plan, {}));
  onlyFields("plan", options, PLAN_OPTION_FIELDS);
  const hosts = list("hosts", fleet.hosts).map((host, i) => checkHost(`hosts[${i}]`, host));
  if (hosts.length === 0 || hosts.length > HOSTS_MAX) refuse("hosts", hosts.length, `1 to ${HOSTS_MAX} hosts`);
  unique("hosts", hosts);
  /** Members of a name: itself, or its copies. */
  const members = new Map<string, string[]>();
  const vms = list("vms", fleet.vms).flatMap((vm, i) => checkVm(`vms[${i}]`, vm, hosts, members));
  if (vms.length > VMS_MAX) refuse("vms", vms.length, `at most ${VMS_MAX} VMs`);
  unique("vms", vms);
  return {
    problem: {
      hosts,
      vms,
      affinity: groups("affinity", fleet.affinity, vms, members),
      antiAffinity: groups("antiAffinity", fleet.antiAffinity, vms, members),
      objective: oneOf<Objective>("plan.objective", given(options.objective, "cost"), OBJECTIVES),
      timeSeconds: quantity("plan.timeSeconds", given(options.timeSeconds, 3600), 0.001, COST_MAX),
    },
    strategy: oneOf<StrategyName>("plan.strategy", given(options.strategy, "maximum"), STRATEGIES),
    idleTax: quantity("plan.idleTax", given(options.idleTax, IDLE_TAX), 0, 0.999),
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
  onlyFields(field, entry, [...PLAN_FIELDS, ...RUN_FIELDS]);
  const base = name(`${field}.name`, entry.name);
  const hostNames = hosts.map((host) => host.name);
  const vm: PlanVm = {
    name: base,
    resources: checkResources(`${field}.resources`, withRunFields(field, entry)),
    load: entry.load === undefined ? undefined : checkLoad(`${field}.load`, entry.load),
    delayCost: checkDelayCost(`${field}.delayCost`, given(entry.delayCost, {})),
    work: checkWork(`${field}.work`, given(entry.work, {})),
    optional: flag(`${field}.optional`, given(entry.optional, false)),
    pinned: entry.pinned === undefined ? undefined : oneOf(`${field}.pinned`, entry.pinned, hostNames),
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

/** `resources`, with what the entry's fields for running say where it is silent: fixed RAM, scheduler weight and cap. */
function withRunFields(field: string, entry: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const bytes = entry.memory === undefined ? undefined : amount(`${field}.memory`, MEMORY, entry.memory);
  const shares = entry.weight === undefined ? undefined : quantity(`${field}.weight`, entry.weight, 1, SHARES_MAX);
  const percent = entry.cap === undefined ? 0 : quantity(`${field}.cap`, entry.cap, 0, 100);
  const resources = { ...record(`${field}.resources`, given(entry.resources, {})) };
  if (bytes !== undefined && resources[MEMORY] === undefined) resources[MEMORY] = { reservation: bytes, limit: bytes };
  const cpu: Record<string, unknown> = { ...record(`${field}.resources.cpu`, given(resources[CPU], {})) };
  if (shares !== undefined) cpu.shares = given(cpu.shares, shares);
  if (percent > 0) cpu.limit = given(cpu.limit, percent / 100);
  if (Object.keys(cpu).length > 0) resources[CPU] = cpu;
  return resources;
}

function checkLoad(field: string, value: unknown): Load {
  const load = record(field, value);
  onlyFields(field, load, ["requestsPerSecond", "cpuSecondsPerRequest"]);
  return {
    requestsPerSecond: quantity(`${field}.requestsPerSecond`, load.requestsPerSecond, 0, COST_MAX),
    cpuSecondsPerRequest: quantity(`${field}.cpuSecondsPerRequest`, load.cpuSecondsPerRequest, 0, COST_MAX),
  };
}

function checkDelayCost(field: string, value: unknown): PlanVm["delayCost"] {
  const cost = record(field, value);
  onlyFields(field, cost, ["fixed", "perSecond"]);
  return {
    fixed: quantity(`${field}.fixed`, given(cost.fixed, 0), 0, COST_MAX),
    perSecond: quantity(`${field}.perSecond`, given(cost.perSecond, 1), 0, COST_MAX),
  };
}

function checkWork(field: string, value: unknown): PlanVm["work"] {
  const work = record(field, value);
  onlyFields(field, work, ["cpuSeconds", "weight"]);
  return {
    cpuSeconds:
      work.cpuSeconds === undefined ? Infinity : quantity(`${field}.cpuSeconds`, work.cpuSeconds, 0, COST_MAX),
    weight: quantity(`${field}.weight`, given(work.weight, 1), 0, COST_MAX),
  };
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
