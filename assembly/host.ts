// Everything the core imports from its host.

/** The host's monotonic clock, nanoseconds from an origin of its choice; fractions are dropped. */
// @ts-ignore: decorator
@external("host", "nowNs")
export declare function hostNowNs(): f64;

/** `how` of hostFillPage: as told there. */
export const FILL_MAY: u32 = 0;
export const FILL_MUST: u32 = 1;
export const FILL_LATER: u32 = 2;
/** The first number that is a token. */
export const FILL_TOKEN: u32 = 2;

/**
 * The page of guest RAM at a Wasm address is absent: the host puts its bytes there. 1 = they are. 0 = it could not, and will end
 * the VM; unless FILL_MAY, it throws then. To FILL_LATER it may answer with a token (FILL_TOKEN and up): they come later.
 */
// @ts-ignore: decorator
@external("host", "fillPage")
export declare function hostFillPage(host: u32, how: u32): u32;
