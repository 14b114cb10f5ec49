import { EXIT_DATA, EXIT_NR, EXIT_QUAL } from "../../../spec/layout.ts";
import { type ExitContext, Next } from "./handler.ts";

/** RDMSR that the core leaves to us; EXIT_QUAL = 1 makes it #GP(0). */
export function msrRead(machine: ExitContext): Next {
  const { vcpu } = machine;
  const msr = vcpu.getU32(EXIT_NR);
  if (stopped(machine, msr)) return Next.Look;
  const value = machine.msrs.read(msr);
  vcpu.setU32(EXIT_QUAL, value === undefined ? 1 : 0);
  vcpu.setU64(EXIT_DATA, value ?? 0n);
  machine.tracer("msr")?.({ kind: "msr", write: false, msr, value: value ?? 0n, known: value !== undefined });
  return Next.Run;
}

/** WRMSR likewise. */
export function msrWrite(machine: ExitContext): Next {
  const { vcpu } = machine;
  const msr = vcpu.getU32(EXIT_NR);
  if (stopped(machine, msr)) return Next.Look;
  const value = vcpu.getU64(EXIT_DATA);
  const known = machine.msrs.write(msr, value);
  vcpu.setU32(EXIT_QUAL, known ? 0 : 1);
  machine.tracer("msr")?.({ kind: "msr", write: true, msr, value, known });
  return Next.Run;
}

/** The debugger stops before the instruction; it is executed when the guest goes on. */
function stopped(machine: ExitContext, msr: number): boolean {
  if (!machine.breaksOnMsr(msr)) return false;
  machine.debugStop({ reason: "msr", address: machine.vcpu.pc, number: msr });
  return true;
}
