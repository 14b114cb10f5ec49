// The smallest multiboot kernel: it halts.

const LOAD_ADDRESS = 0x10_0000;
const MAGIC = 0x1bad_b002;
const ADDRESSES_VALID = 1 << 16;

/** A flat image with the addresses in its header (Multiboot 0.6.96, 3.1). */
export function smallMultiboot(): Uint8Array {
  const image = new DataView(new ArrayBuffer(64));
  const end = LOAD_ADDRESS + 64;
  const words = [MAGIC, ADDRESSES_VALID, -(MAGIC + ADDRESSES_VALID), LOAD_ADDRESS, LOAD_ADDRESS, end, end];
  for (const [i, word] of [...words, LOAD_ADDRESS + 32].entries()) image.setUint32(i * 4, word, true);
  image.setUint8(32, 0xf4);
  return new Uint8Array(image.buffer);
}
