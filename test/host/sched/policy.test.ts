// What every policy owes to who calls it, whatever happens in whatever order.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { exchangePolicy } from "../../../src/host/sched/exchange.ts";
import { checkSchedParameters, DEFAULT_PARAMETERS } from "../../../src/host/sched/parameters.ts";
import type { SchedParameters } from "../../../src/host/sched/policy.ts";
import { createPolicy, POLICIES, POLICY_NAMES } from "../../../src/host/sched/registry.ts";
import { hog, MS, OnePcpu, repeating } from "./one-pcpu.ts";

const parameters = fc.record({
  weight: fc.integer({ min: 1, max: 65_535 }),
  capPercent: fc.oneof(fc.constant(0), fc.integer({ min: 30, max: 100 })),
  priority: fc.integer({ min: 0, max: 139 }),
  sliceNs: fc.option(fc.integer({ min: 100_000, max: 20_000_000 }), { nil: undefined }),
  realtime: fc.option(fc.constant({ periodNs: 50 * MS, budgetNs: 2 * MS }), { nil: undefined }),
});
const vcpu = fc.nat(7);
const action = fc.oneof(
  fc.record({ kind: fc.constant("add" as const), vcpu, parameters }),
  fc.record({ kind: fc.constant("remove" as const), vcpu }),
  fc.record({ kind: fc.constant("move" as const), vcpu }),
  fc.record({ kind: fc.constant("set" as const), vcpu, parameters }),
  fc.record({ kind: fc.constant("wake" as const), vcpu }),
  fc.record({ kind: fc.constant("wake" as const), vcpu }),
  fc.record({ kind: fc.constant("block" as const), vcpu }),
  fc.record({ kind: fc.constant("exchange" as const), to: fc.constantFrom(...POLICY_NAMES) }),
  // In parts of the slice; beyond it: an overrun.
  fc.record({ kind: fc.constant("run" as const), part: fc.double({ min: 0, max: 3, noNaN: true }) }),
  fc.record({ kind: fc.constant("idle" as const), ns: fc.integer({ min: 0, max: 50_000_000 }) }),
);

