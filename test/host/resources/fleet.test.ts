import { readFileSync } from "node:fs";
import { Ajv2020 } from "ajv/dist/2020.js";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { checkFleet, PLAN_VM_FIELDS, RUN_VM_FIELDS } from "../../../src/host/resources/fleet.ts";
import { applyEdits, type Edit } from "../../../src/host/resources/what-if.ts";
import { VM_SPEC_FIELDS } from "../../../src/host/vm-spec.ts";
import { VmError } from "../../../src/vmm/error.ts";

const schema = JSON.parse(readFileSync(new URL("../../../docs/fleet.schema.json", import.meta.url), "utf8"));
const validate = new Ajv2020({ strict: true, strictRequired: false }).compile(schema);

const FULL = {
  $schema: "urn:paravane:fleet",
  name: "all fields",
  hosts: [
    { name: "h1", capacity: { cpu: 4, memory: "8G", diskIops: "1k" }, overcommit: { memory: 1.5 }, cost: 10 },
    { name: "h2", capacity: { cpu: 2, memory: 2 ** 32 } },
  ],
  vms: [
    {
      name: "web",
      count: 2,
      resources: {
        cpu: { reservation: 0.25, limit: 1, shares: 512, demand: 0.3 },
        memory: { reservation: "256M", limit: "1GiB", demand: "300m" },
      },
      load: { requestsPerSecond: 10, cpuSecondsPerRequest: 0.01 },
      delayCost: { fixed: 1, perSecond: 20 },
      placementCost: { h1: 2 },
    },
    {
      name: "db",
      memoryMib: 1024,
      scheduling: { weight: 300, capPercent: 50 },
      host: "h1",
      work: { cpuSeconds: 100, weight: 2 },
      optional: true,
    },
  ],
  affinity: [["web-1", "db"]],
  antiAffinity: [["web"]],
  plan: { objective: "delay", strategy: "dynamic", timeSeconds: 60, idleTax: 0.5 },
};

function refusal(value: unknown): string | undefined {
  try {
    checkFleet(value);
    return undefined;
  } catch (error) {
    expect(error).toBeInstanceOf(VmError);
    expect(error).toMatchObject({ code: "bad-config" });
    return (error as VmError).message;
  }
}

/** A copy with the value at `path` replaced, or removed where it is undefined. */
function changed(path: string, value: unknown): unknown {
  const copy = structuredClone(FULL) as unknown as Record<string, unknown>;
  const keys = path.split(".");
  const leaf = keys.pop()!;
  let at = copy;
  for (const key of keys) at = at[key] as Record<string, unknown>;
  if (value === undefined && Array.isArray(at)) at.splice(Number(leaf), 1);
  else if (value === undefined) delete at[leaf];
  else at[leaf] = value;
  return copy;
}

