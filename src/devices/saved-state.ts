// Reads a device's saved state by name, refusing by name what does not fit.
import type { DeviceState } from "../vmm/device.ts";
import { VmError } from "../vmm/error.ts";

export class SavedState {
  constructor(
    private readonly device: string,
    private readonly state: DeviceState,
  ) {}

  /** Refuses a version that the device cannot read. */
  static open(device: string, state: DeviceState, version: number, known: number): SavedState {
    if (version !== known) {
      throw new VmError("bad-snapshot", `${device}: saved state has version ${version}, this build reads ${known}.`, {
        device,
        version,
        known,
      });
    }
    return new SavedState(device, state);
  }

  fields(): string[] {
    return Object.keys(this.state);
  }

  /** An integer from 0 to `max`. */
  integer(field: string, max = 0xffffffff): number {
    const value = this.state[field];
    if (typeof value !== "number" || !Number.isInteger(value) || value < 0 || value > max)
      this.#refuse(field, `an integer from 0 to ${max}`);
    return value as number;
  }

  /** Any finite number. */
  number(field: string): number {
    const value = this.state[field];
    if (typeof value !== "number" || !Number.isFinite(value)) this.#refuse(field, "a number");
    return value as number;
  }

  /** A finite number or null for undefined: an armed or disarmed deadline. */
  deadline(field: string): number | undefined {
    return this.state[field] === null ? undefined : this.number(field);
  }

  /** So many integers from 0 to 2^32 - 1. */
  integers(field: string, count: number): number[] {
    const value = this.state[field];
    const fits = (item: unknown): boolean => Number.isInteger(item) && Number(item) >= 0 && Number(item) <= 0xffffffff;
    if (!Array.isArray(value) || value.length !== count || !value.every(fits)) this.#refuse(field, `${count} integers`);
    return value as number[];
  }

  flag(field: string): boolean {
    const value = this.state[field];
    if (typeof value !== "boolean") this.#refuse(field, "true or false");
    return value as boolean;
  }

  /** Exactly `size` bytes, or at most `size` with `exact` false. A copy. */
  bytes(field: string, size: number, exact = true): Uint8Array {
    const value = this.state[field];
    if (!(value instanceof Uint8Array) || (exact ? value.length !== size : value.length > size)) {
      this.#refuse(field, `${exact ? "" : "at most "}${size} bytes`);
    }
    return (value as Uint8Array).slice();
  }

  /** The same, or null for undefined. */
  optionalBytes(field: string, size: number): Uint8Array | undefined {
    return this.state[field] === null ? undefined : this.bytes(field, size);
  }

  text(field: string): string {
    const value = this.state[field];
    if (typeof value !== "string") this.#refuse(field, "text");
    return value as string;
  }

  /** At most `max` objects, each to be read by name in its turn. */
  list(field: string, max: number): SavedState[] {
    const value = this.state[field];
    if (!Array.isArray(value) || value.length > max) this.#refuse(field, `a list of at most ${max}`);
    return (value as unknown[]).map((item, i) => {
      if (typeof item !== "object" || item === null) this.#refuse(`${field}[${i}]`, "an object");
      return new SavedState(this.device, item as DeviceState);
    });
  }

  /** A nested object, to be read by name in its turn. */
  part(device: string, field: string): SavedState {
    return new SavedState(device, this.nested(field));
  }

  nested(field: string): DeviceState {
    const value = this.state[field];
    if (typeof value !== "object" || value === null || value instanceof Uint8Array) this.#refuse(field, "an object");
    return value as DeviceState;
  }

  #refuse(field: string, wanted: string): never {
    throw new VmError("bad-snapshot", `${this.device}: field "${field}" of the saved state is not ${wanted}.`, {
      device: this.device,
      field,
    });
  }
}
