// bzip2, unpacked. Own code: of the libraries at hand one kind needs Node's Buffer, and all take a run length that
// overflows for an endless loop. The format is described in Julian Seward's bzip2 manual and by its reference decoder.
import { badImage, type ImageReader } from "./image.ts";

const BLOCK_MAGIC = 0x314159265359;
const END_MAGIC = 0x177245385090;
const BLOCK_UNIT_BYTES = 100_000;
const MAX_CODE_BITS = 20;
/** Symbols that share one of the Huffman tables before the next selector is read. */
const GROUP_SYMBOLS = 50;
const RUN_A = 0;
const RUN_B = 1;

/** CRC-32 with the most significant bit first. */
const crcTable = new Int32Array(256).map((_, index) => {
  let value = index << 24;
  for (let bit = 0; bit < 8; bit++) value = value < 0 ? (value << 1) ^ 0x04c11db7 : value << 1;
  return value;
});

export interface ByteSink {
  /** Throws when the output would be too large. */
  writeByte(byte: number): void;
}

/** Unpacks the first bzip2 stream into `sink`; what follows it is ignored. Throws VmError("bad-image"). */
export function unpackBzip2(image: ImageReader, sink: ByteSink): void {
  const bits = new BitReader(image);
  bits.read(24);
  const level = bits.read(8) - 0x30;
  if (level < 1 || level > 9) throw damaged(image, `its block size digit is ${level}, 1 to 9 are valid`);
  const capacity = level * BLOCK_UNIT_BYTES;
  const block = new Uint32Array(capacity);
  let streamCrc = 0;
  for (;;) {
    const magic = bits.read(24) * 2 ** 24 + bits.read(24);
    const crc = (bits.read(16) << 16) | bits.read(16);
    if (magic === END_MAGIC) {
      if (crc !== streamCrc) throw damaged(image, "the CRC of the whole stream is wrong");
      return;
    }
    if (magic !== BLOCK_MAGIC) throw damaged(image, "a block does not begin with the block magic");
    const found = unpackBlock(image, bits, block, sink);
    if (found !== crc) throw damaged(image, "the CRC of a block is wrong");
    streamCrc = ((streamCrc << 1) | (streamCrc >>> 31)) ^ crc;
  }
}

class BitReader {
  #at = 0;
  #bits = 0;
  #count = 0;

  constructor(readonly image: ImageReader) {}

