// A VM on its way from one thread to another: its memory, which both share, and everything that is not in it.
import type { MachineState } from "./machine-state.ts";
import type { ResourceUse } from "./statistics.ts";
import type { VmState } from "./status.ts";

/** Structured-cloneable; whoever holds it owns the VM, and nobody else may touch the memory. */
export interface DetachedVm {
  readonly memory: WebAssembly.Memory;
  readonly machine: MachineState;
  readonly state: VmState;
  /** The host's monotonic clock when it stopped: a real clock of the guest goes on meanwhile. */
  readonly stoppedAtNs: number;
  readonly use: ResourceUse;
}
