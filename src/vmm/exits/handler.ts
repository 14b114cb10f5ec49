// What an exit handler is given and what it answers. One exit reason, one file.
import type { Vcpu } from "../../vcpu/vcpu.ts";
import type { MaybePromise } from "../block.ts";
import type { MmioBus, PortBus } from "../bus.ts";
import type { VmError } from "../error.ts";
import type { DebugStop, ExitStatus, ResetCause, TraceEvent } from "../status.ts";

/** What the run loop does after an exit was handled. */
export const enum Next {
  /** Call runVcpu again. */
  Run = 0,
  /** The vCPU waits for an interrupt. */
  Idle = 1,
  /** Look at the machine's requests (reset, end, debugger) first. */
  Look = 2,
  /** The guest gives up the rest of its turn. */
  Yield = 3,
}

/** The machine as exit handlers see it. */
export interface ExitContext {
  readonly vcpu: Vcpu;
  readonly ports: PortBus;
  readonly mmio: MmioBus;
  readonly msrs: MsrSpace;
  /** Drives IRQ 13 (the FERR# pin through the chipset). False when the vCPU has executed nothing since the last time. */
  assertFerr(): boolean;
  /** Virtual clock: an access on an ISA bus takes a microsecond, so that polling loops see time pass. */
  ioDelay(): void;
  /** MMIO of a controller in the core that came out: the value, undefined where it has none there. */
  readChipset(address: number, size: number): number | undefined;
  /** False likewise. */
  writeChipset(address: number, size: number, value: number): boolean;
  /** EAX for a hypercall that the host answers. */
  hypercall(nr: number, args: readonly number[]): MaybePromise<number>;
  /** The guest stands still until the work is done. */
  hold(work: Promise<void>): void;
  requestReset(cause: ResetCause): void;
  end(status: ExitStatus): void;
  crash(error: VmError): void;
  debugStop(stop: DebugStop): void;
  /** True when the debugger wants to know of this port, MSR or vector. */
  breaksOnPort(port: number, size: number): boolean;
  breaksOnMsr(msr: number): boolean;
  breaksOnException(vector: number): boolean;
  /** The next instruction runs with the debugger's controls off, so that it does not stop at the same place again. */
  stepOver(): void;
  readonly onTripleFault: "exit" | "reboot";
  /** Undefined unless this kind of event is being traced. */
  tracer(kind: TraceEvent["kind"]): ((event: TraceEvent) => void) | undefined;
}

/** MSRs that the core leaves to the host. */
export interface MsrSpace {
  /** Undefined: #GP. */
  read(msr: number): bigint | undefined;
  /** False: #GP. */
  write(msr: number, value: bigint): boolean;
}

export type ExitHandler = (machine: ExitContext) => Next;
