// Networks of a host: cards of its VMs, how they are shown and changed, and the pipe between threads.
import { createServer, type Server } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { Api } from "../../src/api/api.ts";
import { checkFleetSpec } from "../../src/api/fleet-spec.ts";
import { resolveVmSpec } from "../../src/cli/vm-spec.ts";
import { type FrameBatch, FramePipe } from "../../src/host/frame-pipe.ts";
import { checkVmSpec } from "../../src/host/vm-spec.ts";
import { Host, VmError } from "../../src/index.ts";

const open: (Host | Server)[] = [];
afterEach(async () => {
  for (const each of open.splice(0)) await each.close();
});

const progress = { show: () => {}, done: () => {} };

async function make(threads: "workers" | "in-process" = "in-process") {
  const host = await Host.create({ threads, pcpus: 2 });
  open.push(host);
  const api = new Api({ host, version: "0", wallMs: () => 0, resolve: (spec) => resolveVmSpec(spec, progress) });
  const call = async (method: string, path: string, body?: unknown) => {
    const [where = "/", query = ""] = path.split("?", 2);
    const bytes = body === undefined ? new Uint8Array(0) : new TextEncoder().encode(JSON.stringify(body));
    const response = await api.handle({
      method,
      path: where,
      query: new URLSearchParams(query),
      body: bytes,
      signal: new AbortController().signal,
    });
    const text = new TextDecoder().decode(response.body as Uint8Array);
    return { status: response.status, value: text === "" ? undefined : JSON.parse(text) };
  };
  return { host, call };
}

describe("networks of a host", () => {
  it.each(["in-process", "workers"] as const)(
    "are made, linked, shown, and stay while cards are on them (%s)",
    async (threads) => {
      const { call } = await make(threads);
      expect((await call("POST", "/v1/networks", { name: "left", gateway: { net: "10.1.0.0/24" } })).status).toBe(201);
      const right = { name: "right", link: { latencyMs: 2 }, links: [{ to: "left", loss: 0.1 }] };
      expect((await call("POST", "/v1/networks", right)).value).toMatchObject({ name: "right", ports: 1 });
      const spec = {
        name: "a",
        guest: "hello",
        nics: [
          { network: "right", mac: "02:00:00:00:00:09" },
          { id: "out", user: { forwards: [{ protocol: "tcp", hostPort: 0, guestPort: 80 }] } },
        ],
      };
      const made = await call("POST", "/v1/vms", spec);
      expect(made.value.nics).toMatchObject([
        { id: "net0", model: "virtio", mac: "02:00:00:00:00:09", network: "right", up: true, forwards: [] },
        { id: "out", network: "user", forwards: [{ protocol: "tcp", guestPort: 80 }] },
      ]);
      expect(made.value.nics[1].forwards[0].hostPort).toBeGreaterThan(1024);
      expect(made.value.nics[1].mac).toMatch(/^02:70:76:/);
      const listed = await call("GET", "/v1/networks");
      expect(listed.value).toMatchObject([
        { name: "left", ports: 2 },
        { name: "right", ports: 2, link: { latencyMs: 2 } },
      ]);
      expect((await call("DELETE", "/v1/networks?network=right")).value.error.message).toMatch(/1 cards are on/);
      const changed = await call("PATCH", "/v1/vms/a", { nics: [{ id: "net0", up: "no" }] });
      expect(changed.value.nics[0].up).toBe(false);
      expect((await call("DELETE", "/v1/vms/a")).status).toBe(204);
      expect((await call("DELETE", "/v1/networks?network=left")).value.error.message).toMatch(
        /right is linked to left/,
      );
      expect((await call("DELETE", "/v1/networks?network=right")).status).toBe(204);
      expect((await call("DELETE", "/v1/networks?network=left")).status).toBe(204);
    },
  );

  it("give cards of different VMs different addresses, and copies ports that are free", async () => {
    const { host, call } = await make();
    await call("POST", "/v1/networks", { name: "lan" });
    const macs = new Set<string>();
    for (const name of ["a", "b"]) {
      const { value } = await call("POST", "/v1/vms", {
        name,
        guest: "hello",
        nics: [{ network: "lan" }, { network: "lan" }],
      });
      for (const nic of value.nics) macs.add(nic.mac);
    }
    expect(macs.size).toBe(4);
    const server = createServer().listen(0, "127.0.0.1");
    open.push(server);
    await new Promise((done) => server.once("listening", done));
    const { port } = server.address() as { port: number };
    const source = { kind: "user", forwards: [{ protocol: "tcp", hostPort: port, guestPort: 80 }] } as const;
    await expect(host.networks.connect(source, {})).rejects.toThrow(`Port ${port} of 127.0.0.1 cannot be forwarded`);
    using copy = await host.networks.connect(source, { anyPort: true });
    expect(copy.forwards[0]?.hostPort).not.toBe(port);
  });

  it("name what is wrong, and leave nothing of a VM that cannot be connected", async () => {
    const { host, call } = await make();
    const refused = async (path: string, body: unknown): Promise<string> =>
      (await call("POST", path, body)).value.error?.message ?? "accepted";
    expect(await refused("/v1/networks", {})).toContain("name is missing");
    expect(await refused("/v1/networks", { name: "a b" })).toContain("name is");
    expect(await refused("/v1/networks", { name: "a", links: [{ to: "b" }] })).toContain('no network "b"');
    expect(await refused("/v1/networks", { name: "a", gateway: { net: "x" } })).toContain("gateway.net is");
    expect(await refused("/v1/networks", { name: "a", gateway: { nut: "x" } })).toContain("gateway.nut is not a field");
    expect(await refused("/v1/networks", { name: "a", link: { loss: 2 } })).toContain("link.loss is 2");
    expect(await refused("/v1/vms", { name: "v", guest: "hello", nics: [{ network: "lan" }] })).toContain(
      'no network "lan"',
    );
    expect(await refused("/v1/vms", { guest: "hello", nics: [{ network: "lan", user: {} }] })).toContain(
      "give one of them",
    );
    expect(await refused("/v1/vms", { guest: "hello", nics: [{ mac: "01:00:00:00:00:00" }] })).toContain(
      "nics[0].mac is",
    );
    expect(await refused("/v1/vms", { guest: "hello", nics: [{ user: { allow: ["*"] } }] })).toContain(
      "nics[0].user.allow[0]",
    );
    expect(host.vms).toEqual([]);
    const { value } = await call("PATCH", "/v1/vms/none", {});
    expect(value.error.code).toBe("not-found");
  });

  it("are part of a fleet file", () => {
    const fleet = checkFleetSpec({
      networks: [
        { name: "lan", gateway: {} },
        { name: "far", links: [{ to: "lan", latencyMs: 20 }] },
      ],
      vms: [{ guest: "hello", nics: [{ network: "lan" }] }],
    });
    expect(fleet.networks).toEqual([
      { name: "lan", gateway: {} },
      { name: "far", links: [{ to: "lan", latencyMs: 20 }] },
    ]);
    expect(fleet.vms[0]?.spec.nics).toMatchObject([{ network: "lan", model: "virtio" }]);
    expect(() => checkFleetSpec({ networks: [{ name: "" }], vms: [{ guest: "hello" }] })).toThrow(
      /networks\[0\]\.name/,
    );
    expect(() => checkVmSpec({ nics: [{ model: "ne2000" }] })).toThrow(/nics\[0\]\.model is "ne2000"/);
    expect(VmError).toBeDefined();
  });
});

