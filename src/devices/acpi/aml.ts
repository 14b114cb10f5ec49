// A small assembler of ACPI Machine Language (ACPI 6.5, chapter 20): functions that give one term each, and `assemble`.

import { ascii, u16, u32 } from "../table-bytes.ts";

/** A term: bytes, nested as the terms are. They are copied once, when all are there: every VM begins with this. */
export type Aml = number | Package | readonly Aml[];

/** What its own length precedes (PkgLength, 20.2.4). */
interface Package {
  readonly body: readonly Aml[];
}

/** Of a table: there is not more room below 1 MiB. */
const LONGEST = 0x10000;
const PACKAGE_LENGTH_MAX_BYTES = 3;

/** Written from the end, where the length of a package is known when it is its turn. Throws RangeError beyond 64 KiB. */
export function assemble(term: Aml): Uint8Array {
  const bytes = new Uint8Array(LONGEST);
  const start = writeBefore(bytes, LONGEST, term);
  if (start < PACKAGE_LENGTH_MAX_BYTES) throw new RangeError("An AML table is longer than 64 KiB.");
  return bytes.subarray(start);
}

/** Writes `term` so that it ends at `end`; gives where it begins. */
function writeBefore(bytes: Uint8Array, end: number, term: Aml): number {
  if (typeof term === "number") {
    bytes[end - 1] = term;
    return end - 1;
  }
  if ("body" in term) return writeLength(bytes, writeBefore(bytes, end, term.body), end);
  let at = end;
  for (let i = term.length - 1; i >= 0; i--) at = writeBefore(bytes, at, term[i] as Aml);
  return at;
}

/** Of a package whose body is from `start` to `end`. It counts itself. */
function writeLength(bytes: Uint8Array, start: number, end: number): number {
  const body = end - start;
  if (body + 1 < 0x40) {
    bytes[start - 1] = body + 1;
    return start - 1;
  }
  let more = 1;
  while (body + 1 + more >= 1 << (4 + 8 * more)) more++;
  const length = body + 1 + more;
  const at = start - 1 - more;
  bytes[at] = (more << 6) | (length & 0x0f);
  for (let i = 0; i < more; i++) bytes[at + 1 + i] = length >> (4 + 8 * i);
  return at;
}

const enum AmlOp {
  Zero = 0x00,
  One = 0x01,
  Name = 0x08,
  Byte = 0x0a,
  Word = 0x0b,
  Dword = 0x0c,
  String = 0x0d,
  Scope = 0x10,
  Buffer = 0x11,
  Package = 0x12,
  Method = 0x14,
  Ext = 0x5b,
  RootChar = 0x5c,
  DualName = 0x2e,
  MultiName = 0x2f,
  Local0 = 0x60,
  Arg0 = 0x68,
  Store = 0x70,
  And = 0x7b,
  Notify = 0x86,
  ExtOpRegion = 0x80,
  ExtField = 0x81,
  ExtDevice = 0x82,
  If = 0xa0,
  Return = 0xa4,
}

const NAME_SEGMENT = 4;

/** Name segments of up to four characters, padded; a leading backslash means the root. */
export function name(path: string): number[] {
  const root = path.startsWith("\\");
  const segments = (root ? path.slice(1) : path).split(".");
  const bytes: number[] = root ? [AmlOp.RootChar] : [];
  if (segments.length === 2) bytes.push(AmlOp.DualName);
  else if (segments.length > 2) bytes.push(AmlOp.MultiName, segments.length);
  for (const segment of segments)
    for (let i = 0; i < NAME_SEGMENT; i++) bytes.push(i < segment.length ? segment.charCodeAt(i) : 0x5f);
  return bytes;
}

export function integer(value: number): number[] {
  if (value === 0) return [AmlOp.Zero];
  if (value === 1) return [AmlOp.One];
  if (value < 0x100) return [AmlOp.Byte, value];
  if (value < 0x10000) return [AmlOp.Word, value & 0xff, value >> 8];
  return [AmlOp.Dword, ...u32(value)];
}

export function string(text: string): number[] {
  return [AmlOp.String, ...ascii(text), 0];
}

export function buffer(bytes: readonly number[]): Aml {
  return [AmlOp.Buffer, { body: [integer(bytes.length), bytes] }];
}

export function pack(...elements: Aml[]): Aml {
  return [AmlOp.Package, { body: [elements.length, elements] }];
}

