// The options about the screen and the keyboard, from the parser's words to checked values.
import type { DisplayKind } from "../vmm/config.ts";
import { parseChoice, parsePattern, UsageError } from "./values.ts";

/** A value of an option that may be repeated among others: `at` says which came first. */
export interface Given {
  readonly at: number;
  readonly text: string;
}

export interface RawDisplayOptions {
  vga?: string;
  vgaBios?: string;
  display?: string;
  nographic?: boolean;
  screenshot?: string;
  waitScreen?: Given[];
  type?: Given[];
  keys?: Given[];
}

/** What a script does with the guest, in the order given. */
export type ScreenStep =
  | { readonly kind: "wait"; readonly pattern: RegExp }
  | { readonly kind: "type"; readonly text: string }
  | { readonly kind: "keys"; readonly combinations: readonly string[] };

export interface DisplayOptions {
  /** The adapter; undefined: what the guest has by default. */
  readonly adapter: DisplayKind | undefined;
  readonly vgaBios: string | undefined;
  /** The screen is on this terminal. */
  readonly onTerminal: boolean;
  readonly screenshot: string | undefined;
  readonly steps: readonly ScreenStep[];
}

const ADAPTERS = ["std", "none"] as const;
const DISPLAYS = ["none", "text"] as const;
/** QEMU's word for a screen in the terminal. */
const CURSES = "curses";

let counted = 0;
/** For the parser: keeps the order of options among each other. */
export function collectInOrder(text: string, before: Given[] | undefined): Given[] {
  return [...(before ?? []), { at: counted++, text }];
}

/** Throws UsageError for the first value that is not acceptable. */
export function checkDisplayOptions(raw: RawDisplayOptions): DisplayOptions {
  const shown = raw.display === CURSES ? "text" : parseChoice(raw.display ?? "none", "--display", DISPLAYS);
  if (shown === "text" && raw.nographic)
    throw new UsageError("--nographic asks for no screen, and --display text for one; give one of them");
  const steps = stepsOf(raw);
  const needs = [
    shown === "text" && "--display text",
    raw.screenshot !== undefined && "--screenshot",
    steps.some(({ kind }) => kind === "wait") && "--wait-screen",
    raw.vgaBios !== undefined && "--vga-bios",
  ].filter((option) => option !== false);
  const vga = raw.vga === undefined ? undefined : adapterOf(raw.vga);
  if (vga === "none" && needs.length > 0)
    throw new UsageError(`${needs[0]} needs a screen, and --vga none leaves it out`);
  return {
    adapter: vga ?? (needs.length > 0 ? "vga" : undefined),
    vgaBios: raw.vgaBios,
    onTerminal: shown === "text",
    screenshot: raw.screenshot,
    steps,
  };
}

/** QEMU's name of an adapter as ours. */
export function adapterOf(text: string): DisplayKind {
  return parseChoice(text, "--vga", ADAPTERS) === "std" ? "vga" : "none";
}

function stepsOf({ waitScreen = [], type = [], keys = [] }: RawDisplayOptions): ScreenStep[] {
  const steps: { at: number; step: ScreenStep }[] = [
    ...waitScreen.map(({ at, text }) => ({
      at,
      step: { kind: "wait", pattern: parsePattern(text, "--wait-screen") } as const,
    })),
    ...type.map(({ at, text }) => ({ at, step: { kind: "type", text: unescapeText(text, "--type") } as const })),
    ...keys.map(({ at, text }) => ({
      at,
      step: { kind: "keys", combinations: text.split(/\s+/).filter((word) => word !== "") } as const,
    })),
  ];
  return steps.sort((a, b) => a.at - b.at).map(({ step }) => step);
}

const ESCAPES: Readonly<Record<string, string>> = { n: "\n", r: "\n", t: "\t", b: "\b", e: "\u001b", "\\": "\\" };

/** "root\n": what no shell lets one type easily. Throws UsageError for an escape that means nothing. */
export function unescapeText(text: string, option: string): string {
  return text.replace(/\\(.?)/gs, (whole, letter: string) => {
    const character = Object.hasOwn(ESCAPES, letter) ? ESCAPES[letter] : undefined;
    if (character === undefined)
      throw new UsageError(`${option}: "${whole}" means nothing; there are \\n, \\t, \\b, \\e and \\\\`);
    return character;
  });
}
