// Fleet files: one file serves `paravane up` and `paravane plan`.
import { readFileSync } from "node:fs";
import Ajv from "ajv/dist/2020.js";
import { describe, expect, it } from "vitest";
import { checkFleetSpec, fleetSchema } from "../../src/api/fleet-spec.ts";
import { CAPACITY_SCHEMA, OVERCOMMIT_SCHEMA, RESOURCES_SCHEMA } from "../../src/host/resources/check-claims.ts";
import { checkFleet, PLAN_FLEET_FIELDS, PLAN_VM_FIELDS } from "../../src/host/resources/fleet.ts";

const FLEET = {
  $schema: "docs/fleet.schema.json",
  name: "shop",
  host: { pcpus: 2, policy: "eevdf", capacity: { memory: "4G", diskIops: 5000 }, overcommit: { memory: 2 } },
  hosts: [
    { name: "big", capacity: { cpu: 4, memory: "8G" }, cost: 10 },
    { name: "small", capacity: { cpu: 2, memory: "4G" } },
  ],
  vms: [
    {
      name: "web",
      count: 2,
      guest: "hello",
      start: false,
      resources: { cpu: { reservation: 0.25, shares: 512 }, memory: { reservation: "512M", limit: "1G" } },
      load: { requestsPerSecond: 20, cpuSecondsPerRequest: 0.01 },
      delayCost: { fixed: 1 },
      optional: false,
      host: "small",
      placementCost: { big: 3 },
    },
    { name: "db", guest: "hello", memoryMib: 64, scheduling: { weight: 300 }, work: { cpuSeconds: 10 } },
  ],
  affinity: [["web", "db"]],
  antiAffinity: [],
  plan: { objective: "delay" },
};

const validate = new Ajv({ strict: false }).compile(fleetSchema());

describe("a fleet file", () => {
  it("with everything that planning reads is taken by both checks and by both schemas", () => {
    expect(validate(FLEET), JSON.stringify(validate.errors)).toBe(true);
    expect(new Ajv({ strict: false }).validate(JSON.parse(readFileSync("docs/fleet.schema.json", "utf8")), FLEET)).toBe(
      true,
    );
    expect(checkFleet(FLEET).problem.vms.map(({ name }) => name)).toEqual(["web-1", "web-2", "db"]);
    const { host, vms } = checkFleetSpec(FLEET);
    expect(host).toEqual(FLEET.host);
    expect(vms.map(({ spec, start }) => [spec.name, start])).toEqual([
      ["web-1", false],
      ["web-2", false],
      ["db", true],
    ]);
    expect(vms[0]?.spec.resources).toEqual(FLEET.vms[0]?.resources);
    // A VM specification and nothing else comes out.
    for (const { spec } of vms)
      for (const field of PLAN_VM_FIELDS) if (field !== "resources") expect(spec).not.toHaveProperty(field);
  });

  it("has a place in its schema for every field of planning", () => {
    const { properties } = fleetSchema() as { properties: Record<string, { items?: { properties: object } }> };
    for (const field of PLAN_FLEET_FIELDS) expect(properties).toHaveProperty(field);
    for (const field of PLAN_VM_FIELDS) expect(properties.vms?.items?.properties).toHaveProperty(field);
  });

  it.each<[string, object, RegExp]>([
    ["a misspelt field", { hosst: [] }, /^hosst is not a setting/],
    ["a misspelt field of a VM", { vms: [{ guest: "hello", lod: {} }] }, /^vms\[0\]\.lod is not a setting/],
    ["a wrong claim", { vms: [{ resources: { memory: { limit: 5 } } }] }, /^vms\[0\]\.resources\.memory\.limit is 5/],
    ["a wrong capacity", { host: { capacity: { memory: 5 } } }, /^host\.capacity\.memory is 5; accepted: bytes/],
    ["an overcommitment that is none", { host: { overcommit: 3 } }, /^host\.overcommit is 3; accepted: an object/],
    ["a factor below 1", { host: { overcommit: { memory: 0.5 } } }, /^host\.overcommit\.memory is 0\.5/],
    ["a name that is taken", { vms: [{ name: "a" }, { name: "a" }] }, /^vms\[1\]\.name "a" is taken/],
  ])("with %s is refused by naming it", (_what, change, message) => {
    expect(() => checkFleetSpec({ vms: [{ guest: "hello" }], ...change })).toThrow(message);
  });

  it("describes claims and capacities as docs/fleet.schema.json does", () => {
    const { $defs } = JSON.parse(readFileSync("docs/fleet.schema.json", "utf8"));
    const plain = (value: unknown): unknown => {
      if (Array.isArray(value)) return value.map(plain);
      if (typeof value !== "object" || value === null) return value;
      const { description: _text, $ref, ...rest } = value as Record<string, unknown>;
      const target = typeof $ref === "string" ? (plain($defs[$ref.slice("#/$defs/".length)]) as object) : {};
      return { ...target, ...Object.fromEntries(Object.entries(rest).map(([name, member]) => [name, plain(member)])) };
    };
    expect(plain($defs.vm.properties.resources)).toEqual(RESOURCES_SCHEMA);
    expect(plain($defs.host.properties.capacity)).toEqual(CAPACITY_SCHEMA);
    expect(plain($defs.host.properties.overcommit)).toEqual(OVERCOMMIT_SCHEMA);
  });
});