export function define(path: string, value: Aml): Aml {
  return [AmlOp.Name, name(path), value];
}

export function scope(path: string, ...terms: Aml[]): Aml {
  return [AmlOp.Scope, { body: [name(path), terms] }];
}

export function device(path: string, ...terms: Aml[]): Aml {
  return [AmlOp.Ext, AmlOp.ExtDevice, { body: [name(path), terms] }];
}

/** A method without side effects on other threads: not serialized. */
export function method(path: string, argumentCount: number, ...terms: Aml[]): Aml {
  return [AmlOp.Method, { body: [name(path), argumentCount, terms] }];
}

export function ifTrue(condition: Aml, ...terms: Aml[]): Aml {
  return [AmlOp.If, { body: [condition, terms] }];
}

export function giveBack(value: Aml): Aml {
  return [AmlOp.Return, value];
}

export function store(value: Aml, target: Aml): Aml {
  return [AmlOp.Store, value, target];
}

export function notify(object: Aml, value: Aml): Aml {
  return [AmlOp.Notify, object, value];
}

/** The bits that both have, as a value: its target is none. */
export function and(left: Aml, right: Aml): Aml {
  return [AmlOp.And, left, right, AmlOp.Zero];
}

/** A range of I/O ports, and names for its 32-bit registers in order (19.6.100, 19.6.46). */
export function portRegisters(region: string, first: number, names: readonly string[]): Aml {
  const REGION_IO = 1;
  // 32-bit accesses, no lock, what is not written is kept.
  const FIELD_FLAGS = 0x03;
  // A width below 64 bits is its own length in one byte.
  const fields = names.map((field) => [name(field), 32]);
  return [
    AmlOp.Ext,
    AmlOp.ExtOpRegion,
    name(region),
    REGION_IO,
    integer(first),
    integer(names.length * 4),
    AmlOp.Ext,
    AmlOp.ExtField,
    { body: [name(region), FIELD_FLAGS, fields] },
  ];
}

export const arg0: Aml = [AmlOp.Arg0];
export const local0: Aml = [AmlOp.Local0];

/** EISAID("PNP0501"): three letters of five bits and four hex digits, big endian (19.6.37). */
export function eisaId(id: string): number[] {
  const letter = (i: number): number => id.charCodeAt(i) - 0x40;
  const vendor = (letter(0) << 10) | (letter(1) << 5) | letter(2);
  const product = Number.parseInt(id.slice(3), 16);
  return [AmlOp.Dword, vendor >> 8, vendor & 0xff, product >> 8, product & 0xff];
}

// ---- resource descriptors (6.4)

export const resources = {
  /** Fixed I/O ports, 16-bit decode. */
  ports: (first: number, count: number): number[] => [0x47, 0x01, ...u16(first), ...u16(first), 1, count],
  /** One edge-triggered, active-high ISA interrupt. */
  irq: (irq: number): number[] => [0x22, ...u16(1 << irq)],
  /** Fixed memory, read only. */
  memory: (base: number, bytes: number): number[] => [0x86, ...u16(9), 0, ...u32(base), ...u32(bytes)],
  busRange: (first: number, last: number): number[] => wordSpace(2, 0, first, last),
  portWindow: (first: number, last: number): number[] => wordSpace(1, 0x03, first, last),
  /** Read-write memory that a bridge passes on. */
  memoryWindow: (first: number, last: number, cacheable: boolean): number[] => [
    0x87,
    0x17,
    0,
    0,
    PRODUCER_FIXED,
    cacheable ? 0x03 : 0x01,
    ...u32(0),
    ...u32(first),
    ...u32(last),
    ...u32(0),
    ...u32(last - first + 1),
  ],
  /** A whole _CRS: the descriptors and the end tag (its checksum 0 means "not checked"). */
  list: (...descriptors: (readonly number[])[]): Aml => buffer([...descriptors.flat(), 0x79, 0x00]),
};

/** Producer, positive decode, minimum and maximum fixed. */
const PRODUCER_FIXED = 0x0c;

function wordSpace(type: number, flags: number, first: number, last: number): number[] {
  return [
    0x88,
    0x0d,
    0,
    type,
    PRODUCER_FIXED,
    flags,
    ...u16(0),
    ...u16(first),
    ...u16(last),
    ...u16(0),
    ...u16(last - first + 1),
  ];
}
