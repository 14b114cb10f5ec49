import { DEBUG_STEP, DEBUG_WATCH } from "../../../spec/exits.ts";
import { EXIT_ADDR, EXIT_NR, EXIT_QUAL, EXIT_SIZE, WATCH_WRITE } from "../../../spec/layout.ts";
import { type ExitContext, Next } from "./handler.ts";

/** Single step, breakpoint or watch of the debugger (never of the guest's own debug registers). */
export function debug(machine: ExitContext): Next {
  const { vcpu } = machine;
  const why = vcpu.getU32(EXIT_QUAL);
  const at = vcpu.getU32(EXIT_ADDR);
  if (why === DEBUG_WATCH) {
    const access = vcpu.getU32(EXIT_NR) & WATCH_WRITE ? "write" : "read";
    machine.debugStop({ reason: "watch", address: vcpu.pc, number: at, sizeBytes: vcpu.getU32(EXIT_SIZE), access });
  } else machine.debugStop({ reason: why === DEBUG_STEP ? "step" : "breakpoint", address: at });
  return Next.Look;
}
