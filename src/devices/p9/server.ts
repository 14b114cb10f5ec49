// A 9P2000.L server over a FileTree: the requests that Linux's client makes. What a fid stands for is a path from the
// root, so ".." is arithmetic on names and nothing can lead out of the tree.
import type { DeviceState } from "../../vmm/device.ts";
import { VmError } from "../../vmm/error.ts";
import type { FileAttributes, FilePath, FileStat, FileTree, OpenFile, OpenMode } from "../../vmm/file-tree.ts";
import { SavedState } from "../saved-state.ts";
import { ERRNO, errnoOf, P9Error } from "./errno.ts";
import { HEADER_BYTES, MessageReader, MessageWriter } from "./wire.ts";

const VERSION = "9P2000.L";
const MESSAGE_BYTES_MIN = 4096;
const MESSAGE_BYTES_MAX = 512 * 1024;
const FIDS_MAX = 65_536;
const OPEN_MAX = 1024;
const NAME_BYTES_MAX = 255;
const WALK_MAX = 16;
const DEPTH_MAX = 256;

// ---- requests; the reply is one more
const TLERROR = 6;
const TSTATFS = 8;
const TLOPEN = 12;
const TLCREATE = 14;
const TSYMLINK = 16;
const TMKNOD = 18;
const TRENAME = 20;
const TREADLINK = 22;
const TGETATTR = 24;
const TSETATTR = 26;
const TREADDIR = 40;
const TFSYNC = 50;
const TLOCK = 52;
const TGETLOCK = 54;
const TLINK = 70;
const TMKDIR = 72;
const TRENAMEAT = 74;
const TUNLINKAT = 76;
const TVERSION = 100;
const TATTACH = 104;
const TFLUSH = 108;
const TWALK = 110;
const TREAD = 116;
const TWRITE = 118;
const TCLUNK = 120;
const TREMOVE = 122;

const NO_FID = 0xffffffff;
const READ_HEADER = HEADER_BYTES + 4;

// ---- numbers of Linux's
const O_ACCESS = 0o3;
const O_WRITE_ONLY = 1;
const O_READ_WRITE = 2;
const O_TRUNCATE = 0o1000;
const O_APPEND = 0o2000;
const AT_REMOVE_DIRECTORY = 0x200;
const MODE_TYPE = 0o170000;
const MODE_FILE = 0o100000;
const MODES = { file: MODE_FILE, directory: 0o040000, symlink: 0o120000, other: 0o060000 } as const;
const ENTRY_TYPES = { file: 8, directory: 4, symlink: 10, other: 0 } as const;
const QID_TYPES = { file: 0, directory: 0x80, symlink: 0x02, other: 0 } as const;
const FILE_SYSTEM_9P = 0x01021997;
const UNLOCKED = 2;
const SET_PERMISSIONS = 0x001;
const SET_SIZE = 0x008;
const SET_ACCESS = 0x010;
const SET_MODIFY = 0x020;
const SET_ACCESS_TO = 0x080;
const SET_MODIFY_TO = 0x100;
const GETATTR_BASIC = 0x7ffn;
const NS = 1_000_000_000n;

interface Fid {
  path: FilePath;
  file: OpenFile | undefined;
  mode: OpenMode | undefined;
  /** What a directory held when its reading began. */
  entries: ReturnType<FileTree["list"]> | undefined;
  directory: boolean;
}

type Handler = (request: MessageReader, reply: MessageWriter) => void;

export class P9Server {
  readonly #fids = new Map<number, Fid>();
  #messageBytes = MESSAGE_BYTES_MIN;
  #opened = 0;
  readonly #handlers: ReadonlyMap<number, Handler>;
  readonly counts = { requests: 0, errors: 0, readBytes: 0, writtenBytes: 0 };

