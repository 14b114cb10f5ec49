// Every instruction form against what a real FPU did with the same operands, control word and stack (recorded by
// tools/oracle/x87.c). `npm run oracle:soak` does it with fresh operands.
import { describe, expect, it } from "vitest";
import { describeVector, differences } from "./compare.ts";
import { compileX87 } from "./compile.ts";
import { readVectors, vectors } from "./fixture.ts";
import { rowOf, X87Machine } from "./machine.ts";

const FIXTURE = new URL("../fixtures/x87.bin.gz", import.meta.url);

describe("x87 against recorded hardware", () => {
  it("executes every recorded vector as the hardware did", async () => {
    const machine = new X87Machine(await compileX87());
    const bad: string[] = [];
    const forms = new Map<string, number>();
    let count = 0;
    for (const v of vectors(readVectors(FIXTURE))) {
      count++;
      const op = rowOf(v.opcode, v.modrm).op;
      forms.set(op, (forms.get(op) ?? 0) + 1);
      const diff = differences(machine, v);
      if (diff.length && bad.length < 20) bad.push(`${describeVector(v)}: ${diff.join("; ")}`);
    }
    expect(bad).toEqual([]);
    expect(forms.size).toBe(140);
    expect(Math.min(...forms.values())).toBeGreaterThanOrEqual(200);
    expect(count).toBeGreaterThanOrEqual(28_000);
  });
});
