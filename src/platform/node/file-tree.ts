// A directory of the host's file system, shared with a guest that must not get out of it.
//
// Symlinks are never followed. On Linux each name of a path is opened from its parent's descriptor (through
// /proc/self/fd, as openat would), so that nobody can swap a directory for a symlink between a check and its use;
// elsewhere each directory on the way is checked first, which other programs of the host could race against.
import * as fs from "node:fs";
import { join, sep } from "node:path";
import { VmError } from "../../vmm/error.ts";
import type {
  FileAttributes,
  FileKind,
  FilePath,
  FileStat,
  FileTree,
  OpenFile,
  OpenMode,
} from "../../vmm/file-tree.ts";

const { O_RDONLY, O_WRONLY, O_RDWR, O_CREAT, O_EXCL, O_TRUNC, O_APPEND, O_NOFOLLOW, O_NONBLOCK, O_DIRECTORY } =
  fs.constants;
/** Missing on hosts without the notion. */
const NO_FOLLOW = O_NOFOLLOW ?? 0;
const DIRECTORY_ONLY = O_DIRECTORY ?? 0;
/** A pipe that somebody put there must not hold us up. */
const NO_BLOCK = O_NONBLOCK ?? 0;
/** No set-user-ID, set-group-ID or sticky bits: they would be the host user's. */
const PERMISSIONS = 0o777;
const DEVICE_SHIFT = 48n;

export interface NodeFileTreeOptions {
  /** Refuses every change with EROFS. Default false. */
  readonly readOnly?: boolean;
}

export class NodeFileTree implements FileTree, Disposable {
  readonly #root: number;
  readonly #rootPath: string;
  readonly #device: bigint;
  readonly #readOnly: boolean;
  readonly #byDescriptor: boolean;

  /** Throws VmError("not-found") unless `root` is a directory. A symlink to one is resolved now, once. */
  constructor(root: string, options: NodeFileTreeOptions = {}) {
    this.#readOnly = options.readOnly ?? false;
    try {
      this.#rootPath = fs.realpathSync(root);
      this.#root = fs.openSync(this.#rootPath, O_RDONLY | DIRECTORY_ONLY);
    } catch (cause) {
      throw new VmError("not-found", `${root} is no directory that can be shared.`, { root }, { cause });
    }
    this.#device = fs.fstatSync(this.#root, { bigint: true }).dev;
    this.#byDescriptor = fs.existsSync(`/proc/self/fd/${this.#root}/.`);
  }

  [Symbol.dispose](): void {
    fs.closeSync(this.#root);
  }

  // ---- the way to a name

  /** Calls `use` with a path of the host's whose last component is the name and whose other ones cannot change. */
  #at<T>(path: FilePath, use: (host: string) => T): T {
    return asIoError(() => {
      for (const name of path) if (name.includes(sep)) throw errno("EINVAL");
      const parents = path.slice(0, -1);
      const name = path.at(-1) ?? ".";
      if (!this.#byDescriptor) return use(this.#checkedPath(parents, name));
      const opened: number[] = [];
      try {
        let parent = this.#root;
        for (const directory of parents) {
          parent = fs.openSync(`/proc/self/fd/${parent}/${directory}`, O_RDONLY | DIRECTORY_ONLY | NO_FOLLOW);
          opened.push(parent);
        }
        return use(`/proc/self/fd/${parent}/${name}`);
      } finally {
        for (const fd of opened) fs.closeSync(fd);
      }
    });
  }

  #checkedPath(parents: FilePath, name: string): string {
    let at = this.#rootPath;
    for (const directory of parents) {
      at = join(at, directory);
      if (!fs.lstatSync(at).isDirectory()) throw errno("ENOTDIR");
    }
    return join(at, name);
  }

  #change<T>(path: FilePath, use: (host: string) => T): T {
    if (this.#readOnly) throw ioError("EROFS", path);
    if (path.length === 0) throw ioError("EBUSY", path);
    return this.#at(path, use);
  }

  // ---- FileTree

  stat(path: FilePath): FileStat {
    return this.#at(path, (host) => this.#describe(fs.lstatSync(host, { bigint: true })));
  }

