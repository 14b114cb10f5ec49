import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { checkSchedParameters } from "../../../src/host/sched/parameters.ts";
import { createPolicy } from "../../../src/host/sched/registry.ts";
import { type Behaviour, hog, MS, OnePcpu, repeating } from "./one-pcpu.ts";

/** Reservations whose sum is at most 1: parts of the pCPU, and periods. */
const reservations = fc
  .array(fc.tuple(fc.integer({ min: 1, max: 100 }), fc.integer({ min: 1, max: 60 })), { minLength: 1, maxLength: 8 })
  .map((rows) => {
    const total = rows.reduce((sum, [part]) => sum + part, 0);
    return rows
      .map(([part, period]) => ({
        periodNs: period * MS,
        budgetNs: Math.floor((part / total) * period * MS * 0.999),
      }))
      .filter(({ budgetNs }) => budgetNs >= 10_000);
  });

describe("an admitted reservation", () => {
  it("is served in every period, beside hogs and other reservations that come and go", () => {
    fc.assert(
      fc.property(
        reservations,
        fc.array(fc.tuple(fc.integer({ min: 1, max: 50_000 }), fc.integer({ min: 1, max: 50_000 })), { minLength: 1 }),
        fc.boolean(),
        (set, script, extraTime) => {
          const queue = new OnePcpu(createPolicy("edf", { extraTime }));
          let i = 0;
          const sleeper: Behaviour = {
            burstNs: () => (script[i++ % script.length]?.[0] ?? 1) * 1000,
            sleepNs: () => (script[i++ % script.length]?.[1] ?? 1) * 1000,
          };
          // Every second one sleeps at random; the others always have work and are watched.
          set.forEach((realtime, vcpu) => queue.add(vcpu, vcpu % 2 === 0 ? hog : sleeper, { realtime }));
          queue.add(100, hog).add(101, repeating(3 * MS, 5 * MS));
          const served = set.map(() => 0);
          const due = set.map(({ periodNs }) => periodNs);
          queue.observe = () => {
            set.forEach(({ periodNs, budgetNs }, vcpu) => {
              if (vcpu % 2 === 1 || queue.now < (due[vcpu] ?? 0)) return;
              // Observed at the boundary or later: what was served after it counts for the next one.
              const ran = queue.ran(vcpu);
              if (queue.now === due[vcpu]) {
                expect(ran - (served[vcpu] ?? 0)).toBeGreaterThan(budgetNs - 10);
                served[vcpu] = ran;
              }
              due[vcpu] = (due[vcpu] ?? 0) + periodNs;
            });
          };
          for (let step = 1; step <= 600; step++) queue.run(step * MS);
        },
      ),
      { numRuns: 60 },
    );
  });

  it("gets its budget and, without extra time, nothing more", () => {
    const queue = new OnePcpu(createPolicy("edf", { extraTime: false }));
    queue.add(0, hog, { realtime: { periodNs: 20 * MS, budgetNs: 5 * MS } }).add(1, hog);
    queue.run(1000 * MS);
    expect(queue.ran(0)).toBeCloseTo(250 * MS, -3);
    expect(queue.idleNs).toBe(0);
  });

  it("that wakes late does not take its rest and its next budget in a row from others", () => {
    // Sleeps to just before each period's end, then works: with a budget that is simply kept, 2 budgets in a row.
    const late: Behaviour = {
      burstNs: () => 5 * MS,
      sleepNs: (now) => (Math.floor(now / (10 * MS)) + 1) * 10 * MS + 9 * MS - now,
    };
    const queue = new OnePcpu(createPolicy("edf"));
    for (let vcpu = 0; vcpu < 5; vcpu++)
      queue.add(vcpu, late, { realtime: { periodNs: 10 * MS, budgetNs: 1 * MS } }, 9 * MS);
    queue.add(9, hog, { realtime: { periodNs: 1.2 * MS, budgetNs: 0.6 * MS } });
    let [due, served] = [1.2 * MS, 0];
    queue.observe = () => {
      if (queue.now < due - 1) return;
      expect(queue.ran(9) - served).toBeGreaterThan(0.6 * MS - 10);
      served = queue.ran(9);
      due += 1.2 * MS;
    };
    for (let step = 1; step < 500; step++) queue.run(step * 1.2 * MS);
  });
});

describe("admission", () => {
  const ask = (periodNs: number, budgetNs: number) => checkSchedParameters({ realtime: { periodNs, budgetNs } });

  it("refuses what would make more than one pCPU, saying what is left, and changes nothing", () => {
    const queue = createPolicy("edf");
    queue.add(0, ask(10 * MS, 7 * MS), 0);
    expect(() => queue.add(1, ask(10 * MS, 4 * MS), 0)).toThrow(
      "vCPU 1 asks for 40% of a pCPU of which 30% can still be reserved; lower realtime.budgetNs or raise realtime.periodNs",
    );
    expect([...queue.members()].map(({ vcpu }) => vcpu)).toEqual([0]);
    queue.add(1, ask(10 * MS, 3 * MS), 0);
    expect(() => queue.set(1, ask(10 * MS, 4 * MS), 0)).toThrow(/40%/);
    expect([...queue.members()][1]?.parameters.realtime?.budgetNs).toBe(3 * MS);
  });

  it("gives back what is removed or changed", () => {
    const queue = createPolicy("edf");
    queue.add(0, ask(10 * MS, 7 * MS), 0);
    queue.set(0, ask(10 * MS, 2 * MS), 0);
    queue.add(1, ask(10 * MS, 8 * MS), 0);
    queue.remove(1, 0);
    queue.set(0, checkSchedParameters(), 0);
    queue.add(2, ask(10 * MS, 10 * MS), 0);
  });

  it("is by sum, not fooled by rounding", () => {
    const queue = createPolicy("edf");
    for (let vcpu = 0; vcpu < 10; vcpu++) queue.add(vcpu, ask(3 * MS, 0.3 * MS), 0);
    expect(() => queue.add(10, ask(60_000 * MS, 0.01 * MS), 0)).toThrow(/asks for 0\.0000167% .* 0%/);
    const thirds = createPolicy("edf");
    for (const budgetNs of [1, 2, 7]) thirds.add(budgetNs, ask(10 * MS, budgetNs * MS), 0);
  });
});
