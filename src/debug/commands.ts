// The debugger's commands: a line in, text out. `paravane debug` reads them from a person, gdb's `monitor` passes them on.
import { ATTR_DB } from "../../spec/layout.ts";
import { CR0_PE, CR0_PG, CR4_PAE } from "../../spec/registers.ts";
import { VmError } from "../vmm/error.ts";
import type { Debugger, Stop } from "./debugger.ts";
import { disassemble } from "./disassemble.ts";
import { evaluate, evaluateAddress } from "./expression.ts";
import { INFO } from "./info.ts";
import { REGISTERS, type RegisterGroup } from "./registers.ts";
import { addWatch, isWatchWord, listWatches, removeWatch, WATCH_ARGUMENTS } from "./watches.ts";

export interface CommandResult {
  readonly output: string;
  /** The person wants to leave. */
  readonly quit?: boolean;
}

interface Command {
  readonly names: readonly string[];
  readonly arguments: string;
  readonly help: string;
  run(debug: Debugger, args: readonly string[], rest: string): CommandResult | string | Promise<CommandResult | string>;
}

const BYTES_A_ROW = 16;
const EXAMINE_MAX = 4096;
const STEP_MAX = 1_000_000_000;

export const COMMANDS: readonly Command[] = [
  { names: ["help", "h"], arguments: "", help: "this list", run: () => helpText() },
  {
    names: ["regs", "r"],
    arguments: "[fpu|sse|msr|all]",
    help: "registers",
    run: (debug, [group]) => formatRegisters(debug, group),
  },
  {
    names: ["set"],
    arguments: "REGISTER VALUE",
    help: "sets a register: set eax 0x10, set cs.base 0, set xmm0 0x1234",
    run: (debug, [name, ...value]) => {
      if (name === undefined || value.length === 0)
        throw new VmError("bad-config", "set needs a register and a value: set eax 0x10.");
      debug.set(name, evaluate(debug, value.join("")));
      return `${name} = 0x${debug.get(name).toString(16)}`;
    },
  },
  {
    names: ["print", "p"],
    arguments: "EXPRESSION",
    help: "number, register or sum",
    run: (debug, _, rest) => formatNumber(evaluate(debug, rest)),
  },
  {
    names: ["x"],
    arguments: "ADDRESS [BYTES]",
    help: "memory at a linear address",
    run: (debug, args) => examine(debug, args, false),
  },
  {
    names: ["xp"],
    arguments: "ADDRESS [BYTES]",
    help: "memory at a physical address",
    run: (debug, args) => examine(debug, args, true),
  },
  {
    names: ["write", "w"],
    arguments: "ADDRESS BYTE...",
    help: "writes memory at a linear address",
    run: (debug, args) => write(debug, args, false),
  },
  {
    names: ["wp"],
    arguments: "ADDRESS BYTE...",
    help: "writes memory at a physical address",
    run: (debug, args) => write(debug, args, true),
  },
  {
    names: ["disas", "u"],
    arguments: "[ADDRESS] [COUNT]",
    help: "disassembles",
    run: (debug, args) => disassembleRange(debug, args),
  },
  {
    names: ["step", "s"],
    arguments: "[COUNT]",
    help: "executes instructions",
    run: async (debug, [count]) => await step(debug, count),
  },
  {
    names: ["next", "n"],
    arguments: "",
    help: "executes one instruction, calls and REP as a whole",
    run: async (debug) => await next(debug),
  },
  {
    names: ["continue", "c"],
    arguments: "",
    help: "runs until something stops it",
    run: async (debug) => formatStop(debug, await debug.continue()),
  },
  {
    names: ["until"],
    arguments: "ADDRESS",
    help: "runs to a linear address",
    run: async (debug, [address]) =>
      await runTo(debug, evaluateAddress(debug, needed(address, "until needs an address"))),
  },
  {
    names: ["break", "b"],
    arguments: "[ADDRESS]",
    help: "sets a breakpoint at a linear address; lists them without one",
    run: (debug, args) => {
      if (args.length === 0) return listBreakpoints(debug);
      const address = evaluateAddress(debug, args.join(""));
      debug.addBreakpoint(address);
      return `breakpoint at ${hex(address)}`;
    },
  },
  {
    names: ["watch"],
    arguments: WATCH_ARGUMENTS,
    help: "stops behind accesses to a port or memory, at an MSR, or before an exception",
    run: (debug, args) => addWatch(debug, args),
  },
  {
    names: ["delete", "d"],
    arguments: "[ADDRESS | what was watched]",
    help: "removes a breakpoint or watch, or all of them",
    run: (debug, args) => {
      if (args.length === 0) {
        debug.clear();
        return "removed all breakpoints and watches";
      }
      const removed = isWatchWord(args[0] ?? "")
        ? removeWatch(debug, args)
        : debug.removeBreakpoint(evaluateAddress(debug, args.join("")));
      return removed ? "removed" : "there is none";
    },
  },
  {
    names: ["translate", "v2p"],
    arguments: "ADDRESS",
    help: "physical address behind a linear one",
    run: (debug, args) => {
      const physical = debug.translate(evaluateAddress(debug, needed(args.join(""), "translate needs an address")));
      return physical === undefined ? "not present" : hex(physical);
    },
  },
  {
    names: ["info", "i"],
    arguments: Object.keys(INFO).join("|"),
    help: "what the machine's parts hold",
    run: (debug, [topic = ""]) => {
      const print = INFO[topic];
      if (!print) throw new VmError("bad-config", `info knows ${Object.keys(INFO).join(", ")}.`);
      return print(debug);
    },
  },
  {
    names: ["reset"],
    arguments: "",
    help: "resets the machine",
    run: async (debug) => {
      await debug.target.reset();
      return location(debug);
    },
  },
  {
    names: ["quit", "q", "exit"],
    arguments: "",
    help: "leaves and ends the machine",
    run: () => ({ output: "", quit: true }),
  },
];