  constructor(
    private readonly tree: FileTree,
    /** Milliseconds since 1970, for times that the client leaves to the server. */
    private readonly wallMs: () => number,
  ) {
    this.#handlers = new Map<number, Handler>([
      [TVERSION, (q, r) => this.#version(q, r)],
      [TATTACH, (q, r) => this.#attach(q, r)],
      [TWALK, (q, r) => this.#walk(q, r)],
      [TLOPEN, (q, r) => this.#open(q, r)],
      [TLCREATE, (q, r) => this.#create(q, r)],
      [TREAD, (q, r) => this.#read(q, r)],
      [TWRITE, (q, r) => this.#write(q, r)],
      [TCLUNK, (q) => this.#clunk(q.u32())],
      [TREMOVE, (q) => this.#remove(q)],
      [TGETATTR, (q, r) => this.#getAttributes(q, r)],
      [TSETATTR, (q) => this.#setAttributes(q)],
      [TREADDIR, (q, r) => this.#readDirectory(q, r)],
      [TSTATFS, (q, r) => this.#statFileSystem(q, r)],
      [TMKDIR, (q, r) => this.#makeDirectory(q, r)],
      [TSYMLINK, (q, r) => this.#makeSymlink(q, r)],
      [TMKNOD, (q, r) => this.#makeNode(q, r)],
      [TREADLINK, (q, r) => void r.text(this.tree.readSymlink(this.#fid(q.u32()).path))],
      [TLINK, (q) => this.#link(q)],
      [TRENAME, (q) => this.#rename(q)],
      [TRENAMEAT, (q) => this.#renameAt(q)],
      [TUNLINKAT, (q) => this.#unlinkAt(q)],
      [TFSYNC, (q) => this.#fid(q.u32()).file?.sync()],
      // Locks are the client's own: it is the only one to see them.
      [TLOCK, (_, r) => void r.u8(0)],
      [TGETLOCK, (q, r) => this.#getLock(q, r)],
      // Requests are done when they are answered; there is never one to flush.
      [TFLUSH, () => {}],
    ]);
  }

  /** Answers one message; undefined for bytes that are none. The reply is at most `room` bytes. */
  handle(message: Uint8Array, room: number): Uint8Array | undefined {
    if (message.length < HEADER_BYTES || room < HEADER_BYTES + 4) return undefined;
    const request = new MessageReader(message);
    const size = request.u32();
    const type = request.u8();
    const tag = request.u16();
    if (size < HEADER_BYTES || size > message.length) return undefined;
    this.counts.requests++;
    try {
      const handler = this.#handlers.get(type);
      if (handler === undefined) throw new P9Error(ERRNO.EOPNOTSUPP);
      this.#room = Math.min(room, this.#messageBytes);
      const reply = new MessageWriter();
      handler(request, reply);
      if (reply.length > room) throw new P9Error(ERRNO.EINVAL);
      return reply.finish(type + 1, tag);
    } catch (error) {
      this.counts.errors++;
      return new MessageWriter(16).u32(errnoOf(error)).finish(TLERROR + 1, tag);
    }
  }
  #room = 0;

  // ---- fids

  #fid(number: number): Fid {
    const fid = this.#fids.get(number);
    if (fid === undefined) throw new P9Error(ERRNO.EBADF);
    return fid;
  }

  #bind(number: number, path: FilePath): void {
    if (number === NO_FID || this.#fids.has(number)) throw new P9Error(ERRNO.EBADF);
    if (this.#fids.size >= FIDS_MAX) throw new P9Error(ERRNO.ENFILE);
    this.#fids.set(number, { path, file: undefined, mode: undefined, entries: undefined, directory: false });
  }

  #setOpen(fid: Fid, mode: OpenMode, open: () => OpenFile): void {
    if (this.#opened >= OPEN_MAX) throw new P9Error(ERRNO.EMFILE);
    fid.file = open();
    fid.mode = mode;
    this.#opened++;
  }

  #clunk(number: number): void {
    const fid = this.#fid(number);
    this.#fids.delete(number);
    if (fid.file === undefined) return;
    this.#opened--;
    fid.file.close();
  }

  /** Forgets all of the client's. */
  reset(): void {
    for (const { file } of this.#fids.values()) {
      try {
        file?.close();
      } catch {
        // The client is gone; there is nobody to tell.
      }
    }
    this.#fids.clear();
    this.#opened = 0;
    this.#messageBytes = MESSAGE_BYTES_MIN;
  }

  #qid(reply: MessageWriter, stat: { kind: FileStat["kind"]; inode: bigint; modifyNs?: bigint }): void {
    reply
      .u8(QID_TYPES[stat.kind])
      .u32(Number((stat.modifyNs ?? 0n) & 0xffffffffn))
      .u64(stat.inode);
  }

  // ---- session and names

  #version(request: MessageReader, reply: MessageWriter): void {
    const size = request.u32();
    const version = request.text();
    if (size < MESSAGE_BYTES_MIN) throw new P9Error(ERRNO.EINVAL);
    this.reset();
    this.#messageBytes = Math.min(size, MESSAGE_BYTES_MAX);
    reply.u32(this.#messageBytes).text(version === VERSION ? VERSION : "unknown");
  }

  #attach(request: MessageReader, reply: MessageWriter): void {
    const number = request.u32();
    const stat = this.tree.stat([]);
    this.#bind(number, []);
    this.#qid(reply, stat);
  }

  #walk(request: MessageReader, reply: MessageWriter): void {
    const from = this.#fid(request.u32());
    const number = request.u32();
    const count = request.u16();
    if (count > WALK_MAX) throw new P9Error(ERRNO.EINVAL);
    let { path } = from;
    const stats: FileStat[] = [];
    for (let i = 0; i < count; i++) {
      const name = request.text();
      try {
        // Parents of the root are the root.
        const next = name === ".." ? path.slice(0, -1) : childOf(path, name);
        stats.push(this.tree.stat(next));
        path = next;
      } catch (error) {
        if (i === 0) throw error;
        break;
      }
    }
    if (stats.length === count) {
      const target = this.#fids.get(number);
      if (target !== from) this.#bind(number, path);
      else if (from.file === undefined) from.path = path;
      else throw new P9Error(ERRNO.EINVAL);
    }
    reply.u16(stats.length);
    for (const stat of stats) this.#qid(reply, stat);
  }

  // ---- files

  #openMode(flags: number): OpenMode {
    const access = flags & O_ACCESS;
    return {
      read: access !== O_WRITE_ONLY,
      write: access === O_WRITE_ONLY || access === O_READ_WRITE,
      truncate: (flags & O_TRUNCATE) !== 0,
      append: (flags & O_APPEND) !== 0,
    };
  }

  #open(request: MessageReader, reply: MessageWriter): void {
    const fid = this.#fid(request.u32());
    const mode = this.#openMode(request.u32());
    if (fid.file !== undefined) throw new P9Error(ERRNO.EINVAL);
    const stat = this.tree.stat(fid.path);
    if (stat.kind === "directory") {
      if (mode.write) throw new P9Error(ERRNO.EISDIR);
      fid.directory = true;
    } else if (stat.kind === "file") {
      this.#setOpen(fid, mode, () => this.tree.open(fid.path, mode));
    } else {
      throw new P9Error(stat.kind === "symlink" ? ERRNO.ELOOP : ERRNO.EOPNOTSUPP);
    }
    this.#qid(reply, stat);
    reply.u32(0);
  }

  #create(request: MessageReader, reply: MessageWriter): void {
    const fid = this.#fid(request.u32());
    const path = childOf(fid.path, request.text());
    const mode = this.#openMode(request.u32());
    const permissions = request.u32() & 0o777;
    if (fid.file !== undefined) throw new P9Error(ERRNO.EINVAL);
    this.#setOpen(fid, mode, () => this.tree.create(path, mode, permissions));
    fid.path = path;
    this.#qid(reply, (fid.file as unknown as OpenFile).stat());
    reply.u32(0);
  }

  #read(request: MessageReader, reply: MessageWriter): void {
    const { file, mode } = this.#fid(request.u32());
    const offset = request.u64();
    const count = Math.min(request.u32(), Math.max(0, this.#room - READ_HEADER));
    if (file === undefined || !mode?.read) throw new P9Error(ERRNO.EBADF);
    reply.counted(count, (into) => file.read(offset, into));
    this.counts.readBytes += reply.length - READ_HEADER;
  }

  #write(request: MessageReader, reply: MessageWriter): void {
    const { file, mode } = this.#fid(request.u32());
    const offset = request.u64();
    const bytes = request.rest(request.u32());
    if (file === undefined || !mode?.write) throw new P9Error(ERRNO.EBADF);
    const written = file.write(offset, bytes);
    this.counts.writtenBytes += written;
    reply.u32(written);
  }

  #remove(request: MessageReader): void {
    const number = request.u32();
    const { path } = this.#fid(number);
    // The fid is gone whatever comes of it.
    this.#clunk(number);
    if (path.length === 0) throw new P9Error(ERRNO.EBUSY);
    this.tree.remove(path, this.tree.stat(path).kind === "directory" ? "directory" : "other");
  }

  // ---- attributes

  #getAttributes(request: MessageReader, reply: MessageWriter): void {
    const fid = this.#fid(request.u32());
    const stat = fid.file?.stat() ?? this.tree.stat(fid.path);
    reply.u64(GETATTR_BASIC);
    this.#qid(reply, stat);
    reply
      .u32(MODES[stat.kind] | stat.permissions)
      .u32(stat.uid)
      .u32(stat.gid);
    reply.u64(BigInt(stat.links)).u64(0n).u64(stat.sizeBytes).u64(4096n).u64(stat.blocks);
    for (const time of [stat.accessNs, stat.modifyNs, stat.changeNs]) reply.u64(time / NS).u64(time % NS);
    reply.u64(0n).u64(0n).u64(0n).u64(0n);
  }

  /** Owners are the host's: a change of them is accepted and has no effect. */
  #setAttributes(request: MessageReader): void {
    const fid = this.#fid(request.u32());
    const valid = request.u32();
    const permissions = request.u32() & 0o777;
    request.u64();
    const sizeBytes = request.u64();
    const time = (): bigint => request.u64() * NS + request.u64();
    const accessNs = time();
    const modifyNs = time();
    const now = BigInt(Math.floor(this.wallMs() * 1e6));
    const attributes: FileAttributes = {
      ...(valid & SET_PERMISSIONS ? { permissions } : {}),
      ...(valid & SET_SIZE ? { sizeBytes } : {}),
      ...(valid & SET_ACCESS ? { accessNs: valid & SET_ACCESS_TO ? accessNs : now } : {}),
      ...(valid & SET_MODIFY ? { modifyNs: valid & SET_MODIFY_TO ? modifyNs : now } : {}),
    };
    if (Object.keys(attributes).length === 0) return;
    // A file that is open may have no name any more.
    if (fid.file !== undefined && (attributes.sizeBytes === undefined || fid.mode?.write)) {
      fid.file.setAttributes(attributes);
    } else {
      this.tree.setAttributes(fid.path, attributes);
    }
  }

  #statFileSystem(request: MessageReader, reply: MessageWriter): void {
    this.#fid(request.u32());
    const space = this.tree.space();
    reply.u32(FILE_SYSTEM_9P).u32(space.blockBytes);
    reply.u64(space.blocks).u64(space.freeBlocks).u64(space.freeBlocks).u64(space.files).u64(space.freeFiles);
    reply.u64(0n).u32(NAME_BYTES_MAX);
  }

  #getLock(request: MessageReader, reply: MessageWriter): void {
    this.#fid(request.u32());
    request.u8();
    reply.u8(UNLOCKED).u64(request.u64()).u64(request.u64()).u32(request.u32()).text(request.text());
  }

  // ---- directories

  #readDirectory(request: MessageReader, reply: MessageWriter): void {
    const fid = this.#fid(request.u32());
    const offset = request.u64();
    const count = Math.min(request.u32(), Math.max(0, this.#room - READ_HEADER));
    if (!fid.directory) throw new P9Error(ERRNO.EBADF);
    if (offset === 0n || fid.entries === undefined) {
      const self = this.tree.stat(fid.path).inode;
      const parent = this.tree.stat(fid.path.slice(0, -1)).inode;
      fid.entries = [
        { name: ".", kind: "directory", inode: self },
        { name: "..", kind: "directory", inode: parent },
        ...this.tree.list(fid.path),
      ];
    }
    const { entries } = fid;
    const list = new MessageWriter(count + HEADER_BYTES);
    for (let i = Number(offset); i < entries.length; i++) {
      const entry = entries[i] as (typeof entries)[number];
      const bytes = 13 + 8 + 1 + 2 + new TextEncoder().encode(entry.name).length;
      if (list.length - HEADER_BYTES + bytes > count) break;
      this.#qid(list, entry);
      list
        .u64(BigInt(i + 1))
        .u8(ENTRY_TYPES[entry.kind])
        .text(entry.name);
    }
    const bytes = list.finish(0, 0).subarray(HEADER_BYTES);
    reply.counted(bytes.length, (into) => {
      into.set(bytes);
      return bytes.length;
    });
  }

  #makeDirectory(request: MessageReader, reply: MessageWriter): void {
    const path = childOf(this.#fid(request.u32()).path, request.text());
    this.tree.makeDirectory(path, request.u32() & 0o777);
    this.#qid(reply, this.tree.stat(path));
  }

  #makeSymlink(request: MessageReader, reply: MessageWriter): void {
    const path = childOf(this.#fid(request.u32()).path, request.text());
    const target = request.text();
    if (target === "" || target.includes("\0")) throw new P9Error(ERRNO.EINVAL);
    this.tree.makeSymlink(path, target);
    this.#qid(reply, this.tree.stat(path));
  }

  /** Device nodes, pipes and sockets would be the host's: only plain files are made. */
  #makeNode(request: MessageReader, reply: MessageWriter): void {
    const path = childOf(this.#fid(request.u32()).path, request.text());
    const mode = request.u32();
    if ((mode & MODE_TYPE) !== MODE_FILE) throw new P9Error(ERRNO.EPERM);
    this.tree.create(path, { read: false, write: true }, mode & 0o777).close();
    this.#qid(reply, this.tree.stat(path));
  }

  #link(request: MessageReader): void {
    const directory = this.#fid(request.u32());
    const existing = this.#fid(request.u32());
    this.tree.link(existing.path, childOf(directory.path, request.text()));
  }

  #rename(request: MessageReader): void {
    const fid = this.#fid(request.u32());
    this.#move(fid.path, childOf(this.#fid(request.u32()).path, request.text()));
  }

  #renameAt(request: MessageReader): void {
    const from = childOf(this.#fid(request.u32()).path, request.text());
    this.#move(from, childOf(this.#fid(request.u32()).path, request.text()));
  }

  /** Fids below what was moved move along. */
  #move(from: FilePath, to: FilePath): void {
    if (from.length === 0) throw new P9Error(ERRNO.EBUSY);
    if (to.length > from.length && from.every((name, i) => name === to[i])) throw new P9Error(ERRNO.EINVAL);
    this.tree.rename(from, to);
    for (const fid of this.#fids.values()) {
      if (from.every((name, i) => name === fid.path[i])) fid.path = [...to, ...fid.path.slice(from.length)];
    }
  }

  #unlinkAt(request: MessageReader): void {
    const path = childOf(this.#fid(request.u32()).path, request.text());
    this.tree.remove(path, request.u32() & AT_REMOVE_DIRECTORY ? "directory" : "other");
  }

  // ---- save and load

  save(): DeviceState {
    const fids = [...this.#fids].map(([number, { path, mode, directory }]) => [
      String(number),
      {
        path: [...path],
        directory,
        mode: mode === undefined ? null : { read: mode.read, write: mode.write, append: mode.append ?? false },
      },
    ]);
    return { messageBytes: this.#messageBytes, fids: Object.fromEntries(fids) };
  }

  /** Files are opened again by their names; one that is gone answers EBADF, as a server that was restarted does. */
  load(device: string, state: DeviceState): void {
    const saved = new SavedState(device, state);
    this.reset();
    this.#messageBytes = Math.max(MESSAGE_BYTES_MIN, saved.integer("messageBytes", MESSAGE_BYTES_MAX));
    const fids = saved.nested("fids");
    for (const number of Object.keys(fids)) {
      if (!/^\d+$/.test(number)) {
        throw new VmError("bad-snapshot", `${device}: "${number}" is no fid of a saved state.`, { device, number });
      }
      const row = new SavedState(device, new SavedState(device, fids).nested(number));
      const names = row.nested("path");
      let path: FilePath = [];
      try {
        for (const name of Array.isArray(names) ? names.map(String) : []) path = childOf(path, name);
        this.#bind(Number(number), path);
      } catch (cause) {
        throw new VmError(
          "bad-snapshot",
          `${device}: fid ${number} has no path inside the shared directory.`,
          { device },
          { cause },
        );
      }
      const fid = this.#fid(Number(number));
      fid.directory = row.flag("directory");
      const open = (fids[number] as DeviceState).mode;
      if (!open) continue;
      const modeState = new SavedState(device, row.nested("mode"));
      const mode = { read: modeState.flag("read"), write: modeState.flag("write"), append: modeState.flag("append") };
      try {
        this.#setOpen(fid, mode, () => this.tree.open(path, mode));
      } catch {
        fid.mode = undefined;
      }
    }
  }
}

/** A name in a directory: what cannot be one is refused before it reaches the tree. */
function childOf(directory: FilePath, name: string): FilePath {
  if (name === "" || name === "." || name === ".." || /[/\0]/.test(name)) throw new P9Error(ERRNO.EINVAL);
  if (new TextEncoder().encode(name).length > NAME_BYTES_MAX || directory.length >= DEPTH_MAX) {
    throw new P9Error(ERRNO.ENAMETOOLONG);
  }
  return [...directory, name];
}
