// CRC32: the Castagnoli polynomial 11EDC6F41h, bits reflected (SDM 2, CRC32).

/** Remainders of the sixteen 4-bit values: entry n is n stepped four times through the reflected polynomial. */
const NIBBLES = memory.data<u32>([
  0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d,
  0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9, 0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
]);

/** Takes the low `bytes` bytes of `value`, lowest first, into `crc`. */
export function crc32c(crc: u32, value: u32, bytes: i32): u32 {
  let c = crc ^ value;
  const nibbles = bytes << 1;
  for (let i = 0; i < nibbles; i++) c = (c >> 4) ^ load<u32>(NIBBLES + <i32>((c & 15) << 2));
  return c;
}
