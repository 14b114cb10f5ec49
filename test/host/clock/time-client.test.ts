// What a guest's requests for the time say about its clock.
import { describe, expect, it } from "vitest";
import { ClockDiscipline } from "../../../src/host/clock/discipline.ts";
import { ntpRequest } from "../../../src/host/clock/ntp.ts";
import { TimeClient } from "../../../src/host/clock/time-client.ts";
import { Vm } from "../../../src/index.ts";
import { GATEWAY, UserGuest } from "../../backends/network/user-guest.ts";
import { SPIN } from "../guests.ts";

const START = 1_700_000_000_000_000_000n;
const MS = 1e6;
const at = (ns: number): bigint => START + BigInt(Math.round(ns));

describe("a time client, seen from its server", () => {
  it("says nothing before it has asked, nor by what is no request", () => {
    const client = new TimeClient();
    client.observe(new Uint8Array(47), START);
    client.observe(new Uint8Array(48), START);
    expect(client.metrics()).toBeUndefined();
  });

  it("tells offset and drift of its clock", () => {
    const client = new TimeClient();
    // 3 ms ahead, and 50 ppm fast.
    for (let s = 0; s < 100; s++) client.observe(ntpRequest(at(s * 1e9 + 3 * MS + s * 50_000)), at(s * 1e9));
    const metrics = client.metrics() ?? {};
    expect(metrics).toMatchObject({ ntpRequests: 100, ntpMeasured: 100, ntpHidden: 0, ntpBackwardSteps: 0 });
    expect(metrics["ntpOffsetNs"]).toBeCloseTo(3 * MS + 99 * 50_000, -2);
    expect(metrics["ntpDriftPpm"]).toBeCloseTo(50, 1);
    expect(metrics["ntpWithinOneMs"]).toBe(0);
  });

  it("counts steps back, and clients that send random bits in place of their time", () => {
    const client = new TimeClient();
    client.observe(ntpRequest(at(2e9)), at(2e9));
    client.observe(ntpRequest(at(1e9)), at(3e9));
    client.observe(ntpRequest(1n << 60n), at(4e9));
    expect(client.metrics()).toMatchObject({ ntpMeasured: 2, ntpHidden: 1, ntpBackwardSteps: 1, ntpMaxErrorNs: 2e9 });
  });

  it("is seen to come right without a step back when it disciplines its clock", () => {
    const client = new TimeClient();
    const discipline = new ClockDiscipline({ maxSlewPpm: 50_000, stepThresholdNs: 128 * MS, maxDriftPpm: 0 });
    // 80 ms behind its server, which it asks every second; the way takes no time.
    let aheadNs = -80 * MS;
    for (let s = 0; s < 60; s++) {
      const now = at(s * 1e9);
      client.observe(ntpRequest(now + BigInt(Math.round(aheadNs))), now);
      const { stepNs, ratePpm, forNs } = discipline.update({ atNs: s * 1e9, offsetNs: -aheadNs, errorNs: 1000 });
      aheadNs += stepNs + (ratePpm / 1e6) * Math.min(forNs, 1e9);
    }
    expect(client.metrics()).toMatchObject({ ntpMeasured: 60, ntpBackwardSteps: 0 });
    expect(Math.abs(client.metrics()?.["ntpOffsetNs"] ?? Number.NaN)).toBeLessThan(MS);
    expect(client.metrics()?.["ntpMaxErrorNs"]).toBeCloseTo(80 * MS, -3);
  });

  it("is counted by the gateway that it asks", () => {
    const guest = new UserGuest();
    guest.announce();
    guest.packets();
    expect(guest.network.timeMetrics()).toBeUndefined();
    guest.sendUdp({ sourcePort: 123, target: GATEWAY, targetPort: 123, data: ntpRequest(START) });
    expect(guest.datagrams()).toHaveLength(1);
    expect(guest.network.timeMetrics()).toMatchObject({ ntpRequests: 1 });
  });
});

describe("clockSync ntp", () => {
  it("needs a card on a user network", async () => {
    const config = { boot: SPIN, memoryBytes: 1 << 20, clockSync: "ntp" } as const;
    await expect(Vm.create(config)).rejects.toThrow(/clockSync "ntp" needs a network card on a user network/);
    const nic = (backend: { kind: "user" } | { kind: "switch"; name: string }) => ({
      ...config,
      nics: [{ id: "n", model: "virtio" as const, backend }],
    });
    await expect(Vm.create(nic({ kind: "switch", name: "lan" }))).rejects.toThrow(/user network/);
    await using vm = await Vm.create(nic({ kind: "user" }));
    expect(vm.statistics().devices["ntp-n"]).toBeUndefined();
  });
});
