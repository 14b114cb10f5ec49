// What a debugger uses of a VM: a narrow part of the public class.
import type { StartState } from "../boot/machine.ts";
import type { Vcpu } from "../vcpu/vcpu.ts";
import type { BreakConditions } from "../vmm/debug-controls.ts";
import type { GuestMemory } from "../vmm/device.ts";
import type { DebugStop, ExitStatus, VmEvents, VmState } from "../vmm/status.ts";

export interface DebugTarget {
  readonly state: VmState;
  readonly exited: Promise<ExitStatus>;
  readonly memory: GuestMemory;
  vcpu(index?: number): Vcpu;
  start(): void;
  resume(): void;
  pause(): Promise<void>;
  reset(): Promise<void>;
  stop(reason?: unknown): Promise<ExitStatus>;
  step(instructions?: number): Promise<DebugStop>;
  setBreakpoints(addresses: readonly number[]): void;
  breakOn(what: BreakConditions): void;
  on<K extends keyof VmEvents>(event: K, listener: (event: VmEvents[K]) => void): Disposable;
}

export type { DebugStop, ExitStatus, StartState };
