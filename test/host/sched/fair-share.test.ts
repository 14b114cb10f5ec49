// Policies against the ideal fluid share, on one pCPU.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createPolicy, POLICY_NAMES } from "../../../src/host/sched/registry.ts";
import { type Behaviour, hog, MS, OnePcpu, repeating } from "./one-pcpu.ts";

const runs = { numRuns: 60 };
const weights = fc.array(fc.integer({ min: 1, max: 1000 }), { minLength: 1, maxLength: 12 });
/** Bursts and sleeps of a vCPU, repeated for ever; short enough that many fit into a test. */
const steps = fc.array(fc.tuple(fc.integer({ min: 1, max: 20_000 }), fc.integer({ min: 1, max: 40_000 })), {
  minLength: 1,
  maxLength: 8,
});
const scripted = (script: readonly (readonly [number, number])[]): Behaviour => {
  let i = 0;
  return {
    burstNs: () => (script[i % script.length]?.[0] ?? 1) * 1000,
    sleepNs: () => (script[i++ % script.length]?.[1] ?? 1) * 1000,
  };
};

describe("eevdf keeps everybody within a slice of the fluid share", () => {
  it("whatever the weights, at any time, both ways", () => {
    fc.assert(
      fc.property(weights, fc.integer({ min: 100_000, max: 5_000_000 }), (shares, sliceNs) => {
        const queue = new OnePcpu(createPolicy("eevdf", { sliceNs }));
        shares.forEach((weight, vcpu) => queue.add(vcpu, hog, { weight }));
        queue.observe = () => {
          for (let vcpu = 0; vcpu < shares.length; vcpu++) expect(Math.abs(queue.lag(vcpu))).toBeLessThan(sliceNs + 1);
        };
        queue.run(40 * sliceNs);
      }),
      runs,
    );
  });

  it("and within twice the longest slice when slices differ", () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.integer({ min: 1, max: 1000 }), fc.integer({ min: 1, max: 50 })), {
          minLength: 2,
          maxLength: 10,
        }),
        (shares) => {
          const queue = new OnePcpu(createPolicy("eevdf"));
          shares.forEach(([weight, slice], vcpu) => queue.add(vcpu, hog, { weight, sliceNs: slice * 100_000 }));
          const longest = Math.max(...shares.map(([, slice]) => slice)) * 100_000;
          queue.observe = () => {
            for (let vcpu = 0; vcpu < shares.length; vcpu++)
              expect(Math.abs(queue.lag(vcpu))).toBeLessThan(2 * longest);
          };
          queue.run(300 * MS);
        },
      ),
      runs,
    );
  });
});

it("credit keeps everybody within two slices and a slice of each other vCPU for its weight, plus a refill", () => {
  fc.assert(
    fc.property(weights, (shares) => {
      const [sliceNs, refillNs] = [1 * MS, 10 * MS];
      const queue = new OnePcpu(createPolicy("credit", { sliceNs, refillNs }));
      shares.forEach((weight, vcpu) => queue.add(vcpu, hog, { weight }));
      const total = shares.reduce((sum, weight) => sum + weight, 0);
      queue.observe = () => {
        shares.forEach((weight, vcpu) => {
          const bound = sliceNs * (2 + (shares.length * weight) / total);
          expect(Math.abs(queue.lag(vcpu))).toBeLessThan(bound + refillNs);
        });
      };
      queue.run(300 * MS);
    }),
    runs,
  );
});

it("rr keeps equals within a slice", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 30 }), (count) => {
      const queue = new OnePcpu(createPolicy("rr", { sliceNs: MS }));
      for (let vcpu = 0; vcpu < count; vcpu++) queue.add(vcpu, hog);
      queue.observe = () => {
        for (let vcpu = 0; vcpu < count; vcpu++) expect(Math.abs(queue.lag(vcpu))).toBeLessThanOrEqual(MS + 1);
      };
      queue.run(100 * MS);
    }),
    runs,
  );
});

describe.each(["eevdf", "credit", "edf"])("%s: weights hold to 1%% over two seconds among sleepers", (name) => {
  it("1:2:4", () => {
    const queue = new OnePcpu(createPolicy(name));
    [256, 512, 1024].forEach((weight, vcpu) => queue.add(vcpu, hog, { weight }));
    queue.add(3, repeating(0.5 * MS, 20 * MS)).run(2000 * MS);
    const unit = (queue.ran(0) + queue.ran(1) + queue.ran(2)) / 7;
    for (const [vcpu, share] of [1, 2, 4].entries())
      expect(Math.abs(queue.ran(vcpu) / (unit * share) - 1)).toBeLessThan(0.01);
  });

  it("and follow a change while running", () => {
    const queue = new OnePcpu(createPolicy(name))
      .add(0, hog)
      .add(1, hog)
      .run(500 * MS);
    queue.set(1, { weight: 768 });
    const [a, b] = [queue.ran(0), queue.ran(1)];
    queue.run(2500 * MS);
    expect((queue.ran(1) - b) / (queue.ran(0) - a)).toBeCloseTo(3, 1);
  });
});