const BY_NAME: ReadonlyMap<string, Command> = new Map(
  COMMANDS.flatMap((command) => command.names.map((name) => [name, command] as const)),
);

/** Executes one line. What the person did wrong is part of the output; nothing is thrown for it. */
export async function runDebugCommand(debug: Debugger, line: string): Promise<CommandResult> {
  const [name, ...args] = line.trim().split(/\s+/);
  if (name === undefined || name === "") return { output: "" };
  const command = BY_NAME.get(name.toLowerCase());
  if (!command) return { output: `no command "${name}"; help lists them` };
  try {
    const result = await command.run(debug, args, args.join(" "));
    return typeof result === "string" ? { output: result } : result;
  } catch (error) {
    if (!(error instanceof VmError)) throw error;
    return { output: error.message };
  }
}

/** Where the guest stands: CS:EIP and the instruction there. */
export function location(debug: Debugger): string {
  const { text } = instructionAt(debug, debug.pc);
  return `${hex(Number(debug.get("cs")), 4)}:${hex(Number(debug.get("eip")))}  ${text}`;
}

/** What a stop means, and where it left the guest. */
export function formatStop(debug: Debugger, stop: Stop): string {
  switch (stop.kind) {
    case "ended":
      return `the machine has ended: ${stop.status.kind}${stop.status.kind === "guest-exit" ? ` ${stop.status.code}` : ""}`;
    case "interrupted":
      return `interrupted\n${location(debug)}`;
    case "stopped": {
      const { reason, number, access, sizeBytes } = stop.stop;
      let what = number === undefined ? "" : ` 0x${number.toString(16)}`;
      if (access !== undefined) what = `, ${access} of ${sizeBytes} bytes at${what}`;
      return reason === "step" ? location(debug) : `stopped: ${reason}${what}\n${location(debug)}`;
    }
  }
}

/** The instruction at a linear address, disassembled for the current code segment. */
export function instructionAt(debug: Debugger, linear: number): { text: string; length: number; bytes: Uint8Array } {
  const bytes = debug.readLinear(linear, 15);
  if (bytes.length === 0) return { text: "(page not present)", length: 1, bytes };
  const eip = (linear - Number(debug.get("cs.base"))) >>> 0;
  const decoded = disassemble(bytes, eip, (Number(debug.get("cs.attr")) & ATTR_DB) !== 0);
  return { ...decoded, bytes: bytes.subarray(0, decoded.length) };
}

