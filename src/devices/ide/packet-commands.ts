// The packet commands of a CD drive that only describe things: what they answer (MMC-3, SPC-2; Mt. Fuji 5 for events).
import { CD_SECTOR } from "./sense.ts";

// ---- operation codes
export const PACKET_TEST_UNIT_READY = 0x00;
export const PACKET_REQUEST_SENSE = 0x03;
export const PACKET_INQUIRY = 0x12;
export const PACKET_MODE_SENSE_6 = 0x1a;
export const PACKET_START_STOP_UNIT = 0x1b;
export const PACKET_PREVENT_REMOVAL = 0x1e;
export const PACKET_READ_CAPACITY = 0x25;
export const PACKET_READ_10 = 0x28;
export const PACKET_SEEK_10 = 0x2b;
export const PACKET_READ_SUBCHANNEL = 0x42;
export const PACKET_READ_TOC = 0x43;
export const PACKET_GET_CONFIGURATION = 0x46;
export const PACKET_GET_EVENT_STATUS = 0x4a;
export const PACKET_READ_DISC_INFORMATION = 0x51;
export const PACKET_MODE_SENSE_10 = 0x5a;
export const PACKET_READ_12 = 0xa8;
export const PACKET_SET_SPEED = 0xbb;
export const PACKET_MECHANISM_STATUS = 0xbd;
export const PACKET_READ_CD = 0xbe;

const LEAD_OUT = 0xaa;
const DATA_TRACK = 0x14;
const FRAMES_A_SECOND = 75;
/** Two seconds of pregap before sector 0. */
const PREGAP_FRAMES = 150;
const PROFILE_CD = 0x0008;
const PROFILE_DVD = 0x0010;
/** Larger discs than an overburnt CD are DVDs. */
const CD_SECTORS_MAX = 99 * 60 * FRAMES_A_SECOND;
const SPEED_KB = 706; // 4x

function msf(lba: number): number[] {
  const frames = lba + PREGAP_FRAMES;
  return [
    Math.floor(frames / FRAMES_A_SECOND / 60) & 0xff,
    Math.floor(frames / FRAMES_A_SECOND) % 60,
    frames % FRAMES_A_SECOND,
  ];
}

function big32(value: number): number[] {
  return [value >>> 24, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff];
}

/** With its length, itself not counted, in the first two bytes. */
function withLength16(body: readonly number[]): number[] {
  return [(body.length >> 8) & 0xff, body.length & 0xff, ...body];
}

function ascii(text: string, length: number): number[] {
  return [...text.padEnd(length).slice(0, length)].map((letter) => letter.charCodeAt(0));
}

export function inquiry(): number[] {
  return [
    0x05, // CD drive
    0x80, // removable
    0x00,
    0x21, // ATAPI response format
    31,
    0,
    0,
    0,
    ...ascii("PARAVANE", 8),
    ...ascii("CD-ROM", 16),
    ...ascii("1.0", 4),
  ];
}

export function capacity(sectors: number): number[] {
  return [...big32(sectors - 1), ...big32(CD_SECTOR)];
}

/** Undefined for a format or a track that there is not. */
export function toc(packet: Uint8Array, sectors: number): number[] | undefined {
  const inMsf = ((packet[1] ?? 0) & 0x02) !== 0;
  const format = (packet[2] ?? 0) & 0x0f || (packet[9] ?? 0) >> 6;
  const from = packet[6] ?? 0;
  const address = (lba: number): number[] => (inMsf ? [0, ...msf(lba)] : big32(lba));
  if (format === 0) {
    if (from > 1 && from !== LEAD_OUT) return undefined;
    const track = from <= 1 ? [0, DATA_TRACK, 1, 0, ...address(0)] : [];
    return withLength16([1, 1, ...track, 0, DATA_TRACK, LEAD_OUT, 0, ...address(sectors)]);
  }
  // One session: where its first track begins.
  if (format === 1) return withLength16([1, 1, 0, DATA_TRACK, 1, 0, ...address(0)]);
  if (format !== 2) return undefined;
  const row = (point: number, rest: readonly number[]): number[] => [1, DATA_TRACK, 0, point, 0, 0, 0, ...rest];
  return withLength16([
    1,
    1,
    ...row(0xa0, [0, 1, 0, 0]),
    ...row(0xa1, [0, 1, 0, 0]),
    ...row(0xa2, address(sectors)),
    ...row(1, address(0)),
  ]);
}

