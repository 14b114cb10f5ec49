import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, describe, expect, it } from "vitest";
import { runCommandLine } from "../../src/cli/main.ts";
import type { Plan } from "../../src/host/resources/plan.ts";
import type { PlanChanges } from "../../src/host/resources/plan-changes.ts";
import { fakeIo } from "./fake-machine.ts";

const folder = mkdtempSync(join(tmpdir(), "paravane-plan-"));
afterAll(() => rmSync(folder, { recursive: true }));
const file = (name: string, content: unknown): string => {
  const path = join(folder, name);
  writeFileSync(path, typeof content === "string" ? content : JSON.stringify(content));
  return path;
};

const FLEET = {
  hosts: [
    { name: "big", capacity: { cpu: 4, memory: "8G" }, cost: 10 },
    { name: "small", capacity: { cpu: 2, memory: "2G" }, cost: 3 },
  ],
  vms: [
    {
      name: "web",
      resources: { memory: { reservation: "512M", limit: "1G" } },
      load: { requestsPerSecond: 40, cpuSecondsPerRequest: 0.01 },
    },
    { name: "db", memoryMib: 1024, scheduling: { weight: 512 } },
    { name: "batch", memoryMib: 512, work: { cpuSeconds: 1000 }, optional: true },
  ],
};
const fleet = file("fleet.json", FLEET);
const full = file("full.json", {
  ...FLEET,
  hosts: FLEET.hosts.slice(1),
  vms: [...FLEET.vms, { name: "x", memoryMib: 1024 }],
});
const svgFile = join(folder, "plan.svg");
const htmlFile = join(folder, "plan.html");

async function paravane(...argv: string[]): Promise<{ code: number; out: string; err: string }> {
  const io = fakeIo();
  const code = await runCommandLine(argv, io);
  return { code, out: io.outText(), err: io.errText().trimEnd() };
}
async function planOf(...argv: string[]): Promise<Plan & { changes?: PlanChanges; baseError?: string }> {
  const { code, out, err } = await paravane("plan", ...argv, "--json");
  expect(err).toBe("");
  expect(code).toBe(0);
  return JSON.parse(out);
}

