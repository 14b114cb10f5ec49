import { EXIT_DATA, EXIT_NR } from "../../../spec/layout.ts";
import { type ExitContext, Next } from "./handler.ts";

/**
 * An exception the exception bitmap holds back, before it is delivered. For the debugger we stop and the instruction
 * faults again when the guest goes on; for a trace we note it and let this one through.
 */
export function exception(machine: ExitContext): Next {
  const { vcpu } = machine;
  const vector = vcpu.getU32(EXIT_NR);
  machine.tracer("exception")?.({ kind: "exception", vector, error: vcpu.getU32(EXIT_DATA), eip: vcpu.eip });
  if (machine.breaksOnException(vector)) machine.debugStop({ reason: "exception", address: vcpu.pc, number: vector });
  else machine.stepOver();
  return Next.Look;
}
