// Sense data: why a packet command failed (SPC-2, 7.20; MMC-3, annex A).
export const CD_SECTOR = 2048;

export interface Sense {
  readonly key: number;
  readonly asc: number;
  readonly ascq: number;
}

const sense = (key: number, asc: number, ascq = 0): Sense => ({ key, asc, ascq });

export const NO_SENSE = sense(0, 0);
export const NOT_READY_NO_MEDIUM = sense(2, 0x3a);
export const NOT_READY_TRAY_OPEN = sense(2, 0x3a, 2);
export const MEDIUM_UNREADABLE = sense(3, 0x11);
export const UNKNOWN_COMMAND = sense(5, 0x20);
export const ADDRESS_OUT_OF_RANGE = sense(5, 0x21);
export const BAD_FIELD = sense(5, 0x24);
export const REMOVAL_PREVENTED = sense(5, 0x53, 2);
export const MEDIUM_CHANGED = sense(6, 0x28);

export function senseData({ key, asc, ascq }: Sense): number[] {
  return [0x70, 0, key, 0, 0, 0, 0, 10, 0, 0, 0, 0, asc, ascq, 0, 0, 0, 0];
}
