import { spawn, spawnSync } from "node:child_process";
import { connect, type Socket } from "node:net";
import fc from "fast-check";
import { afterEach, describe, expect, it } from "vitest";
import { encodePacket, PacketReader } from "../../src/debug/gdb/packet.ts";
import { type GdbServer, serveGdb } from "../../src/debug/gdb/server.ts";
import { fullTagWord, GDB_REGISTERS, TARGET_XML } from "../../src/debug/gdb/target-description.ts";
import type { Vm } from "../../src/index.ts";
import { CODE, codeVm } from "./guest.ts";

/** mov eax, 0x11223344; nop; inc eax; jmp back to the inc */
const LOOP = [0xb8, 0x44, 0x33, 0x22, 0x11, 0x90, 0x40, 0xeb, 0xfd];
const hasGdb = spawnSync("gdb", ["--version"]).status === 0;

let vm: Vm | undefined;
let server: GdbServer | undefined;
let client: Client | undefined;
afterEach(async () => {
  client?.close();
  await server?.[Symbol.asyncDispose]();
  await vm?.[Symbol.asyncDispose]();
  vm = server = client = undefined;
});

/** Speaks the protocol as gdb does. */
class Client {
  readonly #reader = new PacketReader();
  readonly #waiting: ((reply: string) => void)[] = [];
  readonly closed: Promise<void>;
  acknowledged = 0;

  private constructor(readonly socket: Socket) {
    this.closed = new Promise((resolve) => void socket.on("close", () => resolve()));
    socket.on("data", (bytes) => {
      this.acknowledged += bytes.filter((byte) => byte === 0x2b).length;
      for (const incoming of this.#reader.push(bytes)) {
        if (incoming.kind === "packet") this.#waiting.shift()?.(incoming.data.toString("latin1"));
      }
    });
  }

  static async open(port: number): Promise<Client> {
    const socket = connect(port, "127.0.0.1");
    await new Promise((resolve, reject) => socket.once("connect", resolve).once("error", reject));
    return new Client(socket);
  }

  async ask(packet: string): Promise<string> {
    return await new Promise((resolve) => {
      this.#waiting.push(resolve);
      this.socket.write(encodePacket(packet));
    });
  }

  close(): void {
    this.socket.destroy();
  }
}

async function session(code: readonly number[] = LOOP): Promise<Client> {
  vm = await codeVm(code);
  server = await serveGdb(vm, { port: 0 });
  client = await Client.open(server.port);
  return client;
}

describe("packets", () => {
  it("come out as they went in, in any pieces, between noise and acknowledgements", () => {
    fc.assert(
      fc.property(
        fc.array(fc.string({ unit: "binary-ascii", maxLength: 40 }), { maxLength: 5 }),
        fc.integer({ min: 1, max: 9 }),
        (texts, size) => {
          const stream = Buffer.concat(texts.map((text) => Buffer.concat([Buffer.from("+"), encodePacket(text)])));
          const reader = new PacketReader();
          const found: string[] = [];
          for (let at = 0; at < stream.length; at += size) {
            for (const incoming of reader.push(stream.subarray(at, at + size)))
              found.push(incoming.kind === "packet" ? incoming.data.toString("latin1") : incoming.kind);
          }
          expect(found).toEqual(texts);
        },
      ),
    );
  });

  it("with a wrong checksum are bad, and Ctrl-C is an interrupt", () => {
    const reader = new PacketReader();
    expect(reader.push(Buffer.from("$g#00\x03$?#3f")).map((incoming) => incoming.kind)).toEqual([
      "bad",
      "interrupt",
      "packet",
    ]);
    expect(encodePacket("OK").toString()).toBe("$OK#9a");
  });

  it("without an end do not fill the memory", () => {
    const reader = new PacketReader();
    expect(
      reader.push(Buffer.concat([Buffer.from("$"), Buffer.alloc(70_000, 0x61)])).map((incoming) => incoming.kind),
    ).toEqual(["bad"]);
    expect(reader.push(encodePacket("?")).map((incoming) => incoming.kind)).toEqual(["packet"]);
  });
});

