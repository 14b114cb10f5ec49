// What a debugger and a trace want of the core, as execution controls in the vCPU block: breakpoints, watches, bitmaps.
import {
  CTRL_EXCEPTIONS,
  CTRL_FLAGS,
  CTRLF_DEBUG,
  CTRLF_MSR_BITMAP,
  CTRLF_PORT_BITMAP,
  DEBUG_BREAK,
  DEBUG_BREAK_COUNT,
  DEBUG_BREAK_MAX,
  MSR_BITMAP,
  PORT_BITMAP,
  PORT_BITMAP_SIZE,
  WATCH_ACCESS,
  WATCH_COUNT,
  WATCH_HIT,
  WATCH_LENGTH,
  WATCH_MAX,
  WATCH_RANGES,
  WATCH_READ,
  WATCH_START,
  WATCH_STRIDE,
  WATCH_WRITE,
} from "../../spec/layout.ts";
import type { Vcpu } from "../vcpu/vcpu.ts";
import type { Core } from "./core.ts";
import { CORE_PORTS } from "./core-ports.ts";
import { VmError } from "./error.ts";

/** Linear addresses whose accesses stop the guest, whatever the segment, privilege and page mapping. */
export interface MemoryWatch {
  /** Linear address. */
  readonly address: number;
  readonly sizeBytes: number;
  readonly access: "read" | "write" | "any";
}

export interface BreakConditions {
  readonly ports?: readonly number[];
  readonly msrs?: readonly number[];
  readonly exceptions?: readonly number[];
  /** At most 12. */
  readonly memory?: readonly MemoryWatch[];
}

const ACCESS = { read: WATCH_READ, write: WATCH_WRITE, any: WATCH_READ | WATCH_WRITE } as const;
const FOUR_GIB = 2 ** 32;

export class DebugControls {
  #breaks = { ports: new Set<number>(), msrs: new Set<number>(), exceptions: new Set<number>() };
  #breakpoints: readonly number[] = [];
  #watches: readonly MemoryWatch[] = [];
  #traceExceptions = false;
  #tracePorts = false;

  constructor(
    private readonly vcpu: Vcpu,
    private readonly core: Core,
    /** The controllers' ports exit in any case. */
    private readonly allCorePorts = false,
  ) {}

