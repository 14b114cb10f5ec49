// What a VM can be, how it can end, what it tells its listeners, and what it counts.
import type { Screen } from "../display/screen.ts";
import type { VmError } from "./error.ts";

export type VmState = "created" | "running" | "paused" | "stopped" | "crashed";

/** Why a VM is no longer running. One of these resolves `vm.exited`, exactly once. */
export type ExitStatus =
  /** The guest wrote `value` to the debug-exit port; code = (value << 1) | 1 as QEMU's isa-debug-exit. */
  | { readonly kind: "guest-exit"; readonly code: number }
  /** ACPI S5, or an S4 the machine does not offer. */
  | { readonly kind: "power-off" }
  /** The guest asked for a reset and the configuration says `onReset: "exit"`. */
  | { readonly kind: "reset"; readonly cause: ResetCause }
  /** Triple fault with `onTripleFault: "exit"`. */
  | { readonly kind: "triple-fault"; readonly cs: number; readonly eip: number }
  /** `timeoutMs` of host time passed. */
  | { readonly kind: "timeout" }
  /** `stop()`, an AbortSignal or disposal. */
  | { readonly kind: "killed"; readonly reason?: unknown }
  /** The host failed; the VM is in state "crashed". */
  | { readonly kind: "crashed"; readonly error: VmError };

export type ResetCause = "keyboard-controller" | "port-92" | "port-cf9" | "triple-fault" | "acpi" | "host" | "core";

/** Why a debugged VM stopped; it is then in state "paused". */
export interface DebugStop {
  readonly reason: "step" | "breakpoint" | "watch" | "port" | "mmio" | "msr" | "exception";
  /** Linear address of the next instruction. */
  readonly address: number;
  /** Port, MSR number, exception vector, or the linear address of an access to watched memory. */
  readonly number?: number;
  /** Of an access to watched memory; one that reads and writes is a write. */
  readonly access?: "read" | "write";
  readonly sizeBytes?: number;
}

/** Where an interrupt comes from. `line`: the 8259s' IRQ, or the input of the I/O APIC (GSI). */
export interface InterruptOrigin {
  readonly source:
    | "8259"
    | "gsi"
    | "msi"
    | "ipi"
    | "nmi"
    /** Entries of the local vector table. */
    | "timer"
    | "thermal"
    | "performance"
    | "lint0"
    | "lint1"
    | "error"
    /** The local APIC, which does not say: a spurious interrupt, or one sent before the trace began. */
    | "apic";
  readonly line?: number;
}

/** SDM 3A 11.6.1. */
export type DeliveryMode = "fixed" | "lowest" | "smi" | "reserved" | "nmi" | "init" | "startup" | "extint";

/** One step of an interrupt's way through the controllers. */
export type IrqTraceEvent =
  /** A line of the board rose or fell. */
  | { readonly kind: "irq"; readonly event: "line"; readonly gsi: number; readonly level: boolean }
  /** A message to the local APICs. */
  | ({
      readonly kind: "irq";
      readonly event: "send";
      readonly vector: number;
      readonly mode: DeliveryMode;
    } & InterruptOrigin)
  /** A vCPU takes it, before the instruction at `eip`. */
  | ({ readonly kind: "irq"; readonly event: "take"; readonly vector: number; readonly eip: number } & InterruptOrigin)
  /** End of interrupt. */
  | { readonly kind: "irq"; readonly event: "end"; readonly source: "8259"; readonly line: number }
  | { readonly kind: "irq"; readonly event: "end"; readonly source: "apic"; readonly vector: number }
  /** So many steps were too much for the log. */
  | { readonly kind: "irq"; readonly event: "lost"; readonly count: number };

/** Something the machine saw that a person may want to follow. Emitted only for the categories asked for. */
export type TraceEvent =
  | {
      readonly kind: "port";
      readonly write: boolean;
      readonly port: number;
      readonly size: number;
      readonly value: number;
      readonly known: boolean;
    }
  | {
      readonly kind: "mmio";
      readonly write: boolean;
      readonly address: number;
      readonly size: number;
      readonly value: number;
      readonly known: boolean;
    }
  | {
      readonly kind: "msr";
      readonly write: boolean;
      readonly msr: number;
      readonly value: bigint;
      readonly known: boolean;
    }
  | { readonly kind: "exit"; readonly reason: string }
  | { readonly kind: "exception"; readonly vector: number; readonly error: number; readonly eip: number }
  | { readonly kind: "hypercall"; readonly nr: number; readonly args: readonly number[] }
  | IrqTraceEvent;
export type TraceKind = TraceEvent["kind"];

export interface VmEvents {
  state: { readonly state: VmState; readonly previous: VmState };
  exit: ExitStatus;
  /** The machine was reset (and goes on). */
  reset: { readonly cause: ResetCause };
  /** Bytes the guest sent to serial port 0..3. */
  serial: { readonly port: number; readonly bytes: Uint8Array };
  /** Bytes the guest wrote to the debug console (port 0xE9). */
  debugcon: { readonly bytes: Uint8Array };
  /** Bytes the guest printed to the parallel port. */
  parallel: { readonly bytes: Uint8Array };
  /** The screen looks different now; at most 60 times a second. */
  screen: { readonly screen: Screen };
  /** A drive or network card has left the machine, because the host or the guest wanted it. */
  removed: { readonly kind: "drive" | "nic"; readonly id: string };
  post: { readonly code: number };
  "debug-stop": DebugStop;
  trace: TraceEvent;
}

export interface VmStatistics {
  readonly instructions: number;
  /** Seconds since power-on on the guest's clock. */
  readonly guestSeconds: number;
  /** Host seconds since the first start, pauses not counted. */
  readonly hostSeconds: number;
  /** Host seconds inside runVcpu. */
  readonly vcpuSeconds: number;
  /** Host seconds asleep because the guest was idle. */
  readonly idleSeconds: number;
  /** Million instructions per second of vcpuSeconds. */
  readonly mips: number;
  /** VM exits by name of Exit in spec/exits.ts. */
  readonly exits: Readonly<Record<string, number>>;
  readonly exitTotal: number;
  /** Counters of the core (TLB fills, decoded blocks, interrupts...). */
  readonly core: Readonly<Record<string, number>>;
  /** Accesses to ports that no device claims, "0x2e8": count. */
  readonly unknownPorts: Readonly<Record<string, number>>;
  readonly unknownMmio: number;
  readonly unknownMsrs: Readonly<Record<string, number>>;
  readonly resets: number;
  /** Pages of RAM that a restored VM does not have yet, and those that it was given because something needed them, or on the side. */
  readonly absentPages: { readonly left: number; readonly demanded: number; readonly fetched: number };
  readonly devices: Readonly<Record<string, Readonly<Record<string, number>>>>;
}