// ---------------------------------------------------------------- the commands' work

async function step(debug: Debugger, text: string | undefined): Promise<string> {
  const count = text === undefined ? 1 : Number(evaluate(debug, text));
  if (!(count >= 1 && count <= STEP_MAX)) throw new VmError("bad-config", `step takes a count from 1 to ${STEP_MAX}.`);
  return formatStop(debug, await debug.step(count));
}

async function next(debug: Debugger): Promise<string> {
  const { text, length } = instructionAt(debug, debug.pc);
  if (!/^(call|callf|int|rep|repe|repne|loop)\b/.test(text)) return await step(debug, undefined);
  return await runTo(debug, (debug.pc + length) >>> 0);
}

async function runTo(debug: Debugger, address: number): Promise<string> {
  const had = debug.breakpoints.includes(address);
  debug.addBreakpoint(address);
  try {
    const stop = await debug.continue();
    const there = stop.kind === "stopped" && stop.stop.reason === "breakpoint" && stop.stop.address === address;
    return there ? location(debug) : formatStop(debug, stop);
  } finally {
    if (!had) debug.removeBreakpoint(address);
  }
}

function examine(debug: Debugger, args: readonly string[], physical: boolean): string {
  const [first, count] = args;
  const address = evaluateAddress(debug, needed(first, "an address is needed: x esp 64"));
  const size = count === undefined ? 64 : Number(evaluate(debug, count));
  if (!(size >= 1 && size <= EXAMINE_MAX))
    throw new VmError("bad-config", `A count from 1 to ${EXAMINE_MAX} is needed.`);
  const bytes = physical ? debug.readPhysical(address, size) : debug.readLinear(address, size);
  const rows: string[] = [];
  for (let at = 0; at < bytes.length; at += BYTES_A_ROW)
    rows.push(dumpRow((address + at) >>> 0, bytes.subarray(at, at + BYTES_A_ROW)));
  if (bytes.length < size) rows.push(`${hex((address + bytes.length) >>> 0)}  (page not present)`);
  return rows.join("\n");
}

function dumpRow(address: number, bytes: Uint8Array): string {
  const digits = Array.from(bytes, (byte) => hex(byte, 2)).join(" ");
  const text = Array.from(bytes, (byte) => (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : ".")).join("");
  return `${hex(address)}  ${digits.padEnd(BYTES_A_ROW * 3 - 1)}  ${text}`;
}

function write(debug: Debugger, args: readonly string[], physical: boolean): string {
  const [first, ...values] = args;
  const address = evaluateAddress(debug, needed(first, "an address and bytes are needed: write 0x1000 0x90 0x90"));
  const bytes = Uint8Array.from(values, (value) => {
    const byte = Number(evaluate(debug, value));
    if (!(byte >= 0 && byte <= 0xff)) throw new VmError("bad-config", `"${value}" is not a byte.`);
    return byte;
  });
  if (physical) debug.writePhysical(address, bytes);
  const written = physical ? bytes.length : debug.writeLinear(address, bytes);
  return written === bytes.length
    ? `wrote ${written} bytes`
    : `wrote ${written} of ${bytes.length} bytes: the next page is not present`;
}

function disassembleRange(debug: Debugger, args: readonly string[]): string {
  let address = args[0] === undefined ? debug.pc : evaluateAddress(debug, args[0]);
  const count = args[1] === undefined ? 8 : Number(evaluate(debug, args[1]));
  const rows: string[] = [];
  for (let i = 0; i < Math.min(count, EXAMINE_MAX); i++) {
    const { text, length, bytes } = instructionAt(debug, address);
    const digits = Array.from(bytes, (byte) => hex(byte, 2)).join(" ");
    rows.push(`${address === debug.pc ? ">" : " "} ${hex(address)}  ${digits.padEnd(24)} ${text}`);
    if (bytes.length === 0) break;
    address = (address + length) >>> 0;
  }
  return rows.join("\n");
}

