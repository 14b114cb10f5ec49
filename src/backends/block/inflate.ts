// Raw deflate (RFC 1951) into a buffer of known size: compressed clusters of qcow2. The browser's DecompressionStream
// works only asynchronously and refuses data with padding behind it, which these clusters have.

const MAX_BITS = 15;
const LENGTH_BASE = [
  3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258,
];
const LENGTH_EXTRA = [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0];
const DISTANCE_BASE = [
  1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097, 6145,
  8193, 12289, 16385, 24577,
];
const DISTANCE_EXTRA = [
  0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13,
];
const CODE_LENGTH_ORDER = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
const END_OF_BLOCK = 256;

/** A canonical Huffman code: how many codes of each length, and their symbols in order. */
interface Code {
  readonly count: Uint16Array;
  readonly symbol: Uint16Array;
}

function makeCode(lengths: Uint8Array): Code {
  const count = new Uint16Array(MAX_BITS + 1);
  for (const length of lengths) count[length] = (count[length] ?? 0) + 1;
  const next = new Uint16Array(MAX_BITS + 2);
  for (let length = 1; length <= MAX_BITS; length++) next[length + 1] = (next[length] ?? 0) + (count[length] ?? 0);
  const symbol = new Uint16Array(lengths.length);
  for (const [value, length] of lengths.entries()) {
    if (length === 0) continue;
    symbol[next[length] ?? 0] = value;
    next[length] = (next[length] ?? 0) + 1;
  }
  count[0] = 0;
  return { count, symbol };
}

const FIXED_LITERALS = makeCode(
  Uint8Array.from({ length: 288 }, (_, i) => (i < 144 ? 8 : i < 256 ? 9 : i < 280 ? 7 : 8)),
);
const FIXED_DISTANCES = makeCode(new Uint8Array(30).fill(5));

class Damaged extends Error {}

class Inflater {
  #at = 0;
  #hold = 0;
  #held = 0;
  #out = 0;

  constructor(
    private readonly input: Uint8Array,
    private readonly output: Uint8Array,
  ) {}

  run(): void {
    for (let last = false; !last; ) {
      last = this.#bits(1) === 1;
      const kind = this.#bits(2);
      if (kind === 0) this.#stored();
      else if (kind === 1) this.#codes(FIXED_LITERALS, FIXED_DISTANCES);
      else if (kind === 2) this.#dynamic();
      else throw new Damaged("block type 3");
      // What is still to come is not ours to keep.
      if (this.#out === this.output.length) return;
    }
    if (this.#out !== this.output.length) throw new Damaged(`${this.#out} of ${this.output.length} bytes`);
  }

  #bits(count: number): number {
    while (this.#held < count) {
      if (this.#at >= this.input.length) throw new Damaged("input ends early");
      this.#hold |= (this.input[this.#at++] ?? 0) << this.#held;
      this.#held += 8;
    }
    const value = this.#hold & ((1 << count) - 1);
    this.#hold >>>= count;
    this.#held -= count;
    return value;
  }

  #symbol({ count, symbol }: Code): number {
    let code = 0;
    let first = 0;
    let index = 0;
    for (let length = 1; length <= MAX_BITS; length++) {
      code |= this.#bits(1);
      const here = count[length] ?? 0;
      if (code - first < here) return symbol[index + code - first] ?? 0;
      index += here;
      first = (first + here) << 1;
      code <<= 1;
    }
    throw new Damaged("a code that does not exist");
  }

  #stored(): void {
    this.#hold = 0;
    this.#held = 0;
    const length = this.#bits(16);
    this.#bits(16);
    if (this.#at + length > this.input.length || this.#out + length > this.output.length)
      throw new Damaged("stored size");
    this.output.set(this.input.subarray(this.#at, this.#at + length), this.#out);
    this.#at += length;
    this.#out += length;
  }

  #dynamic(): void {
    const literals = this.#bits(5) + 257;
    const distances = this.#bits(5) + 1;
    const orders = this.#bits(4) + 4;
    const orderLengths = new Uint8Array(19);
    for (let i = 0; i < orders; i++) orderLengths[CODE_LENGTH_ORDER[i] ?? 0] = this.#bits(3);
    const order = makeCode(orderLengths);
    const lengths = new Uint8Array(literals + distances);
    for (let i = 0; i < lengths.length; ) {
      const symbol = this.#symbol(order);
      if (symbol < 16) {
        lengths[i++] = symbol;
        continue;
      }
      const value = symbol === 16 ? (lengths[i - 1] ?? 0) : 0;
      const repeat = symbol === 16 ? 3 + this.#bits(2) : symbol === 17 ? 3 + this.#bits(3) : 11 + this.#bits(7);
      if (i + repeat > lengths.length) throw new Damaged("too many lengths");
      lengths.fill(value, i, i + repeat);
      i += repeat;
    }
    this.#codes(makeCode(lengths.slice(0, literals)), makeCode(lengths.slice(literals)));
  }

  #codes(literals: Code, distances: Code): void {
    const { output } = this;
    for (;;) {
      const symbol = this.#symbol(literals);
      if (symbol === END_OF_BLOCK) return;
      if (symbol < END_OF_BLOCK) {
        if (this.#out === output.length) throw new Damaged("too much output");
        output[this.#out++] = symbol;
        continue;
      }
      const length = (LENGTH_BASE[symbol - 257] ?? 0) + this.#bits(LENGTH_EXTRA[symbol - 257] ?? 0);
      const far = this.#symbol(distances);
      const distance = (DISTANCE_BASE[far] ?? 0) + this.#bits(DISTANCE_EXTRA[far] ?? 0);
      if (length === 0 || distance === 0 || distance > this.#out || this.#out + length > output.length)
        throw new Damaged("a copy from nowhere");
      for (let i = 0; i < length; i++, this.#out++) output[this.#out] = output[this.#out - distance] ?? 0;
    }
  }
}

/** Fills `output` from a deflate stream, whatever follows it. False when the stream is damaged or too short. */
export function inflateInto(input: Uint8Array, output: Uint8Array): boolean {
  try {
    new Inflater(input, output).run();
    return true;
  } catch (error) {
    if (error instanceof Damaged) return false;
    throw error;
  }
}
