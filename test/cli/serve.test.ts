// `paravane serve` and its clients as processes, as people run them.
import type { ChildProcess } from "node:child_process";
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { ServedHost } from "./served-host.ts";

const served = new ServedHost();
const { folder, socket } = served;
const paravane: ServedHost["paravane"] = (...args) => served.paravane(...args);

afterAll(() => served.close());

describe("over a socket", () => {
  let server: ChildProcess;
  beforeAll(async () => {
    server = (await served.start(["--listen", socket, "--pcpus", "1"])).child;
  });
  afterAll(async () => {
    expect(await served.stop(server)).toBe(0);
    expect(existsSync(socket)).toBe(false);
  });
  afterEach(() => {
    const vms = JSON.parse(paravane(["ps", "--json"]).out) as { name: string }[];
    if (vms.length > 0) paravane(["rm", ...vms.map(({ name }) => name)]);
  });

  it("only its user may connect", () => {
    expect(statSync(socket).mode & 0o777).toBe(0o600);
  });

  it("a VM goes through its life by verbs", () => {
    expect(paravane(["create", "hello", "--name", "web", "--weight", "512", "--start"])).toEqual({
      code: 0,
      out: "web\n",
      err: "",
    });
    expect(paravane(["ps"]).out).toMatch(/^NAME +STATE .*\nweb +running +0 +4M +512 /);
    for (const [verb, state] of [
      ["pause", "paused"],
      ["resume", "running"],
      ["reset", "running"],
    ] as const) {
      expect(paravane([verb, "web"]), verb).toMatchObject({ code: 0, err: "" });
      expect(JSON.parse(paravane(["info", "web"]).out)).toMatchObject({ name: "web", state });
    }
    expect(paravane(["set", "web", "--cap", "25", "--priority", "7"])).toMatchObject({ code: 0 });
    expect(JSON.parse(paravane(["info", "web"]).out).scheduling).toMatchObject({
      weight: 512,
      capPercent: 25,
      priority: 7,
    });
    expect(paravane(["set", "web", "--resource", "memory.reservation=1M", "cpu.shares=300"])).toMatchObject({
      code: 0,
    });
    expect(JSON.parse(paravane(["info", "web"]).out)).toMatchObject({
      scheduling: { weight: 300, capPercent: 25 },
      resources: { memory: { reservation: 2 ** 20 }, cpu: { shares: 300, limit: 0.25 } },
    });
    expect(JSON.parse(paravane(["stats", "web", "--json"]).out)).toMatchObject({ name: "web", state: "running" });
    expect(paravane(["stats", "web"]).out).toMatch(/^state +running\ninstructions +\d+\n/);
    expect(paravane(["stop", "web"])).toMatchObject({ code: 0 });
    expect(paravane(["start", "web"])).toMatchObject({ code: 0 });
    expect(paravane(["rm", "web"])).toMatchObject({ code: 0 });
    expect(JSON.parse(paravane(["ps", "--json"]).out)).toEqual([]);
    const events = paravane(["events"])
      .out.trim()
      .split("\n")
      .map((line) => JSON.parse(line).event);
    expect(events).toContain("created");
    expect(events.at(-1)).toBe("destroyed");
  });

  it("a console takes piped input and shows what was printed before", async () => {
    paravane(["create", "hello", "--name", "c", "--start"]);
    const child = served.client(["console", "c"]);
    let text = "";
    child.stdout?.on("data", (bytes: Buffer) => {
      text += bytes;
    });
    child.stdin?.write("echo through the pipe\r");
    for (let i = 0; i < 500 && !text.includes("\nthrough the pipe\r\n"); i++)
      await new Promise((resolve) => setTimeout(resolve, 20));
    expect(text).toContain("Paravane hello");
    expect(text).toContain("\nthrough the pipe\r\n");
    child.kill("SIGTERM");
  });

  it("a VM comes from a file; options win over it", () => {
    const file = join(folder, "vm.json");
    writeFileSync(file, JSON.stringify({ name: "fromfile", guest: "hello", memoryMib: 8, scheduling: { weight: 3 } }));
    expect(paravane(["create", "--file", file, "-m", "16M"])).toMatchObject({ code: 0, out: "fromfile\n" });
    expect(JSON.parse(paravane(["info", "fromfile"]).out)).toMatchObject({ memoryMib: 16, scheduling: { weight: 3 } });
  });

  it("a VM is saved, restored and cloned", () => {
    const [base, next] = [join(folder, "base.pvs"), join(folder, "next.pvs")];
    paravane(["create", "hello", "--name", "s", "--start"]);
    expect(paravane(["snapshot", "take", "s", base, "--track"])).toMatchObject({
      code: 0,
      out: expect.stringMatching(/base\.pvs: .* the guest stood still for \d+\.\d ms\n$/),
    });
    const taken = JSON.parse(paravane(["snapshot", "take", "s", next, "--parent", "base.pvs", "--json"]).out);
    expect(taken).toMatchObject({ name: "next.pvs", parent: "base.pvs" });
    expect(paravane(["restore", next, "--name", "r", "--start"])).toMatchObject({ code: 0, out: "r\n" });
    expect(paravane(["clone", base, "2", "--name", "c", "--start"])).toMatchObject({ code: 0, out: "c-1\nc-2\n" });
    const vms = JSON.parse(paravane(["ps", "--json"]).out) as { name: string; state: string }[];
    expect(vms.map(({ name, state }) => `${name} ${state}`).sort()).toEqual([
      "c-1 running",
      "c-2 running",
      "r running",
      "s running",
    ]);
    expect(paravane(["restore", base, "--into", "s"])).toMatchObject({
      code: 2,
      err: expect.stringContaining("running"),
    });
    paravane(["stop", "s"]);
    expect(paravane(["restore", base, "--into", "s", "--start"])).toMatchObject({ code: 0, out: "s\n" });
    expect(paravane(["restore", join(folder, "nothing.pvs")])).toMatchObject({ code: 4 });
    const left = (name: string, ...how: string[]): number => {
      expect(paravane(["restore", base, "--name", name, ...how])).toMatchObject({ code: 0, out: `${name}\n` });
      return JSON.parse(paravane(["stats", name, "--json"]).out).absentPages.left;
    };
    expect(left("whole", "--lazy", "off")).toBe(0);
    expect(left("part", "--lazy", "demand")).toBeGreaterThan(0);
    expect(paravane(["restore", base, "--name", "q", "--lazy", "asynchronous", "--start"])).toMatchObject({ code: 0 });
    expect(paravane(["restore", base, "--lazy", "some"])).toMatchObject({
      code: 2,
      err: 'paravane: --lazy: "some" is not one of background, demand, asynchronous, off\n',
    });
    expect(paravane(["clone", base, "1"])).toMatchObject({ code: 2, err: expect.stringContaining("count") });
  });

  it.each([
    [["info", "nobody"], 4, 'There is no VM called "nobody" on this host.'],
    [["create", "no-such-guest"], 2, 'no guest and no file is called "no-such-guest"'],
    [["create", "--kernel", "/no/such/file"], 4, "cannot read /no/such/file"],
    [["create", "hello", "--weight", "0"], 2, "--weight"],
    [["create", "--file", "/no/such/file"], 2, "--file: /no/such/file cannot be read"],
    [["set", "x"], 2, "nothing to change"],
    [["set", "x", "--resource", "memory"], 2, "RESOURCE.FIELD=AMOUNT"],
    [["create", "hello", "--resource", "memory.reservation=1T"], 2, "resources.memory"],
    [["create", "hello", "--resource", "gpu.reservation=1"], 2, "gpu lacks 1"],
    [["set", "x", "--realtime", "3"], 2, "BUDGET/PERIOD"],
    [["console", "x", "--port", "9"], 2, "--port"],
  ])("%j is refused with one sentence", (args, code, text) => {
    const result = paravane(args);
    expect(result.code).toBe(code);
    expect(result.err).toContain(text);
    expect(result.err.trim().split("\n")).toHaveLength(1);
  });

  it("a second server on the same socket is refused, and the first goes on", () => {
    const second = paravane(["serve", "--listen", socket]);
    expect(second).toMatchObject({ code: 12, err: expect.stringContaining("is served already") });
    expect(paravane(["ps"]).code).toBe(0);
  });
});

