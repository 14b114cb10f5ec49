// A small assembler of ACPI Machine Language (ACPI 6.5, chapter 20): functions that give the bytes of one term each.

import { u16, u32 } from "../table-bytes.ts";

export type Aml = readonly number[];

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

/** PkgLength counts itself (20.2.4). */
function withLength(body: Aml): number[] {
  if (body.length + 1 < 0x40) return [body.length + 1, ...body];
  for (let extra = 1; extra <= 3; extra++) {
    const length = body.length + 1 + extra;
    if (length >= 1 << (4 + 8 * extra)) continue;
    const bytes = [(extra << 6) | (length & 0x0f)];
    for (let i = 0; i < extra; i++) bytes.push((length >> (4 + 8 * i)) & 0xff);
    return [...bytes, ...body];
  }
  throw new RangeError("An AML package is longer than 256 MiB.");
}

/** Name segments of up to four characters, padded; a leading backslash means the root. */
export function name(path: string): number[] {
  const root = path.startsWith("\\");
  const segments = (root ? path.slice(1) : path).split(".");
  const prefix =
    segments.length === 1 ? [] : segments.length === 2 ? [AmlOp.DualName] : [AmlOp.MultiName, segments.length];
  const bytes = segments.flatMap((segment) => Array.from(segment.padEnd(4, "_"), (c) => c.charCodeAt(0)));
  return [...(root ? [AmlOp.RootChar] : []), ...prefix, ...bytes];
}

export function integer(value: number): number[] {
  if (value === 0) return [AmlOp.Zero];
  if (value === 1) return [AmlOp.One];
  if (value < 0x100) return [AmlOp.Byte, value];
  if (value < 0x10000) return [AmlOp.Word, value & 0xff, value >> 8];
  return [AmlOp.Dword, ...u32(value)];
}

export function string(text: string): number[] {
  return [AmlOp.String, ...Array.from(text, (c) => c.charCodeAt(0)), 0];
}

export function buffer(bytes: Aml): number[] {
  return [AmlOp.Buffer, ...withLength([...integer(bytes.length), ...bytes])];
}

export function pack(...elements: Aml[]): number[] {
  return [AmlOp.Package, ...withLength([elements.length, ...elements.flat()])];
}

export function define(path: string, value: Aml): number[] {
  return [AmlOp.Name, ...name(path), ...value];
}

export function scope(path: string, ...terms: Aml[]): number[] {
  return [AmlOp.Scope, ...withLength([...name(path), ...terms.flat()])];
}

export function device(path: string, ...terms: Aml[]): number[] {
  return [AmlOp.Ext, AmlOp.ExtDevice, ...withLength([...name(path), ...terms.flat()])];
}

/** A method without side effects on other threads: not serialized. */
export function method(path: string, argumentCount: number, ...terms: Aml[]): number[] {
  return [AmlOp.Method, ...withLength([...name(path), argumentCount, ...terms.flat()])];
}

export function ifTrue(condition: Aml, ...terms: Aml[]): number[] {
  return [AmlOp.If, ...withLength([...condition, ...terms.flat()])];
}

export function giveBack(value: Aml): number[] {
  return [AmlOp.Return, ...value];
}

export function store(value: Aml, target: Aml): number[] {
  return [AmlOp.Store, ...value, ...target];
}

export function notify(object: Aml, value: Aml): number[] {
  return [AmlOp.Notify, ...object, ...value];
}

/** The bits that both have, as a value: its target is none. */
export function and(left: Aml, right: Aml): number[] {
  return [AmlOp.And, ...left, ...right, AmlOp.Zero];
}

/** A range of I/O ports, and names for its 32-bit registers in order (19.6.100, 19.6.46). */
export function portRegisters(region: string, first: number, names: readonly string[]): number[] {
  const REGION_IO = 1;
  // 32-bit accesses, no lock, what is not written is kept.
  const FIELD_FLAGS = 0x03;
  // A width below 64 bits is its own length in one byte.
  const fields = names.flatMap((field) => [...name(field), 32]);
  return [
    AmlOp.Ext,
    AmlOp.ExtOpRegion,
    ...name(region),
    REGION_IO,
    ...integer(first),
    ...integer(names.length * 4),
    AmlOp.Ext,
    AmlOp.ExtField,
    ...withLength([...name(region), FIELD_FLAGS, ...fields]),
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
  list: (...descriptors: Aml[]): number[] => buffer([...descriptors.flat(), 0x79, 0x00]),
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
