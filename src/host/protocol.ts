// What a host and its pCPUs say to each other. Messages are structured-cloneable; a pCPU without a worker of its own gets
// the same messages by a function call.
import type { Frame } from "../display/frame.ts";
import { screenOf } from "../display/screen.ts";
import type { RestoreOptions } from "../snapshot/restore.ts";
import type { SnapshotInfo, SnapshotOptions } from "../snapshot/take.ts";
import type { PortableConfig } from "../vmm/config.ts";
import type { DetachedVm } from "../vmm/detached-vm.ts";
import type { DiskSource, VmLimitsChange } from "../vmm/device-config.ts";
import { VmError, type VmErrorCode } from "../vmm/error.ts";
import type { DetachOptions } from "../vmm/hotplug.ts";
import type { ExitStatus, VmEvents, VmStatistics } from "../vmm/status.ts";
import type { FrameBatch } from "./frame-pipe.ts";
import type { BalloonReport } from "./memory-governor.ts";
import type { PcpuAccount, VcpuCarry } from "./pcpu.ts";
import type { SchedParameters } from "./sched/policy.ts";
import type { Cards, NewCard } from "./stopped-cards.ts";

/** The number by which a host and its pCPUs know a VM (and its one vCPU). Never used twice. */
export type VmNumber = number;

/** A snapshot file, wherever the host keeps files: a folder of the machine, or of a page's private files. */
export interface SnapshotFile {
  readonly folder: string;
  readonly name: string;
}

/** A whole snapshot in memory, or in a file that a user of a page chose. It has no parent. */
export interface SnapshotBytes {
  readonly bytes: Uint8Array | Blob;
}

/** SnapshotOptions without the store, which belongs to one thread. */
export type PortableSnapshotOptions = Omit<SnapshotOptions, "store" | "name">;

export interface PortableRestoreOptions extends Omit<RestoreOptions, "config"> {
  readonly name?: string;
}

/** A VM between two pCPUs. */
export interface MovedVm {
  readonly vm: DetachedVm;
  readonly carry: VcpuCarry | undefined;
}

/** What a host asks of a pCPU. */
export interface PcpuCalls {
  setPolicy(name: string, options: unknown): void;
  account(): PcpuAccount;
  create(vm: VmNumber, config: PortableConfig, scheduling: SchedParameters): Promise<void>;
  /** Makes a VM of a snapshot; returns the configuration that was in it, images in shared memory where there is any. */
  restore(
    vm: VmNumber,
    from: SnapshotFile | SnapshotBytes,
    options: PortableRestoreOptions,
    scheduling: SchedParameters,
  ): Promise<PortableConfig>;
  snapshot(vm: VmNumber, to: SnapshotFile, options: PortableSnapshotOptions): Promise<SnapshotInfo>;
  /** The same as bytes, without a parent. */
  snapshotBytes(vm: VmNumber, options: PortableSnapshotOptions): Promise<Uint8Array>;
  /** Takes the VM off this pCPU; undefined when it has ended meanwhile. */
  detach(vm: VmNumber): Promise<MovedVm | undefined>;
  /** And goes on with it here. */
  attach(vm: VmNumber, config: PortableConfig, scheduling: SchedParameters, moved: MovedVm): Promise<void>;
  /** Forgets a VM that has ended, or ends it. */
  destroy(vm: VmNumber): Promise<void>;
  schedule(vm: VmNumber, scheduling: SchedParameters): void;
  start(vm: VmNumber): void;
  pause(vm: VmNumber): Promise<void>;
  resume(vm: VmNumber): void;
  reset(vm: VmNumber): Promise<void>;
  stop(vm: VmNumber, reason: string | undefined): Promise<void>;
  /** False when the guest does not listen. */
  pressPowerButton(vm: VmNumber): boolean;
  sendNmi(vm: VmNumber): void;
  input(vm: VmNumber, port: number, bytes: Uint8Array): void;
  type(vm: VmNumber, text: string): void;
  /** Throws VmError("not-found") for a key that does not exist. */
  sendKeys(vm: VmNumber, combinations: readonly string[]): void;
  /** Throws VmError("not-found") for a name that no PC keyboard has. */
  key(vm: VmNumber, code: string, down: boolean): void;
  moveMouse(vm: VmNumber, dx: number, dy: number, wheel: number, buttons: number): void;
  /** Throws VmError("not-found") for a machine without a display. */
  frame(vm: VmNumber): Frame;
  /** Whether to report "screen" events. */
  watchScreen(vm: VmNumber, watched: boolean): void;
  statistics(vm: VmNumber): VmStatistics;
  stateHash(vm: VmNumber): Promise<string>;
  /** Drives and network cards as they are afterwards. */
  attachCard(vm: VmNumber, card: NewCard): Promise<Cards>;
  detachCard(vm: VmNumber, id: string, options: DetachOptions): Promise<Cards>;
  changeMedium(vm: VmNumber, drive: string, medium: DiskSource | undefined, force: boolean): Promise<Cards>;
  setLimits(vm: VmNumber, limits: VmLimitsChange): void;
  /** Of the VMs here that have a balloon. */
  balloons(): readonly BalloonReport[];
  /** How large its balloon is to be; nothing where it has none. */
  setBalloonTarget(vm: VmNumber, bytes: number): void;
  /** For tests: this thread fails. */
  fail(): void;
}

