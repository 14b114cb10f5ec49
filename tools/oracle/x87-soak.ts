// Compares the core with this machine's FPU on fresh operands of every x87 form, without a fixture:
//   npx tsx tools/oracle/x87-soak.ts [rounds = 10] [first seed = from the clock]
// A round is 200 operands a form, 28,000 instructions. Exit code 1 when anything differs. Needs gcc on x86.
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describeVector, differences } from "../../test/isa/x87/compare.ts";
import { compileX87 } from "../../test/isa/x87/compile.ts";
import { vectors } from "../../test/isa/x87/fixture.ts";
import { rowOf, X87Machine } from "../../test/isa/x87/machine.ts";
import { x87Forms } from "./x87-forms.ts";

const OPERANDS = 200;
const rounds = Number(process.argv[2] ?? 10);
const first = Number(process.argv[3] ?? Date.now() & 0x3fffffff);
console.log(`x87: ${rounds} rounds from seed ${first}`);

const folder = mkdtempSync(join(tmpdir(), "x87-oracle-"));
try {
  const program = join(folder, "x87");
  const source = fileURLToPath(new URL("x87.c", import.meta.url));
  execFileSync("gcc", ["-O1", "-static", "-no-pie", "-fno-pie", source, "-o", program], { stdio: "inherit" });
  const machine = new X87Machine(await compileX87());
  const bad = new Map<string, number>();
  let total = 0;
  for (let seed = first; seed < first + rounds; seed++) {
    const recorded = execFileSync(program, [String(OPERANDS), String(seed)], {
      input: x87Forms().join("\n"),
      maxBuffer: 1 << 28,
    });
    for (const vector of vectors(recorded)) {
      total++;
      const list = differences(machine, vector);
      if (list.length === 0) continue;
      const { op } = rowOf(vector.opcode, vector.modrm);
      const seen = bad.get(op) ?? 0;
      bad.set(op, seen + 1);
      if (seen < 3) console.log(`seed ${seed}: ${describeVector(vector)}: ${list.join("; ")}`);
    }
  }
  for (const [op, count] of bad) console.log(`${count} differ: ${op}`);
  console.log(`${total} x87 instructions compared, ${[...bad.values()].reduce((a, b) => a + b, 0)} differ`);
  process.exitCode = bad.size === 0 ? 0 : 1;
} finally {
  rmSync(folder, { recursive: true });
}
