// MSRs that the core leaves to the host: none is implemented here, so that each is #GP, counted by number.
import type { MsrSpace } from "./exits/handler.ts";

/** Distinct numbers counted; a guest that tries more of them shares the last row. */
const COUNTED_MAX = 256;
export const OTHER_MSRS = -1;

export class UnknownMsrs implements MsrSpace {
  readonly counts = new Map<number, number>();

  read(msr: number): bigint | undefined {
    this.#count(msr);
    return undefined;
  }

  write(msr: number): boolean {
    this.#count(msr);
    return false;
  }

  #count(msr: number): void {
    const key = this.counts.has(msr) || this.counts.size < COUNTED_MAX ? msr : OTHER_MSRS;
    this.counts.set(key, (this.counts.get(key) ?? 0) + 1);
  }
}
