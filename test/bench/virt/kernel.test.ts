// The benchmark guest: every operation's result is right in every form, and under QEMU too; its shell and its programs say
// the same under both. Correctness, not time: on the virtual clock, a fiftieth of the usual counts.
import { spawn, spawnSync } from "node:child_process";
import { createSocket, type Socket } from "node:dgram";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { benchDiskBytes } from "../../../src/bench/virt/disk.ts";
import { EchoNetwork } from "../../../src/bench/virt/echo-network.ts";
import { MarkReader } from "../../../src/bench/virt/marks.ts";
import { VIRT_FORMS, type VirtForm } from "../../../src/bench/virt/measurement.ts";
import { runForm } from "../../../src/bench/virt/run-form.ts";
import { OPERATION_GROUPS } from "../../../src/bench/virt/titles.ts";
import { Vm } from "../../../src/index.ts";

const path = fileURLToPath(new URL("../../../roms/kernel/kernel.bin", import.meta.url));
const rom = readFileSync(path);
const hasQemu = spawnSync("qemu-system-i386", ["--version"]).status === 0;
const TIMEOUT_MS = 90_000;
const known = OPERATION_GROUPS.flatMap(({ operations }) => Object.keys(operations));

/** What a form cannot have; everything else must run. */
const NOT_FULL = /^(hypercall|clock-kvm|clock-hypercall|block-call|console-call)/;
const NOT_PARA = /^block-pio/;

describe.each(VIRT_FORMS)("the benchmark guest, %s", (form) => {
  it("finds every result right, and runs all that the form has", { timeout: TIMEOUT_MS }, async () => {
    const run = await runForm({ form, rom, percent: 2, timeoutMs: TIMEOUT_MS, clock: "virtual" });
    expect(run.measurements.filter(({ failed }) => failed !== undefined)).toEqual([]);
    expect([...run.operations].sort()).toEqual([...known].sort());
    const missing = run.skipped.map(({ operation }) => operation);
    expect(missing.filter((name) => !(form === "para" ? NOT_PARA : NOT_FULL).test(name))).toEqual([]);
    for (const { operation, cost, count } of run.measurements) {
      expect(cost.instructions, operation).toBeGreaterThanOrEqual(count);
      expect(cost.ns, operation).toBeGreaterThan(0);
    }
  });
});

describe("what the forms are for", () => {
  it("is in the exits: page tables trap in the full form, come in batches in the para form, and cost nothing assisted", {
    timeout: TIMEOUT_MS,
  }, async () => {
    const only = ["cr3-load", "pte-1", "pte-64", "tpr-write", "pic-mask", "clock-tsc"];
    const exits = async (form: VirtForm): Promise<Record<string, number>> => {
      const run = await runForm({ form, rom, only, percent: 5, timeoutMs: TIMEOUT_MS, clock: "virtual" });
      return Object.fromEntries(
        run.measurements.map(({ operation, count, cost }) => [
          operation,
          Object.values(cost.exits).reduce((sum, value) => sum + value, 0) / count,
        ]),
      );
    };
    const [full, assisted, para] = [await exits("full"), await exits("assisted"), await exits("para")];
    for (const operation of only) {
      expect(full[operation], operation).toBeGreaterThanOrEqual(1);
      expect(assisted[operation], operation).toBe(0);
    }
    // One hypercall for each entry, and one for 64.
    expect(para).toMatchObject({
      "pte-1": 1,
      "pte-64": 1 / 64,
      "cr3-load": 0,
      "tpr-write": 0,
      "pic-mask": 0,
      "clock-tsc": 0,
    });
  });
});

describe("costs", () => {
  it("are exact: one exit for a port access, none for a call, as many instructions in every run", {
    timeout: TIMEOUT_MS,
  }, async () => {
    const only = ["port-out", "port-in", "call-return", "syscall", "divide-error"];
    const [a, b] = await Promise.all(
      [1, 2].map(() => runForm({ form: "assisted", rom, only, percent: 5, timeoutMs: TIMEOUT_MS, clock: "virtual" })),
    );
    const counts = (run: typeof a) =>
      run?.measurements.map(({ operation, cost }) => [operation, cost.instructions, cost.exits]);
    expect(counts(a)).toEqual(counts(b));
    const exits = new Map(a?.measurements.map(({ operation, cost, count }) => [operation, { ...cost.exits, count }]));
    expect(exits.get("port-out")).toEqual({ "port-out": 1000, count: 1000 });
    expect(exits.get("port-in")).toEqual({ "port-in": 1000, count: 1000 });
    expect(exits.get("call-return")).toEqual({ count: 50_000 });
  });
});

const SCRIPT =
  "help; echo two  words; run primes; run forks 3; run memory 600; run fault 0x20; run; nothing; kill 77; bench nosuch; exit 21";

