import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { runCommandLine } from "../../src/cli/main.ts";
import { POLICY_NAMES } from "../../src/host/sched/registry.ts";
import { fakeIo } from "./fake-machine.ts";

const folder = mkdtempSync(join(tmpdir(), "paravane-sched-"));
afterAll(() => rmSync(folder, { recursive: true }));
const file = (name: string, content: string): string => {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
};

async function run(...argv: string[]): Promise<{ code: number; out: string; err: string }> {
  const io = fakeIo();
  const code = await runCommandLine(["sched", ...argv], io);
  return { code, out: io.outText(), err: io.errText() };
}

const quick = ["--duration", "200ms"];

describe("a wrong command line is one clear line, and nothing is simulated", () => {
  const broken = file("broken.json", "{");
  const wrong = file("wrong.json", JSON.stringify({ name: "x", groups: [{ name: "g", workload: { kind: "cpu" } }] }));
  it.each<[string[], RegExp]>([
    [
      ["smi"],
      /^paravane: sched: no verb "smi" \(did you mean sim\?\); there are sim, compare, policies, scenarios, schema$/,
    ],
    [["sim"], /missing required argument 'scenario'/],
    [
      ["sim", "mixd"],
      /^paravane: no scenario is called "mixd" \(did you mean mixed\?\); there are cpu-bound, io-bound, .*, or give a JSON file \(\.\/mine\.json\)$/,
    ],
    [["scenarios", "mixd"], /^paravane: no scenario is called "mixd"/],
    [
      ["sim", "mixed", "--policy", "credits"],
      /^paravane: --policy: "credits" is not one of .* \(did you mean credit\?\)$/,
    ],
    [["compare", "mixed", "--policies", "rr,cfs"], /^paravane: --policies: "cfs" is not one of /],
    [["sim", "mixed", "--pcpus", "257"], /^paravane: --pcpus: "257" is not a whole number from 1 to 256$/],
    [["sim", "mixed", "--vcpus", "3"], /^paravane: --vcpus: "3" is not a whole number from 4 to 10000$/],
    [
      ["sim", "mixed", "--duration", "2h"],
      /^paravane: --duration: 2h is outside what is simulated; give a time from 1ms to 1h$/,
    ],
    [["sim", "mixed", "--seed", "x"], /^paravane: --seed: "x" is not a whole number/],
    [
      ["sim", "mixed", "--option", "sliceNs"],
      /^paravane: --option: "sliceNs" is not key=value, such as sliceNs=5000000$/,
    ],
    [
      ["sim", "mixed", "--option", "sliceNs=1"],
      /^paravane: sliceNs is 1; it takes a number from 100000 to 1000000000$/,
    ],
    [
      ["sim", "mixed", "--option", "slices=1"],
      /^paravane: slices is not a setting; there are sliceNs, refillNs, boostNs, capPeriodNs$/,
    ],
    [["sim", "./none.json"], /^paravane: cannot read \.\/none\.json: no such file or directory$/],
    [["sim", broken], /^paravane: .*broken\.json is not JSON: /],
    [["sim", wrong], /^paravane: .*wrong\.json: groups\[0\]\.workload\.kind is "cpu"; it takes one of cpu-bound, /],
    [
      ["sim", "mixed", ...quick, "--svg", "/no/such/folder/x.svg"],
      /^paravane: --svg: cannot write \/no\/such\/folder\/x\.svg: no such file or directory$/,
    ],
  ])("%j", async (argv, message) => {
    const { code, out, err } = await run(...argv);
    expect(code).toBe(2);
    expect(err.trimEnd()).toMatch(message);
    expect(err.trimEnd().split("\n")).toHaveLength(1);
    expect(out).toBe("");
  });

  it("a reservation that does not fit is refused, saying what is left", async () => {
    const path = file(
      "full.json",
      JSON.stringify({
        name: "full",
        groups: [
          {
            name: "rt",
            count: 2,
            parameters: { realtime: { periodNs: 1e7, budgetNs: 6e6 } },
            workload: { kind: "cpu-bound" },
          },
        ],
      }),
    );
    const { code, err } = await run("sim", path, "--policy", "edf");
    expect(code).toBe(2);
    expect(err).toMatch(/^paravane: vCPU 1 asks for 60% of a pCPU of which 40% can still be reserved; lower /);
  });
});

