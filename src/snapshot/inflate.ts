// DEFLATE (RFC 1951) unpacked at once on this thread, into memory that is there. The platforms' own either are for other threads
// or make a stream and a buffer for each of many small pieces, which takes longer than unpacking them.

/** Bits of a code that one look into the table decides; longer codes are rare. */
const FAST_BITS = 9;
const FAST_SIZE = 1 << FAST_BITS;
const FAST_MASK = FAST_SIZE - 1;
const CODE_BITS_MAX = 15;
const LITERALS = 288;
const DISTANCES = 32;
const END_OF_BLOCK = 256;

/** RFC 1951, 3.2.5: lengths from symbol 257 on, distances from symbol 0 on, the extra bits that follow. */
const LENGTHS = 29;
const LENGTH_EXTRA = Uint8Array.from({ length: LENGTHS }, (_, i) => (i < 8 || i === 28 ? 0 : (i >> 2) - 1));
const LENGTH_BASE = Uint16Array.from({ length: LENGTHS }, (_, i) =>
  i < 8 ? i + 3 : i === 28 ? 258 : ((4 + (i & 3)) << ((i >> 2) - 1)) + 3,
);
const DISTANCE_SYMBOLS = 30;
const DISTANCE_EXTRA = Uint8Array.from({ length: DISTANCE_SYMBOLS }, (_, i) => (i < 2 ? 0 : (i >> 1) - 1));
const DISTANCE_BASE = Uint16Array.from({ length: DISTANCE_SYMBOLS }, (_, i) =>
  i < 2 ? i + 1 : ((2 + (i & 1)) << ((i >> 1) - 1)) + 1,
);
/** In which order the lengths of the code for code lengths come. */
const ORDER = Uint8Array.of(16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15);

function damaged(): never {
  throw new RangeError("The DEFLATE stream is damaged.");
}

/** A Huffman code (RFC 1951, 3.2.2). */
class Code {
  /** By the next bits of the stream: symbol << 4 | length; 0 where the code is longer, or none. */
  readonly fast = new Uint16Array(FAST_SIZE);
  /** Symbols in the order of their codes, and how many there are of each length. */
  readonly symbols = new Uint16Array(LITERALS);
  readonly counts = new Int32Array(CODE_BITS_MAX + 1);
  readonly #starts = new Int32Array(CODE_BITS_MAX + 2);
  readonly #codes = new Int32Array(CODE_BITS_MAX + 2);

  /** From the lengths of `count` codes at `at`. A code may be incomplete only where it has one symbol or none. */
  build(lengths: Uint8Array, at: number, count: number): void {
    const { fast, symbols, counts } = this;
    const [starts, codes] = [this.#starts, this.#codes];
    fast.fill(0);
    counts.fill(0);
    for (let i = at; i < at + count; i++) {
      const bits = lengths[i] as number;
      counts[bits] = (counts[bits] as number) + 1;
    }
    counts[0] = starts[1] = codes[1] = 0;
    let room = 1;
    let used = 0;
    for (let bits = 1; bits <= CODE_BITS_MAX; bits++) {
      const n = counts[bits] as number;
      room = (room << 1) - n;
      if (room < 0) damaged();
      codes[bits + 1] = ((codes[bits] as number) + n) << 1;
      starts[bits + 1] = (starts[bits] as number) + n;
      used += n;
    }
    if (room > 0 && used > 1) damaged();
    for (let symbol = 0; symbol < count; symbol++) {
      const bits = lengths[at + symbol] as number;
      if (bits === 0) continue;
      const place = starts[bits] as number;
      starts[bits] = place + 1;
      symbols[place] = symbol;
      const code = codes[bits] as number;
      codes[bits] = code + 1;
      if (bits > FAST_BITS) continue;
      // Codes come highest bit first.
      let reversed = 0;
      for (let i = 0; i < bits; i++) reversed |= ((code >> i) & 1) << (bits - 1 - i);
      for (; reversed < FAST_SIZE; reversed += 1 << bits) fast[reversed] = (symbol << 4) | bits;
    }
  }
}

const lengths = new Uint8Array(LITERALS + DISTANCES);
const lengthCode = new Code();
const literalCode = new Code();
const distanceCode = new Code();

/** One stream being unpacked; there is one of these, used again and again. */
class Inflater {
  #from: Uint8Array = new Uint8Array(0);
  #at = 0;
  /** Bits that were read and not used, and how many. */
  #hold = 0;
  #held = 0;

