// --trace: which events to follow, and how one looks as a line of text.
import type { IrqTraceEvent, TraceEvent, TraceKind } from "../vmm/status.ts";
import { hex } from "./exit-code.ts";
import { didYouMean, UsageError } from "./values.ts";

/** What one may write after --trace, and the event kinds it stands for. "insn" single-steps the guest. */
export const TRACE_NAMES: Readonly<Record<string, readonly TraceKind[]>> = {
  exits: ["exit"],
  ports: ["port"],
  mmio: ["mmio"],
  msrs: ["msr"],
  exceptions: ["exception"],
  hypercalls: ["hypercall"],
  irqs: ["irq"],
  io: ["port", "mmio"],
  all: ["exit", "port", "mmio", "msr", "exception", "hypercall", "irq"],
};
/** Singular forms, and QEMU's `-d int`. */
const ALIASES: Readonly<Record<string, string>> = {
  exit: "exits",
  port: "ports",
  msr: "msrs",
  exception: "exceptions",
  int: "exceptions",
  hypercall: "hypercalls",
  irq: "irqs",
};

export interface TraceRequest {
  readonly kinds: readonly TraceKind[];
  /** Every instruction, by single steps: complete and slow. */
  readonly instructions: boolean;
}

/** "exits,ports,insn". */
export function parseTrace(text: string): TraceRequest {
  const kinds = new Set<TraceKind>();
  let instructions = false;
  for (const part of text.split(",")) {
    const name = part.trim();
    const expanded = TRACE_NAMES[ALIASES[name] ?? name];
    if (name === "insn") instructions = true;
    else if (expanded) for (const kind of expanded) kinds.add(kind);
    else {
      const names = [...Object.keys(TRACE_NAMES), "insn"];
      throw new UsageError(`--trace: "${name}" is not one of ${names.join(", ")}${didYouMean(name, names)}`);
    }
  }
  return { kinds: [...kinds], instructions };
}

export function formatTraceEvent(event: TraceEvent): string {
  switch (event.kind) {
    case "port":
      return `port  ${direction(event.write)} ${hex(event.port, 4)} ${value(event.value, event.size)}${event.known ? "" : " (no device)"}`;
    case "mmio":
      return `mmio  ${direction(event.write)} ${hex(event.address, 8)} ${value(event.value, event.size)}${event.known ? "" : " (no device)"}`;
    case "msr":
      return `msr   ${event.write ? "wrmsr" : "rdmsr"} ${hex(event.msr, 8)} ${event.value.toString(16).padStart(16, "0")}${event.known ? "" : " (unknown)"}`;
    case "exit":
      return `exit  ${event.reason}`;
    case "exception":
      return `exc   vector ${event.vector} error ${hex(event.error, 4)} eip ${hex(event.eip, 8)}`;
    case "irq":
      return formatIrq(event);
    case "hypercall":
      return `hcall ${event.nr} (${event.args.map((arg) => hex(arg, 8)).join(", ")})`;
  }
}

function formatIrq(event: IrqTraceEvent): string {
  const from = "source" in event ? `${event.source}${"line" in event ? ` ${event.line}` : ""}` : "";
  switch (event.event) {
    case "line":
      return `irq   line ${event.gsi} ${event.level ? "high" : "low"}`;
    case "send":
      return `irq   send vector ${hex(event.vector, 2)} from ${from}${event.mode === "fixed" ? "" : `, ${event.mode}`}`;
    case "take":
      return `irq   take vector ${hex(event.vector, 2)} from ${from} eip ${hex(event.eip, 8)}`;
    case "end":
      return `irq   end  ${event.source === "apic" ? `vector ${hex(event.vector, 2)}` : from}`;
    case "lost":
      return `irq   ${event.count} more, lost`;
  }
}

function direction(write: boolean): string {
  return write ? "write" : "read ";
}

function value(number: number, size: number): string {
  return hex(number, size * 2);
}
