// Every two- and three-byte encoding where MMX and SSE live, register and memory form, with each mandatory prefix:
// which of them are instructions at all. What is not must be #UD.
import { STATE_CODE, STATE_EFLAGS, STATE_MEMORY, STATE_MXCSR, STATE_SIZE, STATE_TRAP } from "./simd-cases.ts";

const UD = 6;

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, i) => from + i);
}

const GROUPS = new Set([0x18, 0x71, 0x72, 0x73]);

/** Extensions that the recording CPU has and this core does not: SSE4A, SHA, AES, GFNI, ADX, PCLMULQDQ, INVPCID. */
const FOREIGN = [
  /^(f3|f2) 0f 2b/,
  /^(66|f2) 0f 7[89]/,
  /^0f 38 c[89a-d]/,
  /^66 0f 38 (82|cf|d[b-f]|f6)/,
  /^f3 0f 38 f6/,
  /^0f 3a cc/,
  /^66 0f 3a (44|c[ef]|df)/,
];

/** The bytes up to ModRM, without displacement or immediate. */
export function simdEncodings(): number[][] {
  const list: number[][] = [];
  const maps: [number[], number[]][] = [
    [[0x0f], [...range(0x10, 0x18), ...range(0x28, 0x2f), ...range(0x50, 0x76), ...range(0x78, 0x7f)]],
    [[0x0f], [...range(0xc2, 0xc6), ...range(0xd0, 0xfe)]],
    [[0x0f, 0x38], range(0, 0xff)],
    [[0x0f, 0x3a], range(0, 0xff)],
  ];
  for (const [escapes, opcodes] of maps) {
    for (const opcode of opcodes) {
      for (const prefix of [[], [0x66], [0xf3], [0xf2]]) {
        for (const ext of escapes.length === 1 && GROUPS.has(opcode) ? range(0, 7) : [1]) {
          for (const modrm of [0xc2, 0x06]) list.push([...prefix, ...escapes, opcode, modrm | (ext << 3)]);
        }
      }
    }
  }
  return list.filter((code) => !FOREIGN.some((f) => f.test(encodingName(code))));
}

export function encodingName(code: number[]): string {
  return code.map((b) => b.toString(16).padStart(2, "0")).join(" ");
}

/** State records that execute each encoding, followed by a zero byte where an immediate would be. */
export function encodingStates(): Uint8Array[] {
  return simdEncodings().map((code) => {
    const state = new Uint8Array(STATE_SIZE);
    const v = new DataView(state.buffer);
    v.setUint32(STATE_MXCSR, 0x1f80, true);
    v.setUint32(STATE_MEMORY, 0x1f80, true);
    v.setUint32(STATE_EFLAGS, 2, true);
    state.set([...code, 0x00, 0x90, 0x90], STATE_CODE);
    state[STATE_CODE + 15] = code.length + 3;
    return state;
  });
}

/** One bit an encoding, set where the CPU raised #UD. */
export function undefinedBits(states: Buffer): Uint8Array {
  const bits = new Uint8Array(Math.ceil(states.length / STATE_SIZE / 8));
  for (let i = 0; i * STATE_SIZE < states.length; i++) {
    if (states.readUInt32LE(i * STATE_SIZE + STATE_TRAP) === UD)
      bits[i >> 3] = (bits[i >> 3] as number) | (1 << (i & 7));
  }
  return bits;
}
