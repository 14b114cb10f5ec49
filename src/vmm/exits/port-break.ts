import { type ExitContext, Next } from "./handler.ts";

/** Stops for the debugger after an access to a port that it watches. */
export function portBreak(machine: ExitContext, port: number, size: number): Next {
  if (!machine.breaksOnPort(port, size)) return Next.Run;
  machine.debugStop({ reason: "port", address: machine.vcpu.pc, number: port });
  return Next.Look;
}
