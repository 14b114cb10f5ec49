// What the command line uses of a VM: the narrow part of the public class that tests put a stand-in behind.

import type { Screen } from "../display/screen.ts";
import type { RestoreOptions, SnapshotName } from "../snapshot/restore.ts";
import type { SnapshotInfo, SnapshotOptions } from "../snapshot/take.ts";
import type { VmConfig } from "../vmm/config.ts";
import type { ExitStatus, VmEvents, VmState, VmStatistics } from "../vmm/status.ts";

export interface Machine {
  readonly name: string;
  readonly state: VmState;
  /** Resolves when the machine has ended; never rejects. */
  readonly exited: Promise<ExitStatus>;
  start(): void;
  pause(): Promise<void>;
  stop(reason?: unknown): Promise<ExitStatus>;
  reset(): Promise<void>;
  pressPowerButton(): void;
  on<K extends keyof VmEvents>(event: K, listener: (event: VmEvents[K]) => void): Disposable;
  serial(port?: number): { write(bytes: Uint8Array | string): void };
  readonly keyboard: MachineKeyboard;
  /** Throws VmError("not-found") for a machine without a display. */
  screen(): Screen;
  statistics(): VmStatistics;
  snapshot(options: SnapshotOptions): Promise<SnapshotInfo>;
  [Symbol.asyncDispose](): Promise<void>;
}

export interface MachineKeyboard {
  type(text: string): number;
  send(combination: string): void;
  readonly waiting: number;
}

/** The process's surroundings, so that a test can be one. */
export interface CliIo {
  readonly stdin: NodeJS.ReadStream;
  readonly stdout: NodeJS.WriteStream;
  readonly stderr: NodeJS.WriteStream;
  createVm(config: VmConfig): Promise<Machine>;
  restoreVm(from: SnapshotName, options: RestoreOptions): Promise<Machine>;
}

export function processIo(): CliIo {
  return {
    stdin: process.stdin,
    stdout: process.stdout,
    stderr: process.stderr,
    createVm: async (config) => await (await import("../index.ts")).Vm.create(config),
    restoreVm: async (from, options) => await (await import("../index.ts")).Vm.restore(from, options),
  };
}
