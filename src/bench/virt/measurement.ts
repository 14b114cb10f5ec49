// What one operation of the benchmark guest cost in one run of one form.

/** How the guest is virtualized; what each turns on is in forms.ts. */
export type VirtForm = "full" | "assisted" | "para";
export const VIRT_FORMS: readonly VirtForm[] = ["full", "assisted", "para"];

/** What the VM's counters said between the marks around an operation. */
export interface Cost {
  /** Host nanoseconds, sleeping included. */
  readonly ns: number;
  readonly instructions: number;
  /** VM exits by reason, without the mark's and the ends of the host's slices. */
  readonly exits: Readonly<Record<string, number>>;
  /** What else the core counted: interrupts, exceptions, TLB fills and flushes... */
  readonly events: Readonly<Record<string, number>>;
}

export interface Measurement {
  /** As the guest calls it: "page-fault". */
  readonly operation: string;
  /** How often it ran. */
  readonly count: number;
  /** Bytes that one moves; 0: none. */
  readonly bytes: number;
  /** The device or mechanism that did it: "virtio-blk"; "CPU" where there is none. */
  readonly by: string;
  /** Of all `count` together. */
  readonly cost: Cost;
  /** What the guest measured beside the time: { latencyNs: 1200 }. */
  readonly extra: Readonly<Record<string, number>>;
  /** What the guest found wrong in the results. */
  readonly failed?: string;
}

/** An operation that could not run, and why. */
export interface Skipped {
  readonly operation: string;
  readonly why: string;
}
