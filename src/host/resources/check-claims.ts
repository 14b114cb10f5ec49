// Reads hosts' capacities and VMs' claims as a user writes them, and refuses what makes no sense by naming the field.
import { refuse } from "../../vmm/check-values.ts";
import {
  AMOUNT_MAX,
  CPU,
  DEFAULT_SHARES,
  type HostCapacity,
  MEMORY,
  PAGE_BYTES,
  type ResourceClaim,
  SHARES_MAX,
  unitOf,
  type VmClaims,
} from "./model.ts";

/** A claim as a user writes it: amounts are numbers in the resource's unit, or text such as "512M". */
export interface ResourceClaimInput {
  readonly reservation?: number | string;
  readonly limit?: number | string;
  readonly shares?: number;
  readonly demand?: number | string;
}

/** What a VM's `resources` may say: a claim for each resource by its name. */
export type ResourcesInput = Readonly<Record<string, ResourceClaimInput>>;

/** `capacity` and `overcommit` of a host as a user writes them. */
export interface CapacityInput {
  readonly capacity?: Readonly<Record<string, number | string>>;
  readonly overcommit?: Readonly<Record<string, number>>;
}

const OVERCOMMIT_MAX = 1000;
const CLAIM_FIELDS = ["reservation", "limit", "shares", "demand"];
/** Host and VM names appear in tables, options and paths such as web.memory.limit. */
const NAME = /^[A-Za-z0-9_][A-Za-z0-9_-]{0,62}$/;
const RESOURCE = /^[A-Za-z][A-Za-z0-9_]{0,62}$/;
const SCALE: Readonly<Record<string, number>> = { "": 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30, t: 2 ** 40 };

/** An object that is no array; throws VmError("bad-config"). */
export function record(field: string, value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) refuse(field, value, "an object");
  return value as Readonly<Record<string, unknown>>;
}

/** The default for a field that is not there. null is there, and wrong. */
export function given(value: unknown, otherwise: unknown): unknown {
  return value === undefined ? otherwise : value;
}

export function list(field: string, value: unknown): readonly unknown[] {
  if (!Array.isArray(value)) refuse(field, value, "an array");
  return value;
}

/** Refuses a field that nobody would read. */
export function onlyFields(field: string, value: Readonly<Record<string, unknown>>, fields: readonly string[]): void {
  for (const name of Object.keys(value)) {
    if (!fields.includes(name)) refuse(join(field, name), undefined, fields.join(", "), "is not a field that is known");
  }
}

export function name(field: string, value: unknown): string {
  if (typeof value !== "string" || !NAME.test(value)) {
    refuse(field, value, "up to 63 letters, digits, _ and -, not beginning with -");
  }
  return value;
}

/** A finite number from `least` to `most`. */
export function quantity(field: string, value: unknown, least: number, most: number): number {
  if (typeof value !== "number" || !(value >= least && value <= most)) {
    refuse(field, value, `a number from ${least} to ${most}`);
  }
  return value;
}

/**
 * An amount of a resource: a number in the resource's unit, or text with K, M, G or T for powers of 1024 ("512M",
 * "1.5GiB"). Memory is a whole number of pages. Throws VmError("bad-config").
 */
export function amount(field: string, resource: string, value: unknown): number {
  const accepted =
    resource === MEMORY ? `bytes or a size such as "512M", in whole pages of ${PAGE_BYTES} bytes` : ACCEPTED_AMOUNT;
  let number = value;
  if (typeof value === "string") {
    const match = /^(\d+(?:\.\d+)?)\s*(?:([kmgt])(?:i?b)?)?$/i.exec(value.trim());
    if (match) number = Number(match[1]) * (SCALE[(match[2] ?? "").toLowerCase()] ?? 1);
  }
  if (typeof number !== "number" || !(number >= 0 && number <= AMOUNT_MAX)) refuse(field, value, accepted);
  const unit = unitOf(resource);
  if (unit > 0 && number % unit !== 0) refuse(field, value, accepted);
  return number;
}

const AMOUNT_SCHEMA = {
  oneOf: [
    { type: "number", minimum: 0, maximum: AMOUNT_MAX },
    { type: "string", pattern: "^\\s*[0-9]+(\\.[0-9]+)?\\s*([kKmMgGtT]([iI]?[bB])?)?\\s*$" },
  ],
};
const NAMES_SCHEMA = { pattern: RESOURCE.source };

