// Where virtio devices are on the PCI bus and what class they are of: the same in every machine, so that a snapshot finds
// them again.

/** Slots of bus 0. 1 is the south bridge; 2 to 4 are for graphics and cards of the full set. */
export const VIRTIO_SLOTS = {
  console: 5,
  rng: 6,
  balloon: 7,
  vsock: 8,
  keyboard: 9,
  mouse: 10,
  tablet: 11,
  /** And the ones after it, as many as there may be of the kind. */
  shares: 12,
  drives: 16,
  nics: 24,
} as const;

/** Class codes by kind, as firmware and other transitional software expect them. */
export const CLASSES = {
  storage: 0x010000,
  network: 0x020000,
  communication: 0x078000,
  keyboard: 0x090000,
  mouse: 0x090200,
  tablet: 0x090100,
  other: 0x00ff00,
} as const;