describe.each(POLICY_NAMES)("%s", (name) => {
  it("knows who is here and runnable, and picks only those, through any sequence of calls", () => {
    fc.assert(
      fc.property(fc.array(action, { maxLength: 120 }), (actions) => {
        let policy = createPolicy(name);
        const model = new Map<number, { parameters: SchedParameters; runnable: boolean }>();
        let now = 0;
        let current: number | undefined;
        for (const action of actions) {
          if ("vcpu" in action && action.kind !== "add" && !model.has(action.vcpu)) continue;
          switch (action.kind) {
            case "add": {
              if (model.has(action.vcpu)) break;
              policy.add(action.vcpu, checkSchedParameters(action.parameters), now);
              model.set(action.vcpu, { parameters: checkSchedParameters(action.parameters), runnable: false });
              break;
            }
            case "remove":
              policy.remove(action.vcpu, now);
              model.delete(action.vcpu);
              if (current === action.vcpu) current = undefined;
              break;
            case "move": {
              const entry = model.get(action.vcpu);
              policy.add(action.vcpu, entry?.parameters ?? DEFAULT_PARAMETERS, now, policy.remove(action.vcpu, now));
              if (entry) entry.runnable = false;
              if (current === action.vcpu) current = undefined;
              break;
            }
            case "set":
              policy.set(action.vcpu, checkSchedParameters(action.parameters), now);
              model.get(action.vcpu)!.parameters = checkSchedParameters(action.parameters);
              break;
            case "wake": {
              const due = policy.wake(action.vcpu, now);
              const was = model.get(action.vcpu)!;
              if (was.runnable) expect(due).toBe(false);
              else if (current === undefined && policy.waits(action.vcpu)) expect(due).toBe(true);
              was.runnable = true;
              break;
            }
            case "block":
              policy.block(action.vcpu, now);
              model.get(action.vcpu)!.runnable = false;
              if (current === action.vcpu) current = undefined;
              break;
            case "exchange": {
              const next = createPolicy(action.to);
              exchangePolicy(policy, next, now);
              policy = next;
              current = undefined;
              break;
            }
            case "idle":
              if (current === undefined) now += action.ns;
              break;
            case "run": {
              const pick = policy.pick(now);
              current = pick?.vcpu;
              const runnable = [...model.values()].filter((entry) => entry.runnable);
              if (!pick) {
                // Nobody runnable, or all of those are at their caps and the time is known when that ends.
                if (runnable.length > 0) {
                  expect(runnable.every((entry) => entry.parameters.capPercent > 0)).toBe(true);
                  expect(policy.nextEventNs(now)).toBeGreaterThan(now);
                  expect(policy.nextEventNs(now)).toBeLessThan(Infinity);
                  now = policy.nextEventNs(now);
                }
                break;
              }
              expect(model.get(pick.vcpu)?.runnable).toBe(true);
              expect(pick.sliceNs).toBeGreaterThan(0);
              // Asked again at once, it says the same.
              expect(policy.pick(now)).toEqual(pick);
              const ranNs = action.part * Math.min(pick.sliceNs, 10 * MS);
              now += ranNs;
              policy.account(pick.vcpu, ranNs, now);
              break;
            }
          }
          expect(policy.runnable).toBe([...model.values()].filter((entry) => entry.runnable).length);
          const waiting = [...model].filter(([id]) => policy.waits(id));
          expect(policy.waiting).toBe(waiting.length);
          expect(waiting.every(([id, entry]) => entry.runnable && id !== current)).toBe(true);
          expect(new Map([...policy.members()].map(({ vcpu: id, ...rest }) => [id, rest]))).toEqual(model);
        }
      }),
      { numRuns: 150 },
    );
  });

  it("refuses what is not here, what did not run and what nobody can have run", () => {
    const policy = createPolicy(name);
    policy.add(1, DEFAULT_PARAMETERS, 0);
    expect(() => policy.add(1, DEFAULT_PARAMETERS, 0)).toThrow("vCPU 1 is in this run queue already");
    for (const call of [
      () => policy.remove(2, 0),
      () => policy.wake(2, 0),
      () => policy.block(2, 0),
      () => policy.set(2, DEFAULT_PARAMETERS, 0),
      () => policy.account(2, 1, 1),
    ])
      expect(call).toThrow("vCPU 2 is not in this run queue");
    expect(() => policy.account(1, 1, 1)).toThrow("vCPU 1 is accounted for but was not picked");
    policy.wake(1, 0);
    policy.pick(0);
    for (const ranNs of [-1, Number.NaN]) expect(() => policy.account(1, ranNs, 1)).toThrow(/vCPU 1 ran for/);
  });

  it("carries a used-up cap to another queue and through an exchange: moving does not refill it", () => {
    let now = 0;
    let policy = createPolicy(name);
    policy.add(1, checkSchedParameters({ capPercent: 20 }), now);
    policy.wake(1, now);
    let ran = 0;
    // Every millisecond it is moved, or the policy is exchanged for another.
    for (let step = 0; step < 400; step++) {
      const pick = policy.pick(now);
      const ranNs = pick ? Math.min(pick.sliceNs, MS) : 0;
      if (pick) policy.account(1, ranNs, now + ranNs);
      ran += ranNs;
      now += MS;
      const next = createPolicy(POLICY_NAMES[step % POLICY_NAMES.length] ?? name);
      if (step % 2 === 0) exchangePolicy(policy, next, now);
      else {
        next.add(1, checkSchedParameters({ capPercent: 20 }), now, policy.remove(1, now));
        next.wake(1, now);
      }
      policy = next;
    }
    expect(ran).toBeGreaterThan(0.2 * now - 10 * MS);
    expect(ran).toBeLessThan(0.2 * now + 10 * MS);
  });
});

