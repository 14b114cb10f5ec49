// A 9P2000.L server over a FileTree: the requests that Linux's client makes. What a fid stands for is a path from the
// root, so ".." is arithmetic on names and nothing can lead out of the tree.
import type { DeviceState } from "../../vmm/device.ts";
import type { FileAttributes, FilePath, FileStat, FileTree, OpenFile, OpenMode } from "../../vmm/file-tree.ts";
import { SavedState } from "../saved-state.ts";
import { ERRNO, errnoOf, P9Error } from "./errno.ts";
import { childOf, Fids, NAME_BYTES_MAX } from "./fids.ts";
import {
  AT_REMOVE_DIRECTORY,
  ENTRY_TYPES,
  FILE_SYSTEM_9P,
  GETATTR_BASIC,
  MODE_FILE,
  MODE_TYPE,
  MODES,
  NS,
  O_ACCESS,
  O_APPEND,
  O_READ_WRITE,
  O_TRUNCATE,
  O_WRITE_ONLY,
  QID_TYPES,
  SET_ACCESS,
  SET_ACCESS_TO,
  SET_MODIFY,
  SET_MODIFY_TO,
  SET_PERMISSIONS,
  SET_SIZE,
  TATTACH,
  TCLUNK,
  TFLUSH,
  TFSYNC,
  TGETATTR,
  TGETLOCK,
  TLCREATE,
  TLERROR,
  TLINK,
  TLOCK,
  TLOPEN,
  TMKDIR,
  TMKNOD,
  TREAD,
  TREADDIR,
  TREADLINK,
  TREMOVE,
  TRENAME,
  TRENAMEAT,
  TSETATTR,
  TSTATFS,
  TSYMLINK,
  TUNLINKAT,
  TVERSION,
  TWALK,
  TWRITE,
  UNLOCKED,
} from "./numbers.ts";
import { HEADER_BYTES, MessageReader, MessageWriter } from "./wire.ts";

const VERSION = "9P2000.L";
const MESSAGE_BYTES_MIN = 4096;
const MESSAGE_BYTES_MAX = 512 * 1024;
const WALK_MAX = 16;

const READ_HEADER = HEADER_BYTES + 4;

type Handler = (request: MessageReader, reply: MessageWriter) => void;

