// The two binary streams between generator, hardware harness and core: a batch of cases, and a result for each.
// Little endian, everything 4-byte aligned; harness.c has the same layouts as C structs.
import { fillByte, LDT, REGIONS, userDescBits } from "./world.ts";

export const BATCH_MAGIC = 0x4c43524f;

/** The case stops at the INT3 bytes around it instead of by single step. */
export const CASE_INT3 = 1;
/** A repeated string instruction: the core runs until EIP has left it. */
export const CASE_REPEAT = 2;
/** The undefined memory of the case counts again when the instruction completes: a fault may leave half a push behind. */
export const CASE_UNDEFINED_ON_FAULT = 4;
/** Several accesses may fault, and the SDM does not say which one does first: CR2 and the error code are not compared. */
export const CASE_ANY_FAULT_ADDRESS = 8;
/** The instruction shows, changes or holds off EFLAGS.TF: single step would not be the same. */
export const CASE_NO_STEP = 32;
/** A sequence of thousands of instructions: no small budgets. */
export const CASE_HOT = 64;
/** Several instructions; the core runs until something stops it. */
export const CASE_SEQUENCE = 16;

export const CASE_SIZE = 0;
export const CASE_CODE_LENGTH = 2;
export const CASE_FLAGS = 3;
export const CASE_ADDRESS = 4;
export const CASE_EIP = 8;
export const CASE_REGS = 12;
export const CASE_EFLAGS = 44;
export const CASE_SELECTORS = 48;
/** EFLAGS bits that the SDM leaves undefined for this case. */
export const CASE_UNDEFINED = 60;
/** Index of the form in its generator's list. */
export const CASE_FORM = 64;
/** Bit i: the SDM leaves general register i undefined. */
export const CASE_UNDEFINED_REGS = 68;
/** CASE_UNDEFINED_LENGTH bytes of memory from here that the SDM leaves undefined. */
export const CASE_UNDEFINED_ADDRESS = 72;
export const CASE_PATCH_COUNT = 76;
export const CASE_UNDEFINED_LENGTH = 77;
/** At least 16 bytes, padded to 4; the patches follow. */
export const CASE_CODE = 80;
export const CASE_CODE_MAX = 240;

/** Offset of a case's patches, by the length of its code. */
export function patchesOffset(codeLength: number): number {
  return CASE_CODE + (codeLength <= 16 ? 16 : (codeLength + 3) & ~3);
}

export const RESULT_VECTOR = 2;
export const RESULT_DIFF_COUNT = 3;
export const RESULT_ERROR = 4;
export const RESULT_CR2 = 8;
export const RESULT_REGS = 12;
export const RESULT_EIP = 44;
export const RESULT_EFLAGS = 48;
export const RESULT_SELECTORS = 52;
export const RESULT_DIFFS = 64;
export const NO_VECTOR = 0xff;

/** EFLAGS that are compared: all but RF, and TF, which counts only where the harness does not use it. */
export const FLAGS_COMPARED = 0x003e_7ed5;

export interface Patch {
  readonly address: number;
  readonly bytes: readonly number[] | Uint8Array;
}

/** One test case as the generators build it. A generator reuses one object. */
export class TestCase {
  flags = 0;
  /** Linear address and CS-relative offset of the instruction. */
  address = 0;
  eip = 0;
  readonly regs = new Uint32Array(8);
  eflags = 0x202;
  /** ES CS SS DS FS GS. */
  readonly selectors = new Uint16Array(6);
  undefinedFlags = 0;
  undefinedRegs = 0;
  undefinedAddress = 0;
  undefinedLength = 0;
  form = 0;
  code: number[] = [];
  patches: Patch[] = [];

  reset(): void {
    this.flags = 0;
    this.undefinedFlags = 0;
    this.undefinedRegs = 0;
    this.undefinedAddress = 0;
    this.undefinedLength = 0;
    this.eflags = 0x202;
    this.code.length = 0;
    this.patches.length = 0;
  }

  /** Leaves memory out of the comparison. */
  undefine(address: number, length: number): void {
    this.undefinedAddress = address;
    this.undefinedLength = length;
  }
}

