// The commands of the 82077AA (datasheet, chapter 5): how many bytes each takes after the first.

export type FdcCommand =
  | "specify"
  | "sense-drive"
  | "write"
  | "read"
  | "verify"
  | "recalibrate"
  | "sense-interrupt"
  | "read-id"
  | "format"
  | "dump"
  | "seek"
  | "version"
  | "perpendicular"
  | "configure"
  | "lock"
  | "part-id"
  | "relative-seek"
  | "powerdown"
  | "drive-specification"
  | "invalid";

/** Mask of the bits that name the command, their value, its name, its parameters. */
const rows: readonly (readonly [mask: number, code: number, command: FdcCommand, parameters: number])[] = [
  [0xff, 0x03, "specify", 2],
  [0xff, 0x04, "sense-drive", 1],
  [0x3f, 0x05, "write", 8],
  [0x3f, 0x09, "write", 8],
  [0x1f, 0x06, "read", 8],
  [0x1f, 0x0c, "read", 8],
  [0x9f, 0x02, "read", 8],
  [0x1f, 0x16, "verify", 8],
  [0xff, 0x07, "recalibrate", 1],
  [0xff, 0x08, "sense-interrupt", 0],
  [0xbf, 0x0a, "read-id", 1],
  [0xbf, 0x0d, "format", 5],
  [0xff, 0x0e, "dump", 0],
  [0xff, 0x0f, "seek", 2],
  [0xff, 0x10, "version", 0],
  [0xff, 0x12, "perpendicular", 1],
  [0xff, 0x13, "configure", 3],
  [0x7f, 0x14, "lock", 0],
  [0xff, 0x17, "powerdown", 1],
  [0xff, 0x18, "part-id", 0],
  [0xff, 0x8e, "drive-specification", 6],
  [0xbf, 0x8f, "relative-seek", 2],
];

export function decodeFdcCommand(code: number): { readonly command: FdcCommand; readonly parameters: number } {
  const row = rows.find(([mask, value]) => (code & mask) === value);
  return row === undefined ? { command: "invalid", parameters: 0 } : { command: row[2], parameters: row[3] };
}