/** From the first command on (before it is what the machine is), with children in the order of their numbers: on a busy host two may end in one tick. */
function conversation(text: string): string[] {
  const lines = text.slice(text.indexOf("  help ")).split("\r\n");
  const isEnd = (line: string): boolean => / ended with /.test(line);
  return [...lines.filter((line) => !isEnd(line)), ...lines.filter(isEnd).sort()];
}

describe("the kernel's shell", () => {
  const underParavane = async (append: string): Promise<{ text: string; code: unknown }> => {
    let text = "";
    const vm = await Vm.create({
      memoryBytes: 16 << 20,
      clock: "virtual",
      boot: { kind: "multiboot", kernel: rom, append },
      timeoutMs: TIMEOUT_MS,
    });
    vm.on("serial", ({ bytes }) => {
      text += Buffer.from(bytes).toString("latin1");
    });
    vm.start();
    const code = await vm.exited;
    await vm[Symbol.asyncDispose]();
    return { text, code };
  };

  it("runs commands, programs and their faults", { timeout: TIMEOUT_MS }, async () => {
    const { text, code } = await underParavane(`virt=full -- ${SCRIPT}`);
    expect(code).toEqual({ kind: "guest-exit", code: 43 });
    expect(text).toContain("1229 primes up to 10000, the last 9973\r\n");
    expect(text).toMatch(/ended with 2\r\n\d+ ended with 1\r\n\d+ ended with 0\r\n/);
    expect(text).toContain("600 pages written and read, 0 wrong");
    expect(text).toMatch(/page fault at 40[0-9a-f]{6}, address 00000020: ended/);
    expect(text).toContain('no command "nothing"; try help');
  });

  it("types back what is typed, edits the line, and remembers it", { timeout: TIMEOUT_MS }, async () => {
    let text = "";
    const turns = ["echo onX\x7fe\r", "\x1b[A two\r", "exit 4\r"];
    const vm = await Vm.create({
      memoryBytes: 16 << 20,
      boot: { kind: "multiboot", kernel: rom },
      timeoutMs: TIMEOUT_MS,
    });
    vm.on("serial", ({ bytes }) => {
      text += Buffer.from(bytes).toString("latin1");
      if (text.endsWith("> ") && turns.length > 0) vm.serial(0).write(turns.shift() ?? "");
    });
    vm.start();
    expect(await vm.exited).toEqual({ kind: "guest-exit", code: 9 });
    await vm[Symbol.asyncDispose]();
    expect(text).toContain("\r\none\r\n> ");
    expect(text).toContain("\r\none two\r\n> ");
  });

  it.skipIf(!hasQemu)("says the same under QEMU", { timeout: TIMEOUT_MS }, async () => {
    const ours = await underParavane(`virt=full -- ${SCRIPT}`);
    const qemu = await underQemu(`virt=full -- ${SCRIPT}`, []);
    expect(conversation(qemu.console)).toEqual(conversation(ours.text));
    expect(qemu.code).toBe(43);
  });
});

