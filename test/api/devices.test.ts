// Devices, memory and limits over the API: what is done, what is refused and with which status.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { Api } from "../../src/api/api.ts";
import { parseLimits } from "../../src/cli/limit-values.ts";
import { checkVmSpec, driveOfSpec } from "../../src/host/vm-spec.ts";
import { Host } from "../../src/index.ts";
import { SPIN } from "../host/guests.ts";

const MIB = 2 ** 20;
let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "paravane-api-"));
  for (const name of ["a.img", "b.iso"]) writeFileSync(join(folder, name), Buffer.alloc(MIB, name));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const open: Host[] = [];
afterEach(async () => {
  for (const host of open.splice(0)) await host.close();
});

async function make() {
  const host = await Host.create({ threads: "in-process" });
  open.push(host);
  const api = new Api({
    host,
    version: "0",
    wallMs: () => 0,
    resolve: async ({ name, balloon, drives, limits }) => ({
      boot: SPIN,
      memoryBytes: 2 * MIB,
      balloon,
      ...(name === undefined ? {} : { name }),
      ...(drives === undefined ? {} : { drives: drives.map((drive, i) => driveOfSpec(drive, `drive${i}`)) }),
      ...(limits === undefined ? {} : { limits: JSON.parse(JSON.stringify(limits)) }),
    }),
  });
  const json = async (method: string, path: string, body?: unknown) => {
    const bytes = new TextEncoder().encode(body === undefined ? "" : JSON.stringify(body));
    const request = { method, path, query: new URLSearchParams(), body: bytes, signal: new AbortController().signal };
    const response = await api.handle(request);
    return { status: response.status, value: JSON.parse(new TextDecoder().decode(response.body as Uint8Array)) };
  };
  return { host, json };
}

describe("devices over the API", () => {
  it("come to a VM that runs, and go", async () => {
    const { host, json } = await make();
    await json("POST", "/v1/vms", { name: "v" });
    await json("POST", "/v1/vms/v/start");
    await expect.poll(async () => (await host.vm("v").statistics()).instructions).toBeGreaterThan(0);
    const drive = { id: "a", bus: "virtio", file: join(folder, "a.img") };
    const attached = await json("POST", "/v1/vms/v/attach", { drive });
    expect(attached).toMatchObject({ status: 200, value: { devices: { drives: ["a"] } } });
    expect(await json("POST", "/v1/vms/v/attach", { drive })).toMatchObject({ status: 400 });
    expect(await json("POST", "/v1/vms/v/attach", { drive: { ...drive, id: "b", bus: "ide" } })).toMatchObject({
      status: 400,
      value: { error: { details: { field: "drive.bus" } } },
    });
    // This guest knows nothing of ACPI.
    expect(await json("POST", "/v1/vms/v/detach", { id: "a" })).toMatchObject({ status: 409 });
    expect(await json("POST", "/v1/vms/v/detach", { id: "x" })).toMatchObject({ status: 404 });
    const detached = await json("POST", "/v1/vms/v/detach", { id: "a", force: true });
    expect(detached).toMatchObject({ status: 200, value: { devices: { drives: [] } } });
    // A cold start has what is there now.
    await json("POST", "/v1/vms/v/attach", { drive });
    await json("POST", "/v1/vms/v/stop", { force: true });
    await json("POST", "/v1/vms/v/start");
    expect((await host.vm("v").statistics()).devices["virtio-blk0"]).toBeDefined();
  });

  it("are network cards too, connected to their network or not there at all", async () => {
    const { host, json } = await make();
    await json("POST", "/v1/vms", { name: "v" });
    await json("POST", "/v1/vms/v/start");
    await expect.poll(async () => (await host.vm("v").statistics()).instructions).toBeGreaterThan(0);
    await json("POST", "/v1/networks", { name: "lan" });
    const user = await json("POST", "/v1/vms/v/attach", { nic: { id: "up", user: { net: "10.7.0.0/24" } } });
    expect(user).toMatchObject({ status: 200, value: { devices: { nics: ["up"] }, nics: [{ id: "up", up: true }] } });
    const lan = await json("POST", "/v1/vms/v/attach", {
      nic: { id: "lan0", network: "lan", mac: "02:00:00:00:00:07" },
    });
    expect(lan.value.nics[1]).toMatchObject({ id: "lan0", network: "lan", mac: "02:00:00:00:00:07" });
    for (const [nic, status, text] of [
      [{ id: "up" }, 400, "up"],
      [{ id: "x", network: "nowhere" }, 404, "nowhere"],
      [{ id: "x", model: "rtl8139" }, 400, "nic.model"],
      [{ id: "x", network: "lan", user: {} }, 400, "user and network"],
      [{ id: "x", user: { net: "10.0.0.0/33" } }, 400, "net"],
      [{ model: "virtio" }, 400, "nic.id"],
    ] as const) {
      const refused = await json("POST", "/v1/vms/v/attach", { nic });
      expect(refused, JSON.stringify(nic)).toMatchObject({ status });
      expect(refused.value.error.message).toContain(text);
    }
    const both = { nic: { id: "y" }, drive: { id: "z", bus: "virtio", file: join(folder, "a.img") } };
    for (const body of [{}, both]) expect(await json("POST", "/v1/vms/v/attach", body)).toMatchObject({ status: 400 });
    // Nothing is left of what was refused.
    expect((await json("GET", "/v1/vms/v")).value).toMatchObject({ devices: { nics: ["up", "lan0"], drives: [] } });
    expect((await json("GET", "/v1/vms/v")).value.nics).toHaveLength(2);
    await json("POST", "/v1/vms/v/detach", { id: "up", force: true });
    expect((await json("GET", "/v1/vms/v")).value.nics).toMatchObject([{ id: "lan0" }]);
    // A VM that does not run gets any card.
    await json("POST", "/v1/vms/v/stop", { force: true });
    expect(await json("POST", "/v1/vms/v/attach", { nic: { id: "old", model: "rtl8139" } })).toMatchObject({
      status: 200,
    });
    await json("POST", "/v1/vms/v/start");
    expect((await json("GET", "/v1/vms/v")).value.nics).toMatchObject([
      { id: "lan0" },
      { id: "old", model: "rtl8139" },
    ]);
  });

  it("are another configuration of a VM that does not run, on any bus", async () => {
    const { json } = await make();
    await json("POST", "/v1/vms", { name: "v" });
    await json("POST", "/v1/vms/v/stop");
    const drive = { id: "cd", bus: "ide", media: "cdrom" };
    expect(await json("POST", "/v1/vms/v/attach", { drive })).toMatchObject({ status: 200 });
    const file = join(folder, "b.iso");
    expect(await json("POST", "/v1/vms/v/medium", { drive: "cd", file })).toMatchObject({ status: 200 });
    await json("POST", "/v1/vms/v/start");
    expect(await json("POST", "/v1/vms/v/medium", { drive: "cd" })).toMatchObject({ status: 200 });
    expect(await json("POST", "/v1/vms/v/medium", { drive: "hd" })).toMatchObject({ status: 404 });
  });
});

