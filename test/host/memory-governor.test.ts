// Balloons of several guests: what they are told, with guests of our own that obey or do not.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type BalloonReport, type GovernedVm, MemoryGovernor } from "../../src/host/memory-governor.ts";
import type { ResourceClaim } from "../../src/host/resources/model.ts";

const MIB = 2 ** 20;
const PAGE = 4096;

interface Guest extends GovernedVm {
  usedBytes: number | undefined;
  balloonBytes: number;
  /** Asked of it last, bytes; undefined: nothing yet. */
  asked: number | undefined;
}

const claim = (reservation: number, limit: number): ResourceClaim => ({
  reservation,
  limit,
  shares: 256,
  demand: undefined,
});

function guest(number: number, ramMib: number, reservationMib: number, usedMib: number | undefined): Guest {
  return {
    number,
    memoryBytes: ramMib * MIB,
    claim: claim(reservationMib * MIB, ramMib * MIB),
    usedBytes: usedMib === undefined ? undefined : usedMib * MIB,
    balloonBytes: 0,
    asked: undefined,
  };
}

class Machine {
  now = 0;
  readonly #ballooned: readonly Guest[];
  readonly governor: MemoryGovernor;

  constructor(
    readonly capacityBytes: number,
    readonly guests: readonly Guest[],
    without: readonly Guest[] = [],
  ) {
    this.#ballooned = guests.filter((one) => !without.includes(one));
    this.governor = new MemoryGovernor({
      nowNs: () => this.now,
      capacityBytes: () => capacityBytes,
      vms: () => guests,
      balloons: async (): Promise<BalloonReport[]> =>
        this.#ballooned.map(({ number, balloonBytes, usedBytes, asked = 0 }) => ({
          vm: number,
          targetBytes: asked,
          balloonBytes,
          usedBytes,
        })),
      seen: () => {},
      setBalloonTarget: async (vm, bytes) => {
        const asked = guests.find(({ number }) => number === vm);
        if (asked !== undefined) asked.asked = bytes;
      },
    });
  }

  /** A second passes; every guest does the part `obedience` of what was asked of it. */
  async second(obedience = 1): Promise<void> {
    this.now += 1e9;
    await this.governor.step();
    for (const one of this.guests) {
      if (one.asked === undefined) continue;
      const step = Math.trunc(((one.asked - one.balloonBytes) * obedience) / PAGE) * PAGE;
      one.balloonBytes += step;
    }
  }

  get heldBytes(): number {
    return this.guests.reduce((sum, one) => sum + one.memoryBytes - one.balloonBytes, 0);
  }
}

describe("the memory governor", () => {
  it("takes from the idle and gives to the busy, until the busy has what it needs", async () => {
    const [idle, busy] = [guest(1, 512, 64, 40), guest(2, 512, 64, 400)];
    const machine = new Machine(640 * MIB, [idle, busy]);
    busy.balloonBytes = 384 * MIB;
    for (let i = 0; i < 30; i++) await machine.second();
    expect(machine.heldBytes).toBeLessThanOrEqual(640 * MIB);
    expect(busy.memoryBytes - busy.balloonBytes).toBeGreaterThan(400 * MIB);
    expect(idle.memoryBytes - idle.balloonBytes).toBeGreaterThanOrEqual(64 * MIB);
    expect(idle.memoryBytes - idle.balloonBytes).toBeLessThan(240 * MIB);
  });

  it("leaves guests alone where there is enough for all", async () => {
    const guests = [guest(1, 256, 64, 100), guest(2, 256, 64, undefined)];
    const machine = new Machine(1024 * MIB, guests);
    for (let i = 0; i < 5; i++) await machine.second();
    expect(guests.map(({ asked }) => asked)).toEqual([undefined, undefined]);
  });

  it("counts the whole RAM of a VM without a balloon, and asks nothing of it", async () => {
    const [fixed, other] = [guest(1, 512, 64, 10), guest(2, 512, 64, 10)];
    const machine = new Machine(768 * MIB, [fixed, other], [fixed]);
    for (let i = 0; i < 10; i++) await machine.second();
    expect(fixed.asked).toBeUndefined();
    expect(other.memoryBytes - other.balloonBytes).toBe(256 * MIB);
  });

  it("asks for no less than reservations where the others hold more than there is", async () => {
    const [fixed, other] = [guest(1, 2048, 64, 10), guest(2, 512, 128, 10)];
    const machine = new Machine(512 * MIB, [fixed, other], [fixed]);
    for (let i = 0; i < 10; i++) await machine.second();
    expect(other.memoryBytes - other.balloonBytes).toBe(128 * MIB);
  });

  it("keeps what guests hold within the capacity, however they obey", async () => {
    const parameters = fc.record({
      sizes: fc.array(fc.record({ ram: fc.integer({ min: 16, max: 512 }), used: fc.integer({ min: 1, max: 512 }) }), {
        minLength: 1,
        maxLength: 5,
      }),
      obedience: fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 5, maxLength: 20 }),
      spare: fc.integer({ min: 0, max: 64 }),
    });
    await fc.assert(
      fc.asyncProperty(parameters, async ({ sizes, obedience, spare }) => {
        const guests = sizes.map(({ ram, used }, i) => guest(i + 1, ram, Math.floor(ram / 4), Math.min(used, ram)));
        // They hold their reservations to begin with.
        for (const one of guests) one.balloonBytes = one.memoryBytes - one.claim.reservation;
        const capacity = guests.reduce((sum, one) => sum + one.claim.reservation, 0) + spare * MIB;
        const machine = new Machine(capacity, guests);
        for (const part of obedience) {
          await machine.second(part);
          expect(machine.heldBytes).toBeLessThanOrEqual(capacity);
          for (const { asked, claim: own, memoryBytes } of guests) {
            if (asked === undefined) continue;
            expect(memoryBytes - asked).toBeGreaterThanOrEqual(own.reservation);
            expect(memoryBytes - asked).toBeLessThanOrEqual(own.limit);
          }
        }
      }),
      { numRuns: 200 },
    );
  });

  it("begins anew with a VM that lost its balloon and has one again", async () => {
    const one = guest(1, 512, 64, 300);
    let there = true;
    let now = 0;
    const asked: number[] = [];
    const governor = new MemoryGovernor({
      nowNs: () => (now += 1e9),
      capacityBytes: () => 256 * MIB,
      vms: () => [one],
      balloons: async () => (there ? [{ vm: 1, targetBytes: 0, balloonBytes: 0, usedBytes: 300 * MIB }] : []),
      seen: () => {},
      setBalloonTarget: async (_vm, bytes) => void asked.push(bytes),
    });
    await governor.step();
    there = false;
    await governor.step();
    there = true;
    await governor.step();
    // The reset machine is asked again, from its empty balloon.
    expect(asked).toHaveLength(2);
    expect(asked[1]).toBe(asked[0]);
  });
});
