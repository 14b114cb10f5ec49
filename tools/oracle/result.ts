// What an instruction did: the harness reports it, a fixture stores it, the core under test produces it.
import {
  CASE_ADDRESS,
  CASE_ANY_FAULT_ADDRESS,
  CASE_CODE,
  CASE_CODE_LENGTH,
  CASE_EFLAGS,
  CASE_EIP,
  CASE_FLAGS,
  CASE_INT3,
  CASE_PATCH_COUNT,
  CASE_REGS,
  CASE_SELECTORS,
  CASE_UNDEFINED,
  CASE_UNDEFINED_ADDRESS,
  CASE_UNDEFINED_LENGTH,
  CASE_UNDEFINED_ON_FAULT,
  CASE_UNDEFINED_REGS,
  FLAGS_COMPARED,
  NO_VECTOR,
  patchesOffset,
  RESULT_CR2,
  RESULT_DIFF_COUNT,
  RESULT_DIFFS,
  RESULT_EFLAGS,
  RESULT_EIP,
  RESULT_ERROR,
  RESULT_REGS,
  RESULT_SELECTORS,
  RESULT_VECTOR,
} from "./format.ts";

export interface MemoryChange {
  address: number;
  bytes: Uint8Array;
}

export class Result {
  /** Exception vector, or NO_VECTOR. */
  vector = NO_VECTOR;
  error = 0;
  /** Faulting linear address, for #PF. */
  cr2 = 0;
  readonly regs = new Uint32Array(8);
  eip = 0;
  eflags = 0;
  readonly selectors = new Uint16Array(6);
  changes: MemoryChange[] = [];
}

/** Vectors that push an error code. */
const WITH_ERROR = new Set([8, 10, 11, 12, 13, 14, 17]);

/** Reads the result at `at` of what the harness wrote; returns the offset of the next one. */
export function readResult(view: DataView, at: number, r: Result): number {
  r.vector = view.getUint8(at + RESULT_VECTOR);
  r.error = WITH_ERROR.has(r.vector) ? view.getUint32(at + RESULT_ERROR, true) : 0;
  r.cr2 = view.getUint32(at + RESULT_CR2, true);
  for (let i = 0; i < 8; i++) r.regs[i] = view.getUint32(at + RESULT_REGS + i * 4, true);
  r.eip = view.getUint32(at + RESULT_EIP, true);
  r.eflags = view.getUint32(at + RESULT_EFLAGS, true);
  for (let i = 0; i < 6; i++) r.selectors[i] = view.getUint16(at + RESULT_SELECTORS + i * 2, true);
  r.changes = [];
  let p = at + RESULT_DIFFS;
  for (let n = view.getUint8(at + RESULT_DIFF_COUNT); n > 0; n--) {
    const length = view.getUint32(p + 4, true);
    r.changes.push({
      address: view.getUint32(p, true),
      bytes: new Uint8Array(view.buffer, view.byteOffset + p + 8, length).slice(),
    });
    p += 8 + ((length + 3) & ~3);
  }
  return p;
}

/** EFLAGS bits that count in a case. */
export function comparedFlags(cases: DataView, at: number): number {
  const visible = cases.getUint8(at + CASE_FLAGS) & CASE_INT3 ? FLAGS_COMPARED | 0x100 : FLAGS_COMPARED;
  return visible & ~cases.getUint32(at + CASE_UNDEFINED, true);
}

/** True when EIP is no longer at the case's instruction. */
function wentElsewhere(cases: DataView, at: number, r: Result): boolean {
  return (
    r.eip !== cases.getUint32(at + CASE_EIP, true) || r.selectors[1] !== cases.getUint16(at + CASE_SELECTORS + 2, true)
  );
}

/**
 * Brings a result into the form in which results are compared: what the SDM leaves undefined is zero, memory changes
 * are sorted and cut at what is undefined, and flags outside the comparison are zero.
 */
export function normalise(cases: DataView, at: number, r: Result): void {
  const flags = cases.getUint8(at + CASE_FLAGS);
  if ((r.vector === 14 || r.vector === 13) && wentElsewhere(cases, at, r)) {
    // The instruction completed; what faults is the fetch of the next one.
    r.vector = NO_VECTOR;
    r.error = 0;
  }
  if (r.vector === 14 && flags & CASE_ANY_FAULT_ADDRESS) {
    r.cr2 = 0;
    r.error = 0;
  }
  r.eflags &= comparedFlags(cases, at);
  const regs = cases.getUint32(at + CASE_UNDEFINED_REGS, true);
  const undefinedNow = (r.vector === NO_VECTOR) === ((flags & CASE_UNDEFINED_ON_FAULT) === 0);
  if (regs && undefinedNow) for (let i = 0; i < 8; i++) if (regs & (1 << i)) r.regs[i] = 0;
  if (r.vector !== 14) r.cr2 = 0;
  // A null selector other than 0 becomes 0 when an interrupt happens to return to CPL 3 (SDM 2A IRET).
  for (let i = 0; i < 6; i++) if ((r.selectors[i] as number) <= 3) r.selectors[i] = 0;
  const length = cases.getUint8(at + CASE_UNDEFINED_LENGTH);
  if (length === 0 || r.changes.length === 0) return;
  if (r.vector === NO_VECTOR && flags & CASE_UNDEFINED_ON_FAULT) return;
  const from = cases.getUint32(at + CASE_UNDEFINED_ADDRESS, true);
  const kept: MemoryChange[] = [];
  for (const c of r.changes) {
    let start = -1;
    for (let i = 0; i <= c.bytes.length; i++) {
      const k = c.address + i - from;
      const counts = i < c.bytes.length && !(k >= 0 && k < length);
      if (counts && start < 0) start = i;
      if (!counts && start >= 0) {
        kept.push({ address: c.address + start, bytes: c.bytes.subarray(start, i) });
        start = -1;
      }
    }
  }
  r.changes = kept;
}

