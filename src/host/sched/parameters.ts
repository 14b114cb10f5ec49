// What a user can say of one vCPU's scheduling: ranges, defaults, check.
import { VmError } from "../../vmm/error.ts";
import { checkFields, type FieldTable } from "../fields.ts";
import type { SchedParameters } from "./policy.ts";

export const MAX_WEIGHT = 65_535;
/** A smaller cap would be less than a microsecond in the shortest period. */
const MIN_CAP_PERCENT = 0.1;
const SLICE = { min: 100_000, max: 1_000_000_000 } as const;

/** A slice shorter than a turn of the core would be all overhead; the core returns about every millisecond by itself. */
export const sliceField = <const D extends number>(title: string, defaultNs: D) =>
  ({ kind: "number", title, ...SLICE, default: defaultNs }) as const;

export const PARAMETER_FIELDS = {
  weight: { kind: "number", title: "share relative to others", min: 1, max: MAX_WEIGHT, integer: true, default: 256 },
  capPercent: { kind: "number", title: "most of one pCPU, percent; 0 for no cap", min: 0, max: 100, default: 0 },
  priority: { kind: "number", title: "0 (most urgent) to 139", min: 0, max: 139, integer: true, default: 100 },
  sliceNs: {
    kind: "number",
    title: "longest run before others get a look, ns; the policy's own when left out",
    ...SLICE,
  },
  realtime: {
    kind: "object",
    title: "real-time reservation: budget in every period",
    fields: {
      periodNs: { kind: "number", title: "period, ns", min: 100_000, max: 60_000_000_000, required: true },
      budgetNs: {
        kind: "number",
        title: "CPU time in each period, ns",
        min: 10_000,
        max: 60_000_000_000,
        required: true,
      },
    },
  },
} as const satisfies FieldTable;

/** Parameters with defaults filled in. Throws VmError("bad-config") naming the field and what is accepted. */
export function checkSchedParameters(input: unknown = {}, where = ""): SchedParameters {
  const parameters: SchedParameters = checkFields(PARAMETER_FIELDS, input, where);
  const { realtime, capPercent } = parameters;
  if (capPercent > 0 && capPercent < MIN_CAP_PERCENT)
    throw new VmError(
      "bad-config",
      `${where}capPercent is ${capPercent}; it takes 0 for no cap, or ${MIN_CAP_PERCENT} to 100`,
      { field: `${where}capPercent` },
    );
  if (!realtime) return parameters;
  const { periodNs, budgetNs } = realtime;
  if (budgetNs > periodNs)
    throw new VmError(
      "bad-config",
      `${where}realtime.budgetNs is ${budgetNs}; it takes at most realtime.periodNs, ${periodNs}`,
      { field: `${where}realtime.budgetNs` },
    );
  if (capPercent > 0 && capPercent < (budgetNs / periodNs) * 100)
    throw new VmError(
      "bad-config",
      `${where}capPercent is ${capPercent}, below the reservation of ${(budgetNs / periodNs) * 100}%; raise it or leave it out`,
      { field: `${where}capPercent` },
    );
  return parameters;
}

/** Default parameters, for callers that change one or two. */
export const DEFAULT_PARAMETERS: SchedParameters = checkSchedParameters();
