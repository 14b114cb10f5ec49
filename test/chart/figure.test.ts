import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type BarPanel, figure, type LinePanel } from "../../src/chart/figure.ts";
import { linearScale, logScale, shortNumber } from "../../src/chart/scale.ts";

describe("scales", () => {
  it("put the ends at the ends, keep order, and name round values in between", () => {
    fc.assert(
      fc.property(
        fc.double({ min: -1e6, max: 1e6, noNaN: true }),
        fc.double({ min: 1e-3, max: 1e6, noNaN: true }),
        (min, span) => {
          const scale = linearScale(min, min + span, 10, 110);
          expect(scale.at(min)).toBeCloseTo(10, 6);
          expect(scale.at(min + span)).toBeCloseTo(110, 6);
          expect(scale.ticks.length).toBeLessThanOrEqual(7);
          for (const tick of scale.ticks) {
            expect(scale.at(tick)).toBeGreaterThan(9);
            expect(scale.at(tick)).toBeLessThan(111);
          }
        },
      ),
    );
    expect(linearScale(0, 10, 0, 100).ticks).toEqual([0, 2, 4, 6, 8, 10]);
    const log = logScale(0.05, 2000, 0, 100);
    expect(log.ticks).toEqual([0.1, 1, 10, 100, 1000]);
    expect(log.at(0)).toBe(0);
    expect(log.at(2000)).toBeCloseTo(100, 9);
  });

  it("write numbers short", () => {
    expect([0, 0.1234, 12.345, 999, 9994, 12_345, 2_500_000].map(shortNumber)).toEqual([
      "0",
      "0.123",
      "12.3",
      "999",
      "9990",
      "12.3k",
      "2.5M",
    ]);
  });
});

describe("a figure", () => {
  const value = fc.oneof(fc.constant(undefined), fc.constant(0), fc.double({ min: -5, max: 1e9, noNaN: true }));
  const bars: fc.Arbitrary<BarPanel> = fc.record({
    kind: fc.constant("bars" as const),
    title: fc.string(),
    logarithmic: fc.boolean(),
    bars: fc.array(fc.record({ label: fc.string({ maxLength: 12 }), value }), { minLength: 1, maxLength: 9 }),
  });
  const number = fc.double({ min: 0, max: 1e9, noNaN: true });
  const lines: fc.Arbitrary<LinePanel> = fc.record({
    kind: fc.constant("lines" as const),
    title: fc.string(),
    x: fc.record({ label: fc.string(), logarithmic: fc.boolean() }),
    y: fc.record({ label: fc.string() }),
    lines: fc.array(
      fc.record({
        label: fc.string({ maxLength: 12 }),
        colour: fc.nat(9),
        steps: fc.boolean(),
        points: fc.array(fc.tuple(number, number), { maxLength: 5 }),
      }),
      { maxLength: 4 },
    ),
  });

  it("draws only finite numbers inside the page, and escapes what it writes, whatever is drawn", () => {
    fc.assert(
      fc.property(
        fc.array(fc.oneof(bars, lines), { minLength: 1, maxLength: 5 }),
        fc.integer({ min: 1, max: 3 }),
        (panels, columns) => {
          const svg = figure({ title: "<a> & b", subtitle: "", columns, panels });
          const drawn = svg.replace(/<text[^>]*>[^<]*<\/text>|<title>.*<\/title>/g, "");
          expect(drawn).not.toMatch(/NaN|Infinity|undefined|width="-/);
          expect(svg).toContain("&lt;a> &amp; b");
          for (const [, x] of svg.matchAll(/<(?:rect|text) x="([-\d.]+)"/g)) {
            expect(Number(x)).toBeGreaterThanOrEqual(0);
            expect(Number(x)).toBeLessThanOrEqual(960);
          }
        },
      ),
    );
  });
});
