import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Command } from "commander";
import fc from "fast-check";
import { afterAll, describe, expect, it } from "vitest";
import { runCommandLine } from "../../src/cli/main.ts";
import { translateQemuSpellings } from "../../src/cli/qemu.ts";
import { addRunOptions } from "../../src/cli/run-options.ts";
import { TRACE_NAMES } from "../../src/cli/trace.ts";
import { fakeIo } from "./fake-machine.ts";

const folder = mkdtempSync(join(tmpdir(), "paravane-usage-"));
afterAll(() => rmSync(folder, { recursive: true }));
const empty = join(folder, "empty.bin");
const text = join(folder, "text.txt");
writeFileSync(empty, "");
writeFileSync(text, "no kernel at all ".repeat(100));

describe("a wrong command line is one clear line and its exit code, before anything starts", () => {
  it.each<[string[], number, RegExp]>([
    [["rn"], 2, /^paravane: unknown command 'rn'; Did you mean one of rm, run\?$/],
    [["creat"], 2, /^paravane: unknown command 'creat'; Did you mean create\?$/],
    [["run", "--memroy", "64"], 2, /^paravane: unknown option '--memroy'; Did you mean --memory\?$/],
    [["run", "-kernal", "x"], 2, /^paravane: unknown option -kernal \(did you mean -kernel\?\)/],
    [["run", "--kernel"], 2, /--kernel <file>' argument missing/],
    [["run", "a", "b"], 2, /too many arguments/],
    [
      ["run", "lunix"],
      2,
      /^paravane: no guest and no file is called "lunix" \(did you mean linux\?\); paravane roms and paravane images list what there is$/,
    ],
    [["run", "hello", "--memory", "4G"], 2, /^paravane: --memory: 4G is outside/],
    [["run", "hello", "-m", "lots"], 2, /^paravane: --memory: "lots" is not a size/],
    [["run", "hello", "--clock", "fast"], 2, /^paravane: --clock: "fast" is not one of real, virtual$/],
    [
      ["run", "hello", "--clock-sync", "slow"],
      2,
      /^paravane: --clock-sync: "slow" is not one of .* \(did you mean slew\?\)$/,
    ],
    [
      ["run", "hello", "--clock-sync", "slew", "--clock", "virtual"],
      2,
      /^paravane: --clock-sync has a meaning only with --clock real$/,
    ],
    [["bench"], 2, /^paravane: bench: what is to be measured\? There is clock, virt$/],
    [["bench", "clok"], 2, /^paravane: bench: no benchmark "clok" \(did you mean clock\?\); there is clock, virt$/],
    [["bench", "virt", "--forms", "half"], 2, /^paravane: --forms: "half" is not one of full, assisted, para$/],
    [["bench", "virt", "--repeats", "0"], 2, /^paravane: --repeats: /],
    [["bench", "virt", "--only", "a;b"], 2, /^paravane: only: "a;b" is no name of an operation/],
    [["bench", "clock", "--sync", "auto,fast"], 2, /^paravane: --sync: "fast" is not one of/],
    [["run", "hello", "--pv", "clock,stael"], 2, /^paravane: --pv: "stael" is not one of .* \(did you mean steal\?\)$/],
    [["run", "hello", "--pv", "clock,all"], 2, /^paravane: --pv: "all" is not one of clock/],
    [["run", "hello", "--until", "("], 2, /^paravane: --until: not a regular expression/],
    [["run", "hello", "--timeout", "soon"], 2, /^paravane: --timeout: "soon" is not a time/],
    [["run", "hello", "--trace", "exit,instr"], 2, /^paravane: --trace: "instr" is not one of/],
    [["run", "hello", "--stats=xml"], 2, /^paravane: --stats: "xml" is not one of text, json/],
    [["run", "hello", "--serial", "tcp:1"], 2, /^paravane: --serial: "tcp:1" is not one of/],
    [
      ["run", "hello", "--serial", "file:/no/such/folder/x"],
      2,
      /^paravane: --serial: cannot open \/no\/such\/folder\/x: no such file or directory$/,
    ],
    [["run", "hello", "--debugcon", `pipe:${text}`], 2, /is not a FIFO; make one with mkfifo/],
    [
      ["run", "hello", "--overlay", "x"],
      2,
      /^paravane: --overlay keeps .* \(debian\), and hello has none; a disk of yours takes/,
    ],
    [["run", "linux", "--overlay", "x"], 2, /^paravane: --overlay keeps .*, and linux has none/],
    [
      ["run", "--kernel", "debian-kernel", "--overlay", "x"],
      2,
      /^paravane: --overlay keeps .*, and debian-kernel has none/,
    ],
    [["run", "--overlay", "x"], 2, /^paravane: --overlay keeps .* \(debian\); a disk of yours takes/],
    [["run", "ipxe"], 2, /^paravane: ipxe is no guest: machines that boot over the network have it/],
    [["run", "hello", "-device", "virtio-net"], 2, /^paravane: --device: no device "virtio-net"/],
    [["run", "hello", "-device", "isa-debug-exit,port=1"], 2, /has no "port"; it has iobase and iosize/],
    [["run", "hello", "-smp", "4"], 2, /^paravane: -smp 4: this machine has only "-smp 1"$/],
    [["run", "hello", "--kernel", "x"], 2, /both say what to boot/],
    [["run", "--initrd", "x"], 2, /--initrd needs a kernel/],
    [["run", "--bios", "x", "--append", "y"], 2, /--append has no meaning with --bios/],
    [["run", "hello", "--load", "1M"], 2, /^paravane: --load: "1M" is not a whole number/],
    [
      ["run", "--load", "0x7c00"],
      2,
      /^paravane: --load has a meaning only for a file, and "kernel" is a guest of ours$/,
    ],
    [["run", "hello", "--as", "elf"], 2, /--as has a meaning only for a file, and "hello" is a guest of ours$/],
    [["run", "linux", "--load", "0", "--mode", "real"], 2, /--load has a meaning only for a file, and "linux" is/],
    [["run", "linux", "--module", "x"], 2, /--module has a meaning only for multiboot kernels, and linux is none$/],
    [
      ["run", "hello", "--guest-decompress"],
      2,
      /--guest-decompress has a meaning only for Linux kernels, and hello is/,
    ],
    [["run", text, "--mode", "real"], 2, /--mode has a meaning only for flat binaries; give --load too$/],
    [["run", text, "--load", "0", "--mode", "reel"], 2, /--mode: "reel" is not one of .* \(did you mean real\?\)$/],
    [["run", "hello", "--trace-file", "x"], 2, /--trace-file needs --trace/],
    [["run", "hello", "--ns-per-instruction", "2"], 2, /only with --clock virtual/],
    [
      ["run", "--kernel", "/no/such/kernel"],
      4,
      /^paravane: --kernel: cannot read \/no\/such\/kernel: no such file or directory$/,
    ],
    [["run", "./missing.bin"], 4, /^paravane: cannot read \.\/missing\.bin: no such file or directory$/],
    [["run", folder], 4, /cannot read .*: illegal operation on a directory$/],
    [["run", empty], 4, /is empty; a kernel, ROM or firmware image is expected$/],
    [["run", text], 4, /is none of: Linux bzImage, multiboot kernel, 32-bit ELF, firmware image/],
    [["images", "pull", "linus"], 2, /no image is called "linus" \(did you mean linux\?\)/],
    [["images", "rm", "nothing"], 2, /no image is called "nothing"/],
    [["images", "lst"], 2, /^paravane: images: no verb "lst" \(did you mean list\?\); there are list, pull, rm$/],
    [["run", "hello", "--restore", "x.pvs"], 2, /--restore boots nothing: leave out guest$/],
    [["run", "--restore-clock", "now"], 2, /--restore-clock needs --restore FILE$/],
    [["run", "--restore-lazy", "off"], 2, /--restore-lazy needs --restore FILE$/],
    [
      ["run", "--restore", "x.pvs", "--restore-lazy", "on"],
      2,
      /"on" is not one of background, demand, asynchronous, off$/,
    ],
    [["run", "--restore", "x.pvs", "--restore-clock", "then"], 2, /"then" is not one of resume, now$/],
    [["snapshot"], 2, /^paravane: snapshot: say what to do: take, inspect, verify, flatten$/],
    [["snapshot", "verfy"], 2, /no verb "verfy" \(did you mean verify\?\)/],
    [["snapshot", "inspect", "/no/such.pvs"], 4, /^paravane: \/no\/such.pvs: there is no such file\.$/],
    [["snapshot", "verify", text], 4, /^paravane: text.txt: magic is not that of a Paravane snapshot\.$/],
    [["help", "rum"], 2, /no help on "rum" \(did you mean run\?\)/],
  ])("%j", async (argv, code, message) => {
    const io = fakeIo();
    expect(await runCommandLine(argv, io)).toBe(code);
    expect(io.errText().trimEnd()).toMatch(message);
    expect(io.errText().trimEnd().split("\n")).toHaveLength(1);
    expect(io.machine?.done ?? []).not.toContain("start");
    expect(io.outText()).toBe("");
  });

  it("survives any words at all without a stack trace", async () => {
    const words = fc.oneof(
      fc.constantFrom(
        "run",
        "images",
        "roms",
        "hello",
        "--",
        "-m",
        "-kernel",
        "--until",
        "--stats",
        "--serial",
        "--trace",
        "-device",
        "--gdbb",
        "-x",
        "--as",
        "--load=",
        "pull",
      ),
      fc.string({ maxLength: 12 }),
      fc.string({ maxLength: 6 }).map((s) => `--${s}`),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(words, { maxLength: 6 }), async (argv) => {
        // What is valid may start the stand-in machine, fetch nothing and listen nowhere.
        fc.pre(
          !(argv.includes("images") && argv.includes("pull")) &&
            !argv.includes("debug") &&
            !argv.some((word) => word.startsWith("--gdb") || word.startsWith("-s")),
        );
        const io = fakeIo();
        const code = await runCommandLine(argv, io);
        expect([0, 2, 4, 10]).toContain(code);
        expect(io.errText()).not.toMatch(/^\s+at |TypeError|a defect in/m);
        if (code !== 0) expect(io.errText()).toMatch(/^(paravane|Usage): /);
      }),
      { numRuns: 300 },
    );
  });
});

