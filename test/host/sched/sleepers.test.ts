// Nothing is gained by sleeping at the right moment.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { KeyedContender, KeyedDiscipline } from "../../../src/host/sched/discipline.ts";
import type { SchedPolicy } from "../../../src/host/sched/policy.ts";
import { createPolicy } from "../../../src/host/sched/registry.ts";
import { RunQueue } from "../../../src/host/sched/run-queue.ts";
import { type Behaviour, hog, MS, OnePcpu } from "./one-pcpu.ts";

const TICK_NS = 10 * MS;

/** Runs whenever it is let, but sleeps over each tick. */
const dodger: Behaviour = {
  burstNs: (now) => Math.max(1, TICK_NS - 0.1 * MS - (now % TICK_NS)),
  sleepNs: (now) => (Math.floor(now / TICK_NS) + 1) * TICK_NS + 0.1 * MS - now,
};

/** What must not be: credit that is charged to who is running at a tick, in the manner of Xen's first credit scheduler. */
class Sampled extends KeyedDiscipline<KeyedContender> {
  readonly name = "sampled";
  readonly #credit = new Map<KeyedContender, number>();
  contender(vcpu: number, parameters: KeyedContender["parameters"]): KeyedContender {
    return new KeyedContender(vcpu, parameters);
  }
  override charge(contender: KeyedContender, ranNs: number, now: number): void {
    const ticks = Math.floor(now / TICK_NS) - Math.floor((now - ranNs) / TICK_NS);
    this.#credit.set(contender, (this.#credit.get(contender) ?? 0) + ticks);
  }
  protected keyOf(contender: KeyedContender): number {
    return this.#credit.get(contender) ?? 0;
  }
}

const contest = (policy: SchedPolicy, attacker: Behaviour): number => {
  const queue = new OnePcpu(policy).add(0, attacker).add(1, hog);
  return queue.run(4000 * MS).ran(0) / queue.now;
};

it("a guest that sleeps over the ticks takes most of the pCPU from a scheduler that samples at ticks", () => {
  expect(contest(new RunQueue(new Sampled(TICK_NS), TICK_NS), dodger)).toBeGreaterThan(0.8);
});

it.each(["credit", "eevdf", "edf", "rr"])("%s: the same guest gets no more than its half", (name) => {
  const share = contest(createPolicy(name), dodger);
  expect(share).toBeLessThan(0.505);
  expect(share).toBeGreaterThan(0.2);
});

describe.each([
  ["credit", 40 * MS],
  ["eevdf", 2 * 3 * MS],
  ["edf", 2 * 3 * MS],
])("%s: no pattern of sleeping brings more than the share of who never sleeps, plus a bound", (name, boundNs) => {
  it("against hogs, any weights, over any time", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 1000 }),
        fc.array(fc.integer({ min: 1, max: 1000 }), { minLength: 1, maxLength: 5 }),
        fc.array(fc.tuple(fc.integer({ min: 1, max: 8000 }), fc.integer({ min: 1, max: 4000 })), {
          minLength: 1,
          maxLength: 10,
        }),
        (weight, others, script) => {
          let i = 0;
          const attacker: Behaviour = {
            burstNs: () => (script[i % script.length]?.[0] ?? 1) * 1000,
            sleepNs: () => (script[i++ % script.length]?.[1] ?? 1) * 1000,
          };
          const queue = new OnePcpu(createPolicy(name)).add(0, attacker, { weight });
          others.forEach((other, at) => queue.add(at + 1, hog, { weight: other }));
          const share = weight / (weight + others.reduce((a, b) => a + b));
          // From the moment that favours it most.
          let least = 0;
          queue.observe = () => {
            const beyond = queue.ran(0) - share * queue.now;
            least = Math.min(least, beyond);
            expect(queue.ran(0) - share * queue.now).toBeLessThan(boundNs);
            expect(beyond - least).toBeLessThan(2 * boundNs + (1 - share) * 8 * MS);
          };
          queue.run(600 * MS);
        },
      ),
      { numRuns: 100 },
    );
  });
});

it("a boost is worth a wake-up at once, not more CPU time", () => {
  const interactive: Behaviour = { burstNs: () => 0.3 * MS, sleepNs: () => 9.7 * MS };
  const wait = (boostNs: number): [wait: number, ran: number] => {
    const queue = new OnePcpu(createPolicy("credit", { boostNs })).add(0, interactive);
    for (let vcpu = 1; vcpu < 4; vcpu++) queue.add(vcpu, hog);
    queue.run(200 * MS);
    const before = queue.ran(0);
    queue.run(4000 * MS);
    return [queue.longestWait(0), queue.ran(0) - before];
  };
  const [boosted, ran] = wait(1 * MS);
  const [plain] = wait(0);
  expect(boosted).toBeLessThan(20 * MS);
  expect(plain).toBeGreaterThan(4 * MS);
  expect(ran / (3800 * MS)).toBeLessThan(0.031);
});
