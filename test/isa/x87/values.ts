// Extended-precision values as the tests write and compare them.

/** "3fff:8000000000000000" (sign and exponent, significand) as ten bytes in memory order. */
export function ten(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text.replace(":", ""), "hex").reverse());
}

export function text(bytes: Uint8Array): string {
  const digits = Buffer.from(bytes).reverse().toString("hex");
  return digits.length === 20 ? `${digits.slice(0, 4)}:${digits.slice(4)}` : digits;
}

/** Place of a number in the order of all numbers: neighbours differ by one. */
function place(bytes: Uint8Array): bigint {
  const view = new DataView(bytes.buffer, bytes.byteOffset, 10);
  const significand = view.getBigUint64(0, true);
  const se = view.getUint16(8, true);
  const exponent = BigInt(se & 0x7fff);
  const magnitude = exponent === 0n ? significand : ((exponent - 1n) << 63n) + significand;
  return se & 0x8000 ? -magnitude : magnitude;
}

/** Distance in units of the last place. */
export function ulps(a: Uint8Array, b: Uint8Array): bigint {
  const d = place(a) - place(b);
  return d < 0n ? -d : d;
}
