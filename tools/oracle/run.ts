// npm run oracle:run -- [--count N] [--seed N] [--op TEXT] [--show N] [--index N]
//
// Generates cases, runs each on this machine's CPU and on the core, and reports where they disagree.
//   --count  cases in all (default 100000), spread evenly over the forms
//   --seed   stream of cases (default: from the clock, printed)
//   --op     only forms whose key contains TEXT ("add", "0F A4", "FF/6", "o16 mem"); may be given more than once
//   --show   examples a form (default 1)
//   --index  only the case of this index of each form, with its whole state
import { execFileSync } from "node:child_process";
import { existsSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { CoreMachine } from "../../test/isa/machine.ts";
import { Batch, CASE_CODE, CASE_CODE_LENGTH, CASE_SELECTORS, TestCase } from "./format.ts";
import type { Form } from "./forms.ts";
import { Generator } from "./generate.ts";
import { buildHarness, runOnHardware } from "./hardware.ts";
import { integerForms, viewOf } from "./integer.ts";
import { agree, compareResults, describeCase, normalise, Result, readResult } from "./result.ts";
import { CS, segmentOf } from "./world.ts";

const { values } = parseArgs({
  options: {
    count: { type: "string", default: "100000" },
    seed: { type: "string" },
    op: { type: "string", multiple: true },
    show: { type: "string", default: "1" },
    index: { type: "string" },
  },
});
const number = (name: string, text: string): number => {
  const n = Number(text);
  if (!Number.isInteger(n) || n < 0) {
    console.error(`--${name} takes a whole number, not "${text}"`);
    process.exit(2);
  }
  return n;
};
const seed = values.seed === undefined ? Date.now() >>> 0 : number("seed", values.seed);
const show = number("show", values.show);
const index = values.index === undefined ? -1 : number("index", values.index);
const wanted = values.op ?? [];
const forms = integerForms().filter(
  (f) => wanted.length === 0 || wanted.some((w) => f.key.toLowerCase().includes(w.toLowerCase())),
);
if (forms.length === 0) {
  console.error(`no form's key contains ${wanted.join(" or ")}`);
  process.exit(2);
}
const perForm = index >= 0 ? index + 1 : Math.ceil(number("count", values.count) / forms.length);
const BATCH = 16384;

function ready(): string {
  try {
    return buildHarness();
  } catch (error) {
    console.error(`oracle: ${(error as Error).message}`);
    process.exit(2);
  }
}

/** Intel-syntax disassembly through objdump where it is installed. */
function disassemble(cases: DataView, at: number): string {
  if (!existsSync("/usr/bin/objdump")) return "";
  const code = new Uint8Array(cases.buffer, cases.byteOffset + at + CASE_CODE, cases.getUint8(at + CASE_CODE_LENGTH));
  if (code.length === 0) return "(no byte of it is mapped)";
  const path = join(tmpdir(), `paravane-oracle-${process.pid}.bin`);
  writeFileSync(path, code);
  const big = segmentOf(cases.getUint16(at + CASE_SELECTORS + CS * 2, true)).big;
  const text = execFileSync("objdump", [
    "-D",
    "-b",
    "binary",
    "-m",
    big ? "i386" : "i8086",
    "-M",
    "intel",
    path,
  ]).toString();
  return text
    .split("\n")
    .filter((l) => /^\s+[0-9a-f]+:\t/.test(l))
    .map((l) => l.split("\t")[2] ?? "")
    .join("; ")
    .replace(/\s+/g, " ")
    .trim();
}

/** How the core was stopped; see CoreMachine.run. */
const WAYS = ["(budget)", "(block)", "(step)"] as const;

interface Tally {
  readonly form: Form;
  cases: number;
  wrong: number;
  readonly kinds: Map<string, number>;
  readonly examples: string[];
}

const harness = ready();
const machine = CoreMachine.create();
const batch = new Batch();
const tallies: Tally[] = [];
const queue: { tally: Tally; offset: number; n: number }[] = [];
const expected = new Result();
const got = new Result();
let total = 0;
let hardwareMs = 0;
let coreMs = 0;
const started = performance.now();

function flush(): void {
  if (queue.length === 0) return;
  let t = performance.now();
  const output = viewOf(runOnHardware(harness, batch));
  hardwareMs += performance.now() - t;
  const cases = viewOf(batch.cases);
  t = performance.now();
  let p = 0;
  for (const { tally, offset, n } of queue) {
    p = readResult(output, p, expected);
    tally.cases++;
    total++;
    normalise(cases, offset, expected);
    machine.run(cases, offset, got, n);
    normalise(cases, offset, got);
    if (agree(expected, got) && index < 0) continue;
    const differences = compareResults(expected, got);
    if (differences.length) tally.wrong++;
    const kind = differences.map((d) => d.slice(0, d.indexOf(":"))).join(", ");
    tally.kinds.set(kind, (tally.kinds.get(kind) ?? 0) + 1);
    if (tally.examples.length < show) {
      tally.examples.push(
        [
          `#${n} ${WAYS[n % 3]}  ${disassemble(cases, offset)}`,
          ...describeCase(cases, offset),
          ...differences.map((d) => `* ${d}`),
        ].join("\n      "),
      );
    }
  }
  coreMs += performance.now() - t;
  queue.length = 0;
  batch.clear();
}

for (const form of forms) {
  const tally: Tally = { form, cases: 0, wrong: 0, kinds: new Map(), examples: [] };
  tallies.push(tally);
  const generator = new Generator(form, seed, new TestCase());
  for (let n = 0; n < perForm; n++) {
    const c = generator.next();
    if (index >= 0 && n !== index) continue;
    queue.push({ tally, offset: batch.cases.length, n });
    batch.add(c);
    if (queue.length === BATCH) flush();
  }
}
flush();

const bad = tallies.filter((t) => t.wrong > 0 || index >= 0).sort((a, b) => b.wrong / b.cases - a.wrong / a.cases);
for (const t of bad) {
  const kinds = [...t.kinds]
    .sort((a, b) => b[1] - a[1])
    .slice(0, 5)
    .map(([k, n]) => `${n} x ${k || "agree"}`)
    .join("; ");
  console.log(`${t.form.key}: ${t.wrong} of ${t.cases} disagree (${kinds})  op ${t.form.row.op}`);
  for (const e of t.examples) console.log(`    ${e}`);
}
const wrong = tallies.reduce((n, t) => n + t.wrong, 0);
const byOp = new Map<string, number>();
for (const t of bad) if (t.wrong > 0) byOp.set(t.form.row.op, (byOp.get(t.form.row.op) ?? 0) + t.wrong);
if (byOp.size)
  console.log(
    `\nby op: ${[...byOp]
      .sort((a, b) => b[1] - a[1])
      .map(([op, n]) => `${op} ${n}`)
      .join(", ")}`,
  );
const seconds = (performance.now() - started) / 1000;
console.log(
  `${total} cases of ${forms.length} forms, seed ${seed}: ${wrong} disagree in ${tallies.filter((t) => t.wrong > 0).length} forms. ` +
    `${seconds.toFixed(1)} s (CPU ${(hardwareMs / 1000).toFixed(1)}, core ${(coreMs / 1000).toFixed(1)})`,
);
process.exit(wrong > 0 ? 1 : 0);
