// The 9P server over a real directory: the protocol by hand, and everything that might lead out of the root.

import { execFileSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { P9Server } from "../../../src/devices/p9/server.ts";
import { MessageWriter } from "../../../src/devices/p9/wire.ts";
import { VirtioP9 } from "../../../src/devices/virtio/p9.ts";
import { NodeFileTree } from "../../../src/platform/node/file-tree.ts";
import { place, TestDriver } from "./driver.ts";

const ENOENT = 2;
const EBADF = 9;
const EINVAL = 22;
const EROFS = 30;
const ELOOP = 40;
const ENOTDIR = 20;
const RDWR = 2;

let base = "";
let root = "";
let tree: NodeFileTree;
beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), "paravane-9p-"));
  root = join(base, "root");
  mkdirSync(root);
  writeFileSync(join(base, "secret"), "secret");
  writeFileSync(join(root, "file"), "content");
  mkdirSync(join(root, "dir"));
  symlinkSync("..", join(root, "up"));
  symlinkSync("../secret", join(root, "out"));
  symlinkSync(join(base, "secret"), join(root, "absolute"));
  tree = new NodeFileTree(root);
});
afterEach(() => {
  tree[Symbol.dispose]();
  rmSync(base, { recursive: true, force: true });
});

/** Sends requests and reads replies; an error comes back as its negative number. */
class Client {
  readonly server: P9Server;
  constructor(where = tree) {
    this.server = new P9Server(where, () => 1e12);
    this.ask(100, (m) => m.u32(65536).text("9P2000.L"));
    this.ask(104, (m) => m.u32(0).u32(0xffffffff).text("root").text("").u32(0));
  }
  ask(type: number, fill: (message: MessageWriter) => void, room = 65536): DataView | number {
    const message = new MessageWriter();
    fill(message);
    const reply = this.server.handle(message.finish(type, 1), room);
    if (reply === undefined) throw new Error("no reply");
    const view = new DataView(reply.buffer, reply.byteOffset + 7, reply.length - 7);
    if (reply[4] === 7) return -view.getUint32(0, true);
    expect(reply[4]).toBe(type + 1);
    return view;
  }
  walk(fid: number, to: number, ...names: string[]): number {
    const reply = this.ask(110, (m) => {
      m.u32(fid).u32(to).u16(names.length);
      for (const name of names) m.text(name);
    });
    return typeof reply === "number" ? reply : reply.getUint16(0, true);
  }
  open(fid: number, flags = 0): number {
    const reply = this.ask(12, (m) => m.u32(fid).u32(flags));
    return typeof reply === "number" ? reply : 0;
  }
  read(fid: number, offset = 0, count = 100): string | number {
    const reply = this.ask(116, (m) => m.u32(fid).u64(BigInt(offset)).u32(count));
    if (typeof reply === "number") return reply;
    return String.fromCharCode(...new Uint8Array(reply.buffer, reply.byteOffset + 4, reply.getUint32(0, true)));
  }
  names(fid: number): string[] {
    const names: string[] = [];
    for (let offset = 0n; ; ) {
      const reply = this.ask(40, (m) => m.u32(fid).u64(offset).u32(200));
      if (typeof reply === "number") throw new Error(String(reply));
      const end = 4 + reply.getUint32(0, true);
      if (end === 4) return names;
      for (let at = 4; at < end; ) {
        offset = reply.getBigUint64(at + 13, true);
        const length = reply.getUint16(at + 22, true);
        names.push(new TextDecoder().decode(new Uint8Array(reply.buffer, reply.byteOffset + at + 24, length)));
        at += 24 + length;
      }
    }
  }
}

