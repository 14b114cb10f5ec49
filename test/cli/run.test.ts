import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, describe, expect, it, vi } from "vitest";
import { openCharDevice } from "../../src/cli/chardev.ts";
import { runCommandLine } from "../../src/cli/main.ts";
import { VmError } from "../../src/vmm/error.ts";
import type { ExitStatus } from "../../src/vmm/status.ts";
import { type FakeIo, fakeIo } from "./fake-machine.ts";

const folder = mkdtempSync(join(tmpdir(), "paravane-run-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** The smallest file that counts as a multiboot kernel: magic, flags, checksum. */
const kernel = join(folder, "kernel.bin");
writeFileSync(kernel, new Uint8Array(new Uint32Array([0x1badb002, 0, 0x100000000 - 0x1badb002]).buffer));

async function paravane(io: FakeIo, ...argv: string[]): Promise<number> {
  return await runCommandLine(argv, io);
}

describe("paravane run", () => {
  it.each<[string, ExitStatus, number, RegExp]>([
    ["a power-off", { kind: "power-off" }, 0, /^$/],
    ["a guest's own code", { kind: "guest-exit", code: 7 }, 7, /^paravane: the guest ended with code 7\n$/],
    ["a guest's own code above 8 bits", { kind: "guest-exit", code: 0x103 }, 3, /code 3/],
    ["a triple fault", { kind: "triple-fault", cs: 8, eip: 0x100000 }, 6, /triple fault at 0008:00100000/],
    ["a reset", { kind: "reset", cause: "port-92" }, 8, /reset \(port-92\)/],
    ["a timeout", { kind: "timeout" }, 124, /--timeout/],
    ["a failing host", { kind: "crashed", error: new VmError("host", "No memory.") }, 12, /^paravane: No memory.\n$/],
  ])("turns %s into its exit code and one line", async (_, status, code, message) => {
    const io = fakeIo((machine) => machine.end(status));
    expect(await paravane(io, "run", kernel)).toBe(code);
    expect(io.errText()).toMatch(message);
    expect(io.errText().split("\n").length).toBeLessThanOrEqual(2);
  });

  it("hands the options over as the machine's configuration", async () => {
    const io = fakeIo();
    const initrd = join(folder, "a.mod");
    writeFileSync(initrd, "module");
    await paravane(
      io,
      "run",
      "-kernel",
      kernel,
      "-append",
      "-v console=ttyS0",
      "-initrd",
      `${initrd} x y`,
      "-m",
      "64",
      "-cpu",
      "pentium3,-sse",
      "-nographic",
      "-no-reboot",
      "-display",
      "none",
      "-device",
      "isa-debug-exit,iobase=0x501,iosize=0x4",
      "--clock",
      "virtual",
      "--post-port=0x190",
      "--timeout",
      "1.5m",
      "--trace",
      "exits,ports",
      "--serial",
      "terminal",
      "--serial",
      "none",
      "--wall",
      "2020-01-01T00:00:00Z",
      "--no-apic",
    );
    const { boot, ...rest } = io.machine?.config ?? { boot: undefined };
    expect(rest).toEqual({
      name: kernel,
      memoryBytes: 64 * 1024 * 1024,
      cpu: "pentium3,-sse",
      onReset: "exit",
      debugExitPort: 0x501,
      clock: "virtual",
      postPort: 0x190,
      timeoutMs: 90_000,
      trace: ["exit", "port"],
      serialPorts: 2,
      wallSeconds: 1577836800,
      apic: false,
    });
    expect(boot).toMatchObject({
      kind: "multiboot",
      append: "-v console=ttyS0",
      modules: [{ append: `${initrd} x y` }],
    });
  });

  it.each(["protected", "real"])("starts a flat binary in %s mode where it is loaded", async (mode) => {
    const io = fakeIo();
    await paravane(io, "run", kernel, "--load", "0x7c00", "--entry", "0x7c04", "--mode", mode);
    expect(io.machine?.config.boot).toMatchObject({ kind: "flat", address: 0x7c00, entry: 0x7c04, mode });
  });

  it("gives a machine only what was asked for: the rest is the machine's to decide", async () => {
    const io = fakeIo();
    await paravane(io, "run", kernel);
    expect(Object.keys(io.machine?.config ?? {}).sort()).toEqual(["boot", "name", "serialPorts"]);
  });

  it.each([
    ["all", "all"],
    ["none", []],
    ["clock,steal", ["clock", "steal"]],
  ])("--pv %s", async (words, expected) => {
    const io = fakeIo();
    await paravane(io, "run", kernel, "--pv", words);
    expect(io.machine?.config.paravirt).toEqual(expected);
  });

  it("boots the default ROM without a name", async () => {
    const io = fakeIo();
    expect(await paravane(io, "run")).toBe(0);
    expect(io.machine?.config).toMatchObject({ name: "kernel", boot: { kind: "multiboot" } });
  });

  it("prints what COM1 says and hands piped input to the guest, beyond the input's end", async () => {
    const io = fakeIo(async (machine) => {
      machine.print("hello\r\n");
      io.input.end("typed\n");
      await delay(20);
      machine.print("bye\r\n");
      machine.end({ kind: "power-off" });
    });
    expect(await paravane(io, "run", kernel)).toBe(0);
    expect(io.outText()).toBe("hello\r\nbye\r\n");
    expect(io.machine?.received).toEqual([{ port: 0, text: "typed\n" }]);
    expect(io.machine?.listenerCount()).toBe(0);
    expect(io.machine?.done).toEqual(["start", "dispose"]);
  });

  it("writes serial ports, parallel port and debug console to files, every byte", async () => {
    const [com2, printer, debugcon] = ["com2", "lpt", "e9"].map((name) => join(folder, name)) as [
      string,
      string,
      string,
    ];
    writeFileSync(com2, "kept ");
    const bytes = Uint8Array.from({ length: 256 }, (_, i) => i);
    const io = fakeIo((machine) => {
      machine.emit("serial", { port: 1, bytes });
      machine.emit("parallel", { bytes });
      machine.emit("debugcon", { bytes });
      machine.end({ kind: "power-off" });
    });
    await paravane(
      io,
      "run",
      kernel,
      "--serial",
      "none",
      "--serial",
      `append:${com2}`,
      "--parallel",
      `file:${printer}`,
      "--debugcon",
      `file:${debugcon}`,
    );
    expect(readFileSync(com2)).toEqual(Buffer.concat([Buffer.from("kept "), bytes]));
    expect(readFileSync(printer)).toEqual(Buffer.from(bytes));
    expect(readFileSync(debugcon)).toEqual(Buffer.from(bytes));
    expect(io.outText()).toBe("");
  });

  it("--until ends with 0 at the first line that matches, whatever the guest would do next", async () => {
    const io = fakeIo((machine) => {
      machine.print("noise\r\n\u001b[1mlog");
      machine.print("in:\u001b[0m root\r\n");
    });
    expect(await paravane(io, "run", kernel, "--until", "^login: root$", "--stats=json")).toBe(0);
    expect(JSON.parse(io.errText())).toMatchObject({ exitCode: 0, untilMatched: true, status: { kind: "killed" } });
  });

  it("--until looks at a prompt that never ends its line, and at a last line without an end", async () => {
    const prompt = fakeIo((machine) => machine.print("\r\n/ # "));
    expect(await paravane(prompt, "run", kernel, "--until", "/ # $")).toBe(0);
    const last = fakeIo((machine) => {
      machine.print("done");
      machine.end({ kind: "power-off" });
    });
    expect(await paravane(last, "run", kernel, "--until", "^done$")).toBe(0);
  });

  it("--until without a match is code 10 after a power-off, and the guest's own code otherwise", async () => {
    const off = fakeIo((machine) => machine.end({ kind: "power-off" }));
    expect(await paravane(off, "run", kernel, "--until", "never")).toBe(10);
    expect(off.errText()).toBe("paravane: the guest ended, and no line matched --until /never/\n");
    const code = fakeIo((machine) => machine.end({ kind: "guest-exit", code: 33 }));
    expect(await paravane(code, "run", kernel, "--until", "never")).toBe(33);
    const timeout = fakeIo((machine) => machine.end({ kind: "timeout" }));
    expect(await paravane(timeout, "run", kernel, "--until", "never")).toBe(124);
  });

  it("--stats=json is exactly one JSON object on one line of stderr; --stats-file moves it", async () => {
    const io = fakeIo();
    expect(await paravane(io, "run", "--stats=json", kernel)).toBe(0);
    expect(io.errText().endsWith("}\n")).toBe(true);
    expect(io.errText().trimEnd()).not.toContain("\n");
    expect(JSON.parse(io.errText())).toMatchObject({
      guest: kernel,
      exitCode: 0,
      status: { kind: "power-off" },
      instructions: 1234567,
      exits: { PortOut: 10, Hlt: 3 },
      guestSeconds: 1.5,
      hostSeconds: 2,
      mips: 0.99,
    });
    const file = join(folder, "stats.json");
    const second = fakeIo();
    expect(await paravane(second, "run", "--stats", "json", "--stats-file", file, kernel)).toBe(0);
    expect(second.errText()).toBe("");
    expect(JSON.parse(readFileSync(file, "utf8")).instructions).toBe(1234567);
  });

  it("--stats before the guest's name is not taken for its value", async () => {
    const io = fakeIo();
    expect(await paravane(io, "run", "--stats", "hello")).toBe(0);
    expect(io.errText()).toContain("1,234,567");
    expect(io.machine?.config.name).toBe("hello");
  });

  it("--trace prints the machine's events, to stderr or a file", async () => {
    const file = join(folder, "trace");
    const io = fakeIo((machine) => {
      machine.emit("trace", { kind: "port", write: true, port: 0x80, size: 1, value: 0x5a, known: false });
      machine.emit("trace", { kind: "exit", reason: "Hlt" });
      machine.emit("trace", { kind: "irq", event: "line", gsi: 4, level: true });
      machine.emit("trace", { kind: "irq", event: "send", vector: 0x51, mode: "lowest", source: "gsi", line: 4 });
      machine.emit("trace", { kind: "irq", event: "take", vector: 0x51, source: "msi", eip: 0xc0100000 });
      machine.emit("trace", { kind: "irq", event: "end", source: "apic", vector: 0x51 });
      machine.emit("trace", { kind: "irq", event: "end", source: "8259", line: 4 });
      machine.emit("trace", { kind: "irq", event: "lost", count: 7 });
      machine.end({ kind: "power-off" });
    });
    expect(await paravane(io, "run", kernel, "--trace", "all", "--trace-file", file)).toBe(0);
    expect(readFileSync(file, "utf8")).toBe(
      [
        "port  write 0080 5a (no device)",
        "exit  Hlt",
        "irq   line 4 high",
        "irq   send vector 51 from gsi 4, lowest",
        "irq   take vector 51 from msi eip c0100000",
        "irq   end  vector 51",
        "irq   end  8259 4",
        "irq   7 more, lost",
        "",
      ].join("\n"),
    );
  });

  it("ends in order on a signal, with 128 plus its number", async () => {
    const io = fakeIo(() => void process.kill(process.pid, "SIGTERM"));
    expect(await paravane(io, "run", kernel)).toBe(143);
    expect(io.machine?.done).toEqual(["start", "dispose"]);
    expect(process.listenerCount("SIGTERM")).toBe(0);
  });
});

// Every write to it fails as on a full disk.
describe.runIf(existsSync("/dev/full"))("a full disk", () => {
  it("does not end a guest whose console it should keep, and is said once", async () => {
    const said = vi.spyOn(process.stderr, "write").mockReturnValue(true);
    const device = openCharDevice({ kind: "file", path: "/dev/full", append: false }, "--serial", () => {});
    for (let i = 0; i < 3; i++) device.write(new Uint8Array(3));
    await device.close();
    const texts = said.mock.calls.map(([text]) => text);
    said.mockRestore();
    expect(texts).toEqual([
      "paravane: --serial: cannot write /dev/full: no space left on device; what comes now is dropped\n",
    ]);
  });

  it("is one sentence where statistics go there", async () => {
    const io = fakeIo();
    expect(await paravane(io, "run", kernel, "--stats", "--stats-file", "/dev/full")).toBe(12);
    expect(io.errText()).toBe("paravane: cannot write the statistics /dev/full: no space left on device\n");
  });
});