  /** 1 to 24 bits, the first one most significant. */
  read(count: number): number {
    while (this.#count < count) {
      const byte = this.image.bytes[this.#at++];
      if (byte === undefined) throw damaged(this.image, "it ends within a block");
      this.#bits = (this.#bits << 8) | byte;
      this.#count += 8;
    }
    this.#count -= count;
    return (this.#bits >>> this.#count) & ((1 << count) - 1);
  }
}

/** A canonical Huffman code: for each length, the first code beyond it and where its symbols are. */
interface HuffmanTable {
  readonly minBits: number;
  readonly maxBits: number;
  /** Largest code of each length, -1 when there is none. */
  readonly limit: Int32Array;
  /** Subtracted from a code of this length, gives its place in `symbols`. */
  readonly base: Int32Array;
  readonly symbols: Uint16Array;
}

/** The CRC of what was written. */
function unpackBlock(image: ImageReader, bits: BitReader, block: Uint32Array, sink: ByteSink): number {
  if (bits.read(1)) throw damaged(image, "a block is randomised, which no compressor has done since 1997");
  const origin = bits.read(24);
  const alphabet = readAlphabet(bits);
  if (alphabet.length === 0) throw damaged(image, "a block uses no byte value");
  const symbolCount = alphabet.length + 2;
  const tableCount = bits.read(3);
  const selectorCount = bits.read(15);
  if (tableCount < 2 || tableCount > 6 || selectorCount === 0) {
    throw damaged(image, `a block has ${tableCount} Huffman tables and ${selectorCount} selectors`);
  }
  const selectors = readSelectors(image, bits, selectorCount, tableCount);
  const tables = Array.from({ length: tableCount }, () => readTable(image, bits, symbolCount));
  const length = readSymbols(image, bits, block, alphabet, selectors, tables, symbolCount - 1);
  if (origin >= length) throw damaged(image, `a block of ${length} bytes begins at ${origin}`);
  invertTransform(block, length);
  return writeRuns(block, length, origin, sink);
}

function readAlphabet(bits: BitReader): Uint8Array {
  const used = bits.read(16);
  const values: number[] = [];
  for (let high = 0; high < 16; high++) {
    if (!(used & (0x8000 >> high))) continue;
    const row = bits.read(16);
    for (let low = 0; low < 16; low++) if (row & (0x8000 >> low)) values.push(high * 16 + low);
  }
  return Uint8Array.from(values);
}

function readSelectors(image: ImageReader, bits: BitReader, count: number, tableCount: number): Uint8Array {
  const recent = Uint8Array.from({ length: tableCount }, (_, index) => index);
  const selectors = new Uint8Array(count);
  for (let index = 0; index < count; index++) {
    let rank = 0;
    while (bits.read(1)) if (++rank >= tableCount) throw damaged(image, "a selector names a table that is not there");
    const table = recent[rank] as number;
    recent.copyWithin(1, 0, rank);
    recent[0] = table;
    selectors[index] = table;
  }
  return selectors;
}

function readTable(image: ImageReader, bits: BitReader, symbolCount: number): HuffmanTable {
  const lengths = new Uint8Array(symbolCount);
  let length = bits.read(5);
  for (let symbol = 0; symbol < symbolCount; symbol++) {
    for (;;) {
      if (length < 1 || length > MAX_CODE_BITS) throw damaged(image, `a Huffman code has ${length} bits`);
      if (!bits.read(1)) break;
      length += bits.read(1) ? -1 : 1;
    }
    lengths[symbol] = length;
  }
  const limit = new Int32Array(MAX_CODE_BITS + 1).fill(-1);
  const base = new Int32Array(MAX_CODE_BITS + 1);
  const symbols = new Uint16Array(symbolCount);
  const minBits = Math.min(...lengths);
  const maxBits = Math.max(...lengths);
  let code = 0;
  let placed = 0;
  for (let size = minBits; size <= maxBits; size++) {
    base[size] = code - placed;
    for (let symbol = 0; symbol < symbolCount; symbol++) {
      if (lengths[symbol] !== size) continue;
      symbols[placed++] = symbol;
      code++;
    }
    limit[size] = code - 1;
    code <<= 1;
  }
  return { minBits, maxBits, limit, base, symbols };
}

/** Undoes the Huffman coding, the zero runs and move-to-front; how many bytes `block` then holds. */
function readSymbols(
  image: ImageReader,
  bits: BitReader,
  block: Uint32Array,
  alphabet: Uint8Array,
  selectors: Uint8Array,
  tables: readonly HuffmanTable[],
  endSymbol: number,
): number {
  const recent = alphabet.slice();
  let length = 0;
  let run = 0;
  let runUnit = 1;
  let group = 0;
  let left = 0;
  let table = tables[0] as HuffmanTable;
  for (;;) {
    if (left === 0) {
      if (group >= selectors.length) throw damaged(image, "a block has more symbols than selectors");
      table = tables[selectors[group++] as number] as HuffmanTable;
      left = GROUP_SYMBOLS;
    }
    left--;
    let size = table.minBits;
    let code = bits.read(size);
    while (code > (table.limit[size] as number)) {
      if (++size > table.maxBits) throw damaged(image, "a code is in no Huffman table");
      code = (code << 1) | bits.read(1);
    }
    const symbol = table.symbols[code - (table.base[size] as number)];
    if (symbol === undefined) throw damaged(image, "a code is in no Huffman table");
    if (symbol === RUN_A || symbol === RUN_B) {
      // A run length in bijective base 2, least significant digit first.
      run += runUnit << symbol;
      runUnit <<= 1;
      if (length + run > block.length) throw damaged(image, "a run is longer than the block");
      continue;
    }
    if (run > 0) {
      block.fill(recent[0] as number, length, length + run);
      length += run;
      run = 0;
      runUnit = 1;
    }
    if (symbol === endSymbol) return length;
    if (length >= block.length) throw damaged(image, "a block is longer than its announced size");
    const rank = symbol - 1;
    const byte = recent[rank] as number;
    recent.copyWithin(1, 0, rank);
    recent[0] = byte;
    block[length++] = byte;
  }
}

/** Puts into the upper 24 bits of each entry where the byte after it in the text is (Burrows-Wheeler, inverted). */
function invertTransform(block: Uint32Array, length: number): void {
  const next = new Uint32Array(257);
  for (let at = 0; at < length; at++) {
    const slot = ((block[at] as number) & 0xff) + 1;
    next[slot] = (next[slot] as number) + 1;
  }
  for (let value = 1; value <= 256; value++) next[value] = (next[value] as number) + (next[value - 1] as number);
  for (let at = 0; at < length; at++) {
    const value = (block[at] as number) & 0xff;
    const row = next[value] as number;
    next[value] = row + 1;
    block[row] = (block[row] as number) | (at << 8);
  }
}

/** Follows the text and undoes the first run coding: four equal bytes are followed by a count of more. */
function writeRuns(block: Uint32Array, length: number, origin: number, sink: ByteSink): number {
  let entry = block[origin] as number;
  let crc = -1;
  let previous = -1;
  let equal = 0;
  for (let done = 0; done < length; done++) {
    entry = block[entry >>> 8] as number;
    const byte = entry & 0xff;
    let count = 1;
    let value = byte;
    if (equal === 4) {
      count = byte;
      value = previous;
      equal = 0;
      previous = -1;
    } else {
      equal = byte === previous ? equal + 1 : 1;
      previous = byte;
    }
    for (; count > 0; count--) {
      sink.writeByte(value);
      crc = (crc << 8) ^ (crcTable[((crc >>> 24) ^ value) & 0xff] as number);
    }
  }
  return ~crc;
}

function damaged(image: ImageReader, what: string): Error {
  return badImage(`The bzip2 data of the ${image.name} is damaged: ${what}; fetch or build the file again.`);
}
