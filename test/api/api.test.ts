// The management API against its own description: every route, answers by their schemas, refusals, streams.

import { readFileSync } from "node:fs";
import Ajv from "ajv/dist/2020.js";
import fc from "fast-check";
import { afterEach, describe, expect, it } from "vitest";
import { Api } from "../../src/api/api.ts";
import { Exposition } from "../../src/api/exposition.ts";
import { addDevice } from "../../src/api/metrics.ts";
import type { ApiResponse } from "../../src/api/request.ts";
import type { Route } from "../../src/api/route.ts";
import { ROUTES } from "../../src/api/routes.ts";
import { checkVmSpec, vmSpecSchema } from "../../src/host/vm-spec.ts";
import { Host, type HostConfig, VmError } from "../../src/index.ts";
import { ECHO, print, SPIN } from "../host/guests.ts";

const MIB = 2 ** 20;
const ajv = new Ajv({ strict: false, formats: { "date-time": true } });
const open: Host[] = [];
afterEach(async () => {
  for (const host of open.splice(0)) await host.close();
});

const BOOTS = { spin: SPIN, echo: ECHO, print: print("hi", 0) } as const;

async function make(limits = {}, config: HostConfig = {}) {
  const host = await Host.create({ threads: "in-process", ...config });
  open.push(host);
  const api = new Api({
    host,
    version: "0.0.0",
    wallMs: () => 0,
    limits,
    resolve: async ({ guest, name, memoryMib = 1, scheduling, resources, display }) => {
      const boot = BOOTS[guest as keyof typeof BOOTS];
      if (boot === undefined) throw new VmError("not-found", `no guest is called ${guest}`);
      const chosen = scheduling?.weight === undefined ? {} : { weight: scheduling.weight };
      const given = {
        ...(name === undefined ? {} : { name }),
        ...(resources === undefined ? {} : { resources }),
        ...(display === undefined ? {} : { display }),
      };
      return { boot, memoryBytes: memoryMib * MIB, scheduling: chosen, ...given };
    },
  });
  const gone = new AbortController();
  const call = (method: string, path: string, body?: unknown): Promise<ApiResponse> => {
    const [where = "/", query = ""] = path.split("?", 2);
    const bytes =
      body instanceof Uint8Array
        ? body
        : body === undefined
          ? new Uint8Array(0)
          : new TextEncoder().encode(typeof body === "string" ? body : JSON.stringify(body));
    return api.handle({ method, path: where, query: new URLSearchParams(query), body: bytes, signal: gone.signal });
  };
  const json = async (method: string, path: string, body?: unknown) => {
    const response = await call(method, path, body);
    const text = new TextDecoder().decode(response.body as Uint8Array);
    return { status: response.status, value: text === "" ? undefined : JSON.parse(text) };
  };
  return { host, api, call, json, gone };
}

function route(id: string): Route {
  const found = ROUTES.find((candidate) => candidate.id === id);
  if (found === undefined) throw new Error(`no route ${id}`);
  return found;
}

function fits(id: string, value: unknown): void {
  const valid = ajv.validate(route(id).answer.schema ?? {}, value);
  expect(valid, `${id}: ${ajv.errorsText()} in ${JSON.stringify(value)}`).toBe(true);
}

describe("the OpenAPI document", () => {
  it("is the committed one, and what the server answers", async () => {
    const { json } = await make();
    const committed = JSON.parse(readFileSync("docs/openapi.json", "utf8"));
    const { status, value } = await json("GET", "/v1/openapi.json");
    expect(status).toBe(200);
    expect({ ...value, info: committed.info }).toEqual(committed);
  });

  it("names each operation once and gives each a summary and an answer", () => {
    const ids = ROUTES.map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    for (const { id, summary, answer } of ROUTES) {
      expect(summary, id).not.toBe("");
      expect(answer.status, id).toBeGreaterThanOrEqual(200);
      // Whatever answers with JSON says how it looks.
      if (answer.status !== 204 && answer.contentType === undefined && id !== "openapi")
        expect(answer.schema, id).toBeDefined();
    }
  });

  it("describes bodies as the server checks them", () => {
    const validate = ajv.compile(vmSpecSchema());
    const value = fc.oneof(
      fc.constantFrom("real", "virtual", "exit", "reboot", "x", ""),
      fc.integer({ min: -2, max: 4000 }),
      fc.boolean(),
      fc.constant(null),
      fc.dictionary(
        fc.constantFrom("memory", "cpu", "diskIops", "no name"),
        fc.dictionary(
          fc.constantFrom("reservation", "shares", "demand", "price"),
          fc.oneof(
            fc.integer({ min: -1, max: 3 }).map((pages) => pages * 4096),
            fc.constantFrom("1G", "2x", "", 300),
          ),
          { maxKeys: 2 },
        ),
        { maxKeys: 2 },
      ),
      fc.record({ weight: fc.integer({ min: -1, max: 70_000 }), capPercent: fc.integer({ min: -1, max: 101 }) }),
    );
    const field = fc.constantFrom(...Object.keys(vmSpecSchema().properties as object), "other");
    fc.assert(
      fc.property(fc.dictionary(field, value, { maxKeys: 3 }), (spec) => {
        let accepted = true;
        try {
          checkVmSpec(spec);
        } catch (error) {
          expect(error).toMatchObject({ code: "bad-config" });
          accepted = false;
        }
        expect(accepted, JSON.stringify(spec)).toBe(validate(spec));
      }),
      { numRuns: 2000 },
    );
  });
});

