// npm run oracle:record: runs the fixture's cases on this machine's CPU and writes test/isa/fixtures/integer.bin.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { encodeSection, type Section, writeFixture } from "./fixture.ts";
import { Batch } from "./format.ts";
import { buildHarness, runOnHardware } from "./hardware.ts";
import { fillBatch, FIXTURE_CASES, FIXTURE_SEED, INTEGER_FIXTURE, integerForms, viewOf } from "./integer.ts";
import { normalise, readResult, Result } from "./result.ts";

function cpuModel(): string {
  const info = readFileSync("/proc/cpuinfo", "latin1");
  const field = (name: string): string => new RegExp(`^${name}\\s*:\\s*(.*)$`, "m").exec(info)?.[1] ?? "?";
  return `${field("vendor_id")} family ${field("cpu family")} model ${field("model")} stepping ${field("stepping")}`;
}

const harness = buildHarness();
const batch = new Batch();
const sections: Section[] = [];
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
  sections.push(encodeSection(form.key, cases, offsets, results));
}
const file = writeFixture({ command: "npm run oracle:record", cpu: cpuModel(), seed: FIXTURE_SEED }, sections);
mkdirSync(dirname(INTEGER_FIXTURE), { recursive: true });
writeFileSync(INTEGER_FIXTURE, file);
console.log(`${sections.length} forms, ${sections.length * FIXTURE_CASES} vectors, ${file.length} bytes: ${INTEGER_FIXTURE}`);
