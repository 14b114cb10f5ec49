import { EXIT_ADDR, EXIT_QUAL } from "../../../spec/layout.ts";
import { type ExitContext, Next } from "./handler.ts";

const QUAL_STEP = 1;

/** Single step or breakpoint of the debugger (never of the guest's own debug registers). */
export function debug(machine: ExitContext): Next {
  const reason = machine.vcpu.getU32(EXIT_QUAL) === QUAL_STEP ? "step" : "breakpoint";
  machine.debugStop({ reason, address: machine.vcpu.getU32(EXIT_ADDR) });
  return Next.Look;
}
