// Reads MultiProcessor tables out of the memory below 1 MiB, as an operating system does (Specification 1.4, chapter 4).

const sum = (bytes: Uint8Array): number => bytes.reduce((a, b) => (a + b) & 0xff, 0);
const text = (bytes: Uint8Array): string => String.fromCharCode(...bytes);

export interface MpInterrupt {
  /** 0 INT, 1 NMI, 2 SMI, 3 ExtINT. */
  readonly type: number;
  readonly flags: number;
  /** "PCI" or "ISA". */
  readonly bus: string;
  /** ISA: the IRQ; PCI: slot << 2 | pin. */
  readonly source: number;
  readonly apic: number;
  readonly input: number;
}

export interface MpConfiguration {
  readonly pointerAddress: number;
  readonly revision: number;
  readonly features: readonly number[];
  readonly localApicAddress: number;
  readonly processors: readonly {
    readonly id: number;
    readonly version: number;
    readonly flags: number;
    readonly signature: number;
    readonly features: number;
  }[];
  readonly buses: readonly string[];
  readonly ioApics: readonly {
    readonly id: number;
    readonly version: number;
    readonly flags: number;
    readonly address: number;
  }[];
  readonly ioInterrupts: readonly MpInterrupt[];
  readonly localInterrupts: readonly MpInterrupt[];
}

/** `memory` is what lies at `base`. Throws where the specification is broken. */
export function readMpConfiguration(memory: Uint8Array, base: number): MpConfiguration {
  const view = new DataView(memory.buffer, memory.byteOffset, memory.byteLength);
  let at = 0;
  // On a 16-byte boundary, with a checksum over its paragraphs.
  while (
    at < memory.length &&
    !(text(memory.subarray(at, at + 4)) === "_MP_" && sum(memory.subarray(at, at + 16)) === 0)
  )
    at += 16;
  if (at >= memory.length) throw new Error("no floating pointer");
  const pointerAddress = base + at;
  const table = view.getUint32(at + 4, true) - base;
  const revision = view.getUint8(at + 9);
  const features = [...memory.subarray(at + 11, at + 16)];
  if (text(memory.subarray(table, table + 4)) !== "PCMP") throw new Error("no configuration table");
  const length = view.getUint16(table + 4, true);
  if (sum(memory.subarray(table, table + length)) !== 0) throw new Error("the configuration table's checksum is wrong");
  if (view.getUint8(table + 6) !== revision) throw new Error("two revisions");

  const processors: MpConfiguration["processors"][number][] = [];
  const buses: string[] = [];
  const ioApics: MpConfiguration["ioApics"][number][] = [];
  const ioInterrupts: MpInterrupt[] = [];
  const localInterrupts: MpInterrupt[] = [];
  let entries = 0;
  let last = 0;
  let p = table + 44;
  for (; p < table + length; entries++) {
    const type = view.getUint8(p);
    // "sorted on entry type in ascending order"
    if (type < last) throw new Error(`entry ${entries} of type ${type} follows one of type ${last}`);
    last = type;
    const byte = (offset: number): number => view.getUint8(p + offset);
    const interrupt = (): MpInterrupt => ({
      type: byte(1),
      flags: view.getUint16(p + 2, true),
      bus: buses[byte(4)] ?? "?",
      source: byte(5),
      apic: byte(6),
      input: byte(7),
    });
    if (type === 0) {
      const [signature, features] = [view.getUint32(p + 4, true), view.getUint32(p + 8, true)];
      processors.push({ id: byte(1), version: byte(2), flags: byte(3), signature, features });
    } else if (type === 1) buses[byte(1)] = text(memory.subarray(p + 2, p + 8)).trimEnd();
    else if (type === 2)
      ioApics.push({ id: byte(1), version: byte(2), flags: byte(3), address: view.getUint32(p + 4, true) });
    else if (type === 3) ioInterrupts.push(interrupt());
    else if (type === 4) localInterrupts.push(interrupt());
    else throw new Error(`entry type ${type}`);
    p += type === 0 ? 20 : 8;
  }
  if (p !== table + length) throw new Error("the last entry is cut");
  if (entries !== view.getUint16(table + 34, true)) throw new Error("the entry count is wrong");
  const localApicAddress = view.getUint32(table + 36, true);
  return {
    pointerAddress,
    revision,
    features,
    localApicAddress,
    processors,
    buses,
    ioApics,
    ioInterrupts,
    localInterrupts,
  };
}