describe("help", () => {
  it.each([[[]], [["help"]], [["--help"]]])("%j lists the verbs", async (argv) => {
    const io = fakeIo();
    expect(await runCommandLine(argv, io)).toBe(0);
    for (const verb of ["run", "debug", "images", "roms", "version", "help"])
      expect(io.outText()).toMatch(new RegExp(`^  ${verb}`, "m"));
  });

  it("help run lists every option of run, as run --help does", async () => {
    const [a, b] = [fakeIo(), fakeIo()];
    await runCommandLine(["help", "run"], a);
    await runCommandLine(["run", "--help"], b);
    for (const option of [
      "--kernel",
      "--initrd",
      "--append",
      "--bios",
      "--memory",
      "--cpu",
      "--pv",
      "--clock",
      "--timeout",
      "--until",
      "--stats",
      "--trace",
      "--serial",
      "--post-port",
      "--no-reboot",
      "--gdb",
    ]) {
      expect(a.outText()).toContain(option);
    }
    expect(b.outText()).toContain(a.outText().trimEnd());
  });

  it("names every kind of trace", async () => {
    const io = fakeIo();
    expect(await runCommandLine(["help", "run"], io)).toBe(0);
    const help = io.outText().replace(/\s+/g, " ");
    const kinds = /--trace <kinds> ([^-]*)/.exec(help)?.[1]?.match(/\w+/g);
    expect(kinds).toEqual(expect.arrayContaining([...Object.keys(TRACE_NAMES), "insn"]));
  });

  it("leaves the values of its own options alone, whatever they look like", () => {
    const valued = addRunOptions(new Command()).options.filter((option) => option.required && option.long);
    for (const { long } of valued) {
      const words = [long ?? "", "-no-reboot"];
      expect(translateQemuSpellings(words)).toEqual(words);
    }
    expect(translateQemuSpellings(["-k", "-no-reboot"])).toEqual(["-k", "-no-reboot"]);
  });

  it("takes -S where there is a debugger to wait for", () => {
    expect(translateQemuSpellings(["-S", "-s"])).toEqual(["--gdb=1234"]);
    expect(translateQemuSpellings(["--gdb", "99", "-S"])).toEqual(["--gdb", "99"]);
    expect(() => translateQemuSpellings(["-S"])).toThrow(/-S waits for a debugger; give -s/);
  });

  it("has an exit code for an image that cannot be fetched, and one for a cache that cannot be written", async () => {
    const pull = async (cache: string): Promise<[number, string]> => {
      const io = fakeIo();
      const before = process.env.PARAVANE_CACHE;
      process.env.PARAVANE_CACHE = cache;
      try {
        return [
          await runCommandLine(["images", "pull", "seabios", "--mirror", "http://127.0.0.1:1/"], io),
          io.errText(),
        ];
      } finally {
        if (before === undefined) delete process.env.PARAVANE_CACHE;
        else process.env.PARAVANE_CACHE = before;
      }
    };
    expect(await pull(join(folder, "cache"))).toEqual([4, expect.stringMatching(/127\.0\.0\.1:1.*\n$/)]);
    expect(await pull(join(text, "cache"))).toEqual([12, expect.stringContaining("cannot be read")]);
    if (process.platform === "linux")
      expect(await pull("/proc/nowhere")).toEqual([12, expect.stringContaining("set PARAVANE_CACHE")]);
  }, 60_000);

  it("explains exit codes and keys, and says the version", async () => {
    for (const [argv, expected] of [
      [["help", "exit-codes"], /^124 +--timeout ran out$/m],
      [["help", "keys"], /^Ctrl-A x +quit$/m],
      [["version"], /^paravane \d+\.\d+\.\d+ \(Node /],
      [["--version"], /^paravane \d+\.\d+\.\d+\n$/],
      [["roms"], /^kernel +.*\(default\)$/m],
    ] as const) {
      const io = fakeIo();
      expect(await runCommandLine(argv, io)).toBe(0);
      expect(io.outText()).toMatch(expected);
    }
  });
});
