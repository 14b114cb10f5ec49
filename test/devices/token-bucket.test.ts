import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { RateLimiter, TokenBucket } from "../../src/devices/token-bucket.ts";

describe("a token bucket", () => {
  it("gives its size at once, then at the rate of its refill", () => {
    const bucket = new TokenBucket({ size: 100, refillMs: 1000 });
    expect(bucket.waitNs(100, 0)).toBe(0);
    bucket.take(100, 0);
    expect(bucket.waitNs(10, 0)).toBe(100e6);
    expect(bucket.waitNs(10, 100e6)).toBe(0);
    expect(bucket.waitNs(100, 5000e6)).toBe(0);
    expect(bucket.waitNs(101, 5000e6)).toBe(0);
  });

  it("gives the one-time burst once", () => {
    const bucket = new TokenBucket({ size: 10, oneTimeBurst: 50, refillMs: 1000 });
    expect(bucket.waitNs(60, 0)).toBe(0);
    bucket.take(60, 0);
    expect(bucket.waitNs(1, 0)).toBeGreaterThan(0);
    bucket.take(10, 1e9);
    expect(bucket.waitNs(60, 100e9)).toBe(0); // a full bucket, on credit
    bucket.take(60, 100e9);
    expect(bucket.waitNs(10, 101e9)).toBeGreaterThan(0);
  });

  it("never gives more than size, burst and refill allow (property)", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 1000 }),
        fc.nat(1000),
        fc.integer({ min: 1, max: 1000 }),
        fc.array(fc.tuple(fc.integer({ min: 1, max: 2000 }), fc.nat(1e9)), { maxLength: 100 }),
        (size, oneTimeBurst, refillMs, requests) => {
          const limiter = new RateLimiter({ bandwidth: { size, oneTimeBurst, refillMs } });
          let now = 0;
          let taken = 0;
          let largest = 0;
          for (const [count, pause] of requests) {
            now += pause;
            const wait = limiter.admit(count, now);
            if (wait > 0) {
              now += wait;
              // What it said is enough, but for the rounding of a nanosecond.
              expect(limiter.admit(count, now + 1)).toBe(0);
              now += 1;
            }
            taken += count;
            largest = Math.max(largest, count);
            expect(taken).toBeLessThanOrEqual(size + oneTimeBurst + largest + (now * size) / (refillMs * 1e6) + 1);
          }
        },
      ),
    );
  });

  it("goes on from its saved state", () => {
    const a = new TokenBucket({ size: 100, oneTimeBurst: 5, refillMs: 100 });
    a.take(90, 7e6);
    const b = new TokenBucket({ size: 100, oneTimeBurst: 5, refillMs: 100 });
    b.load("bucket", structuredClone(a.save()));
    expect(b.waitNs(40, 8e6)).toBe(a.waitNs(40, 8e6));
  });
});
