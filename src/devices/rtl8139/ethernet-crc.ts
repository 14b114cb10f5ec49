// The frame check sequence of Ethernet (IEEE 802.3, 3.2.9), which this chip hands to its driver and hashes group addresses by.

const POLYNOMIAL_REFLECTED = 0xedb88320;
const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ POLYNOMIAL_REFLECTED : crc >>> 1;
  return crc;
});

/** As it goes over the wire, lowest byte first. */
export function frameCheckSequence(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = (TABLE[(crc ^ byte) & 0xff] ?? 0) ^ (crc >>> 8);
  return ~crc >>> 0;
}

/** Which of 64 bits stands for a group address: the upper six of the register that computes the sum, bit by bit. */
export function multicastBit(mac: Uint8Array): number {
  const crc = ~frameCheckSequence(mac.subarray(0, 6));
  let bit = 0;
  // The register holds the reflected sum's bits the other way round.
  for (let i = 0; i < 6; i++) bit = (bit << 1) | ((crc >>> i) & 1);
  return bit;
}
