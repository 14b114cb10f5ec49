// npm run oracle:record: runs the fixture's cases on this machine's CPU and writes test/isa/fixtures/integer.bin.
// npm run oracle:record -- --check: runs them and reports where this CPU differs from the recorded one.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { decodeSection, digestOf, encodeSection, readFixture, type Section, writeFixture } from "./fixture.ts";
import { Batch } from "./format.ts";
import { buildHarness, runOnHardware } from "./hardware.ts";
import { FIXTURE_CASES, FIXTURE_SEED, fillBatch, INTEGER_FIXTURE, integerForms, viewOf } from "./integer.ts";
import { agree, compareResults, describeCase, normalise, Result, readResult } from "./result.ts";

function cpuModel(): string {
  const info = readFileSync("/proc/cpuinfo", "latin1");
  const field = (name: string): string => new RegExp(`^${name}\\s*:\\s*(.*)$`, "m").exec(info)?.[1] ?? "?";
  return `${field("vendor_id")} family ${field("cpu family")} model ${field("model")} stepping ${field("stepping")}`;
}

const check = process.argv.includes("--check");
const harness = buildHarness();
const batch = new Batch();
const sections: Section[] = [];
const recorded = check ? readFixture(readFileSync(INTEGER_FIXTURE)) : undefined;
let differences = 0;
for (const form of integerForms()) {
  const offsets = fillBatch(batch, form, FIXTURE_SEED, FIXTURE_CASES);
  const cases = viewOf(batch.cases);
  const output = viewOf(runOnHardware(harness, batch));
  const results: Result[] = [];
  let p = 0;
  for (const at of offsets) {
    const r = new Result();
    p = readResult(output, p, r);
    normalise(cases, at, r);
    results.push(r);
  }
  if (recorded === undefined) {
    sections.push(encodeSection(form.key, cases, offsets, results));
    continue;
  }
  const section = recorded.sections.get(form.key);
  if (section === undefined || section.digest !== digestOf(batch.cases)) {
    console.log(`${form.key}: not recorded, or for other cases`);
    differences++;
    continue;
  }
  decodeSection(section, cases, offsets, (expected, n) => {
    const got = results[n] as Result;
    if (agree(expected, got)) return;
    differences++;
    console.log(
      [`${form.key} #${n}`, ...describeCase(cases, offsets[n] as number), ...compareResults(expected, got)].join(
        "\n    ",
      ),
    );
  });
}
if (check) {
  console.log(
    `this CPU (${cpuModel()}) differs from the recorded one (${recorded?.header.cpu}) in ${differences} cases`,
  );
  process.exit(differences > 0 ? 1 : 0);
}
const file = writeFixture({ command: "npm run oracle:record", cpu: cpuModel(), seed: FIXTURE_SEED }, sections);
mkdirSync(dirname(INTEGER_FIXTURE), { recursive: true });
writeFileSync(INTEGER_FIXTURE, file);
console.log(
  `${sections.length} forms, ${sections.length * FIXTURE_CASES} vectors, ${file.length} bytes: ${INTEGER_FIXTURE}`,
);
