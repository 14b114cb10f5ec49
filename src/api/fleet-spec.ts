// A whole fleet in one file: the host, and the VMs on it.
import { checkFields, type FieldTable, type OtherField, schemaOf } from "../host/fields.ts";
import type { HostConfig } from "../host/host.ts";
import { NETWORK_FIELDS, networkSettings } from "../host/network-fields.ts";
import type { HostNetworkSettings } from "../host/networks.ts";
import {
  CAPACITY_SCHEMA,
  type CapacityInput,
  checkCapacity,
  checkOvercommit,
  OVERCOMMIT_SCHEMA,
} from "../host/resources/check-claims.ts";
import { PLAN_FLEET_FIELDS, PLAN_VM_FIELDS } from "../host/resources/fleet.ts";
import { createPolicy } from "../host/sched/registry.ts";
import { checkVmSpec, VM_SPEC_FIELDS, type VmSpec } from "../host/vm-spec.ts";
import { VmError } from "../vmm/error.ts";

const COUNT_MAX = 1000;

/** A name of a field that only `paravane plan` reads, and checks. */
const PASSED_OVER: OtherField<unknown> = {
  kind: "other",
  title: "for paravane plan (docs/fleet.schema.json)",
  check: (value) => value,
  schema: {},
  accepted: "anything",
};
const passedOver = (names: readonly string[]): Record<string, OtherField<unknown>> =>
  Object.fromEntries(names.map((name) => [name, PASSED_OVER]));

const amounts = <T>(title: string, schema: object, check: (value: unknown) => void): OtherField<T> => ({
  kind: "other",
  title,
  check: (value) => {
    check(value);
    return value as T;
  },
  schema: schema as Record<string, unknown>,
  accepted: "an object with an amount by the name of each resource",
});

const RUN_VM_FIELDS = {
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
/** Checked as RUN_VM_FIELDS: what planning reads comes out of no check. */
const FLEET_VM_FIELDS: typeof RUN_VM_FIELDS = {
  ...passedOver(PLAN_VM_FIELDS.filter((name) => !Object.hasOwn(RUN_VM_FIELDS, name))),
  ...RUN_VM_FIELDS,
};

const RUN_FLEET_FIELDS = {
  $schema: { kind: "text", title: "schema of this file", maxLength: 1024 },
  name: { kind: "text", title: "of the fleet", maxLength: 256 },
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
      capacity: amounts<CapacityInput["capacity"]>(
        "what its VMs may have: memory (three quarters of the machine's when left out), cpu (its pCPUs), others",
        CAPACITY_SCHEMA,
        (capacity) => checkCapacity("host", { capacity }),
      ),
      overcommit: amounts<CapacityInput["overcommit"]>(
        "the limits of its VMs may sum up to so many times the capacity; no bound when left out",
        OVERCOMMIT_SCHEMA,
        (overcommit) => checkOvercommit("host.overcommit", overcommit),
      ),
    },
  },
  networks: {
    kind: "list",
    title: "networks between the VMs, made in this order",
    of: NETWORK_FIELDS,
    minItems: 0,
    maxItems: 256,
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
const FLEET_FIELDS: typeof RUN_FLEET_FIELDS = { ...passedOver(PLAN_FLEET_FIELDS), ...RUN_FLEET_FIELDS };

export interface FleetSpec {
  readonly host: Pick<HostConfig, "pcpus" | "policy" | "capacity" | "overcommit">;
  readonly networks: readonly HostNetworkSettings[];
  readonly vms: readonly { readonly spec: VmSpec; readonly start: boolean }[];
}

/** Throws VmError("bad-config") naming the field and what is accepted. */
export function checkFleetSpec(input: unknown): FleetSpec {
  const { host, networks, vms } = checkFields(FLEET_FIELDS, input);
  if (host?.policy !== undefined) createPolicy(host.policy);
  const names = new Set<string>();
  const all = vms.flatMap((entry, i) => {
    const { count, start } = entry;
    const given = Object.entries(entry).filter(([name]) => Object.hasOwn(VM_SPEC_FIELDS, name));
    const spec = checkVmSpec(JSON.parse(JSON.stringify(Object.fromEntries(given))), `vms[${i}].`);
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
    host: Object.fromEntries(Object.entries(host ?? {}).filter(([, value]) => value !== undefined)),
    networks: (networks ?? []).map((network, i) => networkSettings(network, `networks[${i}].`)),
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
