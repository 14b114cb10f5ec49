// A whole fleet in one file: the host, and the VMs on it.
import { checkFields, type FieldTable, schemaOf } from "../host/fields.ts";
import { createPolicy } from "../host/sched/registry.ts";
import { VmError } from "../vmm/error.ts";
import { checkVmSpec, VM_SPEC_FIELDS, type VmSpec } from "./vm-spec.ts";

const COUNT_MAX = 1000;

const FLEET_VM_FIELDS = {
  ...VM_SPEC_FIELDS,
  count: {
    kind: "number",
    title: "so many of them, named NAME-1, NAME-2...",
    min: 1,
    max: COUNT_MAX,
    integer: true,
    default: 1,
  },
  start: { kind: "boolean", title: "start it with the fleet", default: true },
} as const satisfies FieldTable;

const FLEET_FIELDS = {
  host: {
    kind: "object",
    title: "the host",
    fields: {
      pcpus: {
        kind: "number",
        title: "how many pCPUs; one a processor when left out",
        min: 1,
        max: 256,
        integer: true,
      },
      policy: { kind: "text", title: "scheduling policy", maxLength: 64 },
    },
  },
  vms: {
    kind: "list",
    title: "the VMs, started in this order",
    of: FLEET_VM_FIELDS,
    minItems: 1,
    maxItems: COUNT_MAX,
    required: true,
  },
} as const satisfies FieldTable;

export interface FleetSpec {
  readonly host: { readonly pcpus?: number; readonly policy?: string };
  readonly vms: readonly { readonly spec: VmSpec; readonly start: boolean }[];
}

/** Throws VmError("bad-config") naming the field and what is accepted. */
export function checkFleetSpec(input: unknown): FleetSpec {
  const { host, vms } = checkFields(FLEET_FIELDS, input);
  if (host?.policy !== undefined) createPolicy(host.policy);
  const names = new Set<string>();
  const all = vms.flatMap((entry, i) => {
    const { count, start, ...spec } = entry;
    checkVmSpec(JSON.parse(JSON.stringify(spec)), `vms[${i}].`);
    const base = spec.name ?? `vm${i + 1}`;
    return Array.from({ length: count }, (_, copy) => {
      const name = count === 1 ? base : `${base}-${copy + 1}`;
      if (names.has(name)) {
        throw new VmError("bad-config", `vms[${i}].name "${name}" is taken by another VM of this file`, {
          field: `vms[${i}].name`,
        });
      }
      names.add(name);
      return { spec: { ...spec, name }, start };
    });
  });
  return {
    host: {
      ...(host?.pcpus === undefined ? {} : { pcpus: host.pcpus }),
      ...(host?.policy === undefined ? {} : { policy: host.policy }),
    },
    vms: all,
  };
}

export function fleetSchema(): Record<string, unknown> {
  return {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    title: "Paravane fleet",
    ...schemaOf(FLEET_FIELDS),
  };
}
