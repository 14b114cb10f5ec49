// The self-checking ROMs of roms/system: how they are run under Paravane and under QEMU, and their lines.
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type RomEntry, readRomImage, readRomManifest, romFolder } from "../../src/cli/roms.ts";
import { type ExitStatus, Vm, type VmConfig } from "../../src/index.ts";

export interface SystemRom extends RomEntry {
  /** How many checks it makes. */
  readonly checks: number;
  readonly qemu: {
    /** Arguments beside those that every ROM gets. */
    readonly args: readonly string[];
    /** Status of the process when it is not the one of isa-debug-exit. */
    readonly exitCode?: number;
    /** Checks that QEMU 7.2's TCG fails, or (reason begins with "skipped") does not survive. */
    readonly deviations: Readonly<Record<string, string>>;
  };
}

export type Verdict = "PASS" | "FAIL" | "SKIP";

export interface RomRun {
  readonly verdicts: ReadonlyMap<string, Verdict>;
  /** The whole console, for messages. */
  readonly text: string;
  readonly status: number | ExitStatus;
}

const TIMEOUT_MS = 60_000;

export function systemRoms(): SystemRom[] {
  return readRomManifest().roms.filter((rom) => rom.file.startsWith("system/")) as SystemRom[];
}

/** Lines "PASS: name", "FAIL: name got X want Y (value N)" (or "got vector ..."), "SKIP: name". A name that comes twice is an error. */
export function readVerdicts(text: string): Map<string, Verdict> {
  const verdicts = new Map<string, Verdict>();
  for (const line of text.split(/\r?\n/)) {
    const match = /^(PASS|FAIL|SKIP): (.*?)(?: got [0-9a-f]{8} want .*| got vector .*)?$/.exec(line);
    if (match === null) continue;
    const name = match[2] as string;
    if (verdicts.has(name)) throw new Error(`two verdicts for "${name}"`);
    verdicts.set(name, match[1] as Verdict);
  }
  return verdicts;
}

function memoryMib(rom: SystemRom): number {
  return Number.parseInt(rom.needs?.memory ?? "64M", 10);
}

export async function runUnderParavane(rom: SystemRom, config: Partial<VmConfig> = {}): Promise<RomRun> {
  const chunks: Uint8Array[] = [];
  const vm = await Vm.create({
    memoryBytes: memoryMib(rom) << 20,
    cpu: rom.needs?.cpu,
    clock: "virtual",
    apic: rom.needs?.apic,
    testDevice: rom.needs?.testDevice,
    boot: { kind: "multiboot", kernel: await readRomImage(rom), append: rom.append },
    timeoutMs: TIMEOUT_MS,
    ...config,
  });
  try {
    vm.on("serial", ({ bytes }) => void chunks.push(bytes.slice()));
    vm.start();
    const status = await vm.exited;
    const text = Buffer.concat(chunks).toString("latin1");
    return { verdicts: readVerdicts(text), text, status };
  } finally {
    await vm[Symbol.asyncDispose]();
  }
}

/** "7.2.22", or undefined where QEMU is not installed. */
export function qemuVersion(): string | undefined {
  const { stdout } = spawnSync("qemu-system-i386", ["--version"], { encoding: "utf8" });
  return /version ([0-9.]+)/.exec(stdout ?? "")?.[1];
}

export async function runUnderQemu(rom: SystemRom): Promise<RomRun> {
  const folder = mkdtempSync(join(tmpdir(), "paravane-rom-"));
  const console = join(folder, "com1");
  const skipped = Object.entries(rom.qemu.deviations)
    .filter(([, reason]) => reason.startsWith("skipped"))
    .map(([name]) => name);
  const append = [rom.append ?? "", ...skipped].join(" ").trim();
  const args = [
    "-accel",
    "tcg",
    "-m",
    String(memoryMib(rom)),
    "-display",
    "none",
    "-monitor",
    "none",
    "-no-reboot",
    "-serial",
    `file:${console}`,
    "-device",
    "isa-debug-exit,iobase=0xf4,iosize=4",
    "-kernel",
    join(romFolder(), rom.file),
    ...(append ? ["-append", append] : []),
    ...rom.qemu.args,
  ];
  try {
    const status = await new Promise<number>((resolve, reject) => {
      const child = spawn("qemu-system-i386", args, { stdio: "ignore", timeout: TIMEOUT_MS });
      child.on("error", reject);
      child.on("exit", (code) => resolve(code ?? -1));
    });
    const text = readFileSync(console, "latin1");
    return { verdicts: readVerdicts(text), text, status };
  } finally {
    rmSync(folder, { recursive: true });
  }
}
