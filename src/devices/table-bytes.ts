// Bytes of the tables that firmware leaves for operating systems (ACPI, MultiProcessor): little endian, summing to 0.

export function u16(value: number): number[] {
  return [value & 0xff, (value >> 8) & 0xff];
}

export function u32(value: number): number[] {
  return [value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, value >>> 24];
}

/** `text`, padded with spaces to `length` bytes. */
export function ascii(text: string, length = text.length): number[] {
  const bytes: number[] = [];
  for (let i = 0; i < length; i++) bytes.push(i < text.length ? text.charCodeAt(i) : 0x20);
  return bytes;
}

/** What makes the bytes sum to 0 modulo 256. */
export function checksum(bytes: readonly number[]): number {
  let sum = 0;
  for (const byte of bytes) sum += byte;
  return -sum & 0xff;
}
