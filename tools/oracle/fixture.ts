// Fixture files: what hardware did with the cases of each form. Only results are stored; the cases are generated again
// from the form's key and the seed, and a digest shows that they are still the same ones.
//
// File: "PVOR", u32 length of a JSON header, the header, then the sections' data. A section is raw deflate of its
// planes: each kind of field has its own, because neighbours of one kind compress well.
import { constants, deflateRawSync, inflateRawSync } from "node:zlib";
import { CASE_CODE_LENGTH, CASE_EFLAGS, CASE_EIP, CASE_REGS, CASE_SELECTORS, NO_VECTOR } from "./format.ts";
import { comparedFlags, Result } from "./result.ts";
import { WORLD_BASE } from "./world.ts";

export interface Section {
  readonly key: string;
  readonly count: number;
  /** Hash of the cases' bytes. */
  readonly digest: number;
  readonly data: Buffer;
}

export interface FixtureHeader {
  readonly command: string;
  readonly cpu: string;
  readonly seed: number;
  readonly sections: readonly { key: string; count: number; digest: number; bytes: number }[];
}

export interface Fixture {
  readonly header: Omit<FixtureHeader, "sections">;
  readonly sections: Map<string, Section>;
}

export function digestOf(bytes: Uint8Array): number {
  let h = 0x811c9dc5;
  const words = new Uint32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + (bytes.length & ~3)));
  for (const w of words) {
    h = Math.imul(h ^ w, 0x01000193);
    h ^= h >>> 15;
  }
  return h >>> 0;
}

/** Planes of a section. */
const enum Plane {
  Vector,
  Registers,
  Value0,
  Value1,
  Value2,
  Value3,
  Flags0,
  Flags1,
  Flags2,
  Eip,
  Selectors,
  Changes,
  Address,
  Length,
  Bytes,
  Error,
  Cr2,
}
const PLANES = 17;

class Planes {
  readonly lists: number[][] = Array.from({ length: PLANES }, () => []);
  put(p: Plane, byte: number): void {
    (this.lists[p] as number[]).push(byte & 0xff);
  }
  /** Signed, seven bits a byte. */
  number(p: Plane, value: number): void {
    let v = ((value << 1) ^ (value >> 31)) >>> 0;
    while (v >= 0x80) {
      this.put(p, v | 0x80);
      v >>>= 7;
    }
    this.put(p, v);
  }
}

/** Where the case's operand lies, so that addresses are small numbers: the register pointing nearest to the access. */
function nearest(cases: DataView, at: number, address: number): { index: number; delta: number } {
  let index = 8;
  let delta = (address - WORLD_BASE) | 0;
  for (let i = 0; i < 8; i++) {
    const d = (address - cases.getUint32(at + CASE_REGS + i * 4, true)) | 0;
    if (d >= -4096 && d <= 4096 && Math.abs(d) < Math.abs(delta)) {
      index = i;
      delta = d;
    }
  }
  return { index, delta };
}

/** Encodes normalised results of `count` cases. */
export function encodeSection(
  key: string,
  cases: DataView,
  offsets: readonly number[],
  results: readonly Result[],
): Section {
  const planes = new Planes();
  results.forEach((r, n) => {
    const at = offsets[n] as number;
    planes.put(Plane.Vector, r.vector);
    let mask = 0;
    for (let i = 0; i < 8; i++) {
      const x = ((r.regs[i] as number) ^ cases.getUint32(at + CASE_REGS + i * 4, true)) >>> 0;
      if (x === 0) continue;
      mask |= 1 << i;
      for (let b = 0; b < 4; b++) planes.put(Plane.Value0 + b, x >>> (8 * b));
    }
    planes.put(Plane.Registers, mask);
    const flags = r.eflags ^ (cases.getUint32(at + CASE_EFLAGS, true) & comparedFlags(cases, at));
    for (let b = 0; b < 3; b++) planes.put(Plane.Flags0 + b, flags >>> (8 * b));
    planes.number(Plane.Eip, (r.eip - predictedEip(cases, at, r.vector)) | 0);
    let selectorMask = 0;
    for (let i = 0; i < 6; i++)
      if (r.selectors[i] !== cases.getUint16(at + CASE_SELECTORS + i * 2, true)) selectorMask |= 1 << i;
    planes.put(Plane.Selectors, selectorMask);
    for (let i = 0; i < 6; i++) {
      if (!(selectorMask & (1 << i))) continue;
      planes.put(Plane.Selectors, r.selectors[i] as number);
      planes.put(Plane.Selectors, (r.selectors[i] as number) >> 8);
    }
    planes.number(Plane.Changes, r.changes.length);
    let previous = 0;
    for (const c of r.changes) {
      if (previous === 0) {
        const { index, delta } = nearest(cases, at, c.address);
        planes.put(Plane.Changes, index);
        planes.number(Plane.Address, delta);
      } else {
        planes.number(Plane.Address, c.address - previous);
      }
      planes.put(Plane.Length, c.bytes.length);
      for (const b of c.bytes) planes.put(Plane.Bytes, b);
      previous = c.address + c.bytes.length;
    }
    if (r.vector !== NO_VECTOR) {
      planes.number(Plane.Error, r.error);
      if (r.vector === 14) {
        const { index, delta } = nearest(cases, at, r.cr2);
        planes.put(Plane.Error, index);
        planes.number(Plane.Cr2, delta);
      }
    }
  });
  const raw: number[] = [];
  for (const list of planes.lists) {
    for (let b = 0; b < 4; b++) raw.push((list.length >>> (8 * b)) & 0xff);
  }
  const data = deflateRawSync(Buffer.concat([Buffer.from(raw), ...planes.lists.map((l) => Buffer.from(l))]), {
    level: 9,
    memLevel: 9,
    strategy: constants.Z_DEFAULT_STRATEGY,
  });
  return { key, count: results.length, digest: digestOf(bytesOf(cases)), data };
}