/** Runs the kernel under QEMU; `files` are arguments that name files of a scratch folder by {folder}. */
async function underQemu(
  append: string,
  args: readonly string[],
  disk?: Uint8Array,
): Promise<{ console: string; debug: string; code: number }> {
  const folder = mkdtempSync(join(tmpdir(), "paravane-kernel-"));
  try {
    if (disk !== undefined) writeFileSync(join(folder, "disk"), disk);
    const all = [
      ..."-accel tcg -cpu max -m 16 -display none -monitor none -nodefaults -no-reboot".split(" "),
      ...`-serial file:${folder}/com1 -debugcon file:${folder}/debug`.split(" "),
      ..."-device isa-debug-exit,iobase=0xf4,iosize=4 -device pc-testdev".split(" "),
      ...args.map((arg) => arg.replaceAll("{folder}", folder)),
      ...["-kernel", path, "-append", append],
    ];
    const code = await new Promise<number>((resolve, reject) => {
      const child = spawn("qemu-system-i386", all, { stdio: "ignore", timeout: TIMEOUT_MS });
      child.on("error", reject);
      child.on("exit", (status) => resolve(status ?? -1));
    });
    return {
      code,
      console: readFileSync(join(folder, "com1"), "latin1"),
      debug: readFileSync(join(folder, "debug"), "latin1"),
    };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** What the guest says of its operations when nobody takes costs. */
function verdicts(debug: string): { ok: string[]; failed: string[]; skipped: string[] } {
  const names = (pattern: RegExp): string[] => [...debug.matchAll(pattern)].map(([, name]) => name ?? "");
  return {
    ok: names(/^@end (\S+) ok$/gm),
    failed: names(/^@end (\S+) failed/gm),
    skipped: names(/^@skip (\S+)/gm),
  };
}

describe.skipIf(!hasQemu)("the benchmark guest under QEMU", () => {
  const ide = ["-drive", "file={folder}/disk,format=raw,if=ide"];
  const virtio = [
    ...["-drive", "file={folder}/disk,format=raw,if=none,id=d", "-device", "virtio-blk-pci,drive=d,disable-legacy=on"],
    ...["-device", "virtio-serial-pci,disable-legacy=on", "-chardev", "null,id=n", "-device", "virtconsole,chardev=n"],
  ];

  it("finds every result right with a PC's devices", { timeout: TIMEOUT_MS }, async () => {
    const { debug, code } = await underQemu("virt=full percent=2 -- bench; exit 0", ide, benchDiskBytes());
    const { failed, ok, skipped } = verdicts(debug);
    expect(code, debug.slice(-300)).toBe(1);
    expect(failed).toEqual([]);
    // TCG has no hypervisor interface; there is no COM2, no card, and -kernel's SeaBIOS leaves the PM timer and the HPET to ACPI.
    expect(skipped.filter((name) => !NOT_FULL.test(name) && !/^(net|console|clock-(pm|hpet))/.test(name))).toEqual([]);
    expect(ok.length).toBeGreaterThan(45);
  });

  it("finds every result right with virtio", { timeout: TIMEOUT_MS }, async () => {
    const { debug, code } = await underQemu("virt=para percent=2 -- bench; exit 0", virtio, benchDiskBytes());
    const { failed, ok, skipped } = verdicts(debug);
    expect(code, debug.slice(-300)).toBe(1);
    expect(failed).toEqual([]);
    expect(
      skipped.filter((name) => !NOT_FULL.test(name) && !NOT_PARA.test(name) && !/^(net|clock-(pm|hpet))/.test(name)),
    ).toEqual([]);
    expect(ok).toContain("block-write-rand-128k");
    expect(ok).toContain("console-line");
  });
});

describe.skipIf(!hasQemu)("the kernel's network cards under QEMU", () => {
  // Frames travel as datagrams between QEMU and the echo.
  it.each([
    ["RTL8139", "rtl8139", "virt=full"],
    ["virtio-net", "virtio-net-pci,disable-legacy=on", "virt=para"],
  ])("%s: frames come back as they were sent", { timeout: TIMEOUT_MS }, async (name, device, words) => {
    const [ours, qemus] = await Promise.all([openSocket(), openSocket()]);
    const port = qemus.address().port;
    await new Promise<void>((resolve) => qemus.close(() => resolve()));
    const network = new EchoNetwork();
    network.onReceive((frame) => ours.send(frame, port, "127.0.0.1"));
    ours.on("message", (frame) => network.send(frame));
    try {
      const link = `socket,id=n,udp=127.0.0.1:${ours.address().port},localaddr=127.0.0.1:${port}`;
      const args = ["-netdev", link, "-device", `${device},netdev=n`];
      const { debug, code } = await underQemu(`${words} percent=10 -- bench net-echo; exit 0`, args);
      expect(code, debug).toBe(1);
      expect(verdicts(debug)).toEqual({ ok: ["net-echo-64", "net-echo-1500"], failed: [], skipped: [] });
      expect(debug).toContain(`by=${name}`);
    } finally {
      ours.close();
    }
  });
});

async function openSocket(): Promise<Socket> {
  const socket = createSocket("udp4");
  await new Promise<void>((resolve) => socket.bind(0, "127.0.0.1", resolve));
  return socket;
}

describe("a disk that was not made for it", () => {
  it("is left alone", { timeout: TIMEOUT_MS }, async () => {
    const { memoryDisk } = await import("../../../src/index.ts");
    const content = new Uint8Array(8 << 20).fill(0x55);
    const reader = new MarkReader(
      () => vm.statistics(),
      () => 0,
    );
    const vm = await Vm.create({
      memoryBytes: 16 << 20,
      clock: "virtual",
      drives: [{ id: "d", bus: "ide", backend: memoryDisk(content) }],
      boot: { kind: "multiboot", kernel: rom, append: "percent=1 -- bench block; exit 0" },
      timeoutMs: TIMEOUT_MS,
    });
    vm.on("debugcon", ({ bytes }) => reader.text(bytes));
    vm.start();
    expect(await vm.exited).toEqual({ kind: "guest-exit", code: 1 });
    await vm[Symbol.asyncDispose]();
    const { skipped, measurements } = reader.result();
    expect(measurements).toEqual([]);
    expect(skipped.find(({ operation }) => operation === "block-write-seq-4k")?.why).toBe(
      "the disk was not made for this",
    );
    expect(content.every((byte) => byte === 0x55)).toBe(true);
  });
});