export function subchannel(packet: Uint8Array): number[] {
  const wanted = ((packet[2] ?? 0) & 0x40) !== 0;
  // No audio status, position at the beginning.
  return [0, 0x15, ...withLength16(wanted ? [1, DATA_TRACK, 1, 1, ...big32(0), ...big32(0)] : [])];
}

/** GET CONFIGURATION: profiles of the drive and the current one. */
export function configuration(packet: Uint8Array, sectors: number | undefined): number[] {
  const profile = sectors === undefined ? 0 : sectors > CD_SECTORS_MAX ? PROFILE_DVD : PROFILE_CD;
  const onlyCurrent = ((packet[1] ?? 0) & 3) === 1;
  const only = ((packet[1] ?? 0) & 3) === 2;
  const start = ((packet[2] ?? 0) << 8) | (packet[3] ?? 0);
  const row = (id: number): number[] => [0, id, profile === id ? 1 : 0, 0];
  const features: readonly (readonly [code: number, current: boolean, body: number[]])[] = [
    [0x0000, true, [0x03, 8, ...row(PROFILE_DVD), ...row(PROFILE_CD)]],
    [0x0001, true, [0x0b, 8, ...big32(2), 0, 0, 0, 0]], // core: ATAPI
    [0x0003, true, [0x03, 4, 0x29, 0, 0, 0]], // removable: tray, eject, lock
    [0x0010, sectors !== undefined, [0x00, 8, ...big32(CD_SECTOR), 0, 1, 0, 0]], // random readable
    [0x001e, profile === PROFILE_CD, [0x00, 4, 0, 0, 0, 0]], // CD read
  ];
  const body = features
    .filter(([code, current]) => (only ? code === start : code >= start && (current || !onlyCurrent)))
    .flatMap(([code, current, [flags = 0, ...rest]]) => [0, code, flags | (current ? 1 : 0), ...rest]);
  return [...big32(body.length + 4), 0, 0, profile >> 8, profile & 0xff, ...body];
}

export type MediaEvent = "none" | "eject-request" | "new-media" | "removed";
const EVENT_CODES: Readonly<Record<MediaEvent, number>> = { none: 0, "eject-request": 1, "new-media": 2, removed: 3 };
const MEDIA_CLASS = 4;

/** Undefined for asynchronous notification, which there is not. */
export function eventStatus(
  packet: Uint8Array,
  event: MediaEvent,
  present: boolean,
  open: boolean,
): number[] | undefined {
  if (!((packet[1] ?? 0) & 1)) return undefined;
  const supported = 1 << MEDIA_CLASS;
  // The class asked for is not the media's: "no event available".
  if (!((packet[4] ?? 0) & supported)) return [0, 2, 0x80, supported];
  return [0, 6, MEDIA_CLASS, supported, EVENT_CODES[event], (open ? 1 : 0) | (present ? 2 : 0), 0, 0];
}

export function discInformation(): number[] {
  // Complete, last session complete, one session with track 1.
  return withLength16([0x0e, 1, 1, 1, 1, 0x20, 0, 0, 0, 0, 0, 0, 0, ...new Array<number>(19).fill(0)]);
}

/** Mode pages; undefined for one that there is not. `locked`: the tray is. */
export function modePages(page: number, locked: boolean): number[] | undefined {
  const pages: Readonly<Record<number, number[]>> = {
    1: [0x01, 6, 0, 5, 0, 0, 0, 0], // error recovery
    14: [0x0e, 14, 4, 0, 0, 0, 0, 75, 1, 255, 2, 255, 0, 0, 0, 0], // audio control
    42: [
      0x2a,
      20,
      0x3b, // reads CD-R, CD-RW, DVD-ROM, DVD-R
      0,
      0x70, // mode 2, multisession
      0x03,
      0x29 | (locked ? 0x02 : 0), // tray, eject, lock
      0,
      SPEED_KB >> 8,
      SPEED_KB & 0xff,
      0,
      2,
      0x02,
      0x00,
      SPEED_KB >> 8,
      SPEED_KB & 0xff,
      0,
      0,
      0,
      0,
      0,
      0,
    ],
  };
  if (page === 0x3f) return Object.values(pages).flat();
  return pages[page];
}

/** The header of MODE SENSE (10): length, medium type, no block descriptors. */
export function modeSense10(pages: readonly number[], present: boolean): number[] {
  return withLength16([present ? 0x01 : 0x70, 0, 0, 0, 0, 0, ...pages]);
}

export function modeSense6(pages: readonly number[], present: boolean): number[] {
  return [3 + pages.length, present ? 0x01 : 0x70, 0, 0, ...pages];
}
