// `paravane sched`: scheduling policies tried in a simulation.
import type { Command } from "commander";
import type { CliIo } from "./machine.ts";
import { didYouMean, UsageError } from "./values.ts";

export interface RawSimOptions {
  readonly policy?: string;
  readonly option?: readonly string[];
  readonly policies?: string;
  readonly seed?: string;
  readonly pcpus?: string;
  readonly vcpus?: string;
  readonly duration?: string;
  readonly switchUs?: string;
  readonly migrationUs?: string;
  readonly json?: boolean;
  readonly svg?: string;
  readonly html?: string;
}

/** Adds the verb; `done` takes its exit code. */
export function addSchedVerbs(
  makeVerb: (nameAndArgs: string, description: string) => Command,
  io: CliIo,
  done: (code: number) => void,
): void {
  const sched = makeVerb("sched", "vCPU scheduling policies: simulate, compare, list");
  sched.allowExcessArguments().action(() => {
    const [unknown] = sched.args;
    const names = sched.commands.map((command) => command.name());
    if (unknown === undefined) sched.outputHelp();
    else
      throw new UsageError(`sched: no verb "${unknown}"${didYouMean(unknown, names)}; there are ${names.join(", ")}`);
  });
  const verb = (nameAndArgs: string, description: string): Command =>
    sched.command(nameAndArgs).description(description).exitOverride();

  addScenarioOptions(
    verb("sim <scenario>", "run a scenario (a name of sched scenarios, or a JSON file) under one policy"),
  )
    .option("--policy <name>", "policy of every pCPU (credit)")
    .option("--option <key=value>", "option of the policy (repeatable); sched policies lists them", collect)
    .action(async (scenario: string, options: RawSimOptions) =>
      done(await (await import("./sched-run.ts")).simVerb(scenario, options, io)),
    );

  addScenarioOptions(verb("compare <scenario>", "run a scenario under all policies, side by side"))
    .option("--policies <names>", "only these, separated by commas")
    .action(async (scenario: string, options: RawSimOptions) =>
      done(await (await import("./sched-run.ts")).compareVerb(scenario, options, io)),
    );

  verb("policies", "list the policies and their options")
    .option("--json", "as JSON, options as JSON schemas")
    .action(async (options: { json?: boolean }) =>
      done((await import("./sched-list.ts")).listPolicies(options.json ?? false, io)),
    );

  verb("scenarios [name]", "list the scenarios that come along, or print one as JSON")
    .option("--json", "all of them, as a JSON array")
    .action(async (name: string | undefined, options: { json?: boolean }) =>
      done((await import("./sched-list.ts")).listScenarios(name, options.json ?? false, io)),
    );

  verb("schema", "print the JSON schema of scenario files").action(async () =>
    done((await import("./sched-list.ts")).printSchema(io)),
  );
}

function addScenarioOptions(command: Command): Command {
  return command
    .option("--pcpus <n>", "pCPUs, 1 to 256, in place of the scenario's")
    .option("--vcpus <n>", "vCPUs in all, 1 to 10000; groups keep their parts")
    .option("--duration <time>", "simulated time, such as 10s")
    .option("--seed <n>", "of the random numbers")
    .option("--switch-us <us>", "cost of running another vCPU than before")
    .option("--migration-us <us>", "further cost when it ran on another pCPU before")
    .option("--json", "everything measured, as one JSON object")
    .option("--svg <file>", "write a figure")
    .option("--html <file>", "write a page with figure and tables");
}

function collect(value: string, previous: string[] | undefined): string[] {
  return [...(previous ?? []), value];
}
