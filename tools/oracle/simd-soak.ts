// Compares the core with this machine's CPU on fresh random cases of every MMX and SSE row, without a fixture:
//   npx tsx tools/oracle/simd-soak.ts [rounds = 10] [first seed = from the clock]
// A round is about 78,000 instructions and takes some seconds. Exit code 1 when anything differs.
import { describeFailure, failures, rowName } from "../../test/isa/simd-compare.ts";
import { SimdCore } from "../../test/isa/simd-core.ts";
import { STATE_SIZE, simdCases } from "./simd-cases.ts";
import { SimdCpu } from "./simd-cpu.ts";

const rounds = Number(process.argv[2] ?? 10);
const first = Number(process.argv[3] ?? Date.now() & 0x3fffffff);
console.log(`${rounds} rounds from seed ${first}`);

using cpu = new SimdCpu();
const core = await SimdCore.compile();
core.flushTlb();
const bad = new Map<string, number>();
let total = 0;
for (let seed = first; seed < first + rounds; seed++) {
  const cases = [...simdCases(seed)];
  const output = cpu.run(Buffer.concat(cases.map((c) => c.state)));
  cases.forEach((c, i) => {
    total++;
    const want = new DataView(output.buffer, output.byteOffset + i * STATE_SIZE, STATE_SIZE);
    const list = failures(core, c, want);
    if (list.length === 0) return;
    const name = rowName(c.row);
    const seen = bad.get(name) ?? 0;
    bad.set(name, seen + 1);
    if (seen < 3) console.log(`seed ${seed}: ${name}\n${describeFailure(c, list)}`);
  });
}
for (const [name, count] of bad) console.log(`${count} differ: ${name}`);
console.log(`${total} instructions compared, ${[...bad.values()].reduce((a, b) => a + b, 0)} differ`);
process.exitCode = bad.size === 0 ? 0 : 1;