describe("sched sim", () => {
  it("prints the host's figures and a row for each group", async () => {
    const { code, out } = await run("sim", "mixed", ...quick, "--seed", "9", "--policy", "eevdf");
    expect(code).toBe(0);
    expect(out).toMatch(/^mixed: 32 vCPUs on 4 pCPUs for 0\.2 s, seed 9, eevdf$/m);
    for (const row of [
      "throughput",
      "utilisation",
      "mean delay",
      "wait",
      "switches",
      "Jain's index",
      "maximum lag",
      "cost model",
    ])
      expect(out).toMatch(new RegExp(`^${row} {2}`, "m"));
    for (const group of ["batch", "capped", "server", "interactive"])
      expect(out).toMatch(new RegExp(`^${group} +\\d`, "m"));
  });

  it("prints one JSON object that holds everything, the same for the same seed", async () => {
    const argv = ["sim", "mixed", ...quick, "--json", "--vcpus", "16", "--pcpus", "2"];
    const { out } = await run(...argv);
    const result = JSON.parse(out);
    expect(result).toMatchObject({ scenario: "mixed", policy: "credit", seed: 1, pcpus: 2, durationMs: 200 });
    expect(result.vcpus).toHaveLength(16);
    expect(result.series).toHaveLength(100);
    expect(result.host.waitMs.p50).toBeLessThanOrEqual(result.host.waitMs.p95);
    expect(result.host.waitMs.p95).toBeLessThanOrEqual(result.host.waitMs.p99);
    expect((await run(...argv)).out).toBe(out);
    expect((await run(...argv, "--seed", "2")).out).not.toBe(out);
  });

  it("takes a scenario that sched scenarios printed, and options of the policy", async () => {
    const printed = await run("scenarios", "bursty");
    const path = file("mine.json", printed.out);
    const [own, named] = [await run("sim", path, ...quick, "--json"), await run("sim", "bursty", ...quick, "--json")];
    expect(own.out).toBe(named.out);
    const short = await run("sim", path, ...quick, "--json", "--option", "sliceNs=500000");
    expect(short.out).not.toBe(own.out);
  });

  it("draws a figure and a page that need nothing else", async () => {
    const [svg, html] = [join(folder, "a.svg"), join(folder, "a.html")];
    expect((await run("sim", "mixed", ...quick, "--svg", svg, "--html", html)).code).toBe(0);
    const figure = readFileSync(svg, "utf8");
    expect(figure).toMatch(/^<svg xmlns="http:\/\/www\.w3\.org\/2000\/svg" viewBox="0 0 960 \d+"/);
    expect(figure).not.toMatch(/NaN|Infinity|undefined/);
    const page = readFileSync(html, "utf8");
    expect(page).toMatch(/^<!doctype html>/);
    expect(page).toContain(figure.trim());
    expect(page).toContain("Jain&quot;s index".replace("&quot;", "'"));
    expect(page).not.toMatch(/<script|<link|src=/);
  });
});

describe("sched compare", () => {
  it("puts every policy and the ideal in one table and one figure", async () => {
    const svg = join(folder, "b.svg");
    const { code, out } = await run("compare", "cpu-bound", ...quick, "--svg", svg);
    expect(code).toBe(0);
    for (const name of [...POLICY_NAMES, "ideal"]) {
      expect(out).toMatch(new RegExp(`^${name} +\\d`, "m"));
      expect(readFileSync(svg, "utf8")).toContain(`>${name}</text>`);
    }
  });

  it("of some, as JSON", async () => {
    const { out } = await run("compare", "io-bound", ...quick, "--policies", "rr,fcfs", "--json");
    expect(JSON.parse(out).map(({ policy }: { policy: string }) => policy)).toEqual(["rr", "fcfs", "ideal"]);
    expect(existsSync(join(folder, "c.svg"))).toBe(false);
  });
});

describe("lists", () => {
  it("policies, with options, defaults and ranges", async () => {
    const { out } = await run("policies");
    for (const name of POLICY_NAMES) expect(out).toMatch(new RegExp(`^${name} +[a-z]`, "m"));
    expect(out).toMatch(/^ +boostNs=10000000 +longest run of a boost/m);
    const json = JSON.parse((await run("policies", "--json")).out);
    expect(json.map(({ name }: { name: string }) => name)).toEqual(POLICY_NAMES);
    expect(json[0].options.additionalProperties).toBe(false);
  });

  it("scenarios, and the schema of their files", async () => {
    expect((await run("scenarios")).out).toMatch(/^boot-storm +72 +8 +\S/m);
    expect(JSON.parse((await run("scenarios", "--json")).out).length).toBeGreaterThan(7);
    expect(JSON.parse((await run("schema")).out)).toMatchObject({ type: "object", required: ["name", "groups"] });
  });

  it("verbs, when none is given", async () => {
    const { code, out } = await run();
    expect(code).toBe(0);
    for (const verb of ["sim", "compare", "policies", "scenarios", "schema"])
      expect(out).toMatch(new RegExp(`^  ${verb}`, "m"));
  });
});