describe("memory and limits over the API", () => {
  it("are changed while a VM runs, and refused by name", async () => {
    const { host, json } = await make();
    const limits = { disks: { operations: { size: 10 } } };
    const made = await json("POST", "/v1/vms", { name: "v", limits });
    expect(made.value.limits).toEqual({ disks: { operations: { size: 10, refillMs: 1000, oneTimeBurst: 0 } } });
    await json("POST", "/v1/vms/v/start");
    expect(await json("PATCH", "/v1/vms/v", { memoryMib: 1 })).toMatchObject({ status: 409 });
    const console = { bandwidth: { size: 100, refillMs: 50 } };
    const changed = await json("PATCH", "/v1/vms/v", { limits: { console } });
    expect(changed.value.limits).toMatchObject({ console, disks: { operations: { size: 10 } } });
    expect(host.vm("v").config.limits).toMatchObject({ console });
    expect(await json("PATCH", "/v1/vms/v", { limits: { console: { bandwidth: { size: 0 } } } })).toMatchObject({
      status: 400,
      value: { error: { details: { field: "limits.console.bandwidth.size" } } },
    });
    const cleared = await json("PATCH", "/v1/vms/v", { limits: { console: { bandwidth: null }, disks: null } });
    expect(cleared.value.limits).toEqual({ console: {} });
    await json("POST", "/v1/vms", { name: "w", balloon: true });
    expect(await json("PATCH", "/v1/vms/w", { memoryMib: 1 })).toMatchObject({
      status: 200,
      value: { resources: { memory: { limit: MIB, reservation: MIB } } },
    });
  });

  it("are read from the command line as the API takes them", () => {
    const limits = parseLimits(["disks.bandwidth=10M/1s+50M", "network.operations=1000/100ms", "root.bandwidth=none"]);
    expect(limits).toEqual({
      disks: { bandwidth: { size: 10 * MIB, refillMs: 1000, oneTimeBurst: 50 * MIB } },
      network: { operations: { size: 1000, refillMs: 100 } },
      devices: { root: { bandwidth: null } },
    });
    expect(() => checkVmSpec({ limits })).not.toThrow();
    expect(() => parseLimits(["disks=10M"])).toThrow(/KIND\.bandwidth/);
    expect(() => parseLimits(["disks.bandwidth=fast"])).toThrow(/10M\/1s/);
  });
});
