// The options of `paravane run` and `paravane debug`, from the parser's words to checked values.
import { PARAVIRT_SWITCHES, type ParavirtName } from "../../spec/cpuid.ts";
import {
  CONTROLS,
  type ControlName,
  PAGING_KINDS,
  type PagingKind,
  VIRT_PRESETS,
  type VirtKind,
} from "../../spec/virtualization.ts";
import { type BootDevice, CLOCK_SYNC_MODES, type ClockKind, type DisplayKind, type VmConfig } from "../vmm/config.ts";
import type { NicConfig } from "../vmm/device-config.ts";
import { type CharDevice, parseCharDevice } from "./chardev.ts";
import { checkDisplayOptions, type DisplayOptions, type RawDisplayOptions } from "./display-options.ts";
import { parseBootOrder, parseDrives, type RawDriveOptions } from "./drives.ts";
import { parseNics, type RawNicOptions } from "./nics.ts";
import { parseDevices } from "./qemu.ts";
import type { StatsFormat } from "./report.ts";
import { parseTrace, type TraceRequest } from "./trace.ts";
import {
  parseAddress,
  parseChoice,
  parseDuration,
  parseInteger,
  parseMemory,
  parsePattern,
  parsePort,
  UsageError,
} from "./values.ts";

/** What the parser hands over: every value as typed. */
export interface RawRunOptions extends RawDriveOptions, RawNicOptions, RawDisplayOptions {
  kernel?: string;
  initrd?: string;
  append?: string;
  bios?: string;
  overlay?: string;
  module?: string[];
  as?: string;
  load?: string;
  entry?: string;
  mode?: string;
  memory?: string;
  cpu?: string;
  pv?: string;
  virt?: string;
  paging?: string;
  controls?: string;
  clock?: string;
  clockSync?: string;
  nsPerInstruction?: string;
  wall?: string;
  timeout?: string;
  until?: string;
  stats?: string;
  statsFile?: string;
  trace?: string[];
  traceFile?: string;
  serial?: string[];
  parallel?: string;
  debugcon?: string;
  postPort?: string;
  debugExit?: string;
  reboot?: boolean;
  apic?: boolean;
  acpi?: boolean;
  hpet?: boolean;
  testDevice?: boolean;
  guestDecompress?: boolean;
  rebootOnTripleFault?: boolean;
  restore?: string;
  restoreClock?: string;
  snapshotOnExit?: string;
  gdb?: string | true;
}

export const BOOT_KINDS = ["linux", "multiboot", "elf", "firmware", "flat"] as const;
export type BootKind = (typeof BOOT_KINDS)[number];
const FLAT_MODES = ["protected", "real"] as const;
export type FlatMode = (typeof FLAT_MODES)[number];
const RESTORE_CLOCKS = ["resume", "now"] as const;
type RestoreClock = (typeof RESTORE_CLOCKS)[number];
const VIRT_KINDS = Object.keys(VIRT_PRESETS) as VirtKind[];
const PAGINGS = Object.keys(PAGING_KINDS) as PagingKind[];
const CLOCKS: readonly ClockKind[] = ["real", "virtual"];
const STATS: readonly StatsFormat[] = ["text", "json"];
export const DEFAULT_GDB_PORT = 1234;
const SERIAL_PORTS_MAX = 4;

