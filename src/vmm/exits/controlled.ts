import { type ExitContext, Next } from "./handler.ts";

/**
 * Exits that an execution control asks for, and those of shadow paging. The core does the rest when it runs again: it
 * executes the instruction, or finds the shadow entry that was made. What is here is what an exit costs.
 */
export function controlled(_machine: ExitContext): Next {
  return Next.Run;
}
