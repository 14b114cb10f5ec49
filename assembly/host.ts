// Everything the core imports from its host.

/** The host's monotonic clock, nanoseconds from an origin of its choice; fractions are dropped. */
// @ts-ignore: decorator
@external("host", "nowNs")
export declare function hostNowNs(): f64;