/** Which files make the guest; contents are read by guest.ts. */
export interface GuestRequest {
  /** ROM, image or file name; undefined with --kernel or --bios. */
  readonly guest: string | undefined;
  readonly kernel: string | undefined;
  readonly initrd: string | undefined;
  readonly append: string | undefined;
  readonly bios: string | undefined;
  readonly modules: readonly string[];
  readonly as: BootKind | undefined;
  readonly loadAddress: number | undefined;
  readonly entry: number | undefined;
  /** How a flat binary starts; undefined: in protected mode. */
  readonly mode?: FlatMode | undefined;
  readonly guestDecompress: boolean;
  /** There are drives: where nothing else says what to boot, firmware boots from them. */
  readonly fromDisk?: boolean;
  /** The graphics adapter; undefined: what the guest has by default. */
  readonly display?: DisplayKind | undefined;
  /** File of its VGA BIOS; undefined: Debian's, where one is of use. */
  readonly vgaBios?: string | undefined;
  /** The disk of an image that is one is virtio's in a machine that is all "para", else on IDE. */
  readonly virt?: VirtKind | undefined;
  /** File that what the guest writes to it goes to, and stays. */
  readonly overlay?: string | undefined;
  readonly nics?: readonly NicConfig[];
  /** What firmware tries; undefined: its default, which has no network. */
  readonly bootOrder?: readonly BootDevice[] | undefined;
}

export interface RunOptions {
  readonly request: GuestRequest;
  /** A snapshot in place of a guest. */
  readonly restore: { readonly file: string; readonly clock: RestoreClock } | undefined;
  readonly snapshotOnExit: string | undefined;
  /** Everything of the machine but what to boot; only what was given. */
  readonly machine: Partial<Omit<VmConfig, "boot">>;
  readonly until: RegExp | undefined;
  readonly stats: StatsFormat | undefined;
  readonly statsFile: string | undefined;
  readonly trace: TraceRequest | undefined;
  readonly traceFile: string | undefined;
  readonly serial: readonly CharDevice[];
  readonly parallel: CharDevice;
  readonly debugcon: CharDevice;
  readonly gdbPort: number | undefined;
  readonly display: DisplayOptions;
}

