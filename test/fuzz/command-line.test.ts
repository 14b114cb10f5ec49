// What is wrong on the command line, or in the files it names, is one sentence on stderr and the exit code that
// docs/CLI.md promises: no stack, nothing on stdout, no hang.
import { spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Random } from "../../tools/oracle/random.ts";

const CLI = fileURLToPath(new URL("../../bin/paravane.js", import.meta.url));
const HELLO = fileURLToPath(new URL("../../roms/hello/hello.bin", import.meta.url));
const USAGE = 2;
const IMAGE = 4;
const HOST = 12;

let dir: string;
const file = (name: string): string => join(dir, name);

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "paravane-bad-input-"));
  const r = new Random(7);
  const random = Uint8Array.from({ length: 100_000 }, () => r.u32());
  writeFileSync(file("empty"), "");
  writeFileSync(file("one-byte"), "x");
  writeFileSync(file("text"), "this is no kernel\n".repeat(500));
  writeFileSync(file("random"), random);
  mkdirSync(file("directory"));
  symlinkSync(file("nowhere"), file("dangling"));
  // bzImage: boot flag and magic, the rest anything; then cut short
  const bzImage = Uint8Array.from(random);
  bzImage.set([0x55, 0xaa], 0x1fe);
  bzImage.set([0x48, 0x64, 0x72, 0x53], 0x202);
  writeFileSync(file("random.bzimage"), bzImage);
  writeFileSync(file("short.bzimage"), bzImage.subarray(0, 0x210));
  const elf = Uint8Array.from(random);
  elf.set([0x7f, 0x45, 0x4c, 0x46, 1, 1, 1]);
  writeFileSync(file("random.elf"), elf);
  writeFileSync(file("short.elf"), elf.subarray(0, 40));
  // multiboot 1 header with the address fields given and all of them wrong
  const multiboot = Uint8Array.from(random);
  new DataView(multiboot.buffer).setUint32(0, 0x1badb002, true);
  new DataView(multiboot.buffer).setUint32(4, 0x10000, true);
  new DataView(multiboot.buffer).setUint32(8, -(0x1badb002 + 0x10000) >>> 0, true);
  writeFileSync(file("random.multiboot"), multiboot);
  writeFileSync(file("firmware-odd"), random.subarray(0, 70_001));
});

afterAll(() => {
  rmSync(dir, { recursive: true, force: true });
});

function run(
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
): { status: number | null; out: string; err: string } {
  const result = spawnSync(process.execPath, [CLI, ...args], {
    encoding: "utf8",
    timeout: 25_000,
    input: "",
    env: { ...process.env, PARAVANE_DEBUG: "", ...env },
  });
  return { status: result.status, out: result.stdout, err: result.stderr };
}

function refuses(args: readonly string[], status: number | readonly number[], names: RegExp): void {
  const { status: got, out, err } = run(args);
  const what = `paravane ${args.join(" ")}\n${err}`;
  expect([status].flat(), what).toContain(got);
  expect(out, what).toBe("");
  expect(err.trimEnd().split("\n"), what).toHaveLength(1);
  expect(err, what).not.toMatch(/^\s+at |node:internal|RuntimeError|TypeError|undefined|\[object/m);
  expect(err, what).toMatch(names);
}

describe("flags and values", () => {
  const wrong: readonly (readonly [readonly string[], RegExp])[] = [
    [["frobnicate"], /frobnicate/],
    [["run", "--frobnicate"], /--frobnicate/],
    [["run", "hello", "--memory"], /memory/],
    [["run", "hello", "--memory", ""], /memory/],
    [["run", "hello", "--memory", "0"], /memory/],
    [["run", "hello", "--memory", "-5M"], /memory/],
    [["run", "hello", "--memory", "NaN"], /memory/],
    [["run", "hello", "--memory", "1e99"], /memory/],
    [["run", "hello", "--memory", "999999999999G"], /memory/],
    [["run", "hello", "--memory", "512K"], /memory/],
    [["run", "hello", "--memory", "4G"], /memory/],
    [["run", "hello", "-m", "lots"], /-m|memory/],
    [["run", "hello", "--cpu", ""], /cpu/],
    [["run", "hello", "--cpu", "z80"], /z80/],
    [["run", "hello", "--cpu", "max,+flux"], /flux/],
    [["run", "hello", "--clock", "sundial"], /clock/],
    [["run", "hello", "--timeout", "soon"], /timeout/],
    [["run", "hello", "--timeout", "-1"], /timeout/],
    [["run", "hello", "--until", "("], /until/],
    [["run", "hello", "--stats=xml"], /stats/],
    [["run", "hello", "--trace", "everything"], /trace/],
    [["run", "hello", "--debug-exit", "0x10000"], /debug-exit/],
    [["run", "hello", "--debug-exit", "here"], /debug-exit/],
    [["run", "hello", "--serial", "carrier-pigeon"], /serial/],
    [["run", "hello", "--load", "0x100000000"], /load/],
    [["run", "hello", "--as", "toast"], /toast|--as/],
    [["run", "hello", "-device", "flux-capacitor"], /flux-capacitor/],
    [["run", "hello", "-smp", "4"], /smp/],
    [["run", "no-such-guest"], /no-such-guest/],
    [["images", "pull", "no-such-image"], /no-such-image/],
    [["help", "no-such-topic"], /no-such-topic/],
  ];
  for (const [args, names] of wrong) it(args.join(" "), () => refuses(args, [USAGE, IMAGE], names));
});

describe("files", () => {
  it("that are not there, or not files", () => {
    for (const flag of ["--kernel", "--bios"])
      for (const name of ["missing", "directory", "dangling"])
        refuses(["run", flag, file(name)], [USAGE, IMAGE], /missing|directory|dangling/);
    refuses(["run", "--kernel", HELLO, "--initrd", file("missing")], [USAGE, IMAGE], /missing|initrd/);
    refuses(["run", "hello", "--serial", `file:${file("directory")}`], [USAGE, IMAGE, HOST], /directory/);
    refuses(["run", "hello", "--serial", `file:${file("no/where")}`], [USAGE, IMAGE, HOST], /where/);
  });

  it.skipIf(process.getuid?.() === 0)("that may not be read", () => {
    writeFileSync(file("secret"), "x");
    chmodSync(file("secret"), 0);
    refuses(["run", "--kernel", file("secret")], [USAGE, IMAGE], /secret/);
  });

  it("that hold nothing, text or anything", () => {
    for (const name of ["empty", "one-byte", "text", "random"])
      refuses(["run", "--kernel", file(name)], [USAGE, IMAGE], new RegExp(name));
    for (const name of ["empty", "one-byte", "firmware-odd"])
      refuses(["run", "--bios", file(name)], [USAGE, IMAGE], /firmware|bios|empty/i);
  });

  it("that begin like a kernel and go on like nothing", () => {
    for (const name of ["random.bzimage", "short.bzimage", "random.elf", "short.elf", "random.multiboot"])
      refuses(["run", "--kernel", file(name)], IMAGE, /./);
  });
});