function formatRegisters(debug: Debugger, group: string | undefined): string {
  if (group === undefined) return summary(debug);
  const groups = new Set(REGISTERS.map((register) => register.group));
  if (group !== "all" && !groups.has(group as RegisterGroup))
    throw new VmError("bad-config", `regs knows ${[...groups].join(", ")} and all.`);
  return REGISTERS.filter((register) => group === "all" || register.group === group)
    .map((register) => `${register.name.padEnd(14)}${hex(debug.get(register.name), Math.ceil(register.bits / 4))}`)
    .join("\n");
}

const FLAG_LETTERS: readonly (readonly [bit: number, name: string])[] = [
  [21, "id"],
  [20, "vip"],
  [19, "vif"],
  [18, "ac"],
  [17, "vm"],
  [16, "rf"],
  [14, "nt"],
  [11, "of"],
  [10, "df"],
  [9, "if"],
  [8, "tf"],
  [7, "sf"],
  [6, "zf"],
  [4, "af"],
  [2, "pf"],
  [0, "cf"],
];

function summary(debug: Debugger): string {
  const value = (name: string): string => `${name} ${hex(debug.get(name))}`;
  const eflags = Number(debug.get("eflags"));
  const flags = FLAG_LETTERS.filter(([bit]) => eflags & (1 << bit)).map(([, name]) => name);
  const cr0 = Number(debug.get("cr0")) | 0;
  const mode =
    eflags & (1 << 17)
      ? "virtual-8086"
      : cr0 & CR0_PE
        ? `protected, ${Number(debug.get("cs.attr")) & ATTR_DB ? 32 : 16} bits`
        : "real";
  const paging = cr0 & CR0_PG ? (Number(debug.get("cr4")) & CR4_PAE ? "PAE paging" : "paging") : "no paging";
  const segments = ["cs", "ss", "ds", "es", "fs", "gs", "ldtr", "tr"].map(
    (name) =>
      `${name.padEnd(4)} ${hex(debug.get(name), 4)}  base ${hex(debug.get(`${name}.base`))}  limit ${hex(debug.get(`${name}.limit`))}  attr ${hex(debug.get(`${name}.attr`), 5)}`,
  );
  return [
    ["eax", "ebx", "ecx", "edx"].map(value).join("  "),
    ["esi", "edi", "ebp", "esp"].map(value).join("  "),
    `${value("eip")}  eflags ${hex(eflags)} [${flags.join(" ")}] iopl ${(eflags >>> 12) & 3}`,
    ...segments,
    `gdtr ${hex(debug.get("gdtr.base"))} ${hex(debug.get("gdtr.limit"), 4)}  idtr ${hex(debug.get("idtr.base"))} ${hex(debug.get("idtr.limit"), 4)}`,
    ["cr0", "cr2", "cr3", "cr4"].map(value).join("  "),
    `CPL ${debug.target.vcpu(debug.index).cpl}, ${mode}, ${paging}`,
    location(debug),
  ].join("\n");
}

function listBreakpoints(debug: Debugger): string {
  const rows = [...debug.breakpoints.map((address) => `break ${hex(address)}`), ...listWatches(debug)];
  return rows.length > 0 ? rows.join("\n") : "no breakpoints";
}

function needed(text: string | undefined, message: string): string {
  if (text === undefined || text === "") throw new VmError("bad-config", `${message}.`);
  return text;
}

function helpText(): string {
  const rows = COMMANDS.map(
    ({ names, arguments: args, help }) => [`${names.join(", ")} ${args}`.trim(), help] as const,
  );
  const width = Math.min(34, Math.max(...rows.map(([left]) => left.length)));
  return rows.map(([left, help]) => `${left.padEnd(width)}  ${help}`).join("\n");
}

function formatNumber(value: bigint): string {
  const unsigned = value < 0n ? BigInt.asUintN(32, value) : value;
  return `0x${unsigned.toString(16)} = ${value}`;
}

function hex(value: number | bigint, digits = 8): string {
  return (typeof value === "bigint" ? value : value >>> 0).toString(16).padStart(digits, "0");
}
