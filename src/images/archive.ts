// Reading what Debian packages are made of: an ar archive that holds tar archives (deb(5), ar(5), and POSIX ustar
// with GNU long names, tar(5)).

export interface ArMember {
  readonly name: string;
  readonly data: Uint8Array;
}

/** One member of a tar archive. Paths have no leading "./" or "/" and no trailing "/"; the root is left out. */
export type TarEntry =
  | { readonly kind: "directory"; readonly path: string; readonly permissions: number }
  | { readonly kind: "file"; readonly path: string; readonly permissions: number; readonly data: Uint8Array }
  | { readonly kind: "symlink"; readonly path: string; readonly target: string }
  | { readonly kind: "hardlink"; readonly path: string; readonly target: string };

/** The archive is damaged; the message says where. */
export class ArchiveError extends Error {
  override readonly name = "ArchiveError";
}

const AR_MAGIC = "!<arch>\n";
const AR_HEADER_BYTES = 60;
const TAR_BLOCK_BYTES = 512;

const decoder = new TextDecoder();

const text = (bytes: Uint8Array): string => {
  const end = bytes.indexOf(0);
  return decoder.decode(end < 0 ? bytes : bytes.subarray(0, end));
};

/** The members in order. Throws ArchiveError. */
export function readAr(bytes: Uint8Array): ArMember[] {
  if (decoder.decode(bytes.subarray(0, AR_MAGIC.length)) !== AR_MAGIC) throw new ArchiveError("this is no ar archive");
  const members: ArMember[] = [];
  for (let at = AR_MAGIC.length; at < bytes.length; ) {
    const header = decoder.decode(bytes.subarray(at, at + AR_HEADER_BYTES));
    const size = Number(header.slice(48, 58).trim());
    const start = at + AR_HEADER_BYTES;
    if (!header.endsWith("`\n") || !Number.isInteger(size) || size < 0 || start + size > bytes.length) {
      throw new ArchiveError(`the ar member at offset ${at} is damaged or incomplete`);
    }
    members.push({ name: header.slice(0, 16).trim().replace(/\/$/, ""), data: bytes.subarray(start, start + size) });
    at = start + size + (size & 1);
  }
  return members;
}

/** The entries in order; device nodes and other special members are left out. Throws ArchiveError. */
export function* readTar(bytes: Uint8Array): Generator<TarEntry> {
  let longName: string | undefined;
  let longTarget: string | undefined;
  for (let at = 0; at + TAR_BLOCK_BYTES <= bytes.length; ) {
    const header = bytes.subarray(at, at + TAR_BLOCK_BYTES);
    if (header.every((byte) => byte === 0)) return;
    checkSum(header, at);
    const size = tarNumber(header, 124, 12);
    const start = at + TAR_BLOCK_BYTES;
    if (start + size > bytes.length) throw new ArchiveError(`the tar member at offset ${at} is incomplete`);
    const data = bytes.subarray(start, start + size);
    at = start + Math.ceil(size / TAR_BLOCK_BYTES) * TAR_BLOCK_BYTES;
    const type = String.fromCharCode(header[156] as number);
    if (type === "L") {
      longName = text(data);
      continue;
    }
    if (type === "K") {
      longTarget = text(data);
      continue;
    }
    const prefix = text(header.subarray(345, 500));
    const isUstar = decoder.decode(header.subarray(257, 263)) === "ustar\0";
    const shortName = text(header.subarray(0, 100));
    const path = normalise(longName ?? (isUstar && prefix ? `${prefix}/${shortName}` : shortName));
    const target = longTarget ?? text(header.subarray(157, 257));
    longName = undefined;
    longTarget = undefined;
    if (path === "") continue;
    const permissions = tarNumber(header, 100, 8) & 0o7777;
    if (type === "0" || type === "\0") yield { kind: "file", path, permissions, data };
    else if (type === "5") yield { kind: "directory", path, permissions };
    else if (type === "2") yield { kind: "symlink", path, target };
    else if (type === "1") yield { kind: "hardlink", path, target: normalise(target) };
  }
}

const normalise = (path: string): string =>
  path
    .split("/")
    .filter((part) => part !== "" && part !== "." && part !== "..")
    .join("/");

/** Octal digits, or base 256 when the top bit of the first byte is set (GNU, for large files). */
function tarNumber(header: Uint8Array, offset: number, length: number): number {
  const field = header.subarray(offset, offset + length);
  if (((field[0] as number) & 0x80) !== 0) {
    return field.subarray(1).reduce((value, byte) => value * 256 + byte, (field[0] as number) & 0x7f);
  }
  const value = Number.parseInt(text(field).trim() || "0", 8);
  if (Number.isNaN(value)) throw new ArchiveError(`a tar header has the number "${text(field)}"`);
  return value;
}

function checkSum(header: Uint8Array, at: number): void {
  // The sum counts its own field as spaces.
  let sum = 0;
  for (let index = 0; index < TAR_BLOCK_BYTES; index++) {
    sum += index >= 148 && index < 156 ? 0x20 : (header[index] as number);
  }
  if (sum !== tarNumber(header, 148, 8)) throw new ArchiveError(`the tar header at offset ${at} has a wrong checksum`);
}