/** Throws UsageError for the first value that is not acceptable. */
export function checkRunOptions(guest: string | undefined, raw: RawRunOptions): RunOptions {
  const devices = parseDevices(raw.device ?? []);
  const display = checkDisplayOptions(raw);
  // The terminal is the screen's then.
  const firstSerial = display.onTerminal ? "none" : "terminal";
  const serial = raw.serial?.map((text) => parseCharDevice(text, "--serial")) ?? [{ kind: firstSerial } as const];
  if (serial.length > SERIAL_PORTS_MAX)
    throw new UsageError(
      `--serial: given ${serial.length} times; a machine has at most ${SERIAL_PORTS_MAX} serial ports`,
    );
  const parallel = parseCharDevice(raw.parallel ?? "none", "--parallel");
  const debugcon = parseCharDevice(raw.debugcon ?? "none", "--debugcon");
  if (display.onTerminal && [...serial, parallel, debugcon].some(({ kind }) => kind === "terminal"))
    throw new UsageError("--display text takes the terminal; give its consoles a file, a pipe or none");
  // A restored machine has the ports that it had.
  const machine: Record<string, unknown> =
    raw.restore !== undefined && raw.serial === undefined ? {} : { serialPorts: serial.length };
  const set = (key: keyof VmConfig, value: unknown): void => {
    if (value !== undefined) machine[key] = value;
  };
  const given = <T>(text: string | undefined, parse: (text: string) => T): T | undefined =>
    text === undefined ? undefined : parse(text);

  set(
    "memoryBytes",
    given(raw.memory, (text) => parseMemory(text)),
  );
  set("cpu", given(raw.cpu, checkCpu));
  set("paravirt", given(raw.pv, parseParavirt));
  const virt = given(raw.virt, (text) => parseChoice(text, "--virt", VIRT_KINDS));
  set("virt", virt);
  set(
    "paging",
    given(raw.paging, (text) => parseChoice(text, "--paging", PAGINGS)),
  );
  set("controls", given(raw.controls, parseControls));
  set(
    "clock",
    given(raw.clock, (text) => parseChoice(text, "--clock", CLOCKS)),
  );
  set(
    "clockSync",
    given(raw.clockSync, (text) => parseChoice(text, "--clock-sync", CLOCK_SYNC_MODES)),
  );
  set("nsPerInstruction", given(raw.nsPerInstruction, parseNsPerInstruction));
  set("wallSeconds", given(raw.wall, parseWall));
  set(
    "timeoutMs",
    given(raw.timeout, (text) => parseDuration(text, "--timeout")),
  );
  set(
    "postPort",
    given(raw.postPort, (text) => parsePort(text, "--post-port")),
  );
  set(
    "debugExitPort",
    raw.debugExit === "off"
      ? false
      : (given(raw.debugExit, (text) => parsePort(text, "--debug-exit")) ?? devices.debugExitPort),
  );
  if (raw.testDevice || devices.testDevice) set("testDevice", true);
  if (raw.reboot === false) set("onReset", "exit");
  if (raw.rebootOnTripleFault) set("onTripleFault", "reboot");
  if (raw.apic === false) set("apic", false);
  if (raw.acpi === false) set("acpi", false);
  if (raw.hpet) set("hpet", true);
  if (raw.clockSync !== undefined && raw.clock === "virtual")
    throw new UsageError("--clock-sync has a meaning only with --clock real");
  if (raw.nsPerInstruction !== undefined && raw.clock !== "virtual")
    throw new UsageError("--ns-per-instruction has a meaning only with --clock virtual");

  const drives = parseDrives(raw);
  if (drives.length > 0) set("drives", drives);
  const nics = parseNics(raw);
  if (nics.length > 0) set("nics", nics);
  const bootOrder = given(raw.boot, parseBootOrder);
  set("bootOrder", bootOrder);

  set("display", display.adapter);

  const trace = raw.trace && parseTrace(raw.trace.join(","));
  if (raw.traceFile !== undefined && !trace)
    throw new UsageError("--trace-file needs --trace, which says what to follow");
  if (raw.statsFile !== undefined && raw.stats === undefined)
    throw new UsageError("--stats-file needs --stats or --stats=json");
  if (trace?.kinds.length) set("trace", trace.kinds);

  return {
    request: {
      ...checkGuest(guest, raw),
      fromDisk: drives.length > 0,
      display: display.adapter,
      vgaBios: display.vgaBios,
      virt,
      overlay: raw.overlay,
      nics,
      bootOrder,
    },
    restore: checkRestore(guest, raw),
    snapshotOnExit: raw.snapshotOnExit,
    machine: machine as Partial<Omit<VmConfig, "boot">>,
    until: given(raw.until, (text) => parsePattern(text, "--until")),
    stats: given(raw.stats, (text) => parseChoice(text, "--stats", STATS)),
    statsFile: raw.statsFile,
    trace,
    traceFile: raw.traceFile,
    serial,
    parallel,
    debugcon,
    gdbPort: raw.gdb === true ? DEFAULT_GDB_PORT : given(raw.gdb, (text) => parseInteger(text, "--gdb", 0, 0xffff)),
    display,
  };
}

function checkRestore(guest: string | undefined, raw: RawRunOptions): RunOptions["restore"] {
  if (raw.restore === undefined) {
    if (raw.restoreClock !== undefined) throw new UsageError("--restore-clock needs --restore FILE");
    return undefined;
  }
  const boots = { guest, "--kernel": raw.kernel, "--bios": raw.bios, "--initrd": raw.initrd, "--append": raw.append };
  for (const [option, value] of Object.entries(boots)) {
    if (value !== undefined) throw new UsageError(`--restore boots nothing: leave out ${option}`);
  }
  const clock =
    raw.restoreClock === undefined ? "resume" : parseChoice(raw.restoreClock, "--restore-clock", RESTORE_CLOCKS);
  return { file: raw.restore, clock };
}