function headerBytes(): Buffer {
  const filled = REGIONS.filter((r) => r.filled);
  const tables = 16 + REGIONS.length * 16 + LDT.length * 16;
  const b = Buffer.alloc(4 + tables + filled.reduce((n, r) => n + r.size, 0));
  let p = 4;
  const u32 = (v: number) => {
    b.writeUInt32LE(v >>> 0, p);
    p += 4;
  };
  for (const v of [BATCH_MAGIC, REGIONS.length, LDT.length, 0]) u32(v);
  for (const r of REGIONS) for (const v of [r.address, r.size, r.prot, r.filled ? 1 : 0]) u32(v);
  for (const d of LDT) for (const v of [d.index, d.base, d.limit, userDescBits(d)]) u32(v);
  for (const r of filled) for (let i = 0; i < r.size; i++) b[p++] = fillByte(r.address + i);
  return b;
}

const HEADER = headerBytes();
const MAX_CASE = 1024;

/** Collects cases into the bytes that the harness reads. */
export class Batch {
  #bytes = Buffer.alloc(HEADER.length + (1 << 20));
  #view = new DataView(this.#bytes.buffer, this.#bytes.byteOffset);
  #end = HEADER.length;
  count = 0;

  constructor() {
    HEADER.copy(this.#bytes);
  }

  clear(): void {
    this.#end = HEADER.length;
    this.count = 0;
  }

  add(c: TestCase): void {
    if (this.#end + MAX_CASE > this.#bytes.length) {
      const bigger = Buffer.alloc(this.#bytes.length * 2);
      this.#bytes.copy(bigger);
      this.#bytes = bigger;
      this.#view = new DataView(bigger.buffer, bigger.byteOffset);
    }
    const v = this.#view;
    const at = this.#end;
    if (c.code.length > CASE_CODE_MAX) throw new Error(`a case has ${c.code.length} code bytes`);
    v.setUint8(at + CASE_CODE_LENGTH, c.code.length);
    v.setUint8(at + CASE_FLAGS, c.flags);
    v.setUint32(at + CASE_ADDRESS, c.address, true);
    v.setUint32(at + CASE_EIP, c.eip, true);
    for (let i = 0; i < 8; i++) v.setUint32(at + CASE_REGS + i * 4, c.regs[i] as number, true);
    v.setUint32(at + CASE_EFLAGS, c.eflags, true);
    for (let i = 0; i < 6; i++) v.setUint16(at + CASE_SELECTORS + i * 2, c.selectors[i] as number, true);
    v.setUint32(at + CASE_UNDEFINED, c.undefinedFlags, true);
    v.setUint32(at + CASE_FORM, c.form, true);
    v.setUint32(at + CASE_UNDEFINED_REGS, c.undefinedRegs, true);
    v.setUint32(at + CASE_UNDEFINED_ADDRESS, c.undefinedAddress, true);
    v.setUint32(at + CASE_PATCH_COUNT, c.patches.length | (c.undefinedLength << 8), true);
    let p = at + patchesOffset(c.code.length);
    for (let i = 0; i < p - at - CASE_CODE; i++) v.setUint8(at + CASE_CODE + i, c.code[i] ?? 0);
    for (const patch of c.patches) {
      const n = patch.bytes.length;
      v.setUint32(p, patch.address, true);
      v.setUint32(p + 4, n, true);
      for (let i = 0; i < n; i++) v.setUint8(p + 8 + i, patch.bytes[i] as number);
      p += 8 + ((n + 3) & ~3);
    }
    if (p - at > MAX_CASE) throw new Error("a case is too long");
    v.setUint16(at + CASE_SIZE, p - at, true);
    this.#end = p;
    this.count++;
  }

  /** What the harness reads: size, header, regions, descriptors, contents, cases. */
  get stream(): Buffer {
    this.#view.setUint32(0, this.#end - 4, true);
    this.#view.setUint32(4 + 12, this.count, true);
    return this.#bytes.subarray(0, this.#end);
  }

  /** The cases alone. */
  get cases(): Buffer {
    return this.#bytes.subarray(HEADER.length, this.#end);
  }
}
