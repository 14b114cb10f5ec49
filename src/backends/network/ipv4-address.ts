// IPv4 addresses as unsigned 32-bit numbers, and nets of them.

export interface Ipv4Net {
  readonly base: number;
  /** Length of the prefix. */
  readonly bits: number;
}

const ADDRESS = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/;
const OCTET_MAX = 255;
export const ADDRESS_BITS = 32;

/** Undefined for what is no dotted quad. */
export function parseIpv4(text: string): number | undefined {
  const octets = ADDRESS.exec(text)?.slice(1).map(Number);
  if (octets === undefined || octets.some((octet) => octet > OCTET_MAX)) return undefined;
  return octets.reduce((address, octet) => address * 256 + octet, 0);
}

export function formatIpv4(address: number): string {
  return [address >>> 24, (address >>> 16) & 0xff, (address >>> 8) & 0xff, address & 0xff].join(".");
}

/** "10.0.2.0/24"; an address alone is a net of one. */
export function parseNet(text: string): Ipv4Net | undefined {
  const [addressText = "", bitsText = String(ADDRESS_BITS), ...rest] = text.split("/");
  const address = parseIpv4(addressText);
  const bits = /^\d{1,2}$/.test(bitsText) ? Number(bitsText) : Number.NaN;
  if (address === undefined || !(bits <= ADDRESS_BITS) || rest.length > 0) return undefined;
  return { base: (address & maskOf(bits)) >>> 0, bits };
}

export function maskOf(bits: number): number {
  return bits === 0 ? 0 : (0xffffffff << (ADDRESS_BITS - bits)) >>> 0;
}

export function inNet(address: number, net: Ipv4Net): boolean {
  return (address & maskOf(net.bits)) >>> 0 === net.base;
}

/** Addresses that no packet may come from or go to: this host, multicast and reserved. */
export function isNoHost(address: number): boolean {
  const first = address >>> 24;
  return first === 0 || first === 127 || first >= 224;
}