describe.each(POLICY_NAMES)("%s", (name) => {
  it("is never idle while somebody uncapped is runnable", () => {
    fc.assert(
      fc.property(fc.array(steps, { minLength: 1, maxLength: 8 }), (scripts) => {
        const queue = new OnePcpu(createPolicy(name));
        scripts.forEach((script, vcpu) =>
          queue.add(vcpu, scripted(script), { weight: 1 + vcpu * 100, priority: vcpu }),
        );
        queue.observe = () => expect(queue.policy.pick(queue.now) === undefined).toBe(queue.policy.runnable === 0);
        queue.run(200 * MS);
      }),
      runs,
    );
  });

  it("gives the whole pCPU to a hog and what sleepers leave", () => {
    const queue = new OnePcpu(createPolicy(name))
      .add(0, hog)
      .add(1, repeating(MS, 9 * MS))
      .run(1000 * MS);
    expect(queue.idleNs).toBe(0);
  });
});

describe("nobody starves under", () => {
  const longest = (queue: OnePcpu, count: number): number =>
    Math.max(...Array.from({ length: count }, (_, vcpu) => queue.longestWait(vcpu)));

  it.each([
    ["rr", {}, 19 * 10 * MS],
    ["eevdf", {}, 21 * 3 * MS],
    ["edf", {}, 21 * 3 * MS],
    // Twenty slices, of which those of a boost come on top.
    ["credit", {}, 20 * 5 * MS + 20 * MS],
    // 39 levels of 10 ms, then a turn of everybody.
    ["priority", { priority: 139 }, 39 * 10 * MS + 20 * 10 * MS],
    ["pinned", {}, 19 * 100 * MS],
  ])("%s", (name, parameters, boundNs) => {
    const queue = new OnePcpu(createPolicy(name)).add(0, hog, parameters);
    for (let vcpu = 1; vcpu < 20; vcpu++) queue.add(vcpu, hog);
    queue.run(8000 * MS);
    expect(longest(queue, 20)).toBeLessThanOrEqual(boundNs + 1);
    expect(queue.ran(0)).toBeGreaterThan(0);
  });

  it("priority, though urgent vCPUs wake in every slice of it", () => {
    const queue = new OnePcpu(createPolicy("priority")).add(0, hog, { priority: 139 });
    for (let vcpu = 1; vcpu < 6; vcpu++) queue.add(vcpu, repeating(2 * MS, 1 * MS), { priority: 0 });
    queue.run(20_000 * MS);
    // 139 levels of 10 ms and a round, then a whole slice.
    expect(queue.longestWait(0)).toBeLessThan(1390 * MS + 6 * 10 * MS);
    expect(queue.ran(0)).toBeGreaterThan(10 * 10 * MS);
  });
});

describe("somebody starves, as the textbooks say, under", () => {
  it("priority-strict, below a level that is always runnable", () => {
    const queue = new OnePcpu(createPolicy("priority-strict")).add(0, hog, { priority: 101 }).add(1, hog);
    expect(queue.run(10_000 * MS).ran(0)).toBe(0);
  });

  it("sjf, behind short bursts that keep coming", () => {
    const queue = new OnePcpu(createPolicy("sjf")).add(0, hog);
    for (let vcpu = 1; vcpu < 4; vcpu++) queue.add(vcpu, repeating(2 * MS, 3 * MS));
    queue.run(1000 * MS);
    const before = queue.ran(0);
    queue.run(10_000 * MS);
    expect(queue.ran(0) - before).toBe(0);
  });

  it("fcfs, behind one that never blocks", () => {
    const queue = new OnePcpu(createPolicy("fcfs")).add(0, hog).add(1, repeating(MS, MS));
    expect(queue.run(10_000 * MS).ran(1)).toBe(0);
  });
});

it("sjf has a shorter mean wait than fcfs for the same jobs", () => {
  const finished = (name: string): number => {
    const queue = new OnePcpu(createPolicy(name));
    for (let vcpu = 0; vcpu < 10; vcpu++) queue.add(vcpu, repeating((1 + vcpu * 4) * MS, 60 * MS));
    queue.run(5000 * MS);
    return Array.from({ length: 10 }, (_, vcpu) => queue.ran(vcpu) / ((1 + vcpu * 4) * MS)).reduce((a, b) => a + b);
  };
  expect(finished("sjf")).toBeGreaterThan(1.5 * finished("fcfs"));
});
