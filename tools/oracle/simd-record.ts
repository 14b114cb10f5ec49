// Records test/isa/fixtures/simd.bin on this machine's CPU (gcc-multilib needed):
//   npx tsx tools/oracle/simd-record.ts
// The fixture is Brotli-compressed: for each case of simd-cases.ts a u32 bitmap of the 32-bit words of the state that
// changed, then those words.
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, constants } from "node:zlib";
import { STATE_CODE, STATE_SIZE, simdCases } from "./simd-cases.ts";

const directory = mkdtempSync(join(tmpdir(), "simd-oracle-"));
try {
  const program = join(directory, "simd");
  const source = fileURLToPath(new URL("simd.c", import.meta.url));
  execFileSync("gcc", ["-m32", "-O1", "-no-pie", "-fno-pie", "-msse3", "-mssse3", source, "-o", program], { stdio: "inherit" });
  const states = [...simdCases()].map((c) => c.state);
  const input = Buffer.concat(states);
  const output = execFileSync(program, { input, maxBuffer: input.length + 1024 });
  if (output.length !== input.length) throw new Error(`the oracle answered ${output.length} of ${input.length} bytes`);
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
  const packed = brotliCompressSync(raw, { params: { [constants.BROTLI_PARAM_LGWIN]: 22, [constants.BROTLI_PARAM_QUALITY]: 9 } });
  const target = fileURLToPath(new URL("../../test/isa/fixtures/simd.bin", import.meta.url));
  writeFileSync(target, packed);
  console.log(`${states.length} cases, ${raw.length} bytes, ${packed.length} compressed`);
} finally {
  rmSync(directory, { recursive: true });
}
