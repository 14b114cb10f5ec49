import { type ExitContext, Next } from "./handler.ts";

/** Triple fault (SDM 3A 6.15, shutdown): a PC's chipset resets the machine; tests want to see it end. */
export function shutdown(machine: ExitContext): Next {
  if (machine.onTripleFault === "reboot") machine.requestReset("triple-fault");
  else machine.end({ kind: "triple-fault", cs: machine.vcpu.segment("cs").selector, eip: machine.vcpu.eip });
  return Next.Look;
}