describe("a pipe between threads", () => {
  function pair() {
    const queues: [FrameBatch[], FrameBatch[]] = [[], []];
    let flushes: (() => void)[] = [];
    const end = (own: 0 | 1): FramePipe =>
      new FramePipe(
        (batch) => queues[own].push(batch),
        (flush) => flushes.push(flush),
      );
    const ends = [end(0), end(1)] as const;
    const turn = (): void => {
      for (const flush of flushes.splice(0)) flush();
      flushes = [];
      for (const from of [0, 1] as const) for (const batch of queues[from].splice(0)) ends[1 - from]?.receive(batch);
    };
    return { ends, turn, queues };
  }

  it("hands frames over in batches, in order, and the state of the link", () => {
    const { ends, turn } = pair();
    const got: number[] = [];
    ends[1].onReceive((frame) => got.push(frame[0] ?? 0));
    const links: boolean[] = [];
    ends[1].onLink((up) => links.push(up));
    for (let i = 0; i < 200; i++) ends[0].send(Uint8Array.of(i));
    turn();
    expect(got).toEqual(Array.from({ length: 200 }, (_, i) => i));
    ends[0].setLink(false);
    turn();
    expect(links).toEqual([false]);
  });

  it("drops what the other side has no time for, and goes on when it has", () => {
    const { ends, turn } = pair();
    let got = 0;
    ends[1].onReceive(() => got++);
    for (let i = 0; i < 10_000; i++) ends[0].send(new Uint8Array(1500));
    expect(ends[0].dropped).toBeGreaterThan(9000);
    for (let i = 0; i < 20; i++) turn();
    expect(got).toBe(10_000 - ends[0].dropped);
    const before = ends[0].dropped;
    for (let round = 0; round < 100; round++) {
      for (let i = 0; i < 100; i++) ends[0].send(new Uint8Array(1500));
      turn();
      turn();
    }
    expect(ends[0].dropped).toBe(before);
  });
});
