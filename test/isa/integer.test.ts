// Every form of every integer and system instruction against results recorded on a real CPU.
import { readFileSync } from "node:fs";
import { beforeAll, describe, expect, test } from "vitest";
import { decodeSection, digestOf, readFixture, type Section } from "../../tools/oracle/fixture.ts";
import { Batch } from "../../tools/oracle/format.ts";
import { fillBatch, INTEGER_FIXTURE, integerForms, viewOf } from "../../tools/oracle/integer.ts";
import { agree, compareResults, describeCase, normalise, Result } from "../../tools/oracle/result.ts";
import { CoreMachine } from "./machine.ts";

const fixture = readFixture(readFileSync(INTEGER_FIXTURE));
const batch = new Batch();
const SHOWN = 3;
const AGAIN = "run `npm run oracle:record` on an x86 Linux machine";

describe("instructions do what a real CPU did", () => {
  let machine: CoreMachine;
  beforeAll(() => {
    machine = CoreMachine.create();
  });

  test.each(integerForms().map((form) => [form.key, form] as const))("%s", (key, form) => {
    const section = fixture.sections.get(key) as Section;
    expect(section, `no recorded results; ${AGAIN}`).toBeDefined();
    expect(section.count).toBeGreaterThanOrEqual(200);
    const offsets = fillBatch(batch, form, fixture.header.seed, section.count);
    expect(digestOf(batch.cases), `the recorded results are for other cases; ${AGAIN}`).toBe(section.digest);
    const cases = viewOf(batch.cases);
    const got = new Result();
    const reports: string[] = [];
    let wrong = 0;
    decodeSection(section, cases, offsets, (expected, n) => {
      const at = offsets[n] as number;
      machine.run(cases, at, got, n);
      normalise(cases, at, got);
      if (agree(expected, got)) return;
      wrong++;
      if (reports.length < SHOWN) {
        reports.push([`case ${n}`, ...describeCase(cases, at), ...compareResults(expected, got)].join("\n    "));
      }
    });
    if (wrong > 0) expect.fail(`${wrong} of ${section.count} vectors differ\n  ${reports.join("\n  ")}`);
  });
});
