// Reservations of CPU: as weights, and under guests that all want everything.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { checkSchedParameters } from "../../../src/host/sched/parameters.ts";
import { reservedWeights } from "../../../src/host/sched/reserved-weights.ts";
import { Host } from "../../../src/index.ts";
import { SPIN } from "../guests.ts";

const parts = (weights: readonly number[]): number[] => {
  const sum = weights.reduce((total, weight) => total + weight, 0);
  return weights.map((weight) => weight / sum);
};

describe("weights of reservations", () => {
  it("are those given where nothing is reserved", () => {
    const all = [1, 300, 65_535].map((weight) => checkSchedParameters({ weight }));
    expect(reservedWeights(all)).toEqual([1, 300, 65_535]);
  });

  it("give everybody what is held for it, as far as the pCPU goes", () => {
    const one = fc.record({
      weight: fc.integer({ min: 1, max: 65_535 }),
      reservation: fc.oneof(fc.constant(0), fc.double({ min: 0, max: 1, noNaN: true })),
    });
    fc.assert(
      fc.property(fc.array(one, { minLength: 1, maxLength: 30 }), (vms) => {
        const all = vms.map(({ weight, reservation }) => ({ ...checkSchedParameters({ weight }), reservation }));
        const weights = reservedWeights(all);
        for (const weight of weights) {
          expect(Number.isInteger(weight)).toBe(true);
          expect(weight).toBeGreaterThanOrEqual(1);
          expect(weight).toBeLessThanOrEqual(65_535);
        }
        const reserved = vms.reduce((sum, { reservation }) => sum + reservation, 0);
        const scale = Math.min(1, 1 / Math.max(reserved, 1e-9));
        if (reserved === 0) return;
        for (const [i, part] of parts(weights).entries())
          expect(part).toBeGreaterThanOrEqual((vms[i]?.reservation ?? 0) * scale - 0.01);
      }),
      { numRuns: 300 },
    );
  });

  it("divide what is left by weight", () => {
    const all = [
      { ...checkSchedParameters({ weight: 1 }), reservation: 0.5 },
      { ...checkSchedParameters({ weight: 300 }) },
      { ...checkSchedParameters({ weight: 100 }) },
    ];
    const [held = 0, more = 0, less = 0] = parts(reservedWeights(all));
    expect(held).toBeCloseTo(0.5, 2);
    expect(more / less).toBeCloseTo(3, 1);
  });
});

describe("guests that spin", () => {
  it.each(["credit", "eevdf"])(
    "get what is held for them under %s, also when that changes",
    { timeout: 60_000 },
    async (policy) => {
      await using host = await Host.create({ threads: "in-process", policy });
      const small = await host.createVm({
        boot: SPIN,
        memoryBytes: 1 << 20,
        scheduling: { weight: 10 },
        resources: { cpu: { reservation: 0.5 } },
      });
      const large = await host.createVm({ boot: SPIN, memoryBytes: 1 << 20, scheduling: { weight: 10_000 } });
      await small.start();
      await large.start();
      const share = async (): Promise<number> => {
        const ran = async (): Promise<number[]> => [
          (await small.account())?.ranNs ?? 0,
          (await large.account())?.ranNs ?? 0,
        ];
        await new Promise((resolve) => setTimeout(resolve, 200));
        const [a = 0, b = 0] = await ran();
        await new Promise((resolve) => setTimeout(resolve, 1500));
        const [c = 0, d = 0] = await ran();
        return (c - a) / (c - a + d - b);
      };
      expect(await share()).toBeGreaterThan(0.42);
      await small.setResources({ cpu: { reservation: 0.2 } });
      const less = await share();
      expect(less).toBeGreaterThan(0.14);
      expect(less).toBeLessThan(0.3);
      await small.setResources({ cpu: { reservation: 0 } });
      expect(await share()).toBeLessThan(0.1);
    },
  );
});