  list(path: FilePath): { name: string; kind: FileKind; inode: bigint }[] {
    return this.#at([...path, "."], (host) => {
      const found: { name: string; kind: FileKind; inode: bigint }[] = [];
      for (const name of fs.readdirSync(host)) {
        try {
          const { kind, inode } = this.#describe(fs.lstatSync(join(host, name), { bigint: true }));
          found.push({ name, kind, inode });
        } catch {
          // Gone since, or a name that is no text.
        }
      }
      return found;
    });
  }

  open(path: FilePath, mode: OpenMode): OpenFile {
    const changes = mode.write || mode.truncate;
    if (changes && this.#readOnly) throw ioError("EROFS", path);
    return this.#at(path, (host) => {
      const fd = fs.openSync(host, openFlags({ ...mode, truncate: false }) | NO_FOLLOW | NO_BLOCK);
      return this.#regular(fd, mode.truncate ?? false);
    });
  }

  create(path: FilePath, mode: OpenMode, permissions: number): OpenFile {
    return this.#change(path, (host) => {
      const flags = openFlags(mode) | O_CREAT | O_EXCL | NO_FOLLOW | NO_BLOCK;
      return this.#regular(fs.openSync(host, flags, permissions & PERMISSIONS), false);
    });
  }

  /** The file behind a descriptor, which must be a regular one; closes any other. */
  #regular(fd: number, truncate: boolean): OpenFile {
    try {
      if (!fs.fstatSync(fd).isFile()) throw errno("EOPNOTSUPP");
      if (truncate) fs.ftruncateSync(fd, 0);
    } catch (error) {
      fs.closeSync(fd);
      throw error;
    }
    return new NodeFile(fd, this.#readOnly, (stats) => this.#describe(stats));
  }

  makeDirectory(path: FilePath, permissions: number): void {
    this.#change(path, (host) => fs.mkdirSync(host, permissions & PERMISSIONS));
  }
  makeSymlink(path: FilePath, target: string): void {
    this.#change(path, (host) => fs.symlinkSync(target, host));
  }
  readSymlink(path: FilePath): string {
    return this.#at(path, (host) => fs.readlinkSync(host));
  }
  link(existing: FilePath, path: FilePath): void {
    // linkat does not follow symlinks; a directory is refused by the host.
    this.#change(existing, (from) => this.#change(path, (to) => fs.linkSync(from, to)));
  }
  rename(from: FilePath, to: FilePath): void {
    this.#change(from, (source) => this.#change(to, (target) => fs.renameSync(source, target)));
  }
  remove(path: FilePath, kind: "directory" | "other"): void {
    this.#change(path, (host) => (kind === "directory" ? fs.rmdirSync(host) : fs.unlinkSync(host)));
  }

  setAttributes(path: FilePath, attributes: FileAttributes): void {
    if (this.#readOnly) throw ioError("EROFS", path);
    this.#at(path, (host) => {
      const { permissions, sizeBytes, accessNs, modifyNs } = attributes;
      const stats = fs.lstatSync(host, { bigint: true });
      // chmod and truncate would follow a symlink: they go by a descriptor.
      if (permissions !== undefined || sizeBytes !== undefined) {
        if (!stats.isFile() && !stats.isDirectory()) throw errno("EOPNOTSUPP");
        if (sizeBytes !== undefined && !stats.isFile()) throw errno("EISDIR");
        const fd = fs.openSync(host, (sizeBytes === undefined ? O_RDONLY : O_WRONLY) | NO_FOLLOW | NO_BLOCK);
        try {
          if (permissions !== undefined) fs.fchmodSync(fd, permissions & PERMISSIONS);
          if (sizeBytes !== undefined) fs.ftruncateSync(fd, fileOffset(sizeBytes));
        } finally {
          fs.closeSync(fd);
        }
      }
      if (accessNs === undefined && modifyNs === undefined) return;
      fs.lutimesSync(host, seconds(accessNs ?? stats.atimeNs), seconds(modifyNs ?? stats.mtimeNs));
    });
  }

  space(): ReturnType<FileTree["space"]> {
    return asIoError(() => {
      const { bsize, blocks, bavail, files, ffree } = fs.statfsSync(this.#rootPath, { bigint: true });
      return { blockBytes: Number(bsize), blocks, freeBlocks: bavail, files, freeFiles: ffree };
    });
  }

  #describe(stats: fs.BigIntStats): FileStat {
    // Another file system mounted below the root counts its inodes anew.
    const mounted = stats.dev === this.#device ? 0n : BigInt.asUintN(64, stats.dev << DEVICE_SHIFT);
    // What this process owns looks like root's: the guest's root is the one to use it.
    const own = process.getuid?.() ?? 0;
    const uid = Number(stats.uid);
    return {
      kind: stats.isFile() ? "file" : stats.isDirectory() ? "directory" : stats.isSymbolicLink() ? "symlink" : "other",
      permissions: Number(stats.mode) & PERMISSIONS,
      sizeBytes: stats.size,
      inode: stats.ino ^ mounted,
      links: Number(stats.nlink),
      uid: uid === own ? 0 : uid,
      gid: uid === own ? 0 : Number(stats.gid),
      blocks: stats.blocks,
      accessNs: stats.atimeNs,
      modifyNs: stats.mtimeNs,
      changeNs: stats.ctimeNs,
    };
  }
}

