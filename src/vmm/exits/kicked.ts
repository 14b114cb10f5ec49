import { KICKED } from "../../../spec/layout.ts";
import { type ExitContext, Next } from "./handler.ts";

/** Somebody wants the run loop's attention. */
export function kicked(machine: ExitContext): Next {
  machine.vcpu.setU32(KICKED, 0);
  return Next.Look;
}
