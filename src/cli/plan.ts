// `paravane plan`: where the VMs of a fleet go, how large they get, and what would be different if.
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { checkFleet } from "../host/resources/fleet.ts";
import { type Plan, plan } from "../host/resources/plan.ts";
import { comparePlans, type PlanChanges } from "../host/resources/plan-changes.ts";
import { OBJECTIVES } from "../host/resources/problem.ts";
import { STRATEGIES } from "../host/resources/strategies.ts";
import { applyEdits } from "../host/resources/what-if.ts";
import { VmError } from "../vmm/error.ts";
import { errorText } from "./chardev.ts";
import { EXIT_OK } from "./exit-code.ts";
import type { CliIo } from "./machine.ts";
import { findPackage } from "./package-root.ts";
import { editsOf, type PlanVerbOptions } from "./plan-options.ts";
import { planHtml, planSvg } from "./plan-picture.ts";
import { changesText, planText } from "./plan-report.ts";
import { parseChoice, parseDuration, UsageError } from "./values.ts";

/** Returns the exit code. Throws UsageError and VmError; see docs/RESOURCES.md. */
export async function planVerb(path: string | undefined, options: PlanVerbOptions, io: CliIo): Promise<number> {
  if (options.schema) {
    io.stdout.write(await readFile(join(findPackage().root, "docs/fleet.schema.json"), "utf8"));
    return EXIT_OK;
  }
  if (path === undefined)
    throw new UsageError("plan: give the fleet file; paravane plan --schema prints what it may say");
  const objective =
    options.objective === undefined ? undefined : parseChoice(options.objective, "--objective", OBJECTIVES);
  const strategy = options.strategy === undefined ? undefined : parseChoice(options.strategy, "--strategy", STRATEGIES);
  const timeLimitSeconds =
    options.timeLimit === undefined ? 60 : parseDuration(options.timeLimit, "--time-limit") / 1000;
  const optimise = async (fleet: unknown): Promise<Plan> => {
    const checked = checkFleet(fleet);
    return await plan(
      { ...checked.problem, objective: objective ?? checked.problem.objective },
      { strategy: strategy ?? checked.strategy, idleTax: checked.idleTax, timeLimitSeconds },
    );
  };

  const file = await readFleet(path);
  const edits = editsOf(options);
  const changed = edits.length === 0 ? undefined : applyEdits(file, edits);
  // The file's own plan may not exist: then the what-if stands alone.
  let base: Plan | undefined;
  let baseError: VmError | undefined;
  if (changed !== undefined) {
    try {
      base = await optimise(file);
    } catch (error) {
      if (!(error instanceof VmError && error.code === "admission")) throw error;
      baseError = error;
    }
  }
  const result = await optimise(changed ?? file);
  const changes = base && comparePlans(base, result);

  if (options.svg !== undefined) await save(options.svg, planSvg(result), "--svg");
  if (options.html !== undefined) await save(options.html, planHtml(result, changes), "--html");
  if (options.json) io.stdout.write(planJson(result, changes, baseError));
  else {
    io.stdout.write(planText(result));
    if (changes) io.stdout.write(`\n${changesText(changes)}`);
    if (baseError) io.stdout.write(`\nwithout the change: ${baseError.message}\n`);
  }
  return EXIT_OK;
}

async function readFleet(path: string): Promise<unknown> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (cause) {
    throw new VmError("not-found", `cannot read ${path}: ${errorText(cause)}`, { path }, { cause });
  }
  try {
    return JSON.parse(text);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new VmError("bad-config", `${path} is not JSON: ${why}`, { path }, { cause });
  }
}

async function save(path: string, content: string, option: string): Promise<void> {
  try {
    await writeFile(path, content);
  } catch (cause) {
    throw new VmError("host", `${option}: cannot write ${path}: ${errorText(cause)}`, { path }, { cause });
  }
}

/** Infinity, which JSON does not have, is null. */
function planJson(result: Plan, changes: PlanChanges | undefined, baseError: VmError | undefined): string {
  const whatIf = changes ? { changes } : baseError ? { baseError: baseError.message } : {};
  return `${JSON.stringify({ ...result, ...whatIf }, null, 2)}\n`;
}
