// The CRCs of the .xz format, over whole buffers (XZ File Format 1.2.0, section 6).

const CRC32_POLYNOMIAL = 0xedb88320;
/** ECMA-182, reflected; kept as two halves because a 64-bit BigInt per byte is some 30 times slower. */
const CRC64_POLYNOMIAL_HIGH = 0xc96c5795;
const CRC64_POLYNOMIAL_LOW = 0xd7870f42;

const crc32Table = new Uint32Array(256).map((_, index) => {
  let value = index;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ CRC32_POLYNOMIAL : value >>> 1;
  return value >>> 0;
});

const crc64High = new Uint32Array(256);
const crc64Low = new Uint32Array(256);
for (let index = 0; index < 256; index++) {
  let high = 0;
  let low = index;
  for (let bit = 0; bit < 8; bit++) {
    const odd = low & 1;
    low = (low >>> 1) | (high << 31);
    high >>>= 1;
    if (odd) {
      low ^= CRC64_POLYNOMIAL_LOW;
      high ^= CRC64_POLYNOMIAL_HIGH;
    }
  }
  crc64High[index] = high;
  crc64Low[index] = low;
}

export function crc32(bytes: Uint8Array): number {
  let crc = -1;
  for (let at = 0; at < bytes.length; at++) {
    crc = (crc >>> 8) ^ (crc32Table[(crc ^ (bytes[at] as number)) & 0xff] as number);
  }
  return ~crc >>> 0;
}

/** The low and the high 32 bits. */
export function crc64(bytes: Uint8Array): readonly [low: number, high: number] {
  let low = -1;
  let high = -1;
  for (let at = 0; at < bytes.length; at++) {
    const index = (low ^ (bytes[at] as number)) & 0xff;
    low = ((low >>> 8) | (high << 24)) ^ (crc64Low[index] as number);
    high = (high >>> 8) ^ (crc64High[index] as number);
  }
  return [~low >>> 0, ~high >>> 0];
}