  inflate(from: Uint8Array, into: Uint8Array): number {
    this.#from = from;
    this.#at = this.#hold = this.#held = 0;
    let size = 0;
    for (let last = false; !last; ) {
      last = this.#bits(1) !== 0;
      const kind = this.#bits(2);
      if (kind === 0) size = this.#stored(into, size);
      else {
        if (kind === 1) fixedCodes();
        else if (kind === 2) this.#dynamicCodes();
        else damaged();
        size = this.#block(into, size);
      }
    }
    // What was looked at beyond the end must not have been used.
    if (this.#at - (this.#held >> 3) > from.length) damaged();
    return size;
  }

  #bits(count: number): number {
    while (this.#held < count) {
      if (this.#at > this.#from.length) damaged();
      this.#hold |= (this.#from[this.#at++] ?? 0) << this.#held;
      this.#held += 8;
    }
    const value = this.#hold & ((1 << count) - 1);
    this.#hold >>>= count;
    this.#held -= count;
    return value;
  }

  #stored(into: Uint8Array, size: number): number {
    this.#at -= this.#held >> 3;
    this.#hold = this.#held = 0;
    const length = this.#bits(16);
    if ((this.#bits(16) ^ length) !== 0xffff) damaged();
    const end = this.#at + length;
    if (end > this.#from.length || size + length > into.length) damaged();
    into.set(this.#from.subarray(this.#at, end), size);
    this.#at = end;
    return size + length;
  }

  #dynamicCodes(): void {
    const literals = this.#bits(5) + 257;
    const distances = this.#bits(5) + 1;
    const codes = this.#bits(4) + 4;
    if (literals > 286) damaged();
    lengths.fill(0);
    for (let i = 0; i < codes; i++) lengths[ORDER[i] as number] = this.#bits(3);
    lengthCode.build(lengths, 0, ORDER.length);
    lengths.fill(0);
    for (let i = 0; i < literals + distances; ) {
      const symbol = this.#symbol(lengthCode);
      if (symbol < 16) {
        lengths[i++] = symbol;
        continue;
      }
      if (symbol === 16 && i === 0) damaged();
      const value = symbol === 16 ? (lengths[i - 1] as number) : 0;
      const repeat = symbol === 16 ? 3 + this.#bits(2) : symbol === 17 ? 3 + this.#bits(3) : 11 + this.#bits(7);
      if (i + repeat > literals + distances) damaged();
      lengths.fill(value, i, i + repeat);
      i += repeat;
    }
    if (lengths[END_OF_BLOCK] === 0) damaged();
    distanceCode.build(lengths, literals, distances);
    literalCode.build(lengths, 0, literals);
  }

  #symbol(code: Code): number {
    while (this.#held < CODE_BITS_MAX) {
      if (this.#at > this.#from.length + 2) damaged();
      this.#hold |= (this.#from[this.#at++] ?? 0) << this.#held;
      this.#held += 8;
    }
    const entry = code.fast[this.#hold & FAST_MASK] as number;
    const found = entry !== 0 ? entry : slowSymbol(code, this.#hold);
    this.#hold >>>= found & 15;
    this.#held -= found & 15;
    return found >>> 4;
  }

  /** Symbols up to the end of the block. State is in locals: this is where the time goes. */
  #block(into: Uint8Array, start: number): number {
    const from = this.#from;
    const end = from.length;
    const [literals, distances] = [literalCode.fast, distanceCode.fast];
    let [at, hold, held, size] = [this.#at, this.#hold, this.#held, start];
    for (;;) {
      while (held < CODE_BITS_MAX) {
        // Two bytes that are not there may be looked at, to decide what the last bits mean.
        if (at > end + 2) damaged();
        hold |= (at < end ? (from[at] as number) : 0) << held;
        at++;
        held += 8;
      }
      let entry = literals[hold & FAST_MASK] as number;
      if (entry === 0) entry = slowSymbol(literalCode, hold);
      hold >>>= entry & 15;
      held -= entry & 15;
      const symbol = entry >>> 4;
      if (symbol < END_OF_BLOCK) {
        if (size >= into.length) damaged();
        into[size++] = symbol;
        continue;
      }
      if (symbol === END_OF_BLOCK) break;
      const which = symbol - 257;
      if (which >= LENGTHS) damaged();
      while (held < CODE_BITS_MAX + 5) {
        if (at > end + 2) damaged();
        hold |= (at < end ? (from[at] as number) : 0) << held;
        at++;
        held += 8;
      }
      let bits = LENGTH_EXTRA[which] as number;
      const length = (LENGTH_BASE[which] as number) + (hold & ((1 << bits) - 1));
      hold >>>= bits;
      held -= bits;
      entry = distances[hold & FAST_MASK] as number;
      if (entry === 0) entry = slowSymbol(distanceCode, hold);
      hold >>>= entry & 15;
      held -= entry & 15;
      const far = entry >>> 4;
      if (far >= DISTANCE_SYMBOLS) damaged();
      bits = DISTANCE_EXTRA[far] as number;
      while (held < bits) {
        if (at > end + 2) damaged();
        hold |= (at < end ? (from[at] as number) : 0) << held;
        at++;
        held += 8;
      }
      const distance = (DISTANCE_BASE[far] as number) + (hold & ((1 << bits) - 1));
      hold >>>= bits;
      held -= bits;
      if (distance > size || length > into.length - size) damaged();
      if (distance >= length) into.copyWithin(size, size - distance, size - distance + length);
      else for (let i = size; i < size + length; i++) into[i] = into[i - distance] as number;
      size += length;
    }
    this.#at = at;
    this.#hold = hold;
    this.#held = held;
    return size;
  }
}

/** A code that the table does not have: bit by bit. Symbol << 4 | length. */
function slowSymbol({ symbols, counts }: Code, hold: number): number {
  let code = 0;
  let first = 0;
  let index = 0;
  for (let bits = 1; bits <= CODE_BITS_MAX; bits++) {
    code |= (hold >>> (bits - 1)) & 1;
    const n = counts[bits] as number;
    if (code - first < n) return ((symbols[index + code - first] as number) << 4) | bits;
    index += n;
    first = (first + n) << 1;
    code <<= 1;
  }
  return damaged();
}

/** RFC 1951, 3.2.6. */
function fixedCodes(): void {
  lengths.fill(8, 0, 144).fill(9, 144, 256).fill(7, 256, 280).fill(8, 280, LITERALS).fill(5, LITERALS);
  literalCode.build(lengths, 0, LITERALS);
  distanceCode.build(lengths, LITERALS, DISTANCES);
}

const inflater = new Inflater();

/** Unpacks a raw stream and returns how many bytes it gave. Throws for a damaged one and for one that gives more than `into` holds. */
export function inflateInto(from: Uint8Array, into: Uint8Array): number {
  return inflater.inflate(from, into);
}
