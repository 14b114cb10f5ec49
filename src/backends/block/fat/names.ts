// Names in a FAT directory: the 8.3 name that every entry has, and the long name in the entries before it
// (Microsoft FAT specification 1.03, "Long Directory Entries").
const ENTRY_BYTES = 32;
const LONG_NAME = 0x0f;
const LAST_LONG = 0x40;
const UNITS_PER_ENTRY = 13;
/** Where the UTF-16 units of a long entry lie. */
const UNIT_OFFSETS = [1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30];
const LONG_MAX = 255;
const SHORT_VALID = /^[A-Z0-9!#$%&'()@^_`{}~-]+$/;
const LONG_INVALID = /["*/:<>?\\|\u0000-\u001f]/g;

export interface FatName {
  /** 11 bytes, padded with spaces. */
  readonly short: string;
  /** Undefined where the short name says it all. */
  readonly long: string | undefined;
}

/** Gives names to the entries of one directory, in order: unique both in their short and their long form. */
export class NameSpace {
  readonly #short = new Set<string>();
  readonly #long = new Set<string>();

  add(hostName: string): FatName {
    const long = this.#uniqueLong(hostName);
    const exact = splitShort(long);
    if (exact !== undefined && !this.#short.has(pad(exact))) {
      this.#short.add(pad(exact));
      return { short: pad(exact), long: undefined };
    }
    const short = this.#uniqueShort(long);
    return { short, long };
  }

  /** What FAT cannot hold becomes "_"; letters are compared without case. */
  #uniqueLong(hostName: string): string {
    const clean =
      hostName
        .replace(LONG_INVALID, "_")
        .replace(/[. ]+$/, "")
        .slice(0, LONG_MAX) || "_";
    let name = clean;
    for (let n = 2; this.#long.has(name.toUpperCase()); n++) name = `${clean.slice(0, LONG_MAX - 8)}~${n}`;
    this.#long.add(name.toUpperCase());
    return name;
  }

  #uniqueShort(long: string): string {
    const dot = long.lastIndexOf(".");
    const legal = (text: string): string =>
      text
        .toUpperCase()
        .replace(/[ .]/g, "")
        .replace(/[^A-Z0-9!#$%&'()@^_`{}~-]/g, "_");
    const base = legal(dot > 0 ? long.slice(0, dot) : long) || "_";
    const extension = dot > 0 ? legal(long.slice(dot + 1)).slice(0, 3) : "";
    for (let n = 1; ; n++) {
      const tail = `~${n}`;
      const short = pad([base.slice(0, 8 - tail.length) + tail, extension]);
      if (this.#short.has(short)) continue;
      this.#short.add(short);
      return short;
    }
  }
}

/** Base and extension if the name is an 8.3 name as it stands. */
function splitShort(name: string): [string, string] | undefined {
  const [base = "", extension = "", ...more] = name.split(".");
  if (more.length > 0 || base.length > 8 || extension.length > 3 || !SHORT_VALID.test(base)) return undefined;
  if (name.includes(".") && !SHORT_VALID.test(extension)) return undefined;
  return [base, extension];
}

function pad([base, extension]: readonly [string, string] | string[]): string {
  return (base ?? "").padEnd(8) + (extension ?? "").padEnd(3);
}

/** How many 32-byte entries a name takes. */
export function entriesFor({ long }: FatName): number {
  return 1 + (long === undefined ? 0 : Math.ceil(long.length / UNITS_PER_ENTRY));
}

/** The entries of a name; the last of them is the short one, whose other fields the caller fills in. */
export function nameEntries(name: FatName): Uint8Array {
  const count = entriesFor(name);
  const bytes = new Uint8Array(count * ENTRY_BYTES);
  const short = bytes.subarray((count - 1) * ENTRY_BYTES);
  for (let i = 0; i < 11; i++) short[i] = name.short.charCodeAt(i);
  if (name.long === undefined) return bytes;
  let checksum = 0;
  for (const byte of short.subarray(0, 11)) checksum = (((checksum & 1) << 7) + (checksum >> 1) + byte) & 0xff;
  const view = new DataView(bytes.buffer);
  for (let part = 0; part < count - 1; part++) {
    const at = (count - 2 - part) * ENTRY_BYTES;
    bytes[at] = (part + 1) | (part === count - 2 ? LAST_LONG : 0);
    bytes[at + 11] = LONG_NAME;
    bytes[at + 13] = checksum;
    for (const [i, offset] of UNIT_OFFSETS.entries()) {
      const unit = part * UNITS_PER_ENTRY + i;
      // A name that does not fill its last entry ends with one 0 and is padded with all ones.
      const value = unit < name.long.length ? name.long.charCodeAt(unit) : unit === name.long.length ? 0 : 0xffff;
      view.setUint16(at + offset, value, true);
    }
  }
  return bytes;
}
