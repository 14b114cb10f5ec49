import { type ExitContext, Next } from "./handler.ts";

/**
 * FERR# with CR0.NE = 0: the chipset turns it into IRQ 13 (SDM 1 D.2.1.1), and the frozen instruction is tried again, so
 * that the interrupt can come before it. When it is still frozen and nothing was executed meanwhile, the processor waits
 * as in HLT.
 */
export function ferr(machine: ExitContext): Next {
  return machine.assertFerr() ? Next.Run : Next.Idle;
}
