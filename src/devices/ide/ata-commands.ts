// The commands of an ATA disk as a table (ATA/ATAPI-6, clause 8; older ones ATA-3, table 7).

export type AtaKind =
  | "read"
  | "write"
  | "verify"
  | "flush"
  | "trim"
  | "identify"
  | "smart"
  | "features"
  | "multiple"
  | "parameters"
  | "native-max"
  | "power"
  /** Done by doing nothing. */
  | "accept";

export interface AtaCommand {
  readonly kind: AtaKind;
  /** 48-bit address and 16-bit count. */
  readonly wide: boolean;
  readonly dma: boolean;
  /** Several sectors a block of the data port. */
  readonly multiple: boolean;
  /** Past the write cache. */
  readonly through: boolean;
}

const rows: readonly (readonly [codes: readonly number[], kind: AtaKind, flags?: string])[] = [
  [[0x20, 0x21], "read"],
  [[0x24], "read", "wide"],
  [[0x25], "read", "wide dma"],
  [[0x29], "read", "wide multiple"],
  [[0xc4], "read", "multiple"],
  [[0xc8, 0xc9], "read", "dma"],
  [[0x30, 0x31], "write"],
  [[0x34], "write", "wide"],
  [[0x35], "write", "wide dma"],
  [[0x39], "write", "wide multiple"],
  [[0x3c], "write", "through"],
  [[0x3d], "write", "wide dma through"],
  [[0xce], "write", "wide multiple through"],
  [[0xc5], "write", "multiple"],
  [[0xca, 0xcb], "write", "dma"],
  [[0x40, 0x41], "verify"],
  [[0x42], "verify", "wide"],
  [[0xe7], "flush"],
  [[0xea], "flush", "wide"],
  [[0x06], "trim", "wide dma"],
  [[0xec], "identify"],
  [[0xb0], "smart"],
  [[0xef], "features"],
  [[0xc6], "multiple"],
  [[0x91], "parameters"],
  [[0xf8], "native-max"],
  [[0x27], "native-max", "wide"],
  [[0xe5, 0x98], "power"],
  // Standby, idle and sleep: there is nothing to spin down.
  [[0xe0, 0xe1, 0xe2, 0xe3, 0xe6, 0x94, 0x95, 0x96, 0x97, 0x99], "accept"],
  // RECALIBRATE and SEEK, sixteen codes each.
  [Array.from({ length: 16 }, (_, i) => 0x10 + i), "accept"],
  [Array.from({ length: 16 }, (_, i) => 0x70 + i), "accept"],
];

export const ATA_COMMANDS: ReadonlyMap<number, AtaCommand> = new Map(
  rows.flatMap(([codes, kind, flags = ""]) => {
    const has = (flag: string): boolean => flags.split(" ").includes(flag);
    const command = { kind, wide: has("wide"), dma: has("dma"), multiple: has("multiple"), through: has("through") };
    return codes.map((code): [number, AtaCommand] => [code, command]);
  }),
);
