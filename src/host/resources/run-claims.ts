// What a VM that is to run claims: its `resources`, and what its other settings say where these are silent. RAM is what it
// may have of memory, weight and cap what it may have of CPU.
import { refuse } from "../../vmm/check-values.ts";
import type { SchedParameters } from "../sched/policy.ts";
import { checkResources, given, record } from "./check-claims.ts";
import { CPU, claimOf, MEMORY, type ResourceClaim, type VmClaims } from "./model.ts";

/** The smallest cap that the scheduler keeps, in pCPUs. */
const CPU_LIMIT_MIN = 0.001;

export interface RunSettings {
  /** Guest RAM, bytes; undefined: nobody said. */
  readonly memoryBytes: number | undefined;
  readonly scheduling: Partial<Pick<SchedParameters, "weight" | "capPercent" | "realtime">>;
}

/** `resources` as a user writes them, with the gaps filled from the other settings. Throws VmError("bad-config"). */
export function fillResources(field: string, resources: unknown, settings: RunSettings): Record<string, unknown> {
  const { memoryBytes, scheduling } = settings;
  const filled = { ...record(field, given(resources, {})) };
  if (memoryBytes !== undefined) {
    const memory = filled[MEMORY];
    filled[MEMORY] =
      memory === undefined
        ? { reservation: memoryBytes, limit: memoryBytes }
        : { limit: memoryBytes, ...record(`${field}.${MEMORY}`, memory) };
  }
  const { weight, capPercent = 0, realtime } = scheduling;
  filled[CPU] = {
    ...(weight === undefined ? {} : { shares: weight }),
    ...(capPercent > 0 ? { limit: capPercent / 100 } : {}),
    ...(realtime === undefined ? {} : { reservation: realtime.budgetNs / realtime.periodNs }),
    ...record(`${field}.${CPU}`, given(filled[CPU], {})),
  };
  return filled;
}

/**
 * The claims of a VM with so much RAM. Throws VmError("bad-config") naming the field: also for what one vCPU cannot use
 * and for more memory than its RAM.
 */
export function checkRunClaims(
  field: string,
  resources: unknown,
  settings: RunSettings & { readonly memoryBytes: number },
): VmClaims["resources"] {
  const claims = checkResources(field, fillResources(field, resources, settings));
  const [cpu, memory] = [claims[CPU], claims[MEMORY]];
  if (cpu !== undefined && cpu.reservation > 1) {
    refuse(`${field}.cpu.reservation`, cpu.reservation, "at most 1 pCPU, since a VM has one vCPU");
  }
  if (cpu !== undefined && cpu.limit < CPU_LIMIT_MIN) {
    refuse(`${field}.cpu.limit`, cpu.limit, `at least ${CPU_LIMIT_MIN} pCPUs`);
  }
  if (memory !== undefined && memory.limit > settings.memoryBytes) {
    refuse(`${field}.memory.limit`, memory.limit, `at most the guest's RAM, ${settings.memoryBytes}`);
  }
  return claims;
}

/** Guest RAM that `resources` ask for: the limit of memory. Undefined where they do not say. */
export function ramOf(field: string, resources: unknown): number | undefined {
  const memory = record(field, given(resources, {}))[MEMORY];
  if (memory === undefined || record(`${field}.${MEMORY}`, memory).limit === undefined) return undefined;
  return claimOf({ name: "", resources: checkResources(field, { [MEMORY]: memory }) }, MEMORY).limit;
}

/** `change` in place of what `claims` say, as a user writes them; what it leaves out stays. */
export function changedResources(
  field: string,
  claims: VmClaims["resources"],
  change: unknown,
): Record<string, unknown> {
  const changed: Record<string, unknown> = Object.fromEntries(
    Object.entries(claims).map(([resource, claim]) => [resource, writtenClaim(claim)]),
  );
  for (const [resource, claim] of Object.entries(record(field, change))) {
    const before = Object.hasOwn(changed, resource) ? (changed[resource] as object) : {};
    changed[resource] = { ...before, ...record(`${field}.${resource}`, claim) };
  }
  return changed;
}

/** Without what has no number: no limit, no known demand. */
export function writtenClaim({ reservation, limit, shares, demand }: ResourceClaim): Record<string, number> {
  return {
    reservation,
    ...(Number.isFinite(limit) ? { limit } : {}),
    shares,
    ...(demand === undefined ? {} : { demand }),
  };
}

/** The scheduler's side of a claim on CPU. */
export function schedulingOf(cpu: ResourceClaim): Pick<SchedParameters, "weight" | "capPercent"> {
  // To a thousandth of a percent: 0.07 * 100 is a little more than 7.
  return { weight: cpu.shares, capPercent: cpu.limit < 1 ? Math.round(cpu.limit * 1e5) / 1e3 : 0 };
}

/** The claim on CPU that follows from scheduling parameters; a real-time budget is a reservation. */
export function cpuClaimOf(scheduling: SchedParameters, before: SchedParameters): Record<string, number> {
  const { weight, capPercent, realtime } = scheduling;
  const renewed = realtime?.budgetNs !== before.realtime?.budgetNs || realtime?.periodNs !== before.realtime?.periodNs;
  return {
    shares: weight,
    limit: capPercent > 0 ? capPercent / 100 : 1,
    ...(renewed ? { reservation: realtime === undefined ? 0 : realtime.budgetNs / realtime.periodNs } : {}),
  };
}
