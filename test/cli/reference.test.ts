// The documents and the command line say the same: every option is in the reference, and no document names one that is not there.
import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { processIo } from "../../src/cli/machine.ts";
import { createProgram } from "../../src/cli/main.ts";
import { cliReference, leaves } from "../../tools/cli-reference.ts";

const docs = new URL("../../docs/", import.meta.url);
const read = (name: string): string => readFileSync(new URL(name, docs), "utf8");
const verbs = leaves(createProgram(processIo(), () => {}));
const FLAG = /(?<![\w-])--[a-z][a-z0-9-]*/g;
const known = new Set(verbs.flatMap(({ command }) => command.options.map(({ long }) => long ?? "")));
/** Of scripts of this repository, and of curl. */
const OTHERS = ["BENCHMARKS.md", "FUZZING.md", "ORACLES.md", "SPECIFICATION.md"];
const ALSO = ["--help", "--version", "--unix-socket"];

describe("docs/CLI-REFERENCE.md", () => {
  it("is what the parser says (npm run gen makes it)", () => {
    expect(read("CLI-REFERENCE.md")).toBe(cliReference());
  });

  it("has every verb, and no option without a word on it", () => {
    expect(verbs.length).toBeGreaterThan(40);
    const silent = verbs.flatMap(({ name, command }) =>
      command.options
        .filter(({ description, hidden }) => !hidden && description === "")
        .map(({ long }) => [name, long]),
    );
    expect(silent).toEqual([]);
  });
});

it.each(readdirSync(docs).filter((name) => name.endsWith(".md") && !OTHERS.includes(name)))(
  "docs/%s names only options that there are",
  (name) => {
    const named = [...new Set(read(name).match(FLAG) ?? [])];
    expect(named.filter((flag) => !known.has(flag) && !ALSO.includes(flag))).toEqual([]);
  },
);
