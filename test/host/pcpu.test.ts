// A pCPU by itself, on a platform whose clock moves only when somebody uses or sleeps it away.
import { describe, expect, it } from "vitest";
import { Pcpu } from "../../src/host/pcpu.ts";
import { checkSchedParameters } from "../../src/host/sched/parameters.ts";
import { createPolicy } from "../../src/host/sched/registry.ts";
import type { Platform } from "../../src/platform/platform.ts";
import { type Runnable, Turn } from "../../src/vmm/executor.ts";

const MS = 1e6;

class FakePlatform {
  now = 1000 * MS;
  /** Called at each yield to the event loop. */
  onYield: () => void = () => {};
  monotonicNs(): number {
    return this.now;
  }
  async yieldToEventLoop(): Promise<void> {
    this.onYield();
    await new Promise((resolve) => setImmediate(resolve));
  }
  sleep(milliseconds: number) {
    this.now += milliseconds * MS;
    return { done: this.yieldToEventLoop(), wake: () => {} };
  }
  blockThread(ns: number): void {
    this.now += ns;
  }
}

/** A guest that runs for `burstNs`, then idles for `idleNs`, again and again until its time is up. */
class FakeGuest implements Runnable {
  requested = false;
  sleptNs = 0;
  onWake = (): void => {};
  turns = 0;
  ranNs = 0;
  /** Host ns that flushing its output takes. */
  flushNs = 0;
  #left: number;

  constructor(
    readonly name: string,
    private readonly platform: FakePlatform,
    private readonly log: string[],
    private readonly burstNs = Number.POSITIVE_INFINITY,
    private readonly pauseNs = 0,
  ) {
    this.#left = burstNs;
  }