export class P9Server {
  readonly #fids = new Fids();
  #messageBytes = MESSAGE_BYTES_MIN;
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
      [TCLUNK, (q) => this.#fids.clunk(q.u32())],
      [TREMOVE, (q) => this.#remove(q)],
      [TGETATTR, (q, r) => this.#getAttributes(q, r)],
      [TSETATTR, (q) => this.#setAttributes(q)],
      [TREADDIR, (q, r) => this.#readDirectory(q, r)],
      [TSTATFS, (q, r) => this.#statFileSystem(q, r)],
      [TMKDIR, (q, r) => this.#makeDirectory(q, r)],
      [TSYMLINK, (q, r) => this.#makeSymlink(q, r)],
      [TMKNOD, (q, r) => this.#makeNode(q, r)],
      [TREADLINK, (q, r) => void r.text(this.tree.readSymlink(this.#fids.get(q.u32()).path))],
      [TLINK, (q) => this.#link(q)],
      [TRENAME, (q) => this.#rename(q)],
      [TRENAMEAT, (q) => this.#renameAt(q)],
      [TUNLINKAT, (q) => this.#unlinkAt(q)],
      [TFSYNC, (q) => this.#fids.get(q.u32()).file?.sync()],
      // Locks are the client's own: it is the only one to see them.
      [TLOCK, (_, r) => void r.u8(0)],
      [TGETLOCK, (q, r) => this.#getLock(q, r)],
      // Requests are done when they are answered; there is never one to flush.
      [TFLUSH, () => {}],
    ]);
  }

  /** Forgets all of the client's. */
  reset(): void {
    this.#fids.reset();
    this.#messageBytes = MESSAGE_BYTES_MIN;
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
    this.#fids.bind(number, []);
    this.#qid(reply, stat);
  }

  #walk(request: MessageReader, reply: MessageWriter): void {
    const from = this.#fids.get(request.u32());
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
      if (!this.#fids.is(number, from)) this.#fids.bind(number, path);
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
    const fid = this.#fids.get(request.u32());
    const mode = this.#openMode(request.u32());
    if (fid.file !== undefined) throw new P9Error(ERRNO.EINVAL);
    const stat = this.tree.stat(fid.path);
    if (stat.kind === "directory") {
      if (mode.write) throw new P9Error(ERRNO.EISDIR);
      fid.directory = true;
    } else if (stat.kind === "file") {
      this.#fids.open(fid, mode, () => this.tree.open(fid.path, mode));
    } else {
      throw new P9Error(stat.kind === "symlink" ? ERRNO.ELOOP : ERRNO.EOPNOTSUPP);
    }
    this.#qid(reply, stat);
    reply.u32(0);
  }

  #create(request: MessageReader, reply: MessageWriter): void {
    const fid = this.#fids.get(request.u32());
    const path = childOf(fid.path, request.text());
    const mode = this.#openMode(request.u32());
    const permissions = request.u32() & 0o777;
    if (fid.file !== undefined) throw new P9Error(ERRNO.EINVAL);
    this.#fids.open(fid, mode, () => this.tree.create(path, mode, permissions));
    fid.path = path;
    this.#qid(reply, (fid.file as unknown as OpenFile).stat());
    reply.u32(0);
  }

  #read(request: MessageReader, reply: MessageWriter): void {
    const { file, mode } = this.#fids.get(request.u32());
    const offset = request.u64();
    const count = Math.min(request.u32(), Math.max(0, this.#room - READ_HEADER));
    if (file === undefined || !mode?.read) throw new P9Error(ERRNO.EBADF);
    reply.counted(count, (into) => file.read(offset, into));
    this.counts.readBytes += reply.length - READ_HEADER;
  }

  #write(request: MessageReader, reply: MessageWriter): void {
    const { file, mode } = this.#fids.get(request.u32());
    const offset = request.u64();
    const bytes = request.rest(request.u32());
    if (file === undefined || !mode?.write) throw new P9Error(ERRNO.EBADF);
    const written = file.write(offset, bytes);
    this.counts.writtenBytes += written;
    reply.u32(written);
  }

  #remove(request: MessageReader): void {
    const number = request.u32();
    const { path } = this.#fids.get(number);
    // The fid is gone whatever comes of it.
    this.#fids.clunk(number);
    if (path.length === 0) throw new P9Error(ERRNO.EBUSY);
    this.tree.remove(path, this.tree.stat(path).kind === "directory" ? "directory" : "other");
  }

  // ---- attributes

  #getAttributes(request: MessageReader, reply: MessageWriter): void {
    const fid = this.#fids.get(request.u32());
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
    const fid = this.#fids.get(request.u32());
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
    this.#fids.get(request.u32());
    const space = this.tree.space();
    reply.u32(FILE_SYSTEM_9P).u32(space.blockBytes);
    reply.u64(space.blocks).u64(space.freeBlocks).u64(space.freeBlocks).u64(space.files).u64(space.freeFiles);
    reply.u64(0n).u32(NAME_BYTES_MAX);
  }

  #getLock(request: MessageReader, reply: MessageWriter): void {
    this.#fids.get(request.u32());
    request.u8();
    reply.u8(UNLOCKED).u64(request.u64()).u64(request.u64()).u32(request.u32()).text(request.text());
  }

  // ---- directories

  #readDirectory(request: MessageReader, reply: MessageWriter): void {
    const fid = this.#fids.get(request.u32());
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
    const path = childOf(this.#fids.get(request.u32()).path, request.text());
    this.tree.makeDirectory(path, request.u32() & 0o777);
    this.#qid(reply, this.tree.stat(path));
  }

  #makeSymlink(request: MessageReader, reply: MessageWriter): void {
    const path = childOf(this.#fids.get(request.u32()).path, request.text());
    const target = request.text();
    if (target === "" || target.includes("\0")) throw new P9Error(ERRNO.EINVAL);
    this.tree.makeSymlink(path, target);
    this.#qid(reply, this.tree.stat(path));
  }

  /** Device nodes, pipes and sockets would be the host's: only plain files are made. */
  #makeNode(request: MessageReader, reply: MessageWriter): void {
    const path = childOf(this.#fids.get(request.u32()).path, request.text());
    const mode = request.u32();
    if ((mode & MODE_TYPE) !== MODE_FILE) throw new P9Error(ERRNO.EPERM);
    this.tree.create(path, { read: false, write: true }, mode & 0o777).close();
    this.#qid(reply, this.tree.stat(path));
  }

  #link(request: MessageReader): void {
    const directory = this.#fids.get(request.u32());
    const existing = this.#fids.get(request.u32());
    this.tree.link(existing.path, childOf(directory.path, request.text()));
  }

  #rename(request: MessageReader): void {
    const fid = this.#fids.get(request.u32());
    this.#move(fid.path, childOf(this.#fids.get(request.u32()).path, request.text()));
  }

  #renameAt(request: MessageReader): void {
    const from = childOf(this.#fids.get(request.u32()).path, request.text());
    this.#move(from, childOf(this.#fids.get(request.u32()).path, request.text()));
  }

  /** Fids below what was moved move along. */
  #move(from: FilePath, to: FilePath): void {
    if (from.length === 0) throw new P9Error(ERRNO.EBUSY);
    if (to.length > from.length && from.every((name, i) => name === to[i])) throw new P9Error(ERRNO.EINVAL);
    this.tree.rename(from, to);
    this.#fids.move(from, to);
  }

  #unlinkAt(request: MessageReader): void {
    const path = childOf(this.#fids.get(request.u32()).path, request.text());
    this.tree.remove(path, request.u32() & AT_REMOVE_DIRECTORY ? "directory" : "other");
  }

  // ---- save and load

  save(): DeviceState {
    return { messageBytes: this.#messageBytes, fids: this.#fids.save() };
  }

  load(device: string, state: DeviceState): void {
    const saved = new SavedState(device, state);
    this.reset();
    this.#messageBytes = Math.max(MESSAGE_BYTES_MIN, saved.integer("messageBytes", MESSAGE_BYTES_MAX));
    this.#fids.load(device, saved.nested("fids"), this.tree);
  }
}