describe("the 9P server", () => {
  it("walks, opens, reads, and lists in pieces", () => {
    const client = new Client();
    expect(client.walk(0, 1, "file")).toBe(1);
    expect(client.read(1)).toBe(-EBADF);
    expect(client.open(1)).toBe(0);
    expect([client.read(1), client.read(1, 3), client.read(1, 99)]).toEqual(["content", "tent", ""]);
    for (let i = 0; i < 50; i++) writeFileSync(join(root, "dir", `entry-${i}`), "");
    client.walk(0, 2, "dir");
    client.open(2);
    expect(client.names(2).sort()).toEqual([".", "..", ...Array.from({ length: 50 }, (_, i) => `entry-${i}`)].sort());
  });

  it("makes, writes, renames and removes; open files follow a renamed directory", () => {
    const client = new Client();
    client.walk(0, 1, "dir");
    client.ask(14, (m) => m.u32(1).text("new").u32(RDWR).u32(0o644).u32(0));
    client.ask(118, (m) => {
      m.u32(1).u64(0n);
      m.counted(5, (into) => {
        into.set(new TextEncoder().encode("hello"));
        return 5;
      });
    });
    client.walk(0, 2);
    client.ask(74, (m) => m.u32(2).text("dir").u32(2).text("moved"));
    expect(readFileSync(join(root, "moved/new"), "utf8")).toBe("hello");
    expect(statSync(join(root, "moved/new")).mode & 0o7777).toBe(0o644);
    client.ask(26, (m) => m.u32(1).u32(8).u32(0).u32(0).u32(0).u64(2n).u64(0n).u64(0n).u64(0n).u64(0n));
    expect([client.read(1), client.ask(76, (m) => m.u32(2).text("moved").u32(0x200))]).toEqual(["he", -39]);
    expect(typeof client.ask(122, (m) => m.u32(1))).toBe("object");
    expect(typeof client.ask(76, (m) => m.u32(2).text("moved").u32(0x200))).toBe("object");
    expect(existsSync(join(root, "moved"))).toBe(false);
  });

  it("follows no symlink, wherever it leads", () => {
    const client = new Client();
    for (const link of ["out", "absolute", "up"]) {
      expect(client.walk(0, 1, link)).toBe(1);
      expect(client.open(1)).toBe(-ELOOP);
      // Size and permissions would be the target's.
      const set = client.ask(26, (m) =>
        m.u32(1).u32(8).u32(0o777).u32(0).u32(0).u64(0n).u64(0n).u64(0n).u64(0n).u64(0n),
      );
      expect(typeof set).toBe("number");
      client.ask(120, (m) => m.u32(1));
    }
    expect(client.walk(0, 1, "up", "secret")).toBe(1);
    expect(client.walk(0, 1, "up", "secret", "x")).toBe(1);
    client.walk(0, 5, "up");
    expect([-ELOOP, -ENOTDIR]).toContain(client.walk(5, 6, "secret"));
    expect([-ELOOP, -ENOTDIR]).toContain(client.ask(72, (m) => m.u32(5).text("made").u32(0o755).u32(0)));
    expect(existsSync(join(base, "made"))).toBe(false);
    expect(readFileSync(join(base, "secret"), "utf8")).toBe("secret");
  });

  it("knows no way above the root", () => {
    const client = new Client();
    expect(client.walk(0, 1, "..", "..", "file")).toBe(3);
    expect(client.open(1)).toBe(0);
    expect(client.walk(0, 2, "..", "secret")).toBe(1);
    expect(client.walk(0, 3, "secret")).toBe(-ENOENT);
    for (const name of ["../secret", "/etc/passwd", "dir/..", ".", "", "a\0b"]) {
      expect(client.walk(0, 4, name)).toBe(-EINVAL);
      expect(client.ask(72, (m) => m.u32(0).text(name).u32(0o755).u32(0))).toBe(-EINVAL);
    }
    for (const name of ["..", "../made"]) {
      expect(client.ask(72, (m) => m.u32(0).text(name).u32(0o755).u32(0))).toBe(-EINVAL);
      expect(client.ask(74, (m) => m.u32(0).text("file").u32(0).text(name))).toBe(-EINVAL);
      expect(client.ask(76, (m) => m.u32(0).text(name).u32(0))).toBe(-EINVAL);
    }
    expect(client.ask(74, (m) => m.u32(0).text("dir").u32(0).text("dir"))).not.toBe(-EINVAL);
  });

  it("does not go where a directory was before somebody put a symlink there", () => {
    const client = new Client();
    mkdirSync(join(root, "dir/inner"));
    client.walk(0, 1, "dir", "inner");
    rmSync(join(root, "dir"), { recursive: true });
    mkdirSync(join(base, "inner"));
    symlinkSync("..", join(root, "dir"));
    expect([-ELOOP, -ENOTDIR]).toContain(client.ask(72, (m) => m.u32(1).text("made").u32(0o755).u32(0)));
    expect([-ELOOP, -ENOTDIR]).toContain(client.open(1));
    expect(existsSync(join(base, "inner/made"))).toBe(false);
  });

  it("opens no pipe, makes no device, sets no user ID", () => {
    execFileSync("mkfifo", [join(root, "pipe")]);
    const client = new Client();
    client.walk(0, 1, "pipe");
    expect(client.open(1)).toBeLessThan(0);
    expect(client.ask(18, (m) => m.u32(0).text("null").u32(0o020666).u32(1).u32(3).u32(0))).toBe(-1);
    client.walk(0, 2);
    client.ask(14, (m) => m.u32(2).text("setuid").u32(RDWR).u32(0o6755).u32(0));
    expect(statSync(join(root, "setuid")).mode & 0o7000).toBe(0);
  });

  it("changes nothing of a read-only share", () => {
    using readOnly = new NodeFileTree(root, { readOnly: true });
    const client = new Client(readOnly);
    client.walk(0, 1, "file");
    expect(client.open(1, RDWR)).toBe(-EROFS);
    expect(client.open(1)).toBe(0);
    for (const attempt of [
      client.ask(72, (m) => m.u32(0).text("x").u32(0o755).u32(0)),
      client.ask(74, (m) => m.u32(0).text("file").u32(0).text("x")),
      client.ask(76, (m) => m.u32(0).text("file").u32(0)),
      client.ask(26, (m) => m.u32(1).u32(1).u32(0o600).u32(0).u32(0).u64(0n).u64(0n).u64(0n).u64(0n).u64(0n)),
    ])
      expect(attempt).toBe(-EROFS);
  });

  it("answers any message, and nothing outside the root comes of it (property)", () => {
    const before = readFileSync(join(base, "secret"), "utf8");
    const name = fc.constantFrom("file", "dir", "up", "out", "..", ".", "new", "a/b", "secret");
    const field = fc.oneof(
      fc.nat(4).map((n) => (m: MessageWriter) => void m.u32(n)),
      name.map((text) => (m: MessageWriter) => void m.text(text)),
      fc.nat(0xffff).map((n) => (m: MessageWriter) => void m.u16(n)),
      fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map((n) => (m: MessageWriter) => void m.u64(n)),
    );
    fc.assert(
      fc.property(
        fc.array(
          fc.tuple(
            fc.constantFrom(8, 12, 14, 16, 18, 20, 22, 24, 26, 40, 70, 72, 74, 76, 110, 116, 118, 120, 122, 3),
            fc.array(field, { maxLength: 8 }),
          ),
          { minLength: 1, maxLength: 60 },
        ),
        fc.integer({ min: 11, max: 5000 }),
        (messages, room) => {
          const { server } = new Client();
          for (const [type, fields] of messages) {
            const message = new MessageWriter();
            for (const put of fields) put(message);
            const reply = server.handle(message.finish(type, 1), room);
            expect(reply?.length).toBeLessThanOrEqual(room);
          }
          server.reset();
        },
      ),
      { numRuns: 150 },
    );
    expect(readFileSync(join(base, "secret"), "utf8")).toBe(before);
    expect(execFileSync("ls", [base], { encoding: "utf8" })).toBe("root\nsecret\n");
  });

  it("saves what its fids stand for", () => {
    const a = new Client();
    a.walk(0, 1, "file");
    a.open(1);
    const state = structuredClone(a.server.save());
    const b = new Client();
    b.server.load("p9", state);
    expect(b.read(1)).toBe("content");
    expect(b.server.save()).toEqual(state);
    const fids = { 5: { path: ["..", "secret"], directory: false, mode: null } };
    expect(() => b.server.load("p9", { messageBytes: 8192, fids })).toThrow(/fid 5/);
  });
});

describe("virtio-9p", () => {
  it("has its tag in configuration space, answers, and needs a reset for what is no message", () => {
    const where = place();
    const device = new VirtioP9("p9", where.memory, { tag: "share", tree, wallMs: () => 0 });
    const driver = new TestDriver(device, where).start();
    expect(driver.config(0, 2)).toBe(5);
    const version = new MessageWriter().u32(8192).text("9P2000.L").finish(100, 0xffff);
    const answer = driver.queue(0).ask({ bytes: version }, { room: 100 });
    expect([answer.length, answer.bytes[4]]).toEqual([21, 101]);
    driver.queue(0).add([{ bytes: version.subarray(0, 6) }, { room: 100 }]);
    driver.queue(0).kick();
    expect(driver.needsReset).toBe(true);
  });
});
