// Caps, under every policy: one accountant, so one promise.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { CapBudget } from "../../../src/host/sched/cap.ts";
import { createPolicy, POLICY_NAMES } from "../../../src/host/sched/registry.ts";
import { hog, MS, OnePcpu, repeating } from "./one-pcpu.ts";

/** The default of capPeriodNs. */
const PERIOD_NS = 20 * MS;
const cap = fc.integer({ min: 1, max: 99 });

describe.each(POLICY_NAMES)("%s", (name) => {
  it("lets a capped vCPU have no more than its cap and one period, over any time", () => {
    fc.assert(
      fc.property(
        cap,
        fc.integer({ min: 1, max: 30_000 }),
        fc.integer({ min: 1, max: 30_000 }),
        (percent, burst, sleep) => {
          const queue = new OnePcpu(createPolicy(name)).add(0, repeating(burst * 1000, sleep * 1000), {
            capPercent: percent,
          });
          // Service beyond the cap since the most favourable moment.
          let least = 0;
          queue.observe = () => {
            const beyond = queue.ran(0) - (percent / 100) * queue.now;
            least = Math.min(least, beyond);
            expect(beyond - least).toBeLessThanOrEqual(PERIOD_NS + 1);
          };
          queue.run(500 * MS);
        },
      ),
      { numRuns: 30 },
    );
  });

  it("gives a capped hog all of its cap, within one period, when it is alone", () => {
    fc.assert(
      fc.property(cap, (percent) => {
        const queue = new OnePcpu(createPolicy(name)).add(0, hog, { capPercent: percent });
        queue.observe = () =>
          expect(Math.abs(queue.ran(0) - (percent / 100) * queue.now)).toBeLessThanOrEqual(PERIOD_NS);
        queue.run(500 * MS);
      }),
      { numRuns: 30 },
    );
  });

  it("leaves what a cap forbids to the others", () => {
    const queue = new OnePcpu(createPolicy(name))
      .add(0, hog, { capPercent: 30 })
      .add(1, hog)
      .run(1000 * MS);
    expect(queue.idleNs).toBe(0);
    expect(queue.ran(0)).toBeLessThanOrEqual(300 * MS + PERIOD_NS);
  });

  it("applies a new cap at once, and a lifted one too", () => {
    const queue = new OnePcpu(createPolicy(name)).add(0, hog, { capPercent: 10 }).run(1005 * MS);
    expect(queue.ran(0)).toBeLessThanOrEqual(100 * MS + PERIOD_NS);
    queue.set(0, { capPercent: 0 });
    const before = queue.ran(0);
    expect(queue.run(1505 * MS).ran(0) - before).toBe(500 * MS);
    queue.set(0, { capPercent: 50 });
    const then = queue.ran(0);
    expect(Math.abs(queue.run(2505 * MS).ran(0) - then - 500 * MS)).toBeLessThanOrEqual(PERIOD_NS);
  });
});

describe.each(["credit", "eevdf", "rr", "priority", "edf"])("%s: with many others on the pCPU", (name) => {
  it("a capped hog still gets its cap, within one period, where its share is larger", () => {
    const queue = new OnePcpu(createPolicy(name)).add(0, hog, { capPercent: 10 });
    for (let vcpu = 1; vcpu < 5; vcpu++) queue.add(vcpu, hog);
    queue.run(100 * MS).observe = () => expect(Math.abs(queue.ran(0) - 0.1 * queue.now)).toBeLessThanOrEqual(PERIOD_NS);
    queue.run(3000 * MS);
  });
});

it("a cap's account is the same however a run is cut into pieces", () => {
  fc.assert(
    fc.property(
      cap,
      fc.array(fc.tuple(fc.integer({ min: 0, max: 40_000 }), fc.integer({ min: 0, max: 40_000 })), { maxLength: 20 }),
      fc.integer({ min: 1, max: 9 }),
      (percent, script, pieces) => {
        const [whole, cut] = [new CapBudget(percent, PERIOD_NS, 0), new CapBudget(percent, PERIOD_NS, 0)];
        let now = 0;
        for (const [sleep, run] of script) {
          now += sleep * 1000;
          for (let piece = 1; piece <= pieces; piece++)
            cut.use((run * 1000) / pieces, now + (piece * run * 1000) / pieces);
          now += run * 1000;
          whole.use(run * 1000, now);
          expect(cut.leftNs(now)).toBeCloseTo(whole.leftNs(now), 3);
        }
      },
    ),
  );
});