describe("a fleet file", () => {
  it("with every field is taken by the schema and by the check, which fills in the rest", () => {
    expect(validate(FULL), JSON.stringify(validate.errors)).toBe(true);
    const { problem, strategy, idleTax } = checkFleet(FULL);
    expect([strategy, idleTax, problem.objective, problem.timeSeconds]).toEqual(["dynamic", 0.5, "delay", 60]);
    expect(problem.vms.map(({ name }) => name)).toEqual(["web-1", "web-2", "db"]);
    expect(problem.antiAffinity).toEqual([["web-1", "web-2"]]);
    expect(problem.hosts[1]).toEqual({ name: "h2", capacity: { cpu: 2, memory: 2 ** 32 }, overcommit: {}, cost: 1 });
    // What running the VM says counts where `resources` is silent.
    expect(problem.vms[2]?.resources).toEqual({
      cpu: { reservation: 0, limit: 0.5, shares: 300, demand: undefined },
      memory: { reservation: 2 ** 30, limit: 2 ** 30, shares: 256, demand: undefined },
    });
  });

  it("of two lines is enough", () => {
    const small = { hosts: [{ name: "h", capacity: { cpu: 1, memory: "1G" } }], vms: [{ name: "a", memoryMib: 64 }] };
    expect(validate(small)).toBe(true);
    expect(checkFleet(small).problem.objective).toBe("cost");
  });

  it("may say how to run the VMs: those fields are known and passed over", () => {
    for (const field of RUN_VM_FIELDS) {
      if (field === "memoryMib" || field === "scheduling") continue;
      expect(refusal(changed(`vms.1.${field}`, { any: ["thing"] })), field).toBeUndefined();
      expect(validate(changed(`vms.1.${field}`, { any: ["thing"] })), field).toBe(true);
    }
    expect([...RUN_VM_FIELDS].sort()).toEqual(
      [...Object.keys(VM_SPEC_FIELDS), "start"].filter((field) => field !== "name" && field !== "resources").sort(),
    );
    expect(PLAN_VM_FIELDS.filter((field) => RUN_VM_FIELDS.includes(field))).toEqual([]);
  });

  it.each<[string, unknown, RegExp]>([
    ["hosts", [], /^hosts is 0; accepted: 1 to 1000 hosts/],
    ["hosts", undefined, /^hosts is undefined; accepted: an array/],
    ["hosts.0.name", "a b", /^hosts\[0\]\.name is "a b"; accepted: up to 63 letters/],
    ["hosts.0.price", 3, /^hosts\[0\]\.price is not a field that is known; accepted: name, capacity, overcommit, cost/],
    ["hosts.0.capacity.memory", 100, /^hosts\[0\]\.capacity\.memory is 100; accepted: .*whole pages/],
    ["hosts.1.name", "h1", /^hosts has two called h1/],
    ["vms.0.resources.memory", undefined, /^vms\[0\]\.resources\.memory is missing; accepted: a claim such as/],
    [
      "vms.0.resources.cpu.limit",
      0.05,
      /^vms\[0\]\.resources\.cpu\.limit is 0\.05; accepted: at least the reservation/,
    ],
    [
      "vms.0.load.requestsPerSecond",
      200,
      /^vms\[0\]\.load needs 2\.02 pCPUs; accepted: a load that needs at most .*1 pCPUs/,
    ],
    ["vms.0.load.requestsPerSecond", undefined, /^vms\[0\]\.load\.requestsPerSecond is missing/],
    ["vms.0.count", 0, /^vms\[0\]\.count is 0; accepted: a number from 1/],
    ["vms.0.count", 10_000, /^vms is 10001; accepted: at most 10000 VMs/],
    ["vms.0.count", 1.5, /^vms\[0\]\.count is 1\.5; accepted: a whole number/],
    ["vms.1.host", "h9", /^vms\[1\]\.host is "h9"; accepted: h1, h2/],
    [
      "vms.1.placementCost",
      { h9: 1 },
      /^vms\[1\]\.placementCost names "h9", which is no host; accepted: the hosts: h1, h2/,
    ],
    ["vms.1.name", "web-2", /^vms has two called web-2/],
    ["vms.1.optional", 1, /^vms\[1\]\.optional is 1; accepted: true or false/],
    ["vms.1.shares", 1, /^vms\[1\]\.shares is not a field that is known/],
    ["vms.1.scheduling.capPercent", 101, /^vms\[1\]\.scheduling\.capPercent is 101/],
    ["vms.1.memoryMib", 1.0001, /^vms\[1\]\.memoryMib is .*whole pages/],
    ["affinity", [["nobody", "db"]], /^affinity\[0\]\[0\] is "nobody"; accepted: the name of a VM/],
    ["antiAffinity", "web", /^antiAffinity is "web"; accepted: an array/],
    ["plan.objective", "speed", /^plan\.objective is "speed"; it takes one of cost, work, delay/],
    ["plan.strategy", "best", /^plan\.strategy is "best"; it takes one of minimum, maximum, dynamic, drf/],
    ["plan.timeSeconds", 0, /^plan\.timeSeconds is 0/],
    ["plan.idleTax", 1, /^plan\.idleTax is 1/],
    ["vm", [], /^vm is not a field that is known; accepted: \$schema, name, host, networks, vms, hosts/],
  ])("with %s = %j is refused by naming the field and what is accepted", (path, value, message) => {
    expect(refusal(changed(path, value))).toMatch(message);
  });

  it("of more VMs times hosts than a program can have is refused before it takes the memory", () => {
    const hosts = Array.from({ length: 500 }, (_, i) => ({ name: `h${i}`, capacity: { cpu: 1, memory: "1G" } }));
    expect(refusal({ hosts, vms: [{ name: "a", count: 201, memoryMib: 1 }] })).toMatch(
      /^vms is "201 on 500 hosts"; accepted: VMs times hosts up to 100000/,
    );
  });

  it.each([null, 3, "text", [], true])("that is %j is refused", (value) => {
    expect(refusal(value)).toMatch(/^the fleet is .*; accepted: an object\.$|^hosts is undefined/);
  });

  it("that the check takes, the schema takes, whatever was put where", () => {
    const values = fc.oneof(
      fc.constantFrom<unknown>(null, true, -1, 0, 1, 1.5, 4096, 1e12, "", "1G", "x", "h1", "db", "__proto__", [], {}, [
        [],
      ]),
      fc.jsonValue({ maxDepth: 2 }),
    );
    const paths: string[] = [];
    const walk = (value: unknown, at: string): void => {
      if (at) paths.push(at);
      if (typeof value !== "object" || value === null) return;
      for (const [key, below] of Object.entries(value)) walk(below, at ? `${at}.${key}` : key);
      if (!Array.isArray(value)) paths.push(at ? `${at}.extra` : "extra");
    };
    walk(FULL, "");
    let taken = 0;
    fc.assert(
      fc.property(fc.constantFrom(...paths), fc.option(values, { nil: undefined }), (path, value) => {
        const fleet = changed(path, value);
        if (refusal(fleet) !== undefined) return;
        taken++;
        expect(validate(fleet), `${path} = ${JSON.stringify(value)}: ${JSON.stringify(validate.errors)}`).toBe(true);
      }),
      { numRuns: 3000 },
    );
    expect(taken).toBeGreaterThan(100);
  });

  it("that the schema refuses, the check refuses; what only the check refuses is about meaning", () => {
    // Of the examples above these are beyond what a schema can say.
    for (const [path, value] of [
      ["hosts.0.capacity.memory", 100],
      ["vms.0.resources.cpu.limit", 0.05],
      ["vms.1.host", "h9"],
      ["vms.1.name", "web-2"],
    ] as const) {
      expect(validate(changed(path, value)), path).toBe(true);
    }
    expect(validate(changed("vms.0.resources.memory", undefined))).toBe(false);
    expect(validate(changed("plan.objective", "speed"))).toBe(false);
    expect(validate(changed("vms.1.shares", 1))).toBe(false);
  });
});

