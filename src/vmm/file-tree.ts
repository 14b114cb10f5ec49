// A directory of the host as a file-sharing device sees it. Every call is done on return: a guest's own requests cannot
// come between a check and what it guards, and a guest on the virtual clock sees the same in each run.
//
// What goes wrong is VmError("io") with `details.errno`, the name of a Linux error ("ENOENT").

export type FileKind = "file" | "directory" | "symlink" | "other";

/** Names from the root, which is the empty path. No name is empty, "." or "..", or has "/" or NUL in it. */
export type FilePath = readonly string[];

export interface FileStat {
  readonly kind: FileKind;
  /** The lower nine bits of a mode. */
  readonly permissions: number;
  readonly sizeBytes: bigint;
  /** Unique within the tree. */
  readonly inode: bigint;
  readonly links: number;
  readonly uid: number;
  readonly gid: number;
  readonly blocks: bigint;
  readonly accessNs: bigint;
  readonly modifyNs: bigint;
  readonly changeNs: bigint;
}

export interface FileAttributes {
  readonly permissions?: number;
  readonly sizeBytes?: bigint;
  readonly accessNs?: bigint;
  readonly modifyNs?: bigint;
}

export interface OpenMode {
  readonly read: boolean;
  readonly write: boolean;
  /** Cut to nothing. */
  readonly truncate?: boolean;
  readonly append?: boolean;
}

export interface OpenFile {
  /** Bytes read, fewer at the end. */
  read(offset: bigint, into: Uint8Array): number;
  write(offset: bigint, from: Uint8Array): number;
  stat(): FileStat;
  setAttributes(attributes: FileAttributes): void;
  sync(): void;
  close(): void;
}

/** No call follows a symlink: neither on the way nor at the end. */
export interface FileTree {
  stat(path: FilePath): FileStat;
  list(path: FilePath): readonly { readonly name: string; readonly kind: FileKind; readonly inode: bigint }[];
  /** A regular file. */
  open(path: FilePath, mode: OpenMode): OpenFile;
  /** A new file; EEXIST if there is something of that name. */
  create(path: FilePath, mode: OpenMode, permissions: number): OpenFile;
  makeDirectory(path: FilePath, permissions: number): void;
  makeSymlink(path: FilePath, target: string): void;
  readSymlink(path: FilePath): string;
  link(existing: FilePath, path: FilePath): void;
  rename(from: FilePath, to: FilePath): void;
  remove(path: FilePath, kind: "directory" | "other"): void;
  setAttributes(path: FilePath, attributes: FileAttributes): void;
  /** Space in blocks, and how many files there may be. */
  space(): { blockBytes: number; blocks: bigint; freeBlocks: bigint; files: bigint; freeFiles: bigint };
}
