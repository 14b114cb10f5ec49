// Packets that a CD drive answers out of what it knows of itself and its tray: all but those that read sectors or sense.
import * as packets from "./packet-commands.ts";
import { BAD_FIELD, type Sense, UNKNOWN_COMMAND } from "./sense.ts";
import type { Tray } from "./tray.ts";

/** Bytes for the host, at most `limit` of them; nothing to say; or why it is refused. */
export type PacketAnswer =
  | { readonly kind: "data"; readonly bytes: readonly number[]; readonly limit: number }
  | { readonly kind: "done" }
  | { readonly kind: "refused"; readonly sense: Sense };

const DONE: PacketAnswer = { kind: "done" };
const CAPACITY_BYTES = 8;
const IMMEDIATE_EVENT_MEDIA = 0x10;
/** MECHANISM STATUS: idle, one slot. */
const MECHANISM = [0, 0, 0, 0, 0, 1, 0, 0];

function refused(sense: Sense): PacketAnswer {
  return { kind: "refused", sense };
}

/** Undefined bytes: a field of the packet asks for what there is not. */
function data(bytes: readonly number[] | undefined, limit: number): PacketAnswer {
  return bytes === undefined ? refused(BAD_FIELD) : { kind: "data", bytes, limit };
}

function doneUnless(sense: Sense | undefined): PacketAnswer {
  return sense === undefined ? DONE : refused(sense);
}

export function answerPacket(packet: Uint8Array, tray: Tray): PacketAnswer {
  const view = new DataView(packet.buffer, packet.byteOffset);
  const byte = (at: number): number => packet[at] ?? 0;
  switch (byte(0)) {
    case packets.PACKET_TEST_UNIT_READY:
    case packets.PACKET_SEEK_10:
      return doneUnless(tray.notReady);
    case packets.PACKET_INQUIRY:
      return data(byte(1) & 1 ? undefined : packets.inquiry(), byte(4));
    case packets.PACKET_MODE_SENSE_6:
      return modeSense(packet, tray, packets.modeSense6, byte(4));
    case packets.PACKET_MODE_SENSE_10:
      return modeSense(packet, tray, packets.modeSense10, view.getUint16(7));
    case packets.PACKET_START_STOP_UNIT:
      return doneUnless(tray.startStop(byte(4)));
    case packets.PACKET_PREVENT_REMOVAL:
      tray.locked = (byte(4) & 1) !== 0;
      return DONE;
    case packets.PACKET_GET_CONFIGURATION:
      return data(packets.configuration(packet, tray.sectors), view.getUint16(7));
    case packets.PACKET_GET_EVENT_STATUS: {
      const event = packets.eventStatus(packet, tray.event, tray.sectors !== undefined, tray.open);
      if (event !== undefined && byte(4) & IMMEDIATE_EVENT_MEDIA) tray.event = "none";
      return data(event, view.getUint16(7));
    }
    case packets.PACKET_SET_SPEED:
      return DONE;
    case packets.PACKET_MECHANISM_STATUS:
      return data(MECHANISM, view.getUint16(8));
    default:
      return answerOfDisc(packet, view, tray);
  }
}

/** Commands that describe the disc. */
function answerOfDisc(packet: Uint8Array, view: DataView, tray: Tray): PacketAnswer {
  const answers: Readonly<Record<number, (sectors: number) => number[] | undefined>> = {
    [packets.PACKET_READ_CAPACITY]: packets.capacity,
    [packets.PACKET_READ_TOC]: (sectors) => packets.toc(packet, sectors),
    [packets.PACKET_READ_SUBCHANNEL]: () => packets.subchannel(packet),
    [packets.PACKET_READ_DISC_INFORMATION]: packets.discInformation,
  };
  const operation = packet[0] ?? 0;
  const answer = answers[operation];
  if (answer === undefined) return refused(UNKNOWN_COMMAND);
  if (tray.notReady !== undefined) return refused(tray.notReady);
  const limit = operation === packets.PACKET_READ_CAPACITY ? CAPACITY_BYTES : view.getUint16(7);
  return data(answer(tray.sectors ?? 0), limit);
}

function modeSense(
  packet: Uint8Array,
  tray: Tray,
  wrap: (pages: readonly number[], present: boolean) => number[],
  limit: number,
): PacketAnswer {
  // Changeable values (1): none. Saved ones (3): none are kept.
  const control = (packet[2] ?? 0) >> 6;
  const pages = control === 3 ? undefined : packets.modePages((packet[2] ?? 0) & 0x3f, tray.locked);
  return data(pages && wrap(pages, tray.sectors !== undefined), limit);
}