describe("over a loopback port", () => {
  const ask = (port: number, headers: Record<string, string>, body?: string): Promise<number | undefined> =>
    new Promise((resolve, reject) => {
      const call = request(
        { host: "127.0.0.1", port, path: "/v1/vms", method: body === undefined ? "GET" : "POST", headers },
        (response) => {
          response.resume();
          resolve(response.statusCode);
        },
      );
      call.on("error", reject);
      call.end(body);
    });

  it("asks for the token, and for bodies of a sensible size", async () => {
    const { child, line } = await served.start(["--listen", ":0", "--pcpus", "1"]);
    const [, port, file] = /127\.0\.0\.1:(\d+), token in (.*)$/.exec(line) ?? [];
    const token = readFileSync(file as string, "utf8").trim();
    expect(statSync(file as string).mode & 0o777).toBe(0o600);
    expect(await ask(Number(port), {})).toBe(401);
    expect(await ask(Number(port), { authorization: `Bearer ${token}x` })).toBe(401);
    expect(await ask(Number(port), { authorization: `Bearer ${token}` })).toBe(200);
    expect(await ask(Number(port), { authorization: `Bearer ${token}` }, "x".repeat(2 ** 20 + 1))).toBe(413);
    expect(paravane(["ps"], "", `127.0.0.1:${port}`)).toMatchObject({ code: 0 });
    expect(paravane(["ps"], "", ":1")).toMatchObject({
      code: 2,
      err: expect.stringMatching(/no host of yours serves/),
    });
    expect(await served.stop(child)).toBe(0);
    expect(existsSync(file as string)).toBe(false);
  });
});

