// Rate limits of devices: token buckets in guest time. Pure state; whoever uses one says what time it is.
import type { DeviceState } from "../vmm/device.ts";
import { SavedState } from "./saved-state.ts";

export interface TokenBucketOptions {
  /** Tokens that fit: the burst that is always possible after a pause. */
  readonly size: number;
  /** Tokens on top, once. Default 0. */
  readonly oneTimeBurst?: number;
  /** Milliseconds in which an empty bucket fills. */
  readonly refillMs: number;
}

export class TokenBucket {
  #tokens: number;
  #burst: number;
  #atNs = 0;

  constructor(private options: TokenBucketOptions) {
    this.#tokens = options.size;
    this.#burst = options.oneTimeBurst ?? 0;
  }

  /** Another size and pace; what was taken stays taken. A one-time burst comes again only with something new. */
  change(options: TokenBucketOptions): void {
    const { size, refillMs, oneTimeBurst = 0 } = this.options;
    if (options.size === size && options.refillMs === refillMs && (options.oneTimeBurst ?? 0) === oneTimeBurst) return;
    this.#tokens += options.size - this.options.size;
    this.#burst = options.oneTimeBurst ?? 0;
    this.options = options;
  }

  /** Nanoseconds until `count` tokens can be taken; 0 = now. More than fit are given by a full bucket, on credit. */
  waitNs(count: number, nowNs: number): number {
    this.#refill(nowNs);
    const missing = Math.min(count - this.#burst, this.options.size) - this.#tokens;
    return missing <= 0 ? 0 : Math.ceil((missing * this.options.refillMs * 1e6) / this.options.size);
  }

  /** Takes the tokens, whether they are there or not. */
  take(count: number, nowNs: number): void {
    this.#refill(nowNs);
    const fromBurst = Math.min(count, this.#burst);
    this.#burst -= fromBurst;
    this.#tokens -= count - fromBurst;
  }

  #refill(nowNs: number): void {
    const passedNs = Math.max(0, nowNs - this.#atNs);
    this.#atNs = nowNs;
    const gained = (passedNs * this.options.size) / (this.options.refillMs * 1e6);
    this.#tokens = Math.min(this.options.size, this.#tokens + gained);
  }

  save(): DeviceState {
    return { tokens: this.#tokens, burst: this.#burst, atNs: this.#atNs };
  }
  load(device: string, state: DeviceState): void {
    const saved = new SavedState(device, state);
    this.#tokens = Math.min(this.options.size, saved.number("tokens"));
    this.#burst = Math.max(0, saved.number("burst"));
    this.#atNs = saved.number("atNs");
  }
}

export interface RateLimitOptions {
  /** Tokens are bytes. */
  readonly bandwidth?: TokenBucketOptions;
  /** Tokens are requests or packets. */
  readonly operations?: TokenBucketOptions;
}

/** Of what is limited already: null is no limit, what is left out stays. */
export type RateLimitChange = { readonly [K in keyof RateLimitOptions]: RateLimitOptions[K] | null };

/** Bandwidth and operations together: what one refuses, neither counts. */
export class RateLimiter {
  #bandwidth: TokenBucket | undefined;
  #operations: TokenBucket | undefined;
  /** How often something had to wait. */
  throttled = 0;

  constructor(options: RateLimitOptions = {}) {
    if (options.bandwidth !== undefined) this.#bandwidth = new TokenBucket(options.bandwidth);
    if (options.operations !== undefined) this.#operations = new TokenBucket(options.operations);
  }

  /** Other limits from now on; what is left out is unlimited. */
  change(options: RateLimitOptions): void {
    this.#bandwidth = changed(this.#bandwidth, options.bandwidth);
    this.#operations = changed(this.#operations, options.operations);
  }

  /** 0: it may go, and is counted. Otherwise the nanoseconds after which to ask again. */
  admit(bytes: number, nowNs: number): number {
    const wait = Math.max(this.#bandwidth?.waitNs(bytes, nowNs) ?? 0, this.#operations?.waitNs(1, nowNs) ?? 0);
    if (wait > 0) {
      this.throttled++;
      return wait;
    }
    this.#bandwidth?.take(bytes, nowNs);
    this.#operations?.take(1, nowNs);
    return 0;
  }

  /** Bytes of what was admitted before its size was known. */
  charge(bytes: number, nowNs: number): void {
    this.#bandwidth?.take(bytes, nowNs);
  }

  save(): DeviceState {
    return { bandwidth: this.#bandwidth?.save() ?? null, operations: this.#operations?.save() ?? null };
  }

  /** A limit that was not there when the state was saved starts afresh. */
  load(device: string, state: DeviceState): void {
    const saved = new SavedState(device, state);
    if (state.bandwidth) this.#bandwidth?.load(device, saved.nested("bandwidth"));
    if (state.operations) this.#operations?.load(device, saved.nested("operations"));
  }
}

function changed(bucket: TokenBucket | undefined, options: TokenBucketOptions | undefined): TokenBucket | undefined {
  if (options === undefined) return undefined;
  if (bucket === undefined) return new TokenBucket(options);
  bucket.change(options);
  return bucket;
}
