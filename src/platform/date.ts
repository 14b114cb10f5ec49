// The host's date, which both platforms have.

/** A date that was set since the process began is further off than reading two clocks one after the other. */
const SAME_MS = 2;

/** Milliseconds since 1970, to the microsecond; to the millisecond once the host's date was set. */
export function preciseWallMs(): number {
  const fine = performance.timeOrigin + performance.now();
  const date = Date.now();
  return Math.abs(fine - date) < SAME_MS ? fine : date;
}
