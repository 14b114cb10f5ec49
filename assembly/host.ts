// Everything the core imports from its host.

/** The host's monotonic clock, nanoseconds from an origin of its choice; fractions are dropped. */
// @ts-ignore: decorator
@external("host", "nowNs")
export declare function hostNowNs(): f64;

/** The page of guest RAM at a Wasm address is absent: the host puts its bytes there. spec/fill-page.ts has `how` and the answers. */
// @ts-ignore: decorator
@external("host", "fillPage")
export declare function hostFillPage(host: u32, how: u32): u32;
