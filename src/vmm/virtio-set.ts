// The virtio devices of a board, for who controls them from the host.
import type { VirtioBalloon } from "../devices/virtio/balloon.ts";
import type { VirtioBlk } from "../devices/virtio/blk.ts";
import type { VirtioConsole } from "../devices/virtio/console.ts";
import type { InputKind, VirtioInput } from "../devices/virtio/input.ts";
import type { VirtioNet } from "../devices/virtio/net.ts";
import type { VirtioVsock } from "../devices/virtio/vsock.ts";
import type { Device } from "./device.ts";
import type { VirtioCards } from "./virtio-cards.ts";

export interface VirtioSet {
  readonly devices: readonly Device[];
  readonly cards: VirtioCards;
  readonly balloon: VirtioBalloon | undefined;
  readonly console: VirtioConsole | undefined;
  readonly vsock: VirtioVsock | undefined;
  /** By the id in the configuration. */
  readonly drives: ReadonlyMap<string, VirtioBlk>;
  readonly nics: ReadonlyMap<string, VirtioNet>;
  readonly inputs: ReadonlyMap<InputKind, VirtioInput>;
}

/** Of a machine that has none so far; cards may come. */
export function noVirtio(cards: VirtioCards): VirtioSet {
  const none = { balloon: undefined, console: undefined, vsock: undefined };
  return { devices: [], cards, ...none, drives: cards.drives, nics: cards.nics, inputs: new Map() };
}
