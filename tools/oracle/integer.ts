// The integer and system forms that the oracle covers, and their fixture.
import { fileURLToPath } from "node:url";
import { allRows } from "../../spec/opcodes/table.ts";
import { type Batch, TestCase } from "./format.ts";
import { type Form, formsOf } from "./forms.ts";
import { Generator, recordable } from "./generate.ts";
import { invalidRows } from "./invalid.ts";
import { sequenceForms } from "./sequence.ts";

const FAMILIES = new Set(["hot", "int", "flow", "system"]);

export function integerForms(): Form[] {
  const rows = [...allRows.filter((r) => FAMILIES.has(r.family)), ...invalidRows];
  return [...formsOf(rows).filter(recordable), ...sequenceForms];
}

export const INTEGER_FIXTURE = fileURLToPath(new URL("../../test/isa/fixtures/integer.bin", import.meta.url));
/** Cases a form in the committed fixture, and the seed they come from. */
export const FIXTURE_CASES = 300;
export const FIXTURE_SEED = 1;

/** Fills the batch with the first `count` cases of a form; returns where each begins in `batch.cases`. */
export function fillBatch(batch: Batch, form: Form, seed: number, count: number): number[] {
  batch.clear();
  const generator = new Generator(form, seed, new TestCase());
  const offsets: number[] = [];
  for (let i = 0; i < count; i++) {
    offsets.push(batch.cases.length);
    batch.add(generator.next());
  }
  return offsets;
}

export function viewOf(b: Uint8Array): DataView {
  return new DataView(b.buffer, b.byteOffset, b.byteLength);
}
