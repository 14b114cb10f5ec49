// A writer for the "newc" cpio format, which the Linux kernel unpacks as its initramfs
// (Documentation/driver-api/early-userspace/buffer-format.rst).

/** One member of an archive. Paths have no leading slash; parents must come before children. */
export type CpioEntry =
  | { readonly kind: "directory"; readonly path: string; readonly permissions?: number }
  | { readonly kind: "file"; readonly path: string; readonly data: Uint8Array; readonly permissions?: number }
  | { readonly kind: "symlink"; readonly path: string; readonly target: string }
  | {
      readonly kind: "character-device";
      readonly path: string;
      readonly major: number;
      readonly minor: number;
      readonly permissions?: number;
    };

const S_IFDIR = 0o040000;
const S_IFREG = 0o100000;
const S_IFLNK = 0o120000;
const S_IFCHR = 0o020000;
const HEADER_BYTES = 110;
const TRAILER = "TRAILER!!!";
/** The kernel accepts archives one after another when each begins on a multiple of 4; 512 keeps them readable by cpio. */
const ARCHIVE_ALIGNMENT = 512;

const encoder = new TextEncoder();

interface Member {
  readonly name: Uint8Array;
  readonly mode: number;
  readonly data: Uint8Array;
  readonly major: number;
  readonly minor: number;
}

const align4 = (offset: number): number => (offset + 3) & ~3;

/**
 * The archive's bytes. The same entries give the same bytes: owner is root, times are zero, inode numbers count up.
 * Throws RangeError for a path that is empty, absolute or has an empty, "." or ".." part.
 */
export function writeCpio(entries: Iterable<CpioEntry>): Uint8Array {
  const members: Member[] = [];
  for (const entry of entries) members.push(member(entry));
  members.push({ name: encoder.encode(TRAILER), mode: 0, data: new Uint8Array(0), major: 0, minor: 0 });

  let size = 0;
  for (const m of members) size = align4(align4(size + HEADER_BYTES + m.name.length + 1) + m.data.length);
  size = Math.ceil(size / ARCHIVE_ALIGNMENT) * ARCHIVE_ALIGNMENT;

  const archive = new Uint8Array(size);
  let offset = 0;
  members.forEach((m, index) => {
    const isTrailer = index === members.length - 1;
    const isDirectory = (m.mode & 0o170000) === S_IFDIR;
    const fields = [
      isTrailer ? 0 : index + 1,
      m.mode,
      0,
      0,
      isDirectory ? 2 : 1,
      0,
      m.data.length,
      0,
      0,
      m.major,
      m.minor,
      m.name.length + 1,
      0,
    ];
    const header = `070701${fields.map((value) => value.toString(16).toUpperCase().padStart(8, "0")).join("")}`;
    archive.set(encoder.encode(header), offset);
    archive.set(m.name, offset + HEADER_BYTES);
    offset = align4(offset + HEADER_BYTES + m.name.length + 1);
    archive.set(m.data, offset);
    offset = align4(offset + m.data.length);
  });
  return archive;
}

function member(entry: CpioEntry): Member {
  const parts = entry.path.split("/");
  if (parts.some((part) => part === "" || part === "." || part === "..")) {
    throw new RangeError(`cpio path "${entry.path}" must be relative, without empty, "." or ".." parts`);
  }
  const name = encoder.encode(entry.path);
  const none = new Uint8Array(0);
  switch (entry.kind) {
    case "directory":
      return { name, mode: S_IFDIR | (entry.permissions ?? 0o755), data: none, major: 0, minor: 0 };
    case "file":
      return { name, mode: S_IFREG | (entry.permissions ?? 0o644), data: entry.data, major: 0, minor: 0 };
    case "symlink":
      return { name, mode: S_IFLNK | 0o777, data: encoder.encode(entry.target), major: 0, minor: 0 };
    case "character-device":
      return { name, mode: S_IFCHR | (entry.permissions ?? 0o600), data: none, major: entry.major, minor: entry.minor };
  }
}

/** The entries with every missing parent directory put before its first child; later duplicates of a path win. */
export function withParents(entries: Iterable<CpioEntry>): CpioEntry[] {
  const byPath = new Map<string, CpioEntry>();
  for (const entry of entries) {
    const parts = entry.path.split("/");
    for (let depth = 1; depth < parts.length; depth++) {
      const parent = parts.slice(0, depth).join("/");
      if (!byPath.has(parent)) byPath.set(parent, { kind: "directory", path: parent });
    }
    byPath.set(entry.path, entry);
  }
  return [...byPath.values()];
}
