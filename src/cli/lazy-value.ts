// How a restore brings memory in, as a word of the command line.
import type { RestoreOptions } from "../snapshot/restore.ts";
import { parseChoice } from "./values.ts";

type Lazy = NonNullable<RestoreOptions["lazy"]>;

const MODES = {
  background: { background: true },
  demand: { background: false },
  asynchronous: { background: true, asynchronous: true },
  off: false,
} as const satisfies Readonly<Record<string, Lazy>>;

export const LAZY_HELP =
  "memory comes as the guest needs it, and on the side (background), or not (demand); asynchronous: guests with async-pf run something else meanwhile; off: all of it first (default: background)";

/** Throws UsageError that names `option`. */
export function parseLazy(text: string, option: string): Lazy {
  return MODES[parseChoice(text, option, Object.keys(MODES) as (keyof typeof MODES)[])];
}
