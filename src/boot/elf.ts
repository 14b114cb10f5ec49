// 32-bit x86 ELF executables (System V gABI, chapters 4 and 5): the program headers alone matter to a loader.
import { badImage, hex, ImageReader } from "./image.ts";
import type { Placement } from "./placement.ts";

const ELF_MAGIC = 0x464c457f;
const ELFCLASS32 = 1;
const ELFDATA2LSB = 1;
const ET_EXEC = 2;
const EM_386 = 3;
const PT_LOAD = 1;
const PF_X = 1;
const HIGH_MEMORY = 0x100000;
const HEADER_PAGE_BYTES = 0x1000;
const EHDR_BYTES = 52;
const PHDR_BYTES = 32;
/** PN_XNUM and above say that the real count is elsewhere; no kernel comes near it. */
const MAX_PHDRS = 0xfffe;

export interface ElfSegment {
  readonly offset: number;
  readonly vaddr: number;
  readonly paddr: number;
  readonly fileBytes: number;
  readonly memoryBytes: number;
  readonly executable: boolean;
}

export interface ElfImage {
  /**
   * Physical entry point: `e_entry`, moved by `p_paddr - p_vaddr` when it is an address in an executable segment
   * that is linked elsewhere than it is loaded (as QEMU's loader does).
   */
  readonly entry: number;
  /** The loaded segments in file order; empty ones are left out. */
  readonly segments: readonly ElfSegment[];
  readonly bytes: Uint8Array;
}

export function isElf(bytes: Uint8Array): boolean {
  return bytes.length >= 4 && bytes[0] === 0x7f && bytes[1] === 0x45 && bytes[2] === 0x4c && bytes[3] === 0x46;
}

/** Throws VmError("bad-image") naming the header field that a 32-bit x86 executable would have different. */
export function parseElf(bytes: Uint8Array, name: string): ElfImage {
  const image = new ImageReader(bytes, name);
  const magic = image.u32(0, "the ELF magic");
  if (magic !== ELF_MAGIC)
    throw badImage(`The ${name} is no ELF file: it begins with ${hex(magic)} and not with 0x464c457f.`, { magic });
  const elfClass = image.u8(4, "e_ident[EI_CLASS]");
  const machine = image.u16(18, "e_machine");
  if (elfClass === 2) {
    throw badImage(
      `The ${name} is a 64-bit ELF file (EI_CLASS 2, e_machine ${machine}); this machine runs 32-bit x86: build or pick an i386 image.`,
      { elfClass, machine },
    );
  }
  expect(name, "EI_CLASS", elfClass, ELFCLASS32, "a 32-bit file");
  expect(name, "EI_DATA", image.u8(5, "e_ident[EI_DATA]"), ELFDATA2LSB, "little-endian");
  expect(name, "e_machine", machine, EM_386, "x86, as `gcc -m32` makes it");
  expect(
    name,
    "e_type",
    image.u16(16, "e_type"),
    ET_EXEC,
    "an executable with fixed addresses: link it without -pie and -r",
  );
  image.slice(0, EHDR_BYTES, "the ELF header");
  expect(name, "e_phentsize", image.u16(42, "e_phentsize"), PHDR_BYTES, "the size of a 32-bit program header");
  const count = image.u16(44, "e_phnum");
  if (count === 0 || count > MAX_PHDRS) {
    throw badImage(`The ${name} has e_phnum ${count}; 1 to ${MAX_PHDRS} program headers are needed to load it.`, {
      count,
    });
  }
  const table = image.u32(28, "e_phoff");
  image.slice(table, count * PHDR_BYTES, "the program header table");

  const segments: ElfSegment[] = [];
  let entry = image.u32(24, "e_entry");
  const linkedEntry = entry;
  for (let index = 0; index < count; index++) {
    const header = table + index * PHDR_BYTES;
    const field = (offset: number): number => image.u32(header + offset, "a program header");
    if (field(0) !== PT_LOAD) continue;
    const segment: ElfSegment = {
      offset: field(4),
      vaddr: field(8),
      paddr: field(12),
      fileBytes: field(16),
      memoryBytes: field(20),
      executable: (field(24) & PF_X) !== 0,
    };
    if (segment.memoryBytes === 0 && segment.fileBytes === 0) continue;
    if (segment.fileBytes > segment.memoryBytes) {
      throw badImage(
        `Program header ${index} of the ${name} has p_filesz ${hex(segment.fileBytes)} above p_memsz ${hex(segment.memoryBytes)}; the file is damaged.`,
        { index, ...segment },
      );
    }
    image.slice(segment.offset, segment.fileBytes, `the segment of program header ${index}`);
    if (
      segment.executable &&
      segment.vaddr !== segment.paddr &&
      linkedEntry >= segment.vaddr &&
      linkedEntry < segment.vaddr + segment.fileBytes
    ) {
      entry = linkedEntry - segment.vaddr + segment.paddr;
    }
    segments.push(withoutHeaderPage(segment));
  }
  if (segments.length === 0)
    throw badImage(`The ${name} has no PT_LOAD segment, so there is nothing to load.`, { count });
  return { entry, segments, bytes };
}

/**
 * GNU ld's default script puts the ELF header into the page before the first section, so that a program linked for
 * 1 MiB has a segment that begins in the BIOS area. Nothing runs from there: what lies below 1 MiB of such a segment is
 * left out.
 */
function withoutHeaderPage(segment: ElfSegment): ElfSegment {
  const below = HIGH_MEMORY - segment.paddr;
  if (segment.offset !== 0 || below <= 0 || below > HEADER_PAGE_BYTES || segment.memoryBytes <= below) return segment;
  return {
    ...segment,
    offset: Math.min(below, segment.fileBytes),
    vaddr: segment.vaddr + below,
    paddr: HIGH_MEMORY,
    fileBytes: Math.max(0, segment.fileBytes - below),
    memoryBytes: segment.memoryBytes - below,
  };
}

/** Puts every segment at its physical address. Throws VmError("bad-image") where that is not free RAM. */
export function loadElf(elf: ElfImage, placement: Placement, name: string): void {
  // All are checked before the first is written, and a file of very many segments is refused in linear time:
  // sorted by address, only neighbours can overlap.
  const sorted = [...elf.segments].sort((a, b) => a.paddr - b.paddr);
  const merged: { base: number; end: number }[] = [];
  for (const segment of sorted) {
    const end = segment.paddr + segment.memoryBytes;
    const last = merged.at(-1);
    if (last && segment.paddr < last.end) {
      throw badImage(
        `Two segments of the ${name} overlap at physical address ${hex(segment.paddr)}; check the p_paddr fields (readelf -l).`,
        { paddr: segment.paddr },
      );
    }
    if (last && segment.paddr === last.end) last.end = end;
    else merged.push({ base: segment.paddr, end });
  }
  if (merged.length > MAX_REGIONS) {
    throw badImage(
      `The ${name} loads into ${merged.length} separate memory regions; at most ${MAX_REGIONS} are accepted.`,
      { regions: merged.length },
    );
  }
  for (const { base, end } of merged) placement.reserve(`${name} segment`, base, end - base);
  for (const segment of elf.segments) {
    const contents = elf.bytes.subarray(segment.offset, segment.offset + segment.fileBytes);
    placement.write(segment.paddr, contents, segment.memoryBytes);
  }
}

const MAX_REGIONS = 256;

function expect(name: string, field: string, found: number, accepted: number, meaning: string): void {
  if (found === accepted) return;
  throw badImage(`The ${name} has ${field} ${found}; ${accepted} is accepted (${meaning}).`, {
    field,
    found,
    accepted,
  });
}
