// Ethernet frames: addresses, types, and how both are written.
import { get16, put16 } from "../../vmm/network-bytes.ts";

export const ETHERNET_HEADER = 14;
export const MAC_BYTES = 6;
export const FRAME_MIN = ETHERNET_HEADER;
/** What a card takes at most: 64 KiB of payload. */
export const FRAME_MAX = 65_550;
export const TYPE_IPV4 = 0x0800;
export const TYPE_ARP = 0x0806;
export const BROADCAST: Uint8Array = new Uint8Array(MAC_BYTES).fill(0xff);

export const frameTarget = (frame: Uint8Array): Uint8Array => frame.subarray(0, MAC_BYTES);
export const frameSource = (frame: Uint8Array): Uint8Array => frame.subarray(MAC_BYTES, 2 * MAC_BYTES);
export const frameType = (frame: Uint8Array): number => get16(frame, 2 * MAC_BYTES);

/** Multicast or broadcast. */
export function isGroup(mac: Uint8Array): boolean {
  return ((mac[0] ?? 0) & 1) !== 0;
}

/** An address as a number below 2^48: the key of tables. */
export function macKey(mac: Uint8Array): number {
  let key = 0;
  for (let i = 0; i < MAC_BYTES; i++) key = key * 256 + (mac[i] ?? 0);
  return key;
}

export function equalMac(a: Uint8Array, b: Uint8Array): boolean {
  return macKey(a) === macKey(b);
}

export function formatMac(mac: Uint8Array): string {
  return Array.from(mac.subarray(0, MAC_BYTES), (byte) => byte.toString(16).padStart(2, "0")).join(":");
}

/** A frame with room for `payloadBytes`, its header filled in. */
export function makeFrame(target: Uint8Array, source: Uint8Array, type: number, payloadBytes: number): Uint8Array {
  const frame = new Uint8Array(ETHERNET_HEADER + payloadBytes);
  frame.set(target.subarray(0, MAC_BYTES), 0);
  frame.set(source.subarray(0, MAC_BYTES), MAC_BYTES);
  put16(frame, 2 * MAC_BYTES, type);
  return frame;
}
