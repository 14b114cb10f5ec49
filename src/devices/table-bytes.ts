// Bytes of the tables that firmware leaves for operating systems (ACPI, MultiProcessor): little endian, summing to 0.

export function u16(value: number): number[] {
  return [value & 0xff, (value >> 8) & 0xff];
}

export function u32(value: number): number[] {
  return [value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, value >>> 24];
}

/** `text`, padded with spaces to `length` bytes. */
export function ascii(text: string, length = text.length): number[] {
  return Array.from(text.padEnd(length), (c) => c.charCodeAt(0));
}

/** What makes the bytes sum to 0 modulo 256. */
export function checksum(bytes: readonly number[]): number {
  return -bytes.reduce((sum, byte) => sum + byte, 0) & 0xff;
}
