import { type ExitContext, Next } from "./handler.ts";

/** FERR# with CR0.NE = 0: the chipset turns it into IRQ 13 (SDM 1 D.2.1.1). */
export function ferr(machine: ExitContext): Next {
  machine.assertFerr();
  return Next.Run;
}