  stopsAtPort(port: number, size: number): boolean {
    if (this.#breaks.ports.size === 0) return false;
    for (let i = 0; i < size; i++) if (this.#breaks.ports.has(port + i)) return true;
    return false;
  }
  stopsAtMsr(msr: number): boolean {
    return this.#breaks.msrs.has(msr);
  }
  stopsAtException(vector: number): boolean {
    return this.#breaks.exceptions.has(vector);
  }

  setBreakpoints(addresses: readonly number[]): void {
    if (addresses.length > DEBUG_BREAK_MAX) {
      throw new VmError("bad-config", `At most ${DEBUG_BREAK_MAX} breakpoints; ${addresses.length} given.`, {
        count: addresses.length,
      });
    }
    this.#breakpoints = [...addresses];
    this.apply(true);
  }

  /** Replaces what was set before. Throws VmError("bad-config") for a watch that is none. */
  setBreaks(what: BreakConditions): void {
    const watches = what.memory ?? [];
    checkWatches(watches);
    this.#breaks = { ports: new Set(what.ports), msrs: new Set(what.msrs), exceptions: new Set(what.exceptions) };
    this.#watches = [...watches];
    this.restore();
  }

  /** A trace sees every port access and every exception. */
  setTrace(ports: boolean, exceptions: boolean): void {
    this.#tracePorts = ports;
    this.#traceExceptions = exceptions;
    this.apply(true);
  }

  /** Writes everything: after a reset, or into memory that another host has left its controls in. */
  restore(): void {
    this.apply(true);
    this.#applyWatches();
  }

  /** Writes the controls but for the watches. With `on` false those are left out that stop the guest before an instruction. */
  apply(on: boolean): void {
    const { vcpu } = this;
    let exceptions = this.#traceExceptions ? 0xffffffff : 0;
    for (const vector of this.#breaks.exceptions) exceptions |= 1 << (vector & 31);
    vcpu.setU32(CTRL_EXCEPTIONS, on ? exceptions : 0);
    const breakpoints = on ? this.#breakpoints : [];
    vcpu.setU32(DEBUG_BREAK_COUNT, breakpoints.length);
    for (const [i, address] of breakpoints.entries()) vcpu.setU32(DEBUG_BREAK + i * 4, address);
    const msrs = on ? this.#breaks.msrs : new Set<number>();
    const bitmap = vcpu.bytes(MSR_BITMAP, 4096).fill(0);
    for (const msr of msrs) {
      const half = msr >= 0xc0000000 ? 1024 : 0;
      for (const area of [0, 2048]) setBit(bitmap, (area + half) * 8 + (msr & 0x1fff));
    }
    const ports = this.#corePorts();
    const portBitmap = vcpu.bytes(PORT_BITMAP, PORT_BITMAP_SIZE).fill(0);
    for (const port of ports) setBit(portBitmap, port);
    let flags = vcpu.getU32(CTRL_FLAGS) & ~(CTRLF_DEBUG | CTRLF_MSR_BITMAP | CTRLF_PORT_BITMAP);
    if (breakpoints.length > 0) flags |= CTRLF_DEBUG;
    if (msrs.size > 0) flags |= CTRLF_MSR_BITMAP;
    if (ports.length > 0) flags |= CTRLF_PORT_BITMAP;
    vcpu.setU32(CTRL_FLAGS, flags);
  }

  /** Ports of devices in the core whose accesses must come out. An access is looked up by its first port. */
  #corePorts(): number[] {
    return CORE_PORTS.filter(
      (port) =>
        this.allCorePorts || this.#tracePorts || [0, 1, 2, 3].some((byte) => this.#breaks.ports.has(port + byte)),
    );
  }

  #applyWatches(): void {
    const { vcpu } = this;
    vcpu.setU32(WATCH_HIT, 0);
    if (this.#watches.length === 0 && vcpu.getU32(WATCH_COUNT) === 0) return;
    vcpu.setU32(WATCH_COUNT, this.#watches.length);
    for (const [i, { address, sizeBytes, access }] of this.#watches.entries()) {
      const at = WATCH_RANGES + i * WATCH_STRIDE;
      vcpu.setU32(at + WATCH_START, address);
      vcpu.setU32(at + WATCH_LENGTH, sizeBytes);
      vcpu.setU32(at + WATCH_ACCESS, ACCESS[access]);
    }
    // Pages that are watched now must lose their tags, those that were may have them again.
    this.core.flushTlbAll(vcpu.address);
  }
}

function setBit(bitmap: Uint8Array, index: number): void {
  bitmap[index >> 3] = (bitmap[index >> 3] ?? 0) | (1 << (index & 7));
}

function checkWatches(watches: readonly MemoryWatch[]): void {
  if (watches.length > WATCH_MAX) {
    throw new VmError("bad-config", `At most ${WATCH_MAX} watched memory ranges; ${watches.length} given.`, {
      field: "memory",
      count: watches.length,
    });
  }
  for (const { address, sizeBytes, access } of watches) {
    const fits =
      Number.isInteger(address) &&
      Number.isInteger(sizeBytes) &&
      address >= 0 &&
      sizeBytes >= 1 &&
      sizeBytes < FOUR_GIB &&
      address + sizeBytes <= FOUR_GIB;
    if (!fits) {
      throw new VmError(
        "bad-config",
        `A watched range is ${sizeBytes} bytes at ${address}; at least one byte between 0 and 4 GiB is accepted.`,
        { field: "memory", address, sizeBytes },
      );
    }
    if (!(access in ACCESS)) {
      throw new VmError("bad-config", `A watch is for "${access}"; read, write and any are accepted.`, {
        field: "memory",
        access,
      });
    }
  }
}
