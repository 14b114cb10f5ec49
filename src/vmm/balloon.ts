/** A memory balloon (virtio 1.2, section 5.5) as the host drives it. */
export interface Balloon {
  /** Guest RAM that is the host's now, bytes. */
  readonly balloonBytes: number;
  /** What the guest uses of its RAM, by its own statistics; undefined where it keeps none. */
  readonly usedBytes: number | undefined;
  /** How large it is to be, bytes. The guest obeys when and as far as it can. */
  setTarget(bytes: number): void;
}