export type PcpuMethod = keyof PcpuCalls;

/** Events of a VM that a pCPU reports by itself. */
export type ReportedEvent = "state" | "exit" | "reset" | "removed" | "serial" | "debugcon" | "parallel" | "screen";

export interface CallMessage {
  readonly kind: "call";
  readonly id: number;
  readonly method: PcpuMethod;
  readonly args: readonly unknown[];
}

/** Frames of a network card, from its guest or to it. Nobody answers. */
export interface FramesMessage {
  readonly kind: "frames";
  readonly vm: VmNumber;
  readonly nic: string;
  readonly batch: FrameBatch;
}

export type PcpuMessage =
  | FramesMessage
  | { readonly kind: "result"; readonly id: number; readonly value: unknown }
  | { readonly kind: "error"; readonly id: number; readonly error: PortableError }
  | { readonly kind: "event"; readonly vm: VmNumber; readonly name: ReportedEvent; readonly event: unknown };

/** How a worker is told what it is. */
export interface PcpuSetup {
  readonly policy: string;
  readonly policyOptions: unknown;
}

// ---- errors: their class does not survive the way

export interface PortableError {
  readonly code: VmErrorCode;
  readonly message: string;
  readonly details: Readonly<Record<string, unknown>>;
  readonly stack: string | undefined;
}

export function packError(error: unknown): PortableError {
  const stack = error instanceof Error ? error.stack : undefined;
  if (error instanceof VmError)
    return { code: error.code, message: error.message, details: plain(error.details), stack };
  return { code: "internal", message: error instanceof Error ? error.message : String(error), details: {}, stack };
}

export function unpackError(error: PortableError): VmError {
  return new VmError(error.code, error.message, error.details, { cause: error.stack });
}

/** What cannot be cloned (functions, objects of the host) is of no use to the other side. */
function plain(details: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(details).map(([key, value]) => [
      key,
      typeof value === "object"
        ? JSON.parse(JSON.stringify(value) ?? "null")
        : typeof value === "function"
          ? undefined
          : value,
    ]),
  );
}

// ---- events

type PackedStatus =
  | Exclude<ExitStatus, { kind: "crashed" }>
  | { readonly kind: "crashed"; readonly error: PortableError };

export function packEvent<K extends ReportedEvent>(name: K, event: VmEvents[K]): unknown {
  if (name === "screen") return (event as VmEvents["screen"]).screen.frame;
  return name === "exit" ? packStatus(event as ExitStatus) : event;
}

export function unpackEvent<K extends ReportedEvent>(name: K, event: unknown): VmEvents[K] {
  if (name === "screen") return { screen: screenOf(event as Frame) } as VmEvents[K];
  return (name === "exit" ? unpackStatus(event as PackedStatus) : event) as VmEvents[K];
}

function packStatus(status: ExitStatus): PackedStatus {
  if (status.kind === "crashed") return { kind: "crashed", error: packError(status.error) };
  if (status.kind === "killed")
    return { kind: "killed", reason: status.reason === undefined ? undefined : String(status.reason) };
  return status;
}

function unpackStatus(status: PackedStatus): ExitStatus {
  return status.kind === "crashed" ? { kind: "crashed", error: unpackError(status.error) } : status;
}