describe("the gdb stub", () => {
  it("tells what it can do and describes its registers", async () => {
    const gdb = await session();
    expect(await gdb.ask("qSupported:swbreak+;hwbreak+")).toMatch(/^PacketSize=4000;qXfer:features:read\+;/);
    let xml = "";
    for (;;) {
      const piece = await gdb.ask(`qXfer:features:read:target.xml:${xml.length.toString(16)},400`);
      xml += piece.slice(1);
      if (piece[0] === "l") break;
    }
    expect(xml).toBe(TARGET_XML);
    expect(xml.match(/<reg /g)).toHaveLength(GDB_REGISTERS.length);
    expect(await gdb.ask("?")).toBe("T05thread:1;");
    expect(await gdb.ask("qfThreadInfo")).toBe("m1");
    expect(await gdb.ask("vMustReplyEmpty")).toBe("");
    expect(gdb.acknowledged).toBeGreaterThan(3);
  });

  it("reads and writes registers, one and all", async () => {
    const gdb = await session();
    const all = await gdb.ask("g");
    // 24 words and 8 x87 registers, then 8 XMM registers and MXCSR.
    expect(all).toHaveLength((24 * 4 + 8 * 10 + 8 * 16 + 4) * 2);
    expect(all.slice(8 * 8, 9 * 8)).toBe("00001000");
    expect(await gdb.ask("P0=78563412")).toBe("OK");
    expect(await gdb.ask("p0")).toBe("78563412");
    expect(await gdb.ask(`G${"21436587"}${all.slice(8)}`)).toBe("OK");
    expect(vm?.vcpu().get("eax")).toBe(0x87654321);
    expect(await gdb.ask("pffff")).toBe("E16");
  });

  it("tells an empty x87 register from zero, special and valid ones", async () => {
    await session();
    const vcpu = vm?.vcpu();
    if (!vcpu) throw new Error("no vCPU");
    vcpu.ftw = 0b1110;
    vcpu.fsw = 0;
    vcpu.setSt(1, Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0x80, 0xff, 0x3f));
    vcpu.setSt(2, new Uint8Array(10));
    vcpu.setSt(3, Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0xc0, 0xff, 0x7f));
    expect(fullTagWord(vcpu) & 0xff).toBe(0b10_01_00_11);
  });

  it("reads and writes memory, as hexadecimal and as binary", async () => {
    const gdb = await session();
    expect(await gdb.ask("m100000,4")).toBe("b8443322");
    expect(await gdb.ask("M200000,3:010203")).toBe("OK");
    expect(await gdb.ask("X200003,3:\x7d\x23\x24")).toBe("OK");
    expect(await gdb.ask("m200000,6")).toBe("0102037d2324");
    expect(await gdb.ask("M200000,3:01")).toBe("E16");
    expect(await gdb.ask("mzz,4")).toBe("E16");
  });

  it("steps, and goes on to a breakpoint without touching the code", async () => {
    const gdb = await session();
    expect(await gdb.ask("vCont;s:1")).toBe("T05thread:1;");
    expect(await gdb.ask("p8")).toBe("05001000");
    expect(await gdb.ask("s")).toBe("T05thread:1;");
    expect(await gdb.ask("Z0,100007,1")).toBe("OK");
    expect(await gdb.ask("m100007,2")).toBe("ebfd");
    for (const eax of ["45332211", "46332211"]) {
      expect(await gdb.ask("c")).toBe("T05thread:1;hwbreak:;");
      expect(await gdb.ask("p0")).toBe(eax);
    }
    expect(await gdb.ask("z0,100007,1")).toBe("OK");
    expect(await gdb.ask("Z5,200000,4")).toBe("");
  });

  it("stops a running guest at Ctrl-C", async () => {
    const gdb = await session();
    const stopped = gdb.ask("vCont;c");
    setTimeout(() => gdb.socket.write("\x03"), 30);
    expect(await stopped).toBe("T02thread:1;");
    expect(await gdb.ask("?")).toBe("T02thread:1;");
  });

  it("tells how the guest ended", async () => {
    // mov al, 3; out 0xf4, al
    const exit = await session([0xb0, 3, 0xe6, 0xf4, 0xeb, 0xfe]);
    expect(await exit.ask("c")).toBe("W07");
    exit.close();
    await server?.[Symbol.asyncDispose]();
    // lidt [0x200000] (an empty table); int3
    const crash = await session([0x0f, 0x01, 0x1d, 0, 0, 0x20, 0, 0xcc]);
    expect(await crash.ask("c")).toBe("X06");
  });

  it("passes monitor commands to the debugger", async () => {
    const gdb = await session();
    const reply = await gdb.ask(`qRcmd,${Buffer.from("u eip 1").toString("hex")}`);
    expect(Buffer.from(reply, "hex").toString()).toContain("mov eax, 0x11223344");
  });

  it("can do without acknowledgements", async () => {
    const gdb = await session();
    expect(await gdb.ask("QStartNoAckMode")).toBe("OK");
    const before = gdb.acknowledged;
    await gdb.ask("?");
    expect(gdb.acknowledged).toBe(before);
  });

  it("lets the guest run free when gdb detaches, and ends it when gdb kills it", async () => {
    const gdb = await session();
    expect(await gdb.ask("Z0,100007,1")).toBe("OK");
    expect(await gdb.ask("D")).toBe("OK");
    await gdb.closed;
    await expect.poll(() => vm?.state).toBe("running");
    const second = await Client.open(server?.port ?? 0);
    client = second;
    second.socket.write(encodePacket("k"));
    await expect.poll(() => vm?.state).toBe("stopped");
  });

  it("takes a second gdb only after the first has gone", async () => {
    await session();
    const second = connect(server?.port ?? 0, "127.0.0.1");
    await new Promise((resolve) => second.on("close", resolve).on("error", () => {}));
    expect(await client?.ask("?")).toBe("T05thread:1;");
  });

  it("says what to do when its port is taken", async () => {
    await session();
    await expect(serveGdb(vm as Vm, { port: server?.port ?? 0 })).rejects.toThrow(
      /cannot listen on 127\.0\.0\.1:\d+: something else has it; give another port/,
    );
  });

  it("survives any packets at all", async () => {
    const gdb = await session();
    await fc.assert(
      fc.asyncProperty(
        fc.tuple(fc.constantFrom(..."?gGpPmMXZzHTvqQ"), fc.string({ unit: "binary-ascii", maxLength: 20 })),
        async ([letter, rest]) => {
          if (/^(qRcmd|QStartNoAckMode|vCont;[cC])/.test(letter + rest)) return;
          expect(await gdb.ask(letter + rest)).toMatch(/^(|OK|E[0-9a-f]{2}|[\x20-\x7e]+)$/);
        },
      ),
      { numRuns: 300 },
    );
    expect(await gdb.ask("qC")).toBe("QC1");
  });

  it("takes watchpoints for writes, reads and both, and says which was hit and where", async () => {
    // mov eax, [200000h]; mov [200004h], eax; jmp $
    const gdb = await session([0xa1, 0, 0, 0x20, 0, 0xa3, 4, 0, 0x20, 0, 0xeb, 0xfe]);
    expect(await gdb.ask("Z2,200000,4")).toBe("OK");
    expect(await gdb.ask("Z3,200002,1")).toBe("OK");
    expect(await gdb.ask("Z4,200006,8")).toBe("OK");
    expect(await gdb.ask("Z2,200000,0")).toBe("E1c");
    expect(await gdb.ask("c")).toBe("T05thread:1;rwatch:200002;");
    expect(await gdb.ask("c")).toBe("T05thread:1;awatch:200006;");
    expect(await gdb.ask("z3,200002,1")).toBe("OK");
  });

  it.skipIf(!hasGdb)("is what the real gdb expects", async () => {
    // behind the loop: mov dword [200008h], 77h; jmp $
    vm = await codeVm([...LOOP, 0xc7, 0x05, 0x08, 0, 0x20, 0, 0x77, 0, 0, 0, 0xeb, 0xfe]);
    server = await serveGdb(vm, { port: 0 });
    const commands = [
      "set confirm off",
      `target remote 127.0.0.1:${server.port}`,
      "x/2i $pc",
      "stepi",
      "break *0x100007",
      "continue",
      'printf "eax %x eip %x\\n", $eax, $eip',
      "set $ebx = 0xabcd",
      "set {int}0x200000 = 0x1234",
      'printf "ebx %x mem %x pe %d\\n", $ebx, *(int*)0x200000, $cr0 & 1',
      "watch *(int *)0x200008",
      "set $eip = 0x100009",
      "continue",
      'printf "watched %x eip %x\\n", *(int *)0x200008, $eip',
      "info registers xmm0",
      "monitor info gdt",
      "info registers eflags",
      "kill",
    ];
    const gdb = spawn("gdb", ["-nx", "-batch", ...commands.flatMap((command) => ["-ex", command])], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    let output = "";
    gdb.stdout.on("data", (bytes) => {
      output += bytes;
    });
    gdb.stderr.on("data", (bytes) => {
      output += bytes;
    });
    expect(await new Promise((resolve) => gdb.on("close", resolve))).toBe(0);
    expect(output).toContain("mov    $0x11223344,%eax");
    expect(output).toContain("Breakpoint 1, 0x00100007 in ?? ()");
    expect(output).toContain("eax 11223345 eip 100007");
    expect(output).toContain("ebx abcd mem 1234 pe 1");
    expect(output).toMatch(/Hardware watchpoint 2: \*\(int \*\)0x200008\s+Old value = 0\s+New value = 119/);
    expect(output).toContain("watched 77 eip 100013");
    expect(output).toContain("v4_int32");
    expect(output).not.toMatch(/error|warning: (?!No executable)|Truncated|malformed|not supported/i);
    expect(CODE).toBe(0x100000);
  });
});