describe("without a server", () => {
  it("a client says how to start one", () => {
    expect(paravane(["ps"], "", join(folder, "nobody.sock"))).toEqual({
      code: 12,
      out: "",
      err: expect.stringMatching(/^paravane: nobody answers at .*; start a host with: paravane serve\n$/),
    });
  });

  it.each(["http://example.com:80", "10.0.0.1:80"])("%s is no address for a host", (address) => {
    expect(paravane(["ps", "--host", address])).toMatchObject({ code: 2, err: expect.stringContaining("--host") });
  });
});

describe("a fleet from one file", () => {
  const fleet = (value: unknown): string => {
    const file = join(folder, "fleet.json");
    writeFileSync(file, typeof value === "string" ? value : JSON.stringify(value));
    return file;
  };

  it("runs, shows a row for each VM, and stops", () => {
    const file = fleet({
      host: { pcpus: 1 },
      vms: [
        { name: "h", guest: "hello", count: 2 },
        { guest: "hello", start: false },
      ],
    });
    const { code, out, err } = paravane(["up", file, "--duration", "700ms", "--interval", "200ms"]);
    expect(err).toBe("");
    expect(code).toBe(0);
    expect(out).toMatch(/^NAME +STATE +CPU % +STEAL % .*\nh-1 +running .*\nh-2 +running .*\nvm2 +created /);
  });

  it("prints a line of JSON an interval", () => {
    const file = fleet({ vms: [{ name: "h", guest: "hello" }] });
    const { out } = paravane(["up", file, "--duration", "700ms", "--interval", "200ms", "--json"]);
    const lines = out
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(lines.length).toBeGreaterThan(1);
    expect(lines[0][0]).toMatchObject({ name: "h", state: "running", memoryMib: 4 });
  });

  it.each([
    ["{", "is not JSON"],
    [{}, "vms is missing"],
    [{ vms: [] }, "vms"],
    [{ vms: [{ guest: "hello", memoryMib: 0 }] }, "vms[0].memoryMib is 0"],
    [{ vms: [{ guest: "hello", scheduling: { weight: 0 } }] }, "vms[0].scheduling.weight is 0"],
    [
      {
        vms: [
          { guest: "hello", name: "a" },
          { guest: "hello", name: "a" },
        ],
      },
      'vms[1].name "a" is taken',
    ],
    [{ host: { policy: "lottery" }, vms: [{ guest: "hello" }] }, "lottery"],
    [{ vms: [{ guest: "hello", color: "red" }] }, "vms[0].color is not a setting"],
    [{ host: { capacity: { memory: "1M" } }, vms: [{ guest: "hello" }] }, "memory lacks 3 MiB (4 MiB wanted"],
  ])("%j is refused before anything starts", (value, text) => {
    const { code, err } = paravane(["up", fleet(value)]);
    expect(code).toBe(2);
    expect(err).toContain(text);
    expect(err.trim().split("\n")).toHaveLength(1);
  });
});
