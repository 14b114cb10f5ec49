// Records test/isa/fixtures/simd.bin and simd-encodings.bin on this machine's CPU (gcc needed):
//   npx tsx tools/oracle/simd-record.ts
// The first is Brotli-compressed: for each case of simd-cases.ts a u32 bitmap of the 32-bit words of the state that
// changed, then those words. The second: simd-encodings.ts.
import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, constants } from "node:zlib";
import { STATE_CODE, STATE_SIZE, simdCases } from "./simd-cases.ts";
import { SimdCpu } from "./simd-cpu.ts";
import { encodingStates, undefinedBits } from "./simd-encodings.ts";

using cpu = new SimdCpu();
const states = [...simdCases()].map((c) => c.state);
const input = Buffer.concat(states);
const output = cpu.run(input);
const words: number[] = [];
for (let at = 0; at < input.length; at += STATE_SIZE) {
  const slot = words.push(0) - 1;
  let changed = 0;
  for (let i = 0; i < STATE_CODE; i += 4) {
    const after = output.readUInt32LE(at + i);
    if (after === input.readUInt32LE(at + i)) continue;
    changed |= 1 << (i >> 2);
    words.push(after);
  }
  words[slot] = changed >>> 0;
}
const raw = Buffer.from(Uint32Array.from(words).buffer);
const packed = brotliCompressSync(raw, {
  params: { [constants.BROTLI_PARAM_LGWIN]: 22, [constants.BROTLI_PARAM_QUALITY]: 9 },
});
const fixtures = new URL("../../test/isa/fixtures/", import.meta.url);
writeFileSync(fileURLToPath(new URL("simd.bin", fixtures)), packed);
writeFileSync(
  fileURLToPath(new URL("simd-encodings.bin", fixtures)),
  undefinedBits(cpu.run(Buffer.concat(encodingStates()))),
);
console.log(`${states.length} cases, ${raw.length} bytes, ${packed.length} compressed`);