describe("exchange while running", () => {
  it("between any two policies keeps everybody, what they may do and what they are owed", () => {
    for (const from of POLICY_NAMES)
      for (const to of POLICY_NAMES) {
        const queue = new OnePcpu(createPolicy(from));
        queue
          .add(0, hog, { weight: 100 })
          .add(1, hog, { weight: 300 })
          .add(2, repeating(2 * MS, 7 * MS));
        queue.run(50 * MS);
        const next = createPolicy(to);
        exchangePolicy(queue.policy, next, queue.now);
        expect([...queue.policy.members()]).toEqual([]);
        queue.policy = next;
        const before = queue.ran(0) + queue.ran(1) + queue.ran(2);
        queue.run(250 * MS);
        expect(queue.ran(0) + queue.ran(1) + queue.ran(2) - before).toBeCloseTo(200 * MS, -1);
      }
  });

  it("is refused whole where the new policy does not admit a reservation, and the old one goes on", () => {
    const queue = new OnePcpu(createPolicy("rr"));
    const realtime = { periodNs: 10 * MS, budgetNs: 6 * MS };
    queue
      .add(0, hog, { realtime })
      .add(1, hog, { realtime })
      .run(25 * MS);
    expect(() => exchangePolicy(queue.policy, createPolicy("edf"), queue.now)).toThrow(/vCPU 1 asks for 60%/);
    expect(queue.policy.runnable).toBe(2);
    queue.run(65 * MS);
    expect(queue.ran(0) + queue.ran(1)).toBe(65 * MS);
  });

  it("to and fro between fair policies does not lose a lag", () => {
    const queue = new OnePcpu(createPolicy("eevdf")).add(0, hog, { weight: 1000 }).add(1, hog).add(2, hog);
    for (let step = 1; step <= 200; step++) {
      queue.run(step * 7.3 * MS);
      const next = createPolicy(step % 2 === 0 ? "eevdf" : "edf");
      exchangePolicy(queue.policy, next, queue.now);
      queue.policy = next;
      for (const id of [0, 1, 2]) expect(Math.abs(queue.lag(id))).toBeLessThan(6 * MS);
    }
  });
});

it.each(["eevdf", "edf"])("%s: who moves into a busy queue keeps its lag", (name) => {
  fc.assert(
    fc.property(fc.integer({ min: -2_900_000, max: 2_900_000 }), fc.integer({ min: 1, max: 2000 }), (lagNs, weight) => {
      const queue = new OnePcpu(createPolicy(name))
        .add(0, hog)
        .add(1, hog, { weight: 700 })
        .run(123 * MS);
      const parameters = checkSchedParameters({ weight });
      queue.policy.add(2, parameters, queue.now, { capLeftNs: undefined, lagNs, burstNs: undefined });
      queue.policy.wake(2, queue.now);
      expect(queue.policy.carry(2, queue.now).lagNs).toBeCloseTo(lagNs, 0);
    }),
  );
});