describe("VMs over the API", () => {
  it("live from create to destroy, each answer as described", async () => {
    const { json, host } = await make();
    const created = await json("POST", "/v1/vms", { guest: "spin", name: "a b%c", scheduling: { weight: 7 } });
    expect(created.status).toBe(201);
    fits("create", created.value);
    expect(created.value).toMatchObject({ name: "a b%c", state: "created", scheduling: { weight: 7 } });
    const at = `/v1/vms/${encodeURIComponent("a b%c")}`;
    for (const [verb, state] of [
      ["start", "running"],
      ["pause", "paused"],
      ["reset", "paused"],
      ["resume", "running"],
      ["nmi", "running"],
    ] as const) {
      const answer = await json("POST", `${at}/${verb}`);
      expect(answer, verb).toMatchObject({ status: 200, value: { state } });
      fits(verb, answer.value);
    }
    const stats = await json("GET", `${at}/stats`);
    fits("stats", stats.value);
    const set = await json("PATCH", at, { scheduling: { capPercent: 50 } });
    expect(set.value.scheduling).toMatchObject({ weight: 7, capPercent: 50 });
    const claims = await json("PATCH", at, { resources: { memory: { reservation: "512K" }, cpu: { shares: 8 } } });
    fits("set", claims.value);
    expect(claims.value).toMatchObject({
      scheduling: { weight: 8, capPercent: 50 },
      resources: { memory: { reservation: MIB / 2, limit: MIB, shares: 256 }, cpu: { shares: 8, limit: 0.5 } },
    });
    expect((await json("GET", "/v1/host")).value.resources).toMatchObject({
      memory: { reserved: MIB / 2, limits: MIB },
    });
    expect(await json("PATCH", at, { resources: { memory: { reservation: "1T" } } })).toMatchObject({ status: 400 });
    fits("list", (await json("GET", "/v1/vms")).value);
    fits("info", (await json("GET", at)).value);
    fits("host", (await json("GET", "/v1/host")).value);
    fits("setHost", (await json("PATCH", "/v1/host", { policy: "eevdf" })).value);
    expect(host.policy).toBe("eevdf");
    const stopped = await json("POST", `${at}/stop`, { force: true });
    expect(stopped.value).toMatchObject({ state: "stopped", lastExit: { kind: "killed" } });
    fits("stop", stopped.value);
    expect((await json("DELETE", at)).status).toBe(204);
    expect((await json("GET", at)).status).toBe(404);
  });

  it("are refused by status and a sentence, and nothing is left behind", async () => {
    const { json, host } = await make({ vms: 2 }, { capacity: { memory: 8 * MIB } });
    const refusals: [method: string, path: string, body: unknown, status: number, code: string][] = [
      ["GET", "/v1/vms/nobody", undefined, 404, "not-found"],
      ["GET", "/v2", undefined, 404, "not-found"],
      ["DELETE", "/v1/host", undefined, 405, "bad-config"],
      ["GET", "/v1/vms/%E0%A4%A", undefined, 400, "bad-config"],
      ["POST", "/v1/vms", "{", 400, "bad-config"],
      ["POST", "/v1/vms", [], 400, "bad-config"],
      ["POST", "/v1/vms", { guest: "spin", wieght: 1 }, 400, "bad-config"],
      ["POST", "/v1/vms", { guest: "spin", memoryMib: 0 }, 400, "bad-config"],
      ["POST", "/v1/vms", { guest: "nothing" }, 404, "not-found"],
      ["POST", "/v1/vms", { guest: "spin", memoryMib: 9 }, 409, "admission"],
      ["POST", "/v1/vms", { guest: "spin", resources: { memory: { reservation: "9M" } } }, 400, "bad-config"],
      ["POST", "/v1/vms", { guest: "spin", resources: { cpu: { reservation: -1 } } }, 400, "bad-config"],
      ["POST", "/v1/vms", { guest: "spin", resources: { gpu: { reservation: 1 } } }, 409, "admission"],
      ["PATCH", "/v1/host", { policy: "lottery" }, 400, "bad-config"],
      ["GET", "/v1/events?follow=perhaps", undefined, 400, "bad-config"],
    ];
    for (const [method, path, body, status, code] of refusals) {
      const answer = await json(method, path, body);
      expect(answer, `${method} ${path}`).toMatchObject({ status, value: { error: { code } } });
      expect(answer.value.error.message).toMatch(/\w{3}/);
    }
    expect(host.vms).toEqual([]);
    await json("POST", "/v1/vms", { guest: "spin", name: "one" });
    await json("POST", "/v1/vms", { guest: "spin", name: "two" });
    expect(await json("POST", "/v1/vms", { guest: "spin" })).toMatchObject({ status: 409 });
    expect(await json("POST", "/v1/vms/one/resume")).toMatchObject({
      status: 409,
      value: { error: { code: "bad-state", message: expect.stringContaining("which is created") } },
    });
    expect(await json("GET", "/v1/vms/one/console?port=3")).toMatchObject({ status: 404 });
  });

  it("talk to any number of viewers, early and late", async () => {
    const { json, call, gone } = await make();
    await json("POST", "/v1/vms", { guest: "echo", name: "e" });
    await json("POST", "/v1/vms/e/start");
    const read = async (response: ApiResponse, wanted: string): Promise<string> => {
      let text = "";
      for await (const chunk of response.body as AsyncIterable<Uint8Array>) {
        text += new TextDecoder().decode(chunk);
        if (text.length >= wanted.length) break;
      }
      return text;
    };
    const early = await call("GET", "/v1/vms/e/console?follow=true");
    const both = read(early, "firstsecond");
    expect((await call("POST", "/v1/vms/e/console", new TextEncoder().encode("first"))).status).toBe(204);
    for (let i = 0; i < 300 && (await scrollback(call)) !== "first"; i++) await new Promise((r) => setTimeout(r, 10));
    const late = read(await call("GET", "/v1/vms/e/console?follow=true"), "firstsecond");
    const fresh = read(await call("GET", "/v1/vms/e/console?follow=true&skip=true"), "second");
    await new Promise((resolve) => setTimeout(resolve, 20));
    await call("POST", "/v1/vms/e/console", new TextEncoder().encode("second"));
    expect(await both).toBe("firstsecond");
    expect(await late).toBe("firstsecond");
    expect(await fresh).toBe("second");
    gone.abort();
  });

  it("have a screen to look at, a keyboard and a mouse", async () => {
    const { call, json } = await make();
    await json("POST", "/v1/vms", { name: "seen", guest: "spin", display: "vga" });
    await json("POST", "/v1/vms", { name: "blind", guest: "spin" });
    const screen = await json("GET", "/v1/vms/seen/screen");
    fits("screen", screen.value);
    expect(screen.value).toMatchObject({ kind: "text", columns: 80, rows: 25, cursor: { column: 0, row: 0 } });
    const png = await call("GET", "/v1/vms/seen/screenshot");
    expect([png.status, png.contentType]).toEqual([200, "image/png"]);
    expect([...(png.body as Uint8Array).subarray(1, 4)]).toEqual([..."PNG"].map((c) => c.charCodeAt(0)));
    expect((await json("GET", "/v1/vms/blind/screen")).status).toBe(404);

    const send = async (path: string, body: unknown) => await json("POST", `/v1/vms/seen/${path}`, body);
    for (const body of [{ text: "ls\n" }, { keys: "ctrl-alt-delete f2" }])
      expect((await send("keys", body)).status).toBe(204);
    expect((await send("mouse", { dx: 3, buttons: 1 })).status).toBe(204);
    for (const body of [{}, { text: "a", keys: "b" }]) {
      const { status, value } = await send("keys", body);
      expect(status).toBe(400);
      expect(value.error.message).toContain("text or keys says what to type");
    }
    expect((await send("keys", { keys: "ctrl-any" })).value.error.message).toMatch(/keys has "any"; it takes .*ctrl_r/);
    expect((await send("mouse", { buttons: 99 })).status).toBe(400);
  });

  it("leave a trail of events", async () => {
    const { json, call, gone } = await make();
    await json("POST", "/v1/vms", { guest: "print", name: "p" });
    const followed: unknown[] = [];
    const response = await call("GET", "/v1/events?follow=true");
    const following = (async () => {
      for await (const chunk of response.body as AsyncIterable<Uint8Array>) {
        const event = JSON.parse(new TextDecoder().decode(chunk));
        fits("events", event);
        followed.push(event.event);
        if (event.event === "destroyed") break;
      }
    })();
    await json("POST", "/v1/vms/p/start");
    for (let i = 0; i < 300 && (await json("GET", "/v1/vms/p")).value.state !== "stopped"; i++)
      await new Promise((resolve) => setTimeout(resolve, 10));
    await json("DELETE", "/v1/vms/p");
    await following;
    expect(followed).toEqual(["created", "state", "state", "exit", "destroyed"]);
    gone.abort();
  });

  it("have every counter in Prometheus' format", async () => {
    const { json, call } = await make();
    await json("POST", "/v1/vms", { guest: "spin", name: 'a"b\\c' });
    await json("POST", `/v1/vms/${encodeURIComponent('a"b\\c')}/start`);
    await new Promise((resolve) => setTimeout(resolve, 50));
    const response = await call("GET", "/metrics");
    const text = new TextDecoder().decode(response.body as Uint8Array);
    expect(text).toContain('paravane_vm_state{vm="a\\"b\\\\c",state="running"} 1\n');
    const types = new Map<string, string>();
    for (const line of text.trimEnd().split("\n")) {
      const type = /^# TYPE (\w+) (counter|gauge|summary)$/.exec(line);
      if (type) {
        expect(types.has(type[1] as string), `${type[1]} twice`).toBe(false);
        types.set(type[1] as string, type[2] as string);
      }
      if (line.startsWith("#")) continue;
      const sample =
        /^([a-z][a-z0-9_]*?)((?:_sum|_count)?)(?:\{((?:\w+="(?:[^"\\\n]|\\.)*",?)+)\})? (-?\d[\d.e+-]*)$/.exec(line);
      expect(sample, line).not.toBeNull();
      const [, name = "", suffix = "", labels = ""] = sample ?? [];
      const kind = types.get(name) ?? types.get(name + suffix);
      expect(kind, line).toBeDefined();
      // Counters end in _total and nothing else does; quantiles are of summaries.
      expect(name.endsWith("_total"), line).toBe(kind === "counter");
      expect(labels.includes("quantile=") || (suffix !== "" && types.has(name)), line).toBe(kind === "summary");
    }
    expect(types.size).toBeGreaterThan(15);
    expect(types.get("paravane_vm_core_tlb_fills_total")).toBe("counter");
    expect(text).toMatch(/^paravane_host_memory_capacity_bytes \d+$/m);
  });

  it("tell what goes up and down from what counts, in base units", () => {
    const exposition = new Exposition("p");
    const ntp = { ntpOffsetNs: -2e6, ntpDriftPpm: 15, ntpWithinOneMs: 0.5, ntpRequests: 3 };
    addDevice({ vm: "v", device: "ntp-net0" }, ntp, exposition.add);
    addDevice({ vm: "v", device: "vsock" }, { open: 2 }, exposition.add);
    addDevice({ vm: "v", device: "virtio-balloon" }, { balloonBytes: 4096 }, exposition.add);
    const text = exposition.text();
    const sample = /^# TYPE p_(\w+) (\w+)\np_\w+\{vm="v"(?:,device="[\w-]+")?\} (.*)$/gm;
    expect([...text.matchAll(sample)].map(([, name, type, value]) => [name, type, Number(value)])).toEqual([
      ["vm_ntp_offset_seconds", "gauge", -0.002],
      ["vm_ntp_drift_ratio", "gauge", 15e-6],
      ["vm_ntp_within_one_ms_ratio", "gauge", 0.5],
      ["vm_device_ntp_requests_total", "counter", 3],
      ["vm_device_open_connections", "gauge", 2],
      ["vm_balloon_bytes", "gauge", 4096],
    ]);
  });

  it("say which methods there are, and that a body is an object", async () => {
    const { call, json } = await make();
    expect(await call("PUT", "/v1/vms")).toMatchObject({ status: 405, headers: { allow: "GET, POST" } });
    expect(await json("POST", "/v1/vms", [])).toMatchObject({
      status: 400,
      value: { error: { message: "The body is no JSON object, such as {}." } },
    });
  });

  it("survive any request", async () => {
    const { call } = await make({ vms: 3 });
    const path = fc.oneof(
      fc.constantFrom(...ROUTES.map((candidate) => candidate.path.replace("{name}", "x"))),
      fc.string({ maxLength: 20 }).map((text) => `/${text}`),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom("GET", "POST", "PATCH", "DELETE", "PUT"),
        path,
        fc.oneof(fc.jsonValue(), fc.string()),
        async (method, where, body) => {
          const response = await call(method, encodeURI(where), JSON.stringify(body));
          expect(response.status).toBeLessThan(500);
        },
      ),
      { numRuns: 300 },
    );
  });
});

async function scrollback(call: (method: string, path: string) => Promise<ApiResponse>): Promise<string> {
  const response = await call("GET", "/v1/vms/e/console");
  return new TextDecoder().decode(response.body as Uint8Array);
}
