// Every MMX and SSE row against results recorded on a real CPU (tools/oracle/simd-record.ts), bit for bit: registers,
// memory, MXCSR flags, EFLAGS, x87 tags, and whether it faulted. RCP and RSQRT differ between processors and are held
// to the SDM's error bound.
import { readFileSync } from "node:fs";
import { brotliDecompressSync } from "node:zlib";
import { beforeAll, describe, expect, it } from "vitest";
import * as S from "../../tools/oracle/simd-cases.ts";
import { describeFailure, failures, rowName } from "./simd-compare.ts";
import { SimdCore } from "./simd-core.ts";

let core: SimdCore;

/** The recorded states, by row. */
function recorded(): Map<string, { c: S.SimdCase; want: DataView }[]> {
  const packed = brotliDecompressSync(readFileSync(new URL("fixtures/simd.bin", import.meta.url)));
  const words = new Uint32Array(packed.buffer, packed.byteOffset, packed.length >> 2);
  const byRow = new Map<string, { c: S.SimdCase; want: DataView }[]>();
  let next = 0;
  for (const c of S.simdCases()) {
    const want = new DataView(c.state.slice().buffer);
    const changed = words[next++] as number;
    for (let i = 0; i < 32; i++) if ((changed >>> i) & 1) want.setUint32(i * 4, words[next++] as number, true);
    const key = rowName(c.row);
    const list = byRow.get(key);
    if (list === undefined) byRow.set(key, [{ c, want }]);
    else list.push({ c, want });
  }
  if (next !== words.length) throw new Error("simd.bin does not fit simd-cases.ts: record it again");
  return byRow;
}

describe("MMX and SSE instructions do what the recording CPU did", () => {
  const byRow = recorded();
  beforeAll(async () => {
    core = await SimdCore.compile();
    core.flushTlb();
  }, 60_000);
  for (const [name, cases] of byRow) {
    it(name, () => {
      expect(cases.length).toBeGreaterThanOrEqual(200);
      const bad: string[] = [];
      for (const { c, want } of cases) {
        const list = failures(core, c, want);
        if (list.length !== 0) bad.push(describeFailure(c, list));
      }
      if (bad.length !== 0) expect.fail(`${bad.length} of ${cases.length} differ\n${bad.slice(0, 4).join("\n")}`);
    });
  }
});
