import { type ExitContext, Next } from "./handler.ts";

/** A device inside the core asks for a reset of the machine. */
export function reset(machine: ExitContext): Next {
  machine.requestReset("core");
  return Next.Look;
}
