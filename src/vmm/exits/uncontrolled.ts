import type { Exit } from "../../../spec/exits.ts";
import { VmError } from "../error.ts";
import { type ExitContext, type ExitHandler, Next } from "./handler.ts";

/**
 * Exits that only happen under an execution control that nothing sets yet (CR3 loads, INVLPG, RDTSC, CPUID, descriptor
 * tables, shadow paging). Seeing one means that core and host disagree about the controls.
 */
export function uncontrolled(reason: Exit, name: string): ExitHandler {
  return (machine: ExitContext) => {
    machine.crash(
      new VmError("internal", `Unexpected VM exit ${name}: no execution control asks for it.`, {
        reason,
        eip: machine.vcpu.eip,
      }),
    );
    return Next.Look;
  };
}