/** JSON Schema of what checkResources takes, but for what a schema cannot say: whole pages, limits below reservations. */
export const RESOURCES_SCHEMA = {
  type: "object",
  propertyNames: NAMES_SCHEMA,
  additionalProperties: {
    type: "object",
    properties: {
      reservation: AMOUNT_SCHEMA,
      limit: AMOUNT_SCHEMA,
      shares: { type: "integer", minimum: 1, maximum: SHARES_MAX },
      demand: AMOUNT_SCHEMA,
    },
    additionalProperties: false,
  },
};

/** JSON Schemas of a host's `capacity` and `overcommit`. */
export const CAPACITY_SCHEMA = { type: "object", propertyNames: NAMES_SCHEMA, additionalProperties: AMOUNT_SCHEMA };
export const OVERCOMMIT_SCHEMA = {
  type: "object",
  propertyNames: NAMES_SCHEMA,
  additionalProperties: { type: "number", minimum: 1, maximum: OVERCOMMIT_MAX },
};

const ACCEPTED_AMOUNT = 'a number from 0 to 2^50, or one with K, M, G or T such as "100M"';

/** Throws VmError("bad-config") naming `field` and what is accepted. `limitDefault`: of a VM that gives none. */
export function checkClaim(field: string, resource: string, value: unknown, limitDefault: number): ResourceClaim {
  const claim = record(field, value);
  onlyFields(field, claim, CLAIM_FIELDS);
  const reservation =
    claim.reservation === undefined ? 0 : amount(join(field, "reservation"), resource, claim.reservation);
  const limit =
    claim.limit === undefined
      ? Math.max(limitDefault, reservation)
      : amount(join(field, "limit"), resource, claim.limit);
  if (limit < reservation) {
    refuse(join(field, "limit"), claim.limit, `at least the reservation, ${reservation}`);
  }
  const shares = given(claim.shares, DEFAULT_SHARES);
  if (!Number.isInteger(shares)) refuse(join(field, "shares"), shares, `a whole number from 1 to ${SHARES_MAX}`);
  return {
    reservation,
    limit,
    shares: quantity(join(field, "shares"), shares, 1, SHARES_MAX),
    demand: claim.demand === undefined ? undefined : amount(join(field, "demand"), resource, claim.demand),
  };
}

/**
 * The `resources` of a VM: `{ memory: { reservation, limit, shares, demand }, cpu: {...}, ... }`. CPU that is not named
 * is one pCPU at most, nothing reserved: no VM runs without. Throws VmError("bad-config").
 */
export function checkResources(field: string, value: unknown): VmClaims["resources"] {
  const resources: Record<string, ResourceClaim> = {};
  for (const [resource, claim] of Object.entries(record(field, value))) {
    checkResourceName(field, resource);
    // One vCPU cannot use more than one pCPU.
    resources[resource] = checkClaim(join(field, resource), resource, claim, resource === CPU ? 1 : Infinity);
  }
  resources[CPU] ??= { reservation: 0, limit: 1, shares: DEFAULT_SHARES, demand: undefined };
  return resources;
}

/** `capacity` and `overcommit` of a host. Throws VmError("bad-config"). */
export function checkCapacity(field: string, host: Readonly<Record<string, unknown>>): Omit<HostCapacity, "name"> {
  const capacity: Record<string, number> = {};
  for (const [resource, value] of Object.entries(record(join(field, "capacity"), host.capacity))) {
    checkResourceName(join(field, "capacity"), resource);
    capacity[resource] = amount(join(field, `capacity.${resource}`), resource, value);
  }
  const overcommit = checkOvercommit(join(field, "overcommit"), given(host.overcommit, {}));
  for (const resource of Object.keys(overcommit)) {
    if (Object.hasOwn(capacity, resource)) continue;
    refuse(join(field, "overcommit"), undefined, Object.keys(capacity).join(", "), `names ${JSON.stringify(resource)}`);
  }
  return { capacity, overcommit };
}

/** Factors by resource, whatever the host has. Throws VmError("bad-config"). */
export function checkOvercommit(field: string, value: unknown): Record<string, number> {
  const overcommit: Record<string, number> = {};
  for (const [resource, factor] of Object.entries(record(field, value))) {
    checkResourceName(field, resource);
    overcommit[resource] = quantity(join(field, resource), factor, 1, OVERCOMMIT_MAX);
  }
  return overcommit;
}

function checkResourceName(field: string, resource: string): void {
  // "__proto__" and its kin begin with an underscore.
  if (!RESOURCE.test(resource)) {
    refuse(field, undefined, "names of letters, digits and _", `names a resource ${JSON.stringify(resource)}`);
  }
}

function join(field: string, member: string): string {
  return field === "" ? member : `${field}.${member}`;
}