function checkGuest(
  guest: string | undefined,
  raw: RawRunOptions,
): Omit<GuestRequest, "fromDisk" | "display" | "vgaBios" | "virt" | "overlay" | "nics" | "bootOrder"> {
  const named = [
    guest !== undefined && `the guest "${guest}"`,
    raw.kernel !== undefined && "--kernel",
    raw.bios !== undefined && "--bios",
  ].filter(Boolean);
  if (named.length > 1) throw new UsageError(`${named.join(" and ")} both say what to boot; give one of them`);
  if (raw.initrd !== undefined && raw.bios !== undefined)
    throw new UsageError("--initrd has no meaning with --bios: firmware finds its own files");
  if (raw.append !== undefined && raw.bios !== undefined)
    throw new UsageError("--append has no meaning with --bios: firmware takes no command line");
  const as = raw.as === undefined ? undefined : parseChoice(raw.as, "--as", BOOT_KINDS);
  const flat = as === "flat" || (as === undefined && raw.load !== undefined);
  if (as !== undefined && as !== "flat" && raw.load !== undefined)
    throw new UsageError(`--load has a meaning only for flat binaries, not with --as ${as}`);
  if (raw.entry !== undefined && !flat)
    throw new UsageError("--entry has a meaning only for flat binaries; give --load too");
  if (raw.mode !== undefined && !flat)
    throw new UsageError("--mode has a meaning only for flat binaries; give --load too");
  if (as === "flat" && raw.load === undefined)
    throw new UsageError("--as flat needs --load ADDRESS, where the binary goes");
  return {
    guest,
    kernel: raw.kernel,
    initrd: raw.initrd,
    append: raw.append,
    bios: raw.bios,
    modules: raw.module ?? [],
    as: flat ? "flat" : as,
    loadAddress: raw.load === undefined ? undefined : parseAddress(raw.load, "--load"),
    entry: raw.entry === undefined ? undefined : parseAddress(raw.entry, "--entry"),
    mode: raw.mode === undefined ? undefined : parseChoice(raw.mode, "--mode", FLAT_MODES),
    guestDecompress: raw.guestDecompress ?? false,
  };
}

function checkCpu(text: string): string {
  // The models and features themselves are the machine's to know: it names them when one is wrong.
  if (!/^[\w.-]+(,[+-]?[\w.-]+(=(on|off))?)*$/.test(text))
    throw new UsageError(
      `--cpu: "${text}" is not MODEL or MODEL,+feature,-feature (for example max, core2, pentium3,-sse)`,
    );
  return text;
}

/** "all", "none", or switches of the paravirtual interfaces: "clock,steal". */
function parseParavirt(text: string): readonly ParavirtName[] | "all" {
  if (text === "all") return "all";
  if (text === "none") return [];
  const names = PARAVIRT_SWITCHES.map(({ name }) => name);
  const words = text.split(",");
  const accepted: readonly (ParavirtName | "all" | "none")[] = words.length > 1 ? names : ["all", "none", ...names];
  return words.map((word) => parseChoice(word, "--pv", accepted) as ParavirtName);
}

/** "all", "none", or execution controls: "cr3,invlpg". */
function parseControls(text: string): readonly ControlName[] {
  const names = CONTROLS.map(({ name }) => name);
  if (text === "all") return names;
  if (text === "none") return [];
  const words = text.split(",");
  const accepted: readonly (ControlName | "all" | "none")[] = words.length > 1 ? names : ["all", "none", ...names];
  return words.map((word) => parseChoice(word, "--controls", accepted) as ControlName);
}

function parseNsPerInstruction(text: string): number {
  const ns = Number(text);
  if (!(ns >= 0.001 && ns <= 1000))
    throw new UsageError(`--ns-per-instruction: "${text}" is not a number from 0.001 to 1000`);
  return ns;
}

/** Seconds since 1970, or a date that says its zone: "2026-01-31T12:00:00Z". */
function parseWall(text: string): number {
  const seconds = /^\d+$/.test(text)
    ? Number(text)
    : /^\d{4}-\d\d-\d\d(T.*(Z|[+-]\d\d:\d\d))?$/.test(text)
      ? Date.parse(text) / 1000
      : Number.NaN;
  if (!Number.isFinite(seconds) || seconds < 0 || seconds > 0xffffffff)
    throw new UsageError(`--wall: "${text}" is neither seconds since 1970 nor a date such as 2026-01-31T12:00:00Z`);
  return Math.floor(seconds);
}
