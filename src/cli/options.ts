// The options of `paravane run` and `paravane debug`, from the parser's words to checked values; machine-options.ts has those
// of the machine.
import type { RestoreOptions } from "../snapshot/restore.ts";
import { type CharDevice, parseCharDevice } from "./chardev.ts";
import { checkDisplayOptions, type DisplayOptions, type RawDisplayOptions } from "./display-options.ts";
import { parseLazy } from "./lazy-value.ts";
import { checkMachineOptions, given, type MachineOptions, type RawMachineOptions } from "./machine-options.ts";
import type { StatsFormat } from "./report.ts";
import { parseShares, type ShareRequest } from "./shares.ts";
import { parseTrace, type TraceRequest } from "./trace.ts";
import { parseChoice, parseDuration, parseInteger, parsePattern, UsageError } from "./values.ts";

/** What the parser hands over: every value as typed. */
export interface RawRunOptions extends RawMachineOptions, RawDisplayOptions {
  timeout?: string;
  until?: string;
  stats?: string;
  statsFile?: string;
  trace?: string[];
  traceFile?: string;
  serial?: string[];
  parallel?: string;
  debugcon?: string;
  share?: string[];
  restore?: string;
  restoreClock?: string;
  restoreLazy?: string;
  snapshotOnExit?: string;
  gdb?: string | true;
}

const RESTORE_CLOCKS = ["resume", "now"] as const;
type RestoreClock = (typeof RESTORE_CLOCKS)[number];
const STATS: readonly StatsFormat[] = ["text", "json"];
export const DEFAULT_GDB_PORT = 1234;
const SERIAL_PORTS_MAX = 4;

export interface RunOptions extends MachineOptions {
  /** A snapshot in place of a guest. */
  readonly restore:
    | ({ readonly file: string; readonly clock: RestoreClock } & Pick<RestoreOptions, "lazy">)
    | undefined;
  readonly snapshotOnExit: string | undefined;
  readonly until: RegExp | undefined;
  readonly stats: StatsFormat | undefined;
  readonly statsFile: string | undefined;
  readonly trace: TraceRequest | undefined;
  readonly traceFile: string | undefined;
  readonly serial: readonly CharDevice[];
  readonly parallel: CharDevice;
  readonly debugcon: CharDevice;
  readonly shares: readonly ShareRequest[];
  readonly gdbPort: number | undefined;
  readonly display: DisplayOptions;
}

/** Throws UsageError for the first value that is not acceptable. */
export function checkRunOptions(guest: string | undefined, raw: RawRunOptions): RunOptions {
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
  const { request, machine } = checkMachineOptions(guest, raw, display);
  const trace = raw.trace && parseTrace(raw.trace.join(","));
  if (raw.traceFile !== undefined && !trace)
    throw new UsageError("--trace-file needs --trace, which says what to follow");
  if (raw.statsFile !== undefined && raw.stats === undefined)
    throw new UsageError("--stats-file needs --stats or --stats=json");

  return {
    request,
    restore: checkRestore(guest, raw),
    snapshotOnExit: raw.snapshotOnExit,
    machine: {
      ...machine,
      // A restored machine has the ports that it had.
      ...(raw.restore !== undefined && raw.serial === undefined ? {} : { serialPorts: serial.length }),
      ...(raw.timeout === undefined ? {} : { timeoutMs: parseDuration(raw.timeout, "--timeout") }),
      ...(trace?.kinds.length ? { trace: trace.kinds } : {}),
    },
    until: given(raw.until, (text) => parsePattern(text, "--until")),
    stats: given(raw.stats, (text) => parseChoice(text, "--stats", STATS)),
    statsFile: raw.statsFile,
    trace,
    traceFile: raw.traceFile,
    serial,
    parallel,
    debugcon,
    shares: parseShares(raw.share ?? []),
    gdbPort: raw.gdb === true ? DEFAULT_GDB_PORT : given(raw.gdb, (text) => parseInteger(text, "--gdb", 0, 0xffff)),
    display,
  };
}

function checkRestore(guest: string | undefined, raw: RawRunOptions): RunOptions["restore"] {
  if (raw.restore === undefined) {
    if (raw.restoreClock !== undefined) throw new UsageError("--restore-clock needs --restore FILE");
    if (raw.restoreLazy !== undefined) throw new UsageError("--restore-lazy needs --restore FILE");
    return undefined;
  }
  const boots = { guest, "--kernel": raw.kernel, "--bios": raw.bios, "--initrd": raw.initrd, "--append": raw.append };
  for (const [option, value] of Object.entries(boots)) {
    if (value !== undefined) throw new UsageError(`--restore boots nothing: leave out ${option}`);
  }
  const clock =
    raw.restoreClock === undefined ? "resume" : parseChoice(raw.restoreClock, "--restore-clock", RESTORE_CLOCKS);
  const lazy = given(raw.restoreLazy, (text) => parseLazy(text, "--restore-lazy"));
  return { file: raw.restore, clock, ...(lazy === undefined ? {} : { lazy }) };
}
