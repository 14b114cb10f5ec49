import fc from "fast-check";
import { expect, it } from "vitest";
import { Credit } from "../../../src/host/sched/credit.ts";
import { checkSchedParameters } from "../../../src/host/sched/parameters.ts";
import { RunQueue } from "../../../src/host/sched/run-queue.ts";
import { hog, MS, OnePcpu } from "./one-pcpu.ts";

it("all credit granted is spent, forfeited or held, to the nanosecond", () => {
  const action = fc.oneof(
    fc.record({ kind: fc.constant("run" as const), ns: fc.integer({ min: 1, max: 30_000_000 }) }),
    fc.record({ kind: fc.constant("wake" as const), vcpu: fc.nat(5) }),
    fc.record({ kind: fc.constant("block" as const), vcpu: fc.nat(5) }),
    fc.record({ kind: fc.constant("set" as const), vcpu: fc.nat(5), weight: fc.integer({ min: 1, max: 65535 }) }),
    fc.record({ kind: fc.constant("rejoin" as const), vcpu: fc.nat(5) }),
  );
  fc.assert(
    fc.property(fc.array(action, { maxLength: 80 }), (actions) => {
      const credit = new Credit({ sliceNs: 5 * MS, refillNs: 30 * MS, boostNs: MS });
      const held = new Map<number, () => number>();
      const create = credit.contender.bind(credit);
      credit.contender = (vcpu, ...rest) => {
        const account = create(vcpu, ...rest);
        held.set(vcpu, () => credit.creditNs(account));
        return account;
      };
      const queue = new RunQueue(credit, 10 * MS);
      const parameters = checkSchedParameters();
      for (let vcpu = 0; vcpu < 6; vcpu++) queue.add(vcpu, parameters, 0);
      let now = 0;
      let spent = 0;
      for (const action of actions) {
        if (action.kind === "run") {
          const pick = queue.pick(now);
          const ranNs = Math.min(action.ns, pick?.sliceNs ?? 0);
          now += action.ns;
          if (pick) queue.account(pick.vcpu, ranNs, now);
          spent += ranNs;
        } else if (action.kind === "wake") queue.wake(action.vcpu, now);
        else if (action.kind === "block") queue.block(action.vcpu, now);
        else if (action.kind === "set") queue.set(action.vcpu, checkSchedParameters({ weight: action.weight }), now);
        else queue.add(action.vcpu, parameters, now, queue.remove(action.vcpu, now));
        const { grantedNs, spentNs, forfeitedNs } = credit.ledger;
        const holding = [...held.values()].reduce((sum, of) => sum + of(), 0);
        expect(spentNs).toBeCloseTo(spent, 3);
        expect(Math.abs(grantedNs - spentNs - forfeitedNs - holding)).toBeLessThan(1);
      }
    }),
    { numRuns: 300 },
  );
});

it("nobody holds more credit than a refill's share, however long it sleeps", () => {
  const credit = new Credit({ sliceNs: 5 * MS, refillNs: 30 * MS, boostNs: MS });
  const queue = new OnePcpu(new RunQueue(credit, 10 * MS));
  queue.add(0, { burstNs: () => 25 * MS, sleepNs: () => 1000 * MS }, {}, 1000 * MS);
  for (let vcpu = 1; vcpu < 4; vcpu++) queue.add(vcpu, hog);
  queue.run(1000 * MS + 1);
  const before = queue.now;
  queue.run(before + 30 * MS);
  // A quarter of a refill at once, and then its share.
  expect(queue.ran(0)).toBeLessThan(30 * MS * 0.25 + 30 * MS * 0.25 + 5 * MS);
});