class NodeFile implements OpenFile {
  constructor(
    private readonly fd: number,
    private readonly readOnly: boolean,
    private readonly describe: (stats: fs.BigIntStats) => FileStat,
  ) {}

  read(offset: bigint, into: Uint8Array): number {
    return asIoError(() => {
      let done = 0;
      while (done < into.length) {
        const count = fs.readSync(this.fd, into, done, into.length - done, fileOffset(offset) + done);
        if (count === 0) break;
        done += count;
      }
      return done;
    });
  }

  write(offset: bigint, from: Uint8Array): number {
    return asIoError(() => {
      let done = 0;
      while (done < from.length) {
        done += fs.writeSync(this.fd, from, done, from.length - done, fileOffset(offset) + done);
      }
      return done;
    });
  }

  stat(): FileStat {
    return asIoError(() => this.describe(fs.fstatSync(this.fd, { bigint: true })));
  }

  setAttributes({ permissions, sizeBytes, accessNs, modifyNs }: FileAttributes): void {
    if (this.readOnly) throw ioError("EROFS", []);
    asIoError(() => {
      if (permissions !== undefined) fs.fchmodSync(this.fd, permissions & PERMISSIONS);
      if (sizeBytes !== undefined) fs.ftruncateSync(this.fd, fileOffset(sizeBytes));
      if (accessNs === undefined && modifyNs === undefined) return;
      const stats = fs.fstatSync(this.fd, { bigint: true });
      fs.futimesSync(this.fd, seconds(accessNs ?? stats.atimeNs), seconds(modifyNs ?? stats.mtimeNs));
    });
  }

  sync(): void {
    asIoError(() => fs.fsyncSync(this.fd));
  }
  close(): void {
    asIoError(() => fs.closeSync(this.fd));
  }
}

function openFlags({ read, write, truncate, append }: OpenMode): number {
  const access = write ? (read ? O_RDWR : O_WRONLY) : O_RDONLY;
  return access | (truncate && write ? O_TRUNC : 0) | (append ? O_APPEND : 0);
}

/** Node counts in doubles; no file is longer than they are exact. */
function fileOffset(value: bigint): number {
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw errno("EFBIG");
  return Number(value);
}

function seconds(ns: bigint): number {
  return Number(ns) / 1e9;
}

function errno(code: string): Error {
  return Object.assign(new Error(code), { code });
}

function ioError(code: string, path: FilePath, cause?: unknown): VmError {
  return new VmError("io", `The shared directory answers ${code} for /${path.join("/")}.`, { errno: code }, { cause });
}

/** Errors of the host's calls as the interface has them. */
function asIoError<T>(act: () => T): T {
  try {
    return act();
  } catch (error) {
    if (error instanceof VmError) throw error;
    const code = (error as { code?: unknown }).code;
    throw ioError(typeof code === "string" ? code : "EIO", [], error);
  }
}
