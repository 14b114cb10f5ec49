import { expect, it } from "vitest";
import { accuracy } from "../../../src/host/clock/accuracy.ts";

const errors = (...ns: number[]) => ns.map((errorNs, i) => ({ atMs: i * 10, errorNs }));

it("gives mean, p99, maximum and share of the sizes of errors", () => {
  const many = errors(...Array.from({ length: 200 }, (_, i) => (i % 2 ? -1 : 1) * (i + 1)));
  expect(accuracy(many, 100)).toMatchObject({
    samples: 200,
    meanNs: 100.5,
    p99Ns: 198,
    maxNs: 200,
    withinEpsilon: 0.5,
  });
});

it("says from when on the clock was within epsilon for good", () => {
  expect(accuracy(errors(9, 9, 1, 9, 1, 1), 5).latencyMs).toBe(40);
  expect(accuracy(errors(1, 1), 5).latencyMs).toBe(0);
  expect(accuracy(errors(1, 9), 5).latencyMs).toBeUndefined();
});

it("has no figures without samples", () => {
  expect(accuracy([], 5)).toMatchObject({ samples: 0, meanNs: Number.NaN, withinEpsilon: Number.NaN });
});
