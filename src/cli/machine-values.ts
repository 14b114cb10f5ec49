// Values of options about the machine: processor, paravirtual interfaces, controls, clock.
import { PARAVIRT_SWITCHES, type ParavirtName } from "../../spec/cpuid.ts";
import { CONTROLS, type ControlName } from "../../spec/virtualization.ts";
import { parseChoice, UsageError } from "./values.ts";

export function checkCpu(text: string): string {
  // The models and features themselves are the machine's to know: it names them when one is wrong.
  if (!/^[\w.-]+(,[+-]?[\w.-]+(=(on|off))?)*$/.test(text))
    throw new UsageError(
      `--cpu: "${text}" is not MODEL or MODEL,+feature,-feature (for example max, core2, pentium3,-sse)`,
    );
  return text;
}

/** "all", "none", or switches of the paravirtual interfaces: "clock,steal". */
export function parseParavirt(text: string): readonly ParavirtName[] | "all" {
  if (text === "all") return "all";
  if (text === "none") return [];
  const names = PARAVIRT_SWITCHES.map(({ name }) => name);
  const words = text.split(",");
  const accepted: readonly (ParavirtName | "all" | "none")[] = words.length > 1 ? names : ["all", "none", ...names];
  return words.map((word) => parseChoice(word, "--pv", accepted) as ParavirtName);
}

/** "all", "none", or execution controls: "cr3,invlpg". */
export function parseControls(text: string): readonly ControlName[] {
  const names = CONTROLS.map(({ name }) => name);
  if (text === "all") return names;
  if (text === "none") return [];
  const words = text.split(",");
  const accepted: readonly (ControlName | "all" | "none")[] = words.length > 1 ? names : ["all", "none", ...names];
  return words.map((word) => parseChoice(word, "--controls", accepted) as ControlName);
}

export function parseNsPerInstruction(text: string): number {
  const ns = Number(text);
  if (!(ns >= 0.001 && ns <= 1000))
    throw new UsageError(`--ns-per-instruction: "${text}" is not a number from 0.001 to 1000`);
  return ns;
}

/** Seconds since 1970, or a date that says its zone: "2026-01-31T12:00:00Z". */
export function parseWall(text: string): number {
  const seconds = /^\d+$/.test(text)
    ? Number(text)
    : /^\d{4}-\d\d-\d\d(T.*(Z|[+-]\d\d:\d\d))?$/.test(text)
      ? Date.parse(text) / 1000
      : Number.NaN;
  if (!Number.isFinite(seconds) || seconds < 0 || seconds > 0xffffffff)
    throw new UsageError(`--wall: "${text}" is neither seconds since 1970 nor a date such as 2026-01-31T12:00:00Z`);
  return Math.floor(seconds);
}
