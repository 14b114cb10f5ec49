export interface BuildOptions {
  /** Run every step, not just the stale ones. */
  force?: boolean;
  /** Names of the steps to look at. */
  only?: string[];
  /** Only say which are stale. */
  check?: boolean;
  quiet?: boolean;
}
/** Builds what is out of date; returns the names of the steps that ran (or, with `check`, would run). */
export function build(options?: BuildOptions): Promise<string[]>;