describe("paravane plan", () => {
  it("prints objective, hosts with utilisation, VMs with sizes and latency, and scalability", async () => {
    const { code, out } = await paravane("plan", fleet);
    expect(code).toBe(0);
    expect(out).toBe(`objective  3 (least cost; proven optimal)
strategy   maximum

host   resource  capacity  needed  allocated  utilisation   limits
big    cpu              4       0          0         0.0%        0
       memory       8 GiB     0 B        0 B         0.0%      0 B
small  cpu              2   0.404          2       100.0%        3
       memory       2 GiB   2 GiB      2 GiB       100.0%  2.5 GiB

vm     host   cpu   memory  latency
web    small  0.5  512 MiB   100 ms
db     small    1    1 GiB        -
batch  small  0.5  512 MiB        -

                    cpu  memory
largest / smallest    2       2

mean latency 100 ms, estimated: processor sharing of the CPU alone
`);
  });

  it("--json is the plan: the same figures, amounts in plain units", async () => {
    const made = await planOf(fleet);
    expect(made).toMatchObject({ objective: "cost", strategy: "maximum", value: 3, cost: 3, gap: 0 });
    expect(made.vms.map(({ host }) => host)).toEqual(["small", "small", "small"]);
    expect(made.vms[1]?.sizes.memory).toBe(2 ** 30);
    expect(made.hosts[1]?.use.find(({ resource }) => resource === "memory")).toMatchObject({
      capacity: 2 ** 31,
      utilisation: 1,
    });
  });

  it("plans for another objective and by another strategy when asked", async () => {
    const delay = await planOf(fleet, "--objective", "delay", "--strategy", "minimum");
    // Alone on its pCPU: 10 ms of work, 40% used.
    expect(delay.value).toBeCloseTo(0.01 / 0.6, 6);
    const work = await planOf(fleet, "--objective", "work");
    expect(work.value).toBeCloseTo(2 * 3600 + 1000, 6);
    expect(work.vms.every(({ host }) => host !== undefined)).toBe(true);
  });

  it("shows what a what-if changes, in the order in which it was given", async () => {
    const { out } = await paravane("plan", fleet, "--with", "vm=web2,like=web,memory.limit=2G", "--without", "batch");
    expect(out).toMatch(/\nagainst the file's own plan:\n/);
    expect(out).toMatch(/^ {2}web2: new, small$/m);
    expect(out).toMatch(/^ {2}batch: gone from small$/m);
    const grown = await planOf(fleet, "--set", "db.memoryMib=3072");
    expect(grown.changes).toMatchObject({
      value: { before: 3, after: 10 },
      vms: expect.arrayContaining([expect.objectContaining({ name: "db", host: { before: "small", after: "big" } })]),
    });
    const same = await paravane("plan", fleet, "--set", "big.cost=11");
    expect(same.out).toMatch(/against the file's own plan:\n {2}nothing changes\n$/);
    const order = await paravane("plan", fleet, "--without", "web", "--set", "web.optional=true");
    expect(order.err).toMatch(/^paravane: "web" is neither VM nor host of the fleet; accepted: db, batch/);
  });

  it("--hosts takes the first hosts, or copies of the last", async () => {
    expect((await planOf(fleet, "--hosts", "1")).hosts.map(({ name }) => name)).toEqual(["big"]);
    const four = await planOf(fleet, "--hosts", "4");
    expect(four.hosts.map(({ name }) => name)).toEqual(["big", "small", "small-copy1", "small-copy2"]);
  });

  it("plans what would fit though the file does not, and says what the file lacks", async () => {
    const alone = await paravane("plan", full);
    expect(alone.code).toBe(2);
    expect(alone.err).toMatch(
      /^paravane: This fleet has no placement: what stands in the way is capacity of memory \(at least 1 GiB is missing: 1 GiB on small\)\.$/,
    );
    const { out, code } = await paravane("plan", full, "--hosts", "2");
    expect(code).toBe(0);
    expect(out).toMatch(/\nwithout the change: This fleet has no placement: .*capacity of memory/);
    expect((await planOf(full, "--hosts", "2")).baseError).toMatch(/capacity of memory/);
  });

  it("--svg and --html draw every VM on its host, with names that cannot break out of the document", async () => {
    const { code } = await paravane("plan", fleet, "--svg", svgFile, "--html", htmlFile, "--without", "batch");
    expect(code).toBe(0);
    const svg = readFileSync(svgFile, "utf8");
    expect(svg).toMatch(/^<svg xmlns="http:\/\/www\.w3\.org\/2000\/svg" viewBox="0 0 860 \d+"/);
    for (const title of ["web: memory 1 GiB", "db: memory 1 GiB", "web: cpu 1", "db: cpu 1"])
      expect(svg).toContain(`<title>${title}</title>`);
    expect(svg.match(/class="axis"/g)).toHaveLength(4);
    // Elements are closed, and none but these occur.
    const open = [...svg.matchAll(/<(\w+)(?: [^>]*[^/])?>/g)].map(([, name]) => name);
    const closed = [...svg.matchAll(/<\/(\w+)>/g)].map(([, name]) => name);
    expect(closed.sort()).toEqual(open.sort());
    expect([...new Set(open)].sort()).toEqual(["rect", "style", "svg", "text", "title"]);
    const html = readFileSync(htmlFile, "utf8");
    expect(html).toContain(svg);
    expect(html).toMatch(/^web {2,}small/m);
    expect(html).toMatch(/^ {2}batch: gone from small$/m);
  });

  it.each<[string[], number, RegExp]>([
    [["plan"], 2, /^paravane: plan: give the fleet file; paravane plan --schema prints what it may say$/],
    [["plan", join(folder, "none.json")], 4, /^paravane: cannot read .*none\.json: no such file or directory$/],
    [["plan", folder], 4, /^paravane: cannot read .*: illegal operation on a directory$/],
    [["plan", file("broken.json", "{hosts")], 2, /^paravane: .*broken\.json is not JSON: /],
    [["plan", file("list.json", [])], 2, /^paravane: the fleet is an array; accepted: an object\.$/],
    [["plan", file("none", { hosts: [], vms: [] })], 2, /^paravane: hosts is 0; accepted: 1 to 1000 hosts\.$/],
    [["plan", fleet, "--objective", "speed"], 2, /^paravane: --objective: "speed" is not one of cost, work, delay$/],
    [
      ["plan", fleet, "--strategy", "maximun"],
      2,
      /^paravane: --strategy: "maximun" is not one of .*\(did you mean maximum\?\)$/,
    ],
    [["plan", fleet, "--hosts", "0"], 2, /^paravane: --hosts: "0" is not a whole number from 1 to 250$/],
    [["plan", fleet, "--with", "web2"], 2, /^paravane: --with: "web2" does not begin with vm=NAME or host=NAME/],
    [["plan", fleet, "--with", "vm=a"], 2, /^paravane: vms\[3\]\.resources\.memory is missing; accepted: a claim/],
    [["plan", fleet, "--with", "vm=a,memory"], 2, /^paravane: --with: "memory" is not FIELD=VALUE/],
    [["plan", fleet, "--set", "web=3"], 2, /^paravane: --set: "web=3" names no field; give NAME\.FIELD=VALUE/],
    [["plan", fleet, "--set", "web..x=3"], 2, /^paravane: --set: "web\.\.x=3" is not FIELD=VALUE/],
    [["plan", fleet, "--set", "web.memory.limit=1"], 2, /^paravane: vms\[0\]\.resources\.memory\.limit is 1; accepted/],
    [["plan", fleet, "--without", "wbe"], 2, /^paravane: "wbe" is neither VM nor host of the fleet/],
    [["plan", fleet, "--time-limit", "soon"], 2, /^paravane: --time-limit: "soon" is not a time/],
    [["plan", fleet, "--svg", join(folder, "no", "such.svg")], 12, /^paravane: --svg: cannot write .*: no such file/],
    [["plan", fleet, "--memory", "3"], 2, /^paravane: unknown option '--memory'/],
  ])("%j is one clear line and its exit code", async (argv, code, message) => {
    const result = await paravane(...argv);
    expect(result.err).toMatch(message);
    expect(result.err.split("\n")).toHaveLength(1);
    expect(result).toMatchObject({ code, out: "" });
  });

  it("--schema prints the schema of fleet files", async () => {
    const { code, out } = await paravane("plan", "--schema");
    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject({ $id: "urn:paravane:fleet", required: ["hosts", "vms"] });
  });

  it("prints what docs/RESOURCES.md shows", async () => {
    const doc = readFileSync(new URL("../../docs/RESOURCES.md", import.meta.url), "utf8");
    const [, example = ""] = /```json\n(.*?)```/s.exec(doc) ?? [];
    const path = file("doc.json", example);
    const sessions = [...doc.matchAll(/```\n\$ paravane plan fleet\.json ?(.*)\n([^`]*)```/g)];
    expect(sessions).toHaveLength(2);
    for (const [, options = "", shown = ""] of sessions) {
      const { out } = await paravane("plan", path, ...options.split(" ").filter(Boolean));
      if (shown.startsWith("...\n")) expect(out.endsWith(`\n${shown.slice(4)}`), out).toBe(true);
      else expect(out).toBe(shown);
    }
  });

  it("survives any edits at all without a stack trace", async () => {
    const names = fc.constantFrom("web", "db", "big", "small", "nobody", "");
    const fields = fc.constantFrom(
      "memory",
      "memory.limit",
      "cpu.shares",
      "count",
      "load",
      "cost",
      "host",
      "cpu",
      "name",
      "x.y",
      "__proto__.x",
    );
    const values = fc.constantFrom("1", "0", "-1", "1G", "null", "[]", "{}", "true", "small", "", '"', "NaN", "1e99");
    const words = fc.oneof(
      fc.tuple(names, fields, values).map(([name, field, value]) => ["--set", `${name}.${field}=${value}`]),
      fc
        .tuple(names, names, fields, values)
        .map(([a, b, field, value]) => ["--with", `vm=${a}2,like=${b},${field}=${value}`]),
      names.map((name) => ["--without", name]),
      fc.string({ maxLength: 8 }).map((text) => ["--set", text]),
      fc.constantFrom("1", "2", "3", "x").map((n) => ["--hosts", n]),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(words, { maxLength: 4 }), async (edits) => {
        const { code, err } = await paravane("plan", fleet, ...edits.flat());
        expect([0, 2]).toContain(code);
        expect(err).not.toMatch(/^\s+at |TypeError|a defect in/m);
        if (code !== 0) expect(err).toMatch(/^paravane: \S.*$/);
      }),
      { numRuns: 200 },
    );
  }, 120_000);
});
