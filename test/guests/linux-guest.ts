// Boots a Linux image through the public API, runs one of our scripts as its only program, and hands back what it said.
import { readFileSync } from "node:fs";
import type { CpioEntry } from "../../src/images/cpio.ts";
import { overlayInitrd } from "../../src/images/initramfs.ts";
import { openImage, pullGuestImage, pullImage } from "../../src/images/node/index.ts";
import { type ExitStatus, Vm, type VmConfig, type VmStatistics } from "../../src/index.ts";

/** Debian's kernel with programs that test themselves; tools/images/pull-guest-tests.ts makes the same. */
export const PROGRAMS_IMAGE = "guest-tests";
const PROGRAMS = {
  packages: ["stress-ng", "openssl", "7zip", "perl-base", "python3-minimal"],
  modules: ["virtio_pci", "virtio_blk", "virtio_net", "virtio_console", "ext4"],
};
/** Debian's kernel with the drivers for virtio devices. */
export const VIRTIO_IMAGE = "guest-virtio";
const VIRTIO = {
  modules: [
    "virtio_pci",
    "virtio_rng",
    "virtio_blk",
    "virtio_balloon",
    "virtio_console",
    "virtio_net",
    "virtio_input",
    "evdev",
    "9p",
    "9pnet_virtio",
    "vmw_vsock_virtio_transport",
    "ext4",
  ],
};
/** How much of a console a failure shows. */
const SHOWN_LINES = 40;

export interface GuestRun {
  readonly status: ExitStatus;
  /** Everything from the first serial port, carriage returns left out. */
  readonly console: string;
  readonly statistics: VmStatistics;
  /** Only when asked for. */
  readonly stateHash?: string;
}

export interface GuestOptions {
  readonly image: string;
  /** A file of test/guests/scripts. */
  readonly script: string;
  /** More files. */
  readonly entries?: readonly CpioEntry[];
  /** More kernel parameters. */
  readonly append?: string;
  readonly config?: Partial<VmConfig>;
  readonly guestDecompress?: boolean;
  readonly hash?: boolean;
  /** Called with the VM once it runs. */
  readonly during?: (vm: Vm) => Promise<void>;
}

/** Makes an image unless it is in the cache: from Debian's packages, some seconds (a minute for the programs). */
export async function ensureImage(name: string): Promise<void> {
  if (name === PROGRAMS_IMAGE) await pullGuestImage(name, PROGRAMS);
  else if (name === VIRTIO_IMAGE) await pullGuestImage(name, VIRTIO);
  else await pullImage(name);
}

/** The `linux` boot source for an image with a script in it, which init runs. */
export async function linuxBoot(options: Omit<GuestOptions, "config">) {
  const { kernel, initrd, append, memoryBytes } = await openImage(options.image);
  const data = readFileSync(new URL(`scripts/${options.script}`, import.meta.url));
  const script: CpioEntry = { kind: "file", path: "tests/script", data, permissions: 0o755 };
  const entries = [script, ...(options.entries ?? [])];
  return {
    memoryBytes,
    boot: {
      kind: "linux",
      kernel,
      initrd: overlayInitrd(initrd ?? new Uint8Array(), entries),
      append: [append, "paravane.script=/tests/script", options.append ?? ""].join(" ").trim(),
      ...(options.guestDecompress ? { guestDecompress: true } : {}),
    },
  } as const;
}

/** Runs a guest to its end. */
export async function runLinux(options: GuestOptions): Promise<GuestRun> {
  const { memoryBytes, boot } = await linuxBoot(options);
  const decoder = new TextDecoder();
  let console = "";
  await using vm = await Vm.create({
    memoryBytes,
    clock: "virtual",
    timeoutMs: 600_000,
    ...options.config,
    boot,
  } as VmConfig);
  vm.on("serial", ({ bytes }) => {
    console += decoder.decode(bytes, { stream: true });
  });
  vm.start();
  await options.during?.(vm);
  const status = await vm.exited;
  const statistics = vm.statistics();
  const stateHash = options.hash ? { stateHash: await vm.stateHash() } : {};
  return { status, console: console.replaceAll("\r", ""), statistics, ...stateHash };
}

/** What a script of ours reported. */
export interface Verdict {
  readonly passed: readonly string[];
  readonly failed: readonly string[];
  /** Status of the script; undefined when it did not come to its end. */
  readonly exit: number | undefined;
}

/** Reads the lines "PASS: name" and "FAIL: name: why" that the scripts print, and init's last word. */
export function verdict(console: string): Verdict {
  const lines = (prefix: string): string[] =>
    [...console.matchAll(new RegExp(`^${prefix}: (.*)$`, "gm"))].map((match) => match[1] as string);
  const exit = /^paravane: exit (\d+)$/m.exec(console)?.[1];
  return { passed: lines("PASS"), failed: lines("FAIL"), exit: exit === undefined ? undefined : Number(exit) };
}

/** Throws, with the end of the console, unless the script passed all of at least `count` checks and came to its end. */
export function expectPassed(run: GuestRun, count: number, end: ExitStatus["kind"] = "power-off"): void {
  const { passed, failed, exit } = verdict(run.console);
  const wrong: string[] = [];
  if (failed.length > 0) wrong.push(`failed: ${failed.join("; ")}`);
  if (passed.length < count) wrong.push(`${passed.length} checks passed, ${count} expected`);
  if (exit !== 0) wrong.push(exit === undefined ? "the script did not end" : `the script ended with ${exit}`);
  if (run.status.kind !== end) wrong.push(`the VM ended with ${JSON.stringify(run.status)}, not ${end}`);
  if (wrong.length === 0) return;
  const last = run.console.trimEnd().split("\n").slice(-SHOWN_LINES).join("\n");
  throw new Error(`${wrong.join("\n")}\nThe console's last lines:\n${last}`);
}
