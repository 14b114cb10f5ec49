// The balancer in a closed loop with ideal run queues: each shares its pCPU by weight, exactly. What is unfair then is the
// balancer's doing alone.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Balancer } from "../../../src/host/sched/balance.ts";
import { fluidRates, limitOf } from "../../../src/host/sched/fluid.ts";
import { MS } from "./one-pcpu.ts";

interface Guest {
  vcpu: number;
  weight: number;
  capPercent: number;
  /** Part of a pCPU that it asks for. */
  demand: number;
  ranNs: number;
  waitedNs: number;
  waiting: boolean;
  movable: boolean;
}

const guest = (vcpu: number, rest: Partial<Guest> = {}): Guest => ({
  vcpu,
  weight: 256,
  capPercent: 0,
  demand: 1,
  ranNs: 0,
  waitedNs: 0,
  waiting: false,
  movable: true,
  ...rest,
});

class Host {
  now = 0;
  moves = 0;
  readonly balancer: Balancer;
  constructor(
    readonly queues: Guest[][],
    options: object = {},
  ) {
    this.balancer = new Balancer(options);
  }

  run(milliseconds: number, stepMs = 20): this {
    for (let t = 0; t < milliseconds; t += stepMs) {
      const elapsed = stepMs * MS;
      for (const queue of this.queues) {
        const rates = fluidRates(
          queue.map((entry) => ({ weight: entry.weight, limit: Math.min(limitOf(entry), entry.demand) })),
          1,
        );
        queue.forEach((entry, i) => {
          const rate = rates[i] ?? 0;
          entry.ranNs += rate * elapsed;
          // What it could not get of what it asked for, it waited for.
          if (entry.demand === 1) entry.waitedNs += (1 - rate) * elapsed;
          else entry.waitedNs += Math.max(0, 1 - rate / entry.demand) * elapsed;
          entry.waiting = rate < 1;
        });
      }
      this.now += elapsed;
      for (const { vcpu, from, to } of this.balancer.balance(this.now, this.views())) {
        const at = this.queues[from]!.findIndex((entry) => entry.vcpu === vcpu);
        expect(at).toBeGreaterThanOrEqual(0);
        this.queues[to]!.push(...this.queues[from]!.splice(at, 1));
        this.moves++;
      }
    }
    return this;
  }

  views() {
    return this.queues.map((vcpus) => ({ waiting: vcpus.filter(({ waiting }) => waiting).length, vcpus }));
  }

  everybody(): Guest[] {
    return this.queues.flat().sort((a, b) => a.vcpu - b.vcpu);
  }

  /** Largest error in the service since the last call, as part of the ideal. */
  worst(since: number[], milliseconds: number): number {
    const all = this.everybody();
    const ideal = fluidRates(
      all.map((entry) => ({ weight: entry.weight, limit: Math.min(limitOf(entry), entry.demand) })),
      this.queues.length,
    );
    return Math.max(
      ...all.map((entry, i) => Math.abs((entry.ranNs - (since[i] ?? 0)) / (milliseconds * MS) / (ideal[i] ?? 1) - 1)),
    );
  }
}

const settled = (host: Host, milliseconds = 10_000): number => {
  host.run(2000);
  const since = host.everybody().map(({ ranNs }) => ranNs);
  host.run(milliseconds);
  return host.worst(since, milliseconds);
};

describe("shares of the whole host come near the fluid share", () => {
  it.each<[string, Guest[][], number]>([
    ["three equals on two pCPUs, which take turns", [[guest(0), guest(1), guest(2)], []], 0.02],
    ["seven equals on four", [[0, 1, 2, 3, 4, 5, 6].map((id) => guest(id)), [], [], []], 0.03],
    ["a heavy one, which has a pCPU to itself", [[guest(0, { weight: 4096 }), guest(1), guest(2)], [guest(3)]], 0.02],
    [
      "weights 1:2:4, four of each, on four",
      [Array.from({ length: 12 }, (_, id) => guest(id, { weight: 256 << (id % 3) })), [], [], []],
      0.03,
    ],
    [
      "capped ones beside hogs",
      [[0, 1, 2, 3].map((id) => guest(id, { capPercent: 30 })), [4, 5, 6].map((id) => guest(id))],
      0.03,
    ],
    [
      "sleepers beside hogs",
      [[0, 1, 2, 3].map((id) => guest(id, { demand: 0.1 })), [4, 5, 6, 7].map((id) => guest(id))],
      0.05,
    ],
  ])("%s", (_, queues, bound) => {
    expect(settled(new Host(queues))).toBeLessThan(bound);
  });

  it("whatever the weights and wherever they begin", () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.integer({ min: 64, max: 1024 }), fc.nat(3)), { minLength: 4, maxLength: 24 }),
        (rows) => {
          const queues: Guest[][] = [[], [], [], []];
          rows.forEach(([weight, queue], id) => queues[queue]!.push(guest(id, { weight })));
          expect(settled(new Host(queues))).toBeLessThan(0.2);
        },
      ),
      { numRuns: 60 },
    );
  });
});

describe("moves", () => {
  it("end when shares are right", () => {
    const host = new Host([[0, 1, 2, 3, 4, 5, 6, 7].map((id) => guest(id)), [], [], []]).run(2000);
    expect(host.queues.map((queue) => queue.length)).toEqual([2, 2, 2, 2]);
    const { moves } = host;
    expect(host.run(10_000).moves).toBe(moves);
  });

  it("come at once when a pCPU stands idle, though whoever goes there first gets more than its share", () => {
    const host = new Host([Array.from({ length: 16 }, (_, id) => guest(id)), []]).run(400);
    // Give or take the one that repays what the first ones got too much.
    for (const queue of host.queues) expect(Math.abs(queue.length - 8)).toBeLessThanOrEqual(1);
  });

  it("are no more than allowed", () => {
    const host = new Host([[guest(0), guest(1), guest(2)], []], { movesPerSecond: 2 }).run(10_000);
    expect(host.moves).toBeGreaterThan(10);
    expect(host.moves).toBeLessThanOrEqual(2 * 2 * 10 + 1);
  });

  it("leave alone what may not move", () => {
    const host = new Host([[0, 1, 2, 3].map((id) => guest(id, { movable: false })), []]).run(2000);
    expect(host.moves).toBe(0);
  });

  it("never empty a queue that has one for a queue that has none", () => {
    const host = new Host([[guest(0)], [], [], []]).run(5000);
    expect(host.moves).toBe(0);
  });
});

describe("an idle queue", () => {
  const queues = (waiting: boolean[][], movable = true) =>
    waiting.map((of, q) => {
      const vcpus = of.map((waits, i) => guest(q * 10 + i, { waiting: waits, movable }));
      return { waiting: of.filter(Boolean).length, vcpus };
    });

  it("takes one that waits where most wait", () => {
    const of = queues([[], [false, true], [false, true, true], [false, true]]);
    expect(new Balancer().steal(0, of)).toEqual({ vcpu: 21, from: 2, to: 0 });
  });

  it("takes nobody who runs, sleeps or must stay, and nothing from itself", () => {
    expect(new Balancer().steal(0, queues([[true], [false], []]))).toBeUndefined();
    expect(new Balancer().steal(0, queues([[], [true, true]], false))).toBeUndefined();
  });
});

it("options are checked", () => {
  expect(() => new Balancer({ hysteresis: 2 })).toThrow("hysteresis is 2; it takes a number from 0 to 1");
});
