// What passes a card, as a file of tcpdump and Wireshark: the classic pcap format with nanoseconds, link type Ethernet
// (draft-ietf-opsawg-pcap).
import type { NetworkBackend } from "../../vmm/network.ts";
import { FRAME_MAX } from "./frame.ts";

/** Timestamps are seconds and nanoseconds; the order of bytes shows in it. */
const MAGIC_NANOSECONDS = 0xa1b23c4d;
const VERSION_MAJOR = 2;
const VERSION_MINOR = 4;
const LINKTYPE_ETHERNET = 1;
const HEADER_BYTES = 24;
const RECORD_BYTES = 16;
const NS = 1_000_000_000;

/** Takes whole pieces, in order. */
export type CaptureSink = (bytes: Uint8Array) => void;

export function pcapHeader(): Uint8Array {
  const view = new DataView(new ArrayBuffer(HEADER_BYTES));
  view.setUint32(0, MAGIC_NANOSECONDS, true);
  view.setUint16(4, VERSION_MAJOR, true);
  view.setUint16(6, VERSION_MINOR, true);
  view.setUint32(16, FRAME_MAX, true);
  view.setUint32(20, LINKTYPE_ETHERNET, true);
  return new Uint8Array(view.buffer);
}

/** `timeMs`: since 1970, with a fraction. */
export function pcapRecord(frame: Uint8Array, timeMs: number): Uint8Array {
  const record = new Uint8Array(RECORD_BYTES + frame.length);
  const view = new DataView(record.buffer);
  const seconds = Math.floor(timeMs / 1000);
  view.setUint32(0, seconds, true);
  view.setUint32(4, Math.min(NS - 1, Math.floor((timeMs - seconds * 1000) * 1e6)), true);
  view.setUint32(8, frame.length, true);
  view.setUint32(12, frame.length, true);
  record.set(frame, RECORD_BYTES);
  return record;
}

/** The same network, with a record of everything that goes over it, both ways; the sink has the header already. */
export function capturedBackend(backend: NetworkBackend, sink: CaptureSink, wallMs: () => number): NetworkBackend {
  const record = (frame: Uint8Array): void => sink(pcapRecord(frame, wallMs()));
  const { onLink, useClock, timeMetrics } = backend;
  return {
    send: (frame) => {
      record(frame);
      backend.send(frame);
    },
    onReceive: (listener) =>
      backend.onReceive((frame) => {
        record(frame);
        listener(frame);
      }),
    ...(onLink ? { onLink: (listener: (up: boolean) => void) => onLink.call(backend, listener) } : {}),
    ...(useClock ? { useClock: (...args: Parameters<typeof useClock>) => useClock.apply(backend, args) } : {}),
    ...(timeMetrics ? { timeMetrics: () => timeMetrics.call(backend) } : {}),
  };
}