function bytesOf(v: DataView): Uint8Array {
  return new Uint8Array(v.buffer, v.byteOffset, v.byteLength);
}

function predictedEip(cases: DataView, at: number, vector: number): number {
  const eip = cases.getUint32(at + CASE_EIP, true);
  return vector === NO_VECTOR ? eip + cases.getUint8(at + CASE_CODE_LENGTH) : eip;
}

/** Calls `each` with every result of the section, in order; the same Result object is used again. */
export function decodeSection(
  section: Section,
  cases: DataView,
  offsets: readonly number[],
  each: (r: Result, n: number) => void,
): void {
  const raw = inflateRawSync(section.data);
  const ends: number[] = [];
  const position: number[] = [];
  let p = PLANES * 4;
  for (let i = 0; i < PLANES; i++) {
    position.push(p);
    p += raw.readUInt32LE(i * 4);
    ends.push(p);
  }
  const take = (plane: Plane): number => {
    const k = position[plane] as number;
    if (k >= (ends[plane] as number)) throw new Error(`the fixture section ${section.key} is cut short`);
    position[plane] = k + 1;
    return raw[k] as number;
  };
  const number = (plane: Plane): number => {
    let v = 0;
    for (let shift = 0; ; shift += 7) {
      const b = take(plane);
      v |= (b & 0x7f) << shift;
      if (b < 0x80) return (v >>> 1) ^ -(v & 1);
    }
  };
  const r = new Result();
  const near = (at: number, index: number, delta: number): number =>
    ((index === 8 ? WORLD_BASE : cases.getUint32(at + CASE_REGS + index * 4, true)) + delta) >>> 0;
  for (let n = 0; n < section.count; n++) {
    const at = offsets[n] as number;
    r.vector = take(Plane.Vector);
    const mask = take(Plane.Registers);
    for (let i = 0; i < 8; i++) {
      let x = 0;
      if (mask & (1 << i)) for (let b = 0; b < 4; b++) x |= take(Plane.Value0 + b) << (8 * b);
      r.regs[i] = cases.getUint32(at + CASE_REGS + i * 4, true) ^ x;
    }
    let flags = 0;
    for (let b = 0; b < 3; b++) flags |= take(Plane.Flags0 + b) << (8 * b);
    r.eflags = flags ^ (cases.getUint32(at + CASE_EFLAGS, true) & comparedFlags(cases, at));
    r.eip = (predictedEip(cases, at, r.vector) + number(Plane.Eip)) >>> 0;
    const selectorMask = take(Plane.Selectors);
    for (let i = 0; i < 6; i++) {
      r.selectors[i] =
        selectorMask & (1 << i)
          ? take(Plane.Selectors) | (take(Plane.Selectors) << 8)
          : cases.getUint16(at + CASE_SELECTORS + i * 2, true);
    }
    r.changes = [];
    let previous = 0;
    for (let k = number(Plane.Changes); k > 0; k--) {
      const address =
        previous === 0 ? near(at, take(Plane.Changes), number(Plane.Address)) : previous + number(Plane.Address);
      const length = take(Plane.Length);
      const bytes = new Uint8Array(length);
      for (let i = 0; i < length; i++) bytes[i] = take(Plane.Bytes);
      r.changes.push({ address, bytes });
      previous = address + length;
    }
    r.error = 0;
    r.cr2 = 0;
    if (r.vector !== NO_VECTOR) {
      r.error = number(Plane.Error);
      if (r.vector === 14) r.cr2 = near(at, take(Plane.Error), number(Plane.Cr2));
    }
    each(r, n);
  }
}

const MAGIC = "PVOR";

export function writeFixture(header: Omit<FixtureHeader, "sections">, sections: readonly Section[]): Buffer {
  const full: FixtureHeader = {
    ...header,
    sections: sections.map((s) => ({ key: s.key, count: s.count, digest: s.digest, bytes: s.data.length })),
  };
  const json = deflateRawSync(JSON.stringify(full), { level: 9 });
  const head = Buffer.alloc(8);
  head.write(MAGIC, "latin1");
  head.writeUInt32LE(json.length, 4);
  return Buffer.concat([head, json, ...sections.map((s) => s.data)]);
}

export function readFixture(bytes: Buffer): Fixture {
  if (bytes.toString("latin1", 0, 4) !== MAGIC) throw new Error("not a fixture of the instruction oracle");
  const length = bytes.readUInt32LE(4);
  const { sections, ...header } = JSON.parse(inflateRawSync(bytes.subarray(8, 8 + length)).toString()) as FixtureHeader;
  const map = new Map<string, Section>();
  let p = 8 + length;
  for (const s of sections) {
    map.set(s.key, { key: s.key, count: s.count, digest: s.digest, data: bytes.subarray(p, p + s.bytes) });
    p += s.bytes;
  }
  return { header, sections: map };
}
