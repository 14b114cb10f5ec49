// The world every test case runs in: linear memory, descriptors and selectors. The hardware harness builds it with
// mmap and modify_ldt, the core under test with page tables and a GDT and LDT of its own; both read this table.

export const PROT_READ = 1;
export const PROT_WRITE = 2;
export const PROT_EXEC = 4;
/** Filled with INT3, and rewritten by every case. */
export const REGION_CODE = 8;

export interface Region {
  readonly address: number;
  readonly size: number;
  readonly prot: number;
  /** Has pseudo-random first contents, and changes in it are reported. */
  readonly filled: boolean;
}

/** All regions, and the unmapped pages between them, lie in these 64 KiB, so a 16-bit segment reaches everything. */
export const WORLD_BASE = 0x20000000;

export const DATA = WORLD_BASE + 0x2000;
export const DATA_SIZE = 0x2000;
export const RODATA = WORLD_BASE + 0x6000;
export const STACK = WORLD_BASE + 0x8000;
export const STACK_SIZE = 0x1000;
export const CODE = WORLD_BASE + 0xc000;
export const CODE_SIZE = 0x2000;

export const REGIONS: readonly Region[] = [
  { address: DATA, size: DATA_SIZE, prot: PROT_READ | PROT_WRITE, filled: true },
  { address: RODATA, size: 0x1000, prot: PROT_READ, filled: true },
  { address: STACK, size: STACK_SIZE, prot: PROT_READ | PROT_WRITE, filled: true },
  { address: CODE, size: CODE_SIZE, prot: PROT_READ | PROT_WRITE | PROT_EXEC | REGION_CODE, filled: false },
];

/** First contents of a filled byte. */
export function fillByte(address: number): number {
  let h = Math.imul(address ^ 0x5bd1e995, 0x9e3779b1);
  h = Math.imul(h ^ (h >>> 15), 0x85ebca6b);
  return (h ^ (h >>> 13)) & 0xff;
}

export interface Descriptor {
  readonly index: number;
  readonly base: number;
  /** In bytes, or in 4 KiB units with `pages`. */
  readonly limit: number;
  readonly kind: "data" | "expandDown" | "code" | "conforming";
  readonly big: boolean;
  /** Data: read only. Code: execute only. */
  readonly restricted?: boolean;
  readonly pages?: boolean;
  readonly absent?: boolean;
}

const B = WORLD_BASE;
/** The LDT; every descriptor has DPL 3. */
export const LDT: readonly Descriptor[] = [
  { index: 1, base: B, limit: 0xffff, kind: "code", big: false },
  { index: 2, base: B, limit: 0xffff, kind: "data", big: false },
  { index: 3, base: B, limit: 0xffff, kind: "data", big: true },
  { index: 4, base: DATA, limit: 0x17ff, kind: "data", big: false },
  { index: 5, base: B, limit: 0x27ff, kind: "expandDown", big: false },
  { index: 6, base: B, limit: 0x2fff, kind: "expandDown", big: true },
  { index: 7, base: B, limit: 0xffff, kind: "data", big: false, restricted: true },
  { index: 8, base: B, limit: 0xffff, kind: "code", big: true },
  { index: 9, base: B, limit: 0xffff, kind: "code", big: true, restricted: true },
  { index: 10, base: B, limit: 0xffff, kind: "code", big: false, absent: true },
  { index: 11, base: B, limit: 0xffff, kind: "data", big: true, absent: true },
  { index: 12, base: B, limit: 0xffff, kind: "conforming", big: true, absent: true },
  { index: 13, base: STACK, limit: 0x7ff, kind: "data", big: true },
  { index: 14, base: B, limit: 0x87ff, kind: "expandDown", big: false },
  { index: 15, base: B, limit: 0xcfff, kind: "code", big: true },
  { index: 16, base: B, limit: 0xf, kind: "data", big: true, pages: true },
  { index: 17, base: DATA + 0xffd, limit: 0xfff, kind: "data", big: true },
  { index: 18, base: B, limit: 0xffff, kind: "code", big: false, restricted: true },
];

/** Selector of an LDT entry, RPL 3. */
export function ldtSelector(index: number): number {
  return (index << 3) | 7;
}

/** Selectors of the GDT that the operating system of the recording machine has and the test machine copies. */
export const USER_CS = 0x23;
export const USER_DS = 0x2b;
export const KERNEL_DS = 0x18;

/** Segment numbers, in the order of ModRM.reg. */
export const ES = 0;
export const CS = 1;
export const SS = 2;
export const DS = 3;
export const FS = 4;
export const GS = 5;

export interface Segment {
  readonly base: number;
  /** First and last valid offset. */
  readonly low: number;
  readonly high: number;
  readonly big: boolean;
  readonly readable: boolean;
  readonly writable: boolean;
}

const NULL_SEGMENT: Segment = { base: 0, low: 1, high: 0, big: false, readable: false, writable: false };
const FLAT: Segment = { base: 0, low: 0, high: 0xffffffff, big: true, readable: true, writable: true };
const segments = new Map<number, Segment>([
  [USER_CS, { ...FLAT, writable: false }],
  [USER_DS, FLAT],
  [0, NULL_SEGMENT],
]);
for (const d of LDT) {
  const limit = d.pages ? d.limit * 4096 + 4095 : d.limit;
  const down = d.kind === "expandDown";
  segments.set(ldtSelector(d.index), {
    base: d.base,
    low: down ? limit + 1 : 0,
    high: down ? (d.big ? 0xffffffff : 0xffff) : limit,
    big: d.big,
    readable: !d.absent && ((d.kind !== "code" && d.kind !== "conforming") || !d.restricted),
    writable: !d.absent && d.kind !== "code" && d.kind !== "conforming" && !d.restricted,
  });
}

/** What a selector that a case starts with gives. */
export function segmentOf(selector: number): Segment {
  const s = segments.get(selector);
  if (!s) throw new Error(`selector ${selector.toString(16)} is not in the test world`);
  return s;
}

/** The `bits` word of Linux's struct user_desc. */
export function userDescBits(d: Descriptor): number {
  const contents = { data: 0, expandDown: 1, code: 2, conforming: 3 }[d.kind];
  return (d.big ? 1 : 0) | (contents << 1) | (d.restricted ? 8 : 0) | (d.pages ? 16 : 0) | (d.absent ? 32 : 0) | 64;
}

/** The eight bytes of the descriptor, as modify_ldt makes it (accessed, DPL 3). */
export function descriptorBytes(d: Descriptor): Uint8Array {
  const code = d.kind === "code" || d.kind === "conforming";
  const type =
    1 | (code ? 8 : 0) | (d.kind === "expandDown" || d.kind === "conforming" ? 4 : 0) | (d.restricted ? 0 : 2);
  const access = type | 0x10 | 0x60 | (d.absent ? 0 : 0x80);
  // AVL is what user_desc calls `useable`.
  const flags = (d.big ? 0x40 : 0) | (d.pages ? 0x80 : 0) | 0x10;
  return Uint8Array.of(
    d.limit & 0xff,
    (d.limit >> 8) & 0xff,
    d.base & 0xff,
    (d.base >> 8) & 0xff,
    (d.base >> 16) & 0xff,
    access,
    flags | ((d.limit >> 16) & 15),
    d.base >>> 24,
  );
}