  turn(limitNs: number): Turn {
    this.turns++;
    if (this.log.at(-1) !== this.name) this.log.push(this.name);
    if (this.requested) return Turn.Requested;
    const ns = Math.min(limitNs, this.#left);
    this.platform.now += ns;
    this.ranNs += ns;
    this.#left -= ns;
    if (this.#left > 0) return Turn.Runnable;
    this.#left = this.burstNs;
    return Turn.Idle;
  }
  idleNs(): number {
    return this.pauseNs;
  }
  onTurn = (): void => {
    this.platform.now += this.flushNs;
  };
  /** As a device does: the run ends. */
  request(): void {
    this.requested = true;
    this.onWake();
  }
}

function setup(policy: string) {
  const platform = new FakePlatform();
  const pcpu = new Pcpu(platform as unknown as Platform, createPolicy(policy));
  const log: string[] = [];
  const stolen = new Map<string, number>();
  const guests: FakeGuest[] = [];
  let next = 1;
  const add = (name: string, scheduling: object = {}, burstNs?: number, pauseNs?: number) => {
    const number = next++;
    const guest = new FakeGuest(name, platform, log, burstNs, pauseNs);
    const executor = pcpu.add(number, checkSchedParameters(scheduling));
    pcpu.reportSteal(number, {
      addStealNs: (ns) => void stolen.set(name, (stolen.get(name) ?? 0) + ns),
      setPreempted: () => {},
    });
    guests.push(guest);
    return { number, guest, executor, run: () => executor.run(guest) };
  };
  /** Everybody stops once `milliseconds` have passed on the clock. */
  const until = async (milliseconds: number, runs: readonly Promise<void>[]): Promise<void> => {
    const end = platform.now + milliseconds * MS;
    platform.onYield = () => {
      if (platform.now >= end) for (const guest of guests) guest.request();
    };
    await Promise.all(runs);
  };
  const accountOf = (number: number) => pcpu.account().vcpus.find(({ vcpu }) => vcpu === number);
  return { platform, pcpu, log, stolen, add, until, accountOf };
}

describe("a pCPU", () => {
  it("dispatches in the policy's order", async () => {
    const { add, until, log } = setup("rr");
    const runs = ["a", "b", "c"].map((name) => add(name).run());
    await until(200, runs);
    expect(log.slice(0, 6)).toEqual(["a", "b", "c", "a", "b", "c"]);
  });

  it("lets the more urgent in when it wakes, before the other's slice ends", async () => {
    const { add, until, accountOf, log } = setup("priority");
    const urgent = add("urgent", { priority: 1 }, 1 * MS, 5 * MS);
    const other = add("other", { priority: 90 });
    await until(300, [urgent.run(), other.run()]);
    const { wakeLatency, dispatches = 0 } = accountOf(urgent.number) ?? {};
    // 1 ms of work every 6 ms, each found by the turn that its timer cut short.
    expect(dispatches).toBeGreaterThan(40);
    expect(wakeLatency?.p99Ns).toBeLessThan(0.2 * MS);
    expect(log.filter((name) => name === "urgent").length).toBeGreaterThan(40);
  });

  it("accounts every nanosecond: to who ran, and as stolen to who waited", async () => {
    const { add, until, accountOf, stolen, pcpu } = setup("rr");
    const [a, b] = [add("a"), add("b")];
    await until(400, [a.run(), b.run()]);
    const { upNs, busyNs, vcpus, switches } = pcpu.account();
    expect(busyNs).toBe(upNs);
    expect(vcpus.reduce((sum, { ranNs }) => sum + ranNs, 0)).toBe(busyNs);
    for (const { number, guest } of [a, b]) {
      const account = accountOf(number);
      expect(account?.ranNs).toBe(guest.ranNs);
      expect(account?.stolenNs).toBe(stolen.get(guest.name));
    }
    // Up to the last wait, which nobody ended.
    expect(Math.abs((stolen.get("a") ?? 0) - b.guest.ranNs)).toBeLessThan(40 * MS);
    expect(switches).toBeGreaterThan(4);
  });

  it("counts nothing as stolen where a timer of the host was late", async () => {
    const { add, until, accountOf, platform } = setup("credit");
    const alone = add("alone", {}, 1 * MS, 10 * MS);
    const sleep = platform.sleep.bind(platform);
    platform.sleep = (milliseconds) => {
      platform.now += 3 * MS;
      return sleep(milliseconds);
    };
    await until(200, [alone.run()]);
    expect(accountOf(alone.number)?.stolenNs).toBe(0);
    expect(accountOf(alone.number)?.wakeLatency.p50Ns).toBeGreaterThan(1 * MS);
  });

  it("is idle while everybody is, and wakes them in the order of their timers", async () => {
    const { add, until, log, pcpu } = setup("fcfs");
    const guests = [9, 3, 7, 5].map((pause) => add(`t${pause}`, {}, 0.1 * MS, pause * MS));
    await until(
      100,
      guests.map(({ run }) => run()),
    );
    expect(log.slice(0, 8)).toEqual(["t9", "t3", "t7", "t5", "t3", "t5", "t3", "t7"]);
    const { busyNs, upNs } = pcpu.account();
    expect(busyNs).toBeLessThan(upNs * 0.1);
    for (const { guest } of guests) expect(guest.sleptNs).toBeGreaterThan(upNs * 0.5);
  });

  it("ends the run of an idle or waiting vCPU at once when it is asked to, without a turn", async () => {
    const { add, platform } = setup("fcfs");
    const [spinner, waiting, idle] = [add("spinner"), add("waiting"), add("idle", {}, 1, Number.POSITIVE_INFINITY)];
    const order: string[] = [];
    const runs = [idle, spinner, waiting].map(async ({ run, guest }) => {
      await run();
      order.push(guest.name);
    });
    let yields = 0;
    platform.onYield = () => {
      yields++;
      if (yields === 3) waiting.guest.request();
      if (yields === 5) idle.guest.request();
      if (yields === 7) spinner.guest.request();
    };
    await Promise.all(runs);
    expect(order).toEqual(["waiting", "idle", "spinner"]);
    expect(waiting.guest.turns).toBe(0);
    expect(idle.guest.turns).toBe(1);
  });

  it("does not begin a run that was asked to end before", async () => {
    const { add } = setup("rr");
    const { guest, run } = add("a");
    guest.requested = true;
    await run();
    expect(guest.turns).toBe(0);
  });

  it("goes over to another policy with everybody on board", async () => {
    const { add, until, pcpu, platform, accountOf } = setup("fcfs");
    const [a, b] = [add("a", { weight: 100 }), add("b", { weight: 300 })];
    const runs = [a.run(), b.run()];
    let at = 0;
    const stop = until(1000, runs);
    const onYield = platform.onYield;
    platform.onYield = () => {
      if (at === 0 && platform.now > 1100 * MS) {
        at = platform.now;
        expect(b.guest.ranNs).toBe(0);
        pcpu.setPolicy(createPolicy("eevdf"));
      }
      onYield();
    };
    await stop;
    expect(pcpu.account().policy).toBe("eevdf");
    const after = platform.now - at;
    expect(Math.abs((accountOf(b.number)?.ranNs ?? 0) / after - 0.75)).toBeLessThan(0.03);
  });

  it("charges what it does for a guest outside its turns to that guest", async () => {
    const { add, until, accountOf, pcpu, platform } = setup("credit");
    const [loud, quiet] = [add("loud"), add("quiet")];
    loud.guest.flushNs = 2 * MS;
    const onYield = (): void => pcpu.charge(loud.number, 1 * MS);
    const done = until(2000, [loud.run(), quiet.run()]);
    const stop = platform.onYield;
    platform.onYield = () => {
      // What a flush in the event loop took, for whoever ran before.
      if (platform.now % (3 * MS) < MS) {
        platform.now += 1 * MS;
        onYield();
      }
      stop();
    };
    await done;
    const [a, b] = [accountOf(loud.number), accountOf(quiet.number)];
    expect(Math.abs((a?.ranNs ?? 0) / (b?.ranNs ?? 1) - 1)).toBeLessThan(0.05);
    expect(loud.guest.ranNs).toBeLessThan(quiet.guest.ranNs * 0.8);
  });

  it("bills a reset to the guest that caused it, and not the turns of others meanwhile", async () => {
    const { add, until, accountOf, platform } = setup("credit");
    const [resetting, other] = [add("resetting"), add("other")];
    const running = other.run();
    const work = resetting.executor.bill(async () => {
      platform.now += 5 * MS;
      await new Promise((resolve) => setTimeout(resolve, 20));
      platform.now += 5 * MS;
      return "done";
    });
    expect(await work).toBe("done");
    const before = other.guest.ranNs;
    expect(before).toBeGreaterThan(0);
    await until(20, [running, resetting.run()]);
    const ran = accountOf(resetting.number)?.ranNs ?? 0;
    expect(ran - resetting.guest.ranNs).toBeGreaterThan(9 * MS);
    expect(ran - resetting.guest.ranNs).toBeLessThan(11 * MS);
  });
});