describe("parameters and options", () => {
  it.each<[unknown, string]>([
    [{ weight: 0 }, "weight is 0; it takes a whole number from 1 to 65535"],
    [{ weight: 1.5 }, "weight is 1.5; it takes a whole number from 1 to 65535"],
    [{ capPercent: 101 }, "capPercent is 101; it takes a number from 0 to 100"],
    [{ capPercent: 0.01 }, "capPercent is 0.01; it takes 0 for no cap, or 0.1 to 100"],
    [{ priority: "high" }, 'priority is "high"; it takes a whole number from 0 to 139'],
    [{ sliceNs: 1 }, "sliceNs is 1; it takes a number from 100000 to 1000000000"],
    [{ realtime: { periodNs: 1e7 } }, "realtime.budgetNs is missing; it takes a number from 10000 to 60000000000"],
    [
      { realtime: { periodNs: 1e7, budgetNs: 2e7 } },
      "realtime.budgetNs is 20000000; it takes at most realtime.periodNs, 10000000",
    ],
    [
      { realtime: { periodNs: 1e7, budgetNs: 5e6 }, capPercent: 20 },
      "capPercent is 20, below the reservation of 50%; raise it or leave it out",
    ],
    [{ wieght: 3 }, "wieght is not a setting; there are weight, capPercent, priority, sliceNs, realtime"],
    [null, "the settings is null; an object is expected"],
    [[], "the settings is []; an object is expected"],
  ])("%j: %s", (input, message) => {
    let error: unknown;
    try {
      checkSchedParameters(input);
    } catch (caught) {
      error = caught;
    }
    expect(error).toMatchObject({ code: "bad-config", message });
  });

  it("have defaults", () => {
    expect(checkSchedParameters()).toEqual({
      weight: 256,
      capPercent: 0,
      priority: 100,
      sliceNs: undefined,
      realtime: undefined,
    });
  });

  it("of policies are checked likewise", () => {
    expect(() => createPolicy("cfs")).toThrow(
      'no scheduling policy is called "cfs"; there are fcfs, sjf, priority, priority-strict, rr, credit, eevdf, edf, pinned',
    );
    expect(() => createPolicy("constructor")).toThrow(/no scheduling policy/);
    expect(() => createPolicy("rr", { sliceNs: 5 })).toThrow(
      "sliceNs is 5; it takes a number from 100000 to 1000000000",
    );
    expect(() => createPolicy("rr", { slice: 5 })).toThrow("slice is not a setting; there are sliceNs, capPeriodNs");
    for (const { description } of Object.values(POLICIES)) expect(description).toMatch(/^[a-z].{20,80}$/);
  });

  it("never throw anything but VmError, whatever they are", () => {
    fc.assert(
      fc.property(fc.anything(), (input) => {
        for (const check of [checkSchedParameters, (options: unknown) => createPolicy("credit", options)])
          try {
            check(input);
          } catch (error) {
            expect(error).toMatchObject({ name: "VmError", code: "bad-config" });
          }
      }),
    );
  });

  it("pinned with exclusive takes one vCPU a pCPU and says whose it is", () => {
    const policy = createPolicy("pinned", { exclusive: true });
    policy.add(3, DEFAULT_PARAMETERS, 0);
    expect(() => policy.add(4, DEFAULT_PARAMETERS, 0)).toThrow(/vCPU 4 does not fit: this pCPU is vCPU 3's alone/);
    policy.remove(3, 0);
    policy.add(4, DEFAULT_PARAMETERS, 0);
  });
});

it.each(POLICY_NAMES)("%s: a pick among 10,000 costs at most a few times one among 100", (name) => {
  const costOf = (count: number): number => {
    const policy = createPolicy(name);
    for (let id = 0; id < count; id++) {
      policy.add(id, checkSchedParameters({ weight: 1 + (id % 100), priority: id % 140 }), 0);
      policy.wake(id, 0);
    }
    let now = 0;
    const started = performance.now();
    for (let i = 0; i < 4000; i++) {
      const pick = policy.pick(now);
      if (!pick) break;
      now += 1e5;
      policy.account(pick.vcpu, 1e5, now);
      if (i % 2 === 0) {
        policy.block(pick.vcpu, now);
        policy.wake(pick.vcpu, now);
      }
    }
    return performance.now() - started;
  };
  // Interleaved, the best of several: other work on the machine only adds. Linear cost would be a hundred times as much.
  const best = [100, 10_000].map(() => Infinity);
  for (let round = 0; round < 5; round++)
    for (const [at, count] of [100, 10_000].entries()) best[at] = Math.min(best[at] ?? Infinity, costOf(count));
  expect((best[1] ?? 0) / (best[0] ?? 1)).toBeLessThan(20);
});