const hex = (v: number, digits = 8): string => (v >>> 0).toString(16).padStart(digits, "0");
const REGISTER_NAMES = ["eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi"] as const;
const SEGMENT_NAMES = ["es", "cs", "ss", "ds", "fs", "gs"] as const;
const VECTORS = "#DE #DB NMI #BP #OF #BR #UD #NM #DF CSO #TS #NP #SS #GP #PF 15 #MF #AC #MC #XM".split(" ");
const FLAG_NAMES: readonly (readonly [number, string])[] = [
  [0x800, "O"],
  [0x80, "S"],
  [0x40, "Z"],
  [0x10, "A"],
  [0x4, "P"],
  [0x1, "C"],
  [0x400, "D"],
  [0x100, "T"],
  [0x4000, "NT"],
  [0x40000, "AC"],
  [0x200000, "ID"],
];

export function flagText(f: number): string {
  return FLAG_NAMES.map(([bit, name]) => (f & bit ? name : "-".repeat(name.length))).join("");
}

export function vectorText(v: number): string {
  return v === NO_VECTOR ? "completed" : (VECTORS[v] ?? `exit ${v}`);
}

const bytesText = (b: Uint8Array): string => Array.from(b, (x) => hex(x, 2)).join(" ");

/** Differences between two normalised results, one line each; empty when they agree. */
export function compareResults(expected: Result, got: Result): string[] {
  const out: string[] = [];
  const differ = (name: string, e: string, g: string): void => {
    out.push(`${name}: expected ${e}, got ${g}`);
  };
  if (expected.vector !== got.vector) differ("outcome", vectorText(expected.vector), vectorText(got.vector));
  else if (expected.error !== got.error)
    differ(`${vectorText(expected.vector)} error code`, hex(expected.error), hex(got.error));
  if (expected.vector === got.vector && expected.cr2 !== got.cr2) differ("cr2", hex(expected.cr2), hex(got.cr2));
  for (let i = 0; i < 8; i++) {
    if (expected.regs[i] !== got.regs[i])
      differ(REGISTER_NAMES[i] as string, hex(expected.regs[i] as number), hex(got.regs[i] as number));
  }
  if (expected.eip !== got.eip) differ("eip", hex(expected.eip), hex(got.eip));
  if (expected.eflags !== got.eflags) differ("flags", flagText(expected.eflags), flagText(got.eflags));
  for (let i = 0; i < 6; i++) {
    if (expected.selectors[i] !== got.selectors[i])
      differ(SEGMENT_NAMES[i] as string, hex(expected.selectors[i] as number, 4), hex(got.selectors[i] as number, 4));
  }
  const text = (r: Result): string =>
    r.changes.map((c) => `[${hex(c.address)}]=${bytesText(c.bytes)}`).join(" ") || "unchanged";
  if (!sameChanges(expected, got)) differ("memory", text(expected), text(got));
  return out;
}

function sameChanges(a: Result, b: Result): boolean {
  if (a.changes.length !== b.changes.length) return false;
  for (let i = 0; i < a.changes.length; i++) {
    const x = a.changes[i] as MemoryChange;
    const y = b.changes[i] as MemoryChange;
    if (x.address !== y.address || x.bytes.length !== y.bytes.length) return false;
    for (let k = 0; k < x.bytes.length; k++) if (x.bytes[k] !== y.bytes[k]) return false;
  }
  return true;
}

/** True when two normalised results agree; the fast path of compareResults. */
export function agree(a: Result, b: Result): boolean {
  if (a.vector !== b.vector || a.error !== b.error || a.cr2 !== b.cr2 || a.eip !== b.eip || a.eflags !== b.eflags)
    return false;
  for (let i = 0; i < 8; i++) if (a.regs[i] !== b.regs[i]) return false;
  for (let i = 0; i < 6; i++) if (a.selectors[i] !== b.selectors[i]) return false;
  return sameChanges(a, b);
}

/** The state a case starts from, for reports. */
export function describeCase(cases: DataView, at: number): string[] {
  const u32 = (o: number): number => cases.getUint32(at + o, true);
  const code = new Uint8Array(cases.buffer, cases.byteOffset + at + CASE_CODE, cases.getUint8(at + CASE_CODE_LENGTH));
  const regs = REGISTER_NAMES.map((n, i) => `${n}=${hex(u32(CASE_REGS + i * 4))}`);
  const selectors = SEGMENT_NAMES.map((n, i) => `${n}=${hex(cases.getUint16(at + CASE_SELECTORS + i * 2, true), 4)}`);
  const out = [
    `bytes ${bytesText(code)}  at linear ${hex(u32(CASE_ADDRESS))}, eip ${hex(u32(CASE_EIP))}`,
    regs.slice(0, 4).join(" "),
    regs.slice(4).join(" "),
    `flags ${flagText(u32(CASE_EFLAGS))}  ${selectors.join(" ")}`,
  ];
  let p = at + patchesOffset(code.length);
  const patches: string[] = [];
  for (let n = cases.getUint8(at + CASE_PATCH_COUNT); n > 0; n--) {
    const length = cases.getUint32(p + 4, true);
    patches.push(
      `[${hex(cases.getUint32(p, true))}]=${bytesText(new Uint8Array(cases.buffer, cases.byteOffset + p + 8, length))}`,
    );
    p += 8 + ((length + 3) & ~3);
  }
  if (patches.length) out.push(`memory ${patches.join(" ")}`);
  return out;
}