describe("what-if edits", () => {
  type Raw = typeof FULL;
  const apply = (...edits: Edit[]): Raw => applyEdits(FULL, edits) as Raw;

  it("set fields, with and without the word resources or capacity", () => {
    const after = apply(
      { kind: "set", assignment: { path: ["web", "memory", "limit"], value: "2G" } },
      { kind: "set", assignment: { path: ["web", "resources", "cpu", "shares"], value: 9 } },
      { kind: "set", assignment: { path: ["db", "scheduling", "weight"], value: 7 } },
      { kind: "set", assignment: { path: ["web", "load", "requestsPerSecond"], value: 1 } },
      { kind: "set", assignment: { path: ["h2", "netBytesPerSecond"], value: "1M" } },
      { kind: "set", assignment: { path: ["h1", "cost"], value: 0 } },
    );
    expect(after.vms[0]).toMatchObject({
      resources: { memory: { reservation: "256M", limit: "2G" }, cpu: { shares: 9, reservation: 0.25 } },
      load: { requestsPerSecond: 1, cpuSecondsPerRequest: 0.01 },
    });
    expect(after.vms[1]).toMatchObject({ scheduling: { weight: 7, capPercent: 50 } });
    expect(after.hosts).toMatchObject([{ cost: 0 }, { capacity: { netBytesPerSecond: "1M", cpu: 2 } }]);
    expect(refusal(after)).toBeUndefined();
  });

  it("add and take away VMs and hosts", () => {
    const after = apply(
      {
        kind: "with",
        what: "vms",
        name: "cache",
        like: "web",
        set: [{ path: ["memory", "reservation"], value: "1G" }],
      },
      { kind: "with", what: "hosts", name: "h3", like: "h1", set: [] },
      { kind: "without", name: "db" },
    );
    expect(after.vms.map(({ name }) => name)).toEqual(["web", "cache"]);
    expect(after.vms[1]).not.toHaveProperty("count");
    expect(after.hosts.map(({ name }) => name)).toEqual(["h1", "h2", "h3"]);
    expect(after.affinity).toEqual([["web-1"]]);
    expect(refusal(after)).toBeUndefined();
  });

  it("change the number of hosts, and forget what it would cost to be on those that are gone", () => {
    expect(apply({ kind: "hosts", count: 4 }).hosts.map(({ name }) => name)).toEqual([
      "h1",
      "h2",
      "h2-copy1",
      "h2-copy2",
    ]);
    expect(apply({ kind: "hosts", count: 1 }).hosts.map(({ name }) => name)).toEqual(["h1"]);
    const after = apply({ kind: "without", name: "h1" });
    expect(after.vms[0]?.placementCost).toEqual({});
    expect(refusal(after)).toMatch(/^vms\[1\]\.host is "h1"; accepted: h2/);
  });

  it("leave the fleet as it was", () => {
    const before = JSON.stringify(FULL);
    apply({ kind: "set", assignment: { path: ["web", "memory", "limit"], value: "2G" } }, { kind: "hosts", count: 9 });
    expect(JSON.stringify(FULL)).toBe(before);
  });

  it.each<[Edit, RegExp]>([
    [{ kind: "without", name: "nobody" }, /^"nobody" is neither VM nor host of the fleet; accepted: web, db, h1, h2/],
    [{ kind: "set", assignment: { path: ["web", "__proto__", "x"], value: 1 } }, /^__proto__ cannot be set/],
    [{ kind: "set", assignment: { path: ["web", "load", "constructor"], value: 1 } }, /^constructor cannot be set/],
    [{ kind: "set", assignment: { path: ["web", "count", "x"], value: 1 } }, /leads through count, which is a value/],
    [{ kind: "with", what: "vms", name: "a", like: "h1", set: [] }, /^"h1" is neither/],
  ])("%j is refused", (edit, message) => {
    expect(() => applyEdits(FULL, [edit])).toThrowError(message);
    expect(({} as Record<string, unknown>).x).toBeUndefined();
  });
});
