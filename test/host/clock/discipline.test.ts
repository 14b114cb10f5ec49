// The discipline in simulation: a clock that drifts, a reference measured with an error, and what must hold at every moment.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ClockDiscipline, type Correction } from "../../../src/host/clock/discipline.ts";

const MS = 1e6;
const SECOND = 1e9;
const MILLION = 1e6;

/** A clock under a discipline; `driftPpm`: by how much the reference is faster than it. */
class Simulation {
  raw = 0;
  clock: number;
  reference = 0;
  #correction: Correction = { stepNs: 0, ratePpm: 0, forNs: 0 };
  #orderedAt = 0;
  /** Every reading in order, and the steps made. */
  readonly steps: { readonly offset: number; readonly step: number }[] = [];
  slowest = Number.POSITIVE_INFINITY;
  fastest = 0;

  constructor(
    readonly discipline: ClockDiscipline,
    readonly driftPpm: number,
    offsetNs: number,
  ) {
    this.clock = -offsetNs;
  }
  get offset(): number {
    return this.reference - this.clock;
  }
  /** Lets `ns` of raw time pass in small pieces. */
  pass(ns: number, pieces = 16): void {
    for (let i = 0; i < pieces; i++) {
      const piece = ns / pieces;
      const slewing = Math.max(0, Math.min(piece, this.#correction.forNs - (this.raw - this.#orderedAt)));
      const gain = (slewing * this.#correction.ratePpm + (piece - slewing) * this.discipline.driftPpm) / MILLION;
      this.slowest = Math.min(this.slowest, (piece + gain) / piece);
      this.fastest = Math.max(this.fastest, (piece + gain) / piece);
      this.raw += piece;
      this.clock += piece + gain;
      this.reference += piece * (1 + this.driftPpm / MILLION);
    }
  }
  sample(noiseNs = 0, errorNs = 0): void {
    const offset = this.offset;
    this.#correction = this.discipline.update({ atNs: this.raw, offsetNs: offset + noiseNs, errorNs });
    this.#orderedAt = this.raw;
    if (this.#correction.stepNs !== 0) this.steps.push({ offset: offset + noiseNs, step: this.#correction.stepNs });
    this.clock += this.#correction.stepNs;
  }
}

const drift = fc.double({ min: -200, max: 200, noNaN: true });
const offset = fc.double({ min: -SECOND, max: SECOND, noNaN: true });
const intervals = fc.array(fc.double({ min: 1 * MS, max: 3 * SECOND, noNaN: true }), { minLength: 5, maxLength: 60 });
const options = fc.record({
  maxSlewPpm: fc.integer({ min: 1000, max: 900_000 }),
  stepThresholdNs: fc.integer({ min: 1 * MS, max: 500 * MS }),
});

describe("clock discipline", () => {
  it("never runs backwards, nor outside its rates, and steps forward only, above the threshold only", () => {
    fc.assert(
      fc.property(
        drift,
        offset,
        intervals,
        options,
        fc.integer({ min: 0, max: 5 * MS }),
        (ppm, start, waits, o, noise) => {
          const s = new Simulation(new ClockDiscipline(o), ppm, start);
          waits.forEach((ns, i) => {
            const before = s.clock;
            s.sample(i % 2 === 0 ? noise : -noise, noise);
            expect(s.clock).toBeGreaterThanOrEqual(before);
            s.pass(ns);
            expect(s.clock).toBeGreaterThan(before);
          });
          // the tolerance is that of adding up numbers
          expect(s.fastest).toBeLessThanOrEqual(1 + o.maxSlewPpm / MILLION + 1e-6);
          expect(s.slowest).toBeGreaterThanOrEqual(1 - o.maxSlewPpm / MILLION - 1e-6);
          for (const { offset: seen, step } of s.steps) {
            expect(step).toBe(seen);
            expect(step).toBeGreaterThan(o.stepThresholdNs);
          }
        },
      ),
    );
  });

  it("comes to within the error of its samples, and stays there", () => {
    fc.assert(
      fc.property(
        drift,
        offset,
        fc.integer({ min: 0, max: MS }),
        fc.infiniteStream(fc.double({ min: -1, max: 1, noNaN: true })),
        (ppm, start, error, noise) => {
          const s = new Simulation(new ClockDiscipline(), ppm, start);
          for (let i = 0; i < 200; i++) {
            s.sample(noise.next().value * error, error);
            s.pass(SECOND / 4);
            // half a minute to find drift and offset; between two samples what is left of the drift adds up
            if (i > 120) expect(Math.abs(s.offset)).toBeLessThanOrEqual(2 * error + 0.25 * 20e3 + 1000);
          }
        },
      ),
      { numRuns: 50 },
    );
  });

  it("finds the drift, and keeps time by it when no samples come", () => {
    fc.assert(
      fc.property(drift, (ppm) => {
        const s = new Simulation(new ClockDiscipline(), ppm, 0);
        for (let i = 0; i < 40; i++) {
          s.sample();
          s.pass(SECOND);
        }
        expect(s.discipline.driftPpm).toBeCloseTo(ppm, 3);
        s.pass(600 * SECOND);
        expect(Math.abs(s.offset)).toBeLessThan(1000);
      }),
    );
  });

  it("slews what is below the threshold at the rate it may, and no longer than needed", () => {
    const s = new Simulation(new ClockDiscipline({ maxSlewPpm: 100_000 }), 0, 100 * MS);
    s.sample();
    s.pass(500 * MS);
    expect(s.offset).toBeCloseTo(50 * MS, -1);
    s.pass(2000 * MS, 4);
    expect(Math.abs(s.offset)).toBeLessThan(10 * MS);
    const ahead = new Simulation(new ClockDiscipline(), 0, -SECOND);
    ahead.sample();
    ahead.pass(2 * SECOND);
    expect(ahead.steps).toEqual([]);
    expect(ahead.offset).toBeCloseTo(0, -1);
  });

  it("does not take a halt of the clock for drift", () => {
    const s = new Simulation(new ClockDiscipline(), 0, 0);
    for (let i = 0; i < 30; i++) {
      s.sample();
      s.pass(300 * MS);
      s.clock -= 20 * MS;
      s.discipline.moved(20 * MS);
    }
    expect(Math.abs(s.discipline.driftPpm)).toBeLessThan(1e-6);
    s.sample();
    s.pass(100 * MS);
    expect(Math.abs(s.offset)).toBeLessThan(1000);
  });
});
