// The emulators that are compared, and how one guest runs in one of them: in a process of its own, its serial console
// read through a pipe, every line stamped by this process. The same clock and the same path serve all of them.
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** What a guest is made of; paths, since each emulator is a process of its own. */
export interface GuestJob {
  readonly kernel: string;
  readonly initrd: string;
  readonly append: string;
  readonly memoryBytes: number;
  /** SeaBIOS and its VGA BIOS, for v86. */
  readonly bios: string;
  readonly vgabios: string;
  /** v86: with its ACPI device. */
  readonly acpi: boolean;
  /** v86: `false` leaves its interpreter alone. */
  readonly translator?: boolean;
}

export interface SerialLine {
  readonly text: string;
  /** Since the process was started. */
  readonly atSeconds: number;
  /** CPU time of the process up to then, all threads, in steps of 10 ms; undefined where the host does not tell. */
  readonly cpuSeconds: number | undefined;
}

export interface GuestRun {
  readonly lines: readonly SerialLine[];
  /** From process start to the emulated power button; 0 where the emulator does not say (QEMU). */
  readonly powerOnSeconds: number;
  /** From process start to the end of the process. */
  readonly endSeconds: number;
  /** Why the run is void; undefined for a good one. */
  readonly failure?: string | undefined;
}

export type EmulatorId = "paravane" | "v86" | "v86-interpreter" | "qemu";

export interface Emulator {
  readonly id: EmulatorId;
  readonly title: string;
  /** Why it cannot run here; undefined when it can. */
  missing(): string | undefined;
  version(): string;
  start(job: GuestJob): ChildProcess;
}

const QEMU = "qemu-system-i386";
const here = (file: string): string => fileURLToPath(new URL(file, import.meta.url));
const packageVersion = (path: string): string => JSON.parse(readFileSync(here(path), "utf8")).version;

function startNode(script: string, job: GuestJob): ChildProcess {
  return spawn(process.execPath, [here(script), JSON.stringify(job)], { stdio: ["ignore", "pipe", "pipe", "ipc"] });
}

function startQemu(job: GuestJob): ChildProcess {
  const memory = ["-accel", "tcg", "-smp", "1", "-m", `${job.memoryBytes / (1 << 20)}M`];
  const devices = ["-nodefaults", "-display", "none", "-monitor", "none", "-serial", "stdio", "-no-reboot"];
  const guest = ["-kernel", job.kernel, "-initrd", job.initrd, "-append", job.append];
  return spawn(QEMU, [...memory, ...devices, ...guest], { stdio: ["ignore", "pipe", "pipe"] });
}

function qemuVersion(): string | undefined {
  try {
    return /version (\S+)/.exec(execFileSync(QEMU, ["--version"], { encoding: "utf8" }))?.[1];
  } catch {
    return undefined;
  }
}

const v86 = (id: EmulatorId, title: string, translator: boolean): Emulator => ({
  id,
  title,
  missing: () => undefined,
  version: () => packageVersion("../../node_modules/v86/package.json"),
  start: (job) => startNode("v86-child.mjs", { ...job, translator }),
});

export const emulators: Readonly<Record<EmulatorId, Emulator>> = {
  paravane: {
    id: "paravane",
    title: "Paravane (interpreter)",
    missing: () => undefined,
    version: () => packageVersion("../../package.json"),
    start: (job) => startNode("paravane-child.mjs", job),
  },
  v86: v86("v86", "v86 (translator)", true),
  "v86-interpreter": v86("v86-interpreter", "v86 (interpreter)", false),
  qemu: {
    id: "qemu",
    title: "QEMU (TCG)",
    missing: () => (qemuVersion() === undefined ? `${QEMU} is not installed (Debian: qemu-system-x86)` : undefined),
    version: () => qemuVersion() ?? "absent",
    start: startQemu,
  },
};

export function isEmulatorId(name: string): name is EmulatorId {
  return Object.hasOwn(emulators, name);
}

/** Runs the guest to its end, or to `timeoutSeconds`. Never rejects for what a guest or an emulator does. */
export async function runGuest(
  emulator: Emulator,
  job: GuestJob,
  timeoutSeconds: number,
  onLine: (line: SerialLine) => void = () => {},
): Promise<GuestRun> {
  const startMs = performance.timeOrigin + performance.now();
  const child = emulator.start(job);
  const seconds = (): number => (performance.timeOrigin + performance.now() - startMs) / 1000;
  const lines: SerialLine[] = [];
  let partial = "";
  let complaints = "";
  let powerOnSeconds = 0;
  let failure: string | undefined;

  child.stdout?.on("data", (chunk: Buffer) => {
    const atSeconds = seconds();
    const parts = (partial + chunk.toString("latin1")).split("\n");
    partial = parts.pop() ?? "";
    if (parts.length === 0) return;
    const cpuSeconds = cpuSecondsOf(child.pid);
    for (const part of parts) {
      const line = { text: part.replace(/\r/g, ""), atSeconds, cpuSeconds };
      lines.push(line);
      onLine(line);
    }
  });
  child.stderr?.on("data", (chunk: Buffer) => {
    complaints = (complaints + chunk.toString()).slice(-2000);
  });
  child.on("message", (message: { kind: string; atMs: number; status: string; error?: string }) => {
    if (message.kind === "power-on") powerOnSeconds = (message.atMs - startMs) / 1000;
    else if (message.kind === "end") {
      if (message.status !== "power-off") failure = `ended with ${message.error ?? message.status}`;
    }
  });
  const timer = setTimeout(() => {
    failure = `no end within ${timeoutSeconds} s; last line: ${lines.at(-1)?.text ?? "none"}`;
    child.kill("SIGKILL");
  }, timeoutSeconds * 1000);
  const code = await new Promise<number | string>((resolve) => {
    child.on("error", (error) => resolve(error.message));
    // "close" comes after the last byte of the pipes, "exit" may come before.
    child.on("close", (status, signal) => resolve(status ?? signal ?? "unknown"));
  });
  clearTimeout(timer);
  if (code !== 0) failure ??= `the process ended with ${code}: ${complaints.trim().split("\n").at(-1) ?? ""}`;
  return { lines, powerOnSeconds, endSeconds: seconds(), failure };
}

/** User and system time of all threads (proc(5), fields 14 and 15), of a process still alive on a Linux host. */
function cpuSecondsOf(pid: number | undefined): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    // The name in parentheses may hold spaces.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return (Number(fields[11]) + Number(fields[12])) / 100;
  } catch {
    return undefined;
  }
}
