// The recorded vectors of tools/oracle/x87.c: "X87V", u16 number of reals, u16 number of values for each kind of memory
// operand, the reals (10 bytes each), the memory values (seven kinds), then records up to the end.
import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";

export interface Vector {
  readonly opcode: number;
  readonly modrm: number;
  /** Operand kind; an upper-case letter means that `memory` is what the instruction stored. */
  readonly kind: string;
  /** Registers in use. */
  readonly depth: number;
  /** FINCSTPs before they were loaded. */
  readonly turns: number;
  readonly fcw: number;
  readonly eflags: number;
  /** Condition codes and flags before. */
  readonly fsw: number;
  /** ST(0)..ST(7) before, 10 bytes each; only the first `depth` are loaded. */
  readonly stack: readonly Uint8Array[];
  readonly operand: Uint8Array;
  readonly out: {
    readonly fsw: number;
    readonly ftw: number;
    readonly eflags: number;
    readonly ax: number;
    readonly fcw: number;
    readonly st0: Uint8Array;
    readonly st1: Uint8Array;
    readonly memory: Uint8Array | undefined;
  };
}

const KINDS = "fdtwlqb";
const UNTOUCHED = new Uint8Array(10).fill(0xcc);

export function readVectors(path: string | URL): Buffer {
  return gunzipSync(readFileSync(path));
}

export function* vectors(file: Buffer): Generator<Vector> {
  if (file.toString("latin1", 0, 4) !== "X87V") throw new Error("not a recording of x87.c");
  const reals = file.readUInt16LE(4);
  const mems = file.readUInt16LE(6);
  const ten = (at: number): Uint8Array => file.subarray(at, at + 10);
  const real = (i: number): Uint8Array => ten(8 + 10 * (i % reals));
  let p = 8 + 10 * reals + 70 * mems;
  while (p < file.length) {
    const u16 = (n: number): number => file.readUInt16LE(p + n);
    const kind = String.fromCharCode(file[p + 2] as number);
    const stores = kind >= "A" && kind <= "Z";
    const first = u16(6);
    const memKind = KINDS.indexOf(kind);
    yield {
      opcode: file[p] as number,
      modrm: file[p + 1] as number,
      kind,
      depth: (file[p + 3] as number) & 15,
      turns: (file[p + 3] as number) >> 4,
      fcw: u16(4),
      eflags: u16(12),
      fsw: u16(14),
      stack: Array.from({ length: 8 }, (_, i) => (i === 1 ? real(u16(8)) : real(first + 7 * i))),
      operand: memKind >= 0 ? ten(8 + 10 * (reals + memKind * mems + u16(10))) : UNTOUCHED,
      out: {
        fsw: u16(16),
        ftw: u16(18),
        eflags: u16(20),
        ax: u16(22),
        fcw: u16(24),
        st0: ten(p + 26),
        st1: ten(p + 36),
        memory: stores ? ten(p + 46) : undefined,
      },
    };
    p += stores ? 56 : 46;
  }
}
