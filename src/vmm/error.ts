/** Stable error codes of the public API. */
export type VmErrorCode =
  | "bad-config"
  | "bad-image"
  | "bad-snapshot"
  | "bad-state"
  | "not-found"
  | "host"
  | "guest-crash"
  | "timeout"
  | "io"
  | "admission"
  | "internal";

/** The one error class: a stable code, one sentence that names the thing and the next step, details and cause. */
export class VmError extends Error {
  override readonly name = "VmError";
  constructor(
    readonly code: VmErrorCode,
    message: string,
    readonly details: Readonly<Record<string, unknown>> = {},
    options?: { cause?: unknown },
  ) {
    super(message, options);
  }

  /** A page loads its files apart, each with this class in it. */
  static override [Symbol.hasInstance](value: unknown): boolean {
    return value instanceof Error && value.name === "VmError" && "code" in value;
  }
}

/** What went wrong while a machine ran, as a VmError. */
export function asVmError(error: unknown): VmError {
  if (error instanceof VmError) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new VmError("internal", `The machine failed inside the host: ${message}.`, {}, { cause: error });
}
