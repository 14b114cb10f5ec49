// The exit codes of the command line. A guest's own code, written to the debug-exit port, is always odd
// ((value << 1) | 1, as QEMU's isa-debug-exit), so every code of ours is even: one look tells whose word it is.
import { VmError, type VmErrorCode } from "../vmm/error.ts";
import type { ExitStatus } from "../vmm/status.ts";

export const EXIT_OK = 0;
export const EXIT_USAGE = 2;
export const EXIT_IMAGE = 4;
export const EXIT_TRIPLE_FAULT = 6;
export const EXIT_RESET = 8;
export const EXIT_NO_MATCH = 10;
export const EXIT_HOST = 12;
export const EXIT_TIMEOUT = 124;
/** A process ended by signal n leaves with this plus n, as shells report it. */
export const EXIT_SIGNAL_BASE = 128;

/** What `paravane help exit-codes` prints, and docs/CLI.md. */
export const EXIT_CODES: readonly (readonly [code: string, meaning: string])[] = [
  ["0", "the guest powered off, --until matched, or you quit with Ctrl-A x"],
  ["odd", "the guest wrote v to the debug-exit port (0xf4): (v << 1) | 1, lowest 8 bits"],
  ["2", "the command line or a setting is wrong; nothing was started"],
  ["4", "an image is missing, damaged or not bootable"],
  ["6", "triple fault"],
  ["8", "the guest asked for a reset and --no-reboot was given"],
  ["10", "the guest ended, but no line matched --until"],
  ["12", "the host failed: I/O error, out of memory, defect in Paravane"],
  ["124", "--timeout ran out"],
  ["128+n", "ended by signal n (130 = Ctrl-C)"],
];

/** Code for a machine that ended by itself. */
export function exitCodeOfStatus(status: ExitStatus): number {
  switch (status.kind) {
    case "power-off":
      return EXIT_OK;
    case "guest-exit":
      return status.code & 0xff;
    case "reset":
      return EXIT_RESET;
    case "triple-fault":
      return EXIT_TRIPLE_FAULT;
    case "timeout":
      return EXIT_TIMEOUT;
    case "killed":
      return EXIT_OK;
    case "crashed":
      return exitCodeOfError(status.error);
  }
}

const CODES: Readonly<Record<VmErrorCode, number>> = {
  "bad-config": EXIT_USAGE,
  "bad-state": EXIT_USAGE,
  "bad-image": EXIT_IMAGE,
  "bad-snapshot": EXIT_IMAGE,
  "not-found": EXIT_IMAGE,
  "guest-crash": EXIT_TRIPLE_FAULT,
  timeout: EXIT_TIMEOUT,
  host: EXIT_HOST,
  io: EXIT_HOST,
  admission: EXIT_USAGE,
  internal: EXIT_HOST,
};

export function exitCodeOfError(error: unknown): number {
  return error instanceof VmError ? (CODES[error.code] ?? EXIT_HOST) : EXIT_HOST;
}

/** One sentence for the user; undefined where the ending speaks for itself. */
export function describeStatus(status: ExitStatus): string | undefined {
  switch (status.kind) {
    case "power-off":
      return "the guest powered off";
    case "guest-exit":
      return `the guest ended with code ${status.code & 0xff}`;
    case "reset":
      return `the guest asked for a reset (${status.cause}); --no-reboot ends the machine instead`;
    case "triple-fault":
      return `triple fault at ${hex(status.cs, 4)}:${hex(status.eip, 8)}; look at it with: paravane debug`;
    case "timeout":
      return "the time given by --timeout ran out";
    case "killed":
      return undefined;
    case "crashed":
      return status.error.message;
  }
}

/** Hexadecimal without prefix, padded to `digits`. */
export function hex(value: number, digits: number): string {
  return (value >>> 0).toString(16).padStart(digits, "0");
}
