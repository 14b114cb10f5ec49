// The gateway's TFTP server: files of one directory, in blocks, to clients that ask for options and to those that do not.
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { NodeFileTree } from "../../../src/platform/node/file-tree.ts";
import { GATEWAY, UserGuest } from "./user-guest.ts";

let folder = "";
const large = Buffer.from(Array.from({ length: 100_000 }, (_, i) => (i * 7 + (i >> 8)) & 255));
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "paravane-tftp-"));
  const served = join(folder, "served");
  mkdirSync(join(served, "sub"), { recursive: true });
  writeFileSync(join(folder, "secret"), "secret");
  writeFileSync(join(served, "large"), large);
  writeFileSync(join(served, "sub", "even"), large.subarray(0, 1024));
  symlinkSync("../secret", join(served, "link"));
});
afterAll(() => rmSync(folder, { recursive: true }));

function make() {
  const guest = new UserGuest({ tftp: "x" }, new NodeFileTree(join(folder, "served"), { readOnly: true }));
  guest.announce();
  guest.packets();
  const send = (data: Uint8Array, targetPort: number, sourcePort = 2000) => {
    guest.sendUdp({ sourcePort, target: GATEWAY, targetPort, data });
    return guest.datagrams()[0];
  };
  const request = (opcode: number, ...words: string[]) =>
    Buffer.concat([Buffer.from([0, opcode]), ...words.map((word) => Buffer.from(`${word}\0`))]);
  const ack = (block: number) => Uint8Array.of(0, 4, block >> 8, block & 255);
  /** Everything of a file, as a client gets it. */
  const get = (name: string, ...options: string[]) => {
    let answer = send(request(1, name, "octet", ...options), 69);
    const port = answer?.sourcePort ?? 0;
    const parts: Uint8Array[] = [];
    if (answer?.data[1] === 6) answer = send(ack(0), port);
    for (let block = 1; answer?.data[1] === 3; block++) {
      expect(((answer.data[2] ?? 0) << 8) | (answer.data[3] ?? 0)).toBe(block & 0xffff);
      parts.push(answer.data.slice(4));
      answer = send(ack(block), port);
    }
    return { bytes: Buffer.concat(parts), blocks: parts.length, last: answer };
  };
  return { guest, send, request, ack, get };
}

describe("TFTP", () => {
  it("gives files in blocks, with the size of blocks that was asked for, ending in a short one", () => {
    const { get, guest } = make();
    expect(get("large").bytes.equals(large)).toBe(true);
    expect(get("/sub/even").blocks).toBe(3);
    const some = get("large", "tsize", "0", "blksize", "1400");
    expect(some.bytes.equals(large)).toBe(true);
    expect(some.blocks).toBe(72);
    expect(guest.network.metrics()["tftpTransfers"]).toBe(0);
  });

  it("says what it grants, and sends a block again to nobody but who asks for the next", () => {
    const { send, request, ack } = make();
    const granted = send(request(1, "large", "octet", "blksize", "65464", "tsize", "0", "timeout", "5"), 69);
    expect(Buffer.from(granted?.data ?? []).toString("latin1")).toBe("\0\x06blksize\x001468\0tsize\x00100000\0");
    const port = granted?.sourcePort ?? 0;
    expect(send(ack(0), port)?.data[3]).toBe(1);
    expect(send(ack(0), port)).toBeUndefined();
    expect(send(ack(1), port, 2001)).toBeUndefined();
    expect(send(ack(1), port)?.data[3]).toBe(2);
  });

  it("refuses what is not there, what leads out of the directory, and writing", () => {
    const { send, request } = make();
    const code = (data: Uint8Array): number => {
      const answer = send(data, 69)?.data;
      return answer?.[1] === 5 ? (answer[3] ?? -1) : -1;
    };
    expect(code(request(1, "missing", "octet"))).toBe(1);
    expect(code(request(1, "../secret", "octet"))).toBe(2);
    expect(code(request(1, "link", "octet"))).toBe(1);
    expect(code(request(1, "sub", "octet"))).toBe(1);
    expect(code(request(2, "large", "octet"))).toBe(4);
    expect(code(request(1, "large", "mail"))).toBe(4);
    expect(code(Uint8Array.of(0, 1))).toBe(4);
  });

  it("has a bounded number of transfers", () => {
    const { guest, request } = make();
    for (let port = 1; port < 200; port++)
      guest.sendUdp({ sourcePort: port, target: GATEWAY, targetPort: 69, data: request(1, "large", "octet") });
    expect(guest.network.metrics()["tftpTransfers"]).toBe(32);
    guest.network[Symbol.dispose]();
  });
});
