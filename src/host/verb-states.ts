// In which states of a VM each verb is legal.
import { VmError } from "../vmm/error.ts";
import type { VmState } from "../vmm/status.ts";

export type HostedVmVerb = "start" | "pause" | "resume" | "reset" | "stop" | "snapshot" | "restore";

export const LEGAL_STATES: Readonly<Record<HostedVmVerb, readonly VmState[]>> = {
  start: ["created", "stopped", "crashed"],
  pause: ["running"],
  resume: ["paused"],
  reset: ["running", "paused"],
  stop: ["created", "running", "paused"],
  snapshot: ["created", "running", "paused"],
  restore: ["created", "stopped", "crashed"],
};

/** States in which there is a machine. */
export const ALIVE: readonly VmState[] = ["created", "running", "paused"];

/** Throws VmError("bad-state") naming the state, and those in which `verb` is legal. */
export function requireLegal(verb: HostedVmVerb, vm: string, state: VmState): void {
  const legal = LEGAL_STATES[verb];
  if (legal.includes(state)) return;
  throw new VmError("bad-state", `Cannot ${verb} ${vm}, which is ${state}; it must be ${legal.join(" or ")}.`, {
    vm,
    state,
    legal,
  });
}
