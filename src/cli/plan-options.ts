// The options of `paravane plan`, and the what-if edits among them in the order in which they were given.
import type { Command } from "commander";
import type { Assignment, Edit } from "../host/resources/what-if.ts";
import { parseInteger, UsageError } from "./values.ts";

export interface PlanVerbOptions {
  readonly objective?: string;
  readonly strategy?: string;
  readonly json?: boolean;
  readonly svg?: string;
  readonly html?: string;
  readonly timeLimit?: string;
  readonly schema?: boolean;
  /** The same list in each: what was given, in order. */
  readonly with?: readonly Edit[];
  readonly without?: readonly Edit[];
  readonly hosts?: readonly Edit[];
  readonly set?: readonly Edit[];
}

export function addPlanOptions(command: Command): Command {
  const edits: Edit[] = [];
  const edit =
    (parse: (text: string) => Edit) =>
    (text: string): Edit[] => {
      edits.push(parse(text));
      return edits;
    };
  return command
    .option("--objective <what>", "cost, work or delay, in place of the file's")
    .option("--strategy <how>", "minimum, maximum, dynamic or drf, in place of the file's")
    .option("--json", "one JSON object")
    .option("--svg <file>", "draw who is where")
    .option("--html <file>", "the drawing and the tables as a page")
    .option("--time-limit <time>", "give up without a proven optimum after this (default: 60s)")
    .option("--schema", "print the JSON schema of fleet files")
    .optionsGroup("What if (repeatable, in this order; shows the difference to the file's own plan):")
    .option("--with <vm=NAME,...>", "add a VM or host=NAME: like=OTHER, memory.limit=1G, host=h1...", edit(parseWith))
    .option(
      "--without <name>",
      "take a VM or a host away",
      edit((name) => ({ kind: "without", name })),
    )
    .option("--hosts <n>", "the first n hosts; more than there are: copies of the last", edit(parseHosts))
    .option("--set <name.field=value>", "change a field: web.memory.limit=2G, h1.cpu=8, web.count=3", edit(parseSet));
}

/** The edits of all options. */
export function editsOf(options: PlanVerbOptions): readonly Edit[] {
  return options.with ?? options.without ?? options.hosts ?? options.set ?? [];
}

function parseWith(text: string): Edit {
  const [first = "", ...rest] = text.split(",");
  const match = /^(vm|host)=(.+)$/.exec(first.trim());
  if (!match?.[2]) {
    throw new UsageError(
      `--with: "${text}" does not begin with vm=NAME or host=NAME; such as vm=web2,like=web,memory.limit=1G`,
    );
  }
  const assignments = rest.map((part) => parseAssignment(part, "--with"));
  const like = assignments.find(({ path }) => path.join() === "like");
  return {
    kind: "with",
    what: match[1] === "vm" ? "vms" : "hosts",
    name: match[2],
    ...(like ? { like: String(like.value) } : {}),
    set: assignments.filter((assignment) => assignment !== like),
  };
}

function parseHosts(text: string): Edit {
  return { kind: "hosts", count: parseInteger(text, "--hosts", 1, 250) };
}

function parseSet(text: string): Edit {
  const assignment = parseAssignment(text, "--set");
  if (assignment.path.length < 2) {
    throw new UsageError(`--set: "${text}" names no field; give NAME.FIELD=VALUE such as web.memory.limit=2G`);
  }
  return { kind: "set", assignment };
}

function parseAssignment(text: string, option: string): Assignment {
  const match = /^\s*([^=\s]+)=(.*)$/s.exec(text);
  const path = match?.[1]?.split(".") ?? [];
  if (!match || path.includes("")) {
    throw new UsageError(`${option}: "${text}" is not FIELD=VALUE, such as memory.limit=2G`);
  }
  return { path, value: parseValue(match[2] ?? "") };
}

/** A JSON value where it is one (4, true, ["a"]), else the text itself. */
function parseValue(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text.trim();
  }
}
