// The Wasm core of one VM: instantiation and the typed list of what it exports.
import type { Exit } from "../../spec/exits.ts";
import { VmError } from "./error.ts";

/** Exports of assembly/index.ts. Addresses and vCPU bases are i32; 64-bit values cross as BigInt. */
export interface Core {
  /** Runs at most `budget` instructions. The details of the exit are in the vCPU block. */
  runVcpu(vcpu: number, budget: bigint): Exit;
  /** Chipset to its power-on state and derived state emptied; the header and slots must be filled. */
  initVm(): void;
  /** Registers to their RESET values (SDM 3A table 9-1). */
  resetVcpu(vcpu: number): void;
  /** GSI 0..15 drive the 8259s and the I/O APIC, 16..23 the I/O APIC alone. */
  setIrqLine(gsi: number, level: number): void;
  /** 1 = the 8254 no longer drives IRQ 0: setIrqLine(0) does. */
  setPitReplaced(vcpu: number, replaced: number): void;
  /** Guest ns of the next timer in the core, or a value beyond 2^62 for none. */
  nextDeadlineNs(vcpu: number): bigint;
  advanceTimers(vcpu: number, now: bigint): void;
  clockNowNs(vcpu: number): bigint;
  /** Virtual clock: skips idle time. */
  advanceClock(vcpu: number, ns: bigint): void;
  /** Bytes of guest RAM changed behind the core's back. */
  guestWritten(gpa: number, size: number): void;
  /** The same by Wasm address, for video memory, which no slot need show. */
  memoryWritten(address: number, size: number): void;
  /** The memory slots were changed. */
  slotsChanged(): void;
  flushTlbAll(vcpu: number): void;
  /** Switches the dirty log on or off, and empties it; see src/vmm/dirty-log.ts. */
  setDirtyLog(on: number): void;
  /** Registers were changed through the view: derives what follows from them. */
  syncVcpu(vcpu: number): void;
  /** Guest-physical address of a linear one without side effects, -1 if not mapped. */
  translateGva(vcpu: number, lin: number): bigint;
  setA20(enabled: number): void;
  /** A message-signalled interrupt: the write of `data` to `address` (0xFEExxxxx). */
  deliverMsi(address: number, data: number): void;
  raiseNmi(vcpu: number): void;
  /** 1, 2 or 4 bytes from a port of the controllers in the core; -1 if it is none of theirs. */
  chipsetPortRead(vcpu: number, port: number, size: number): bigint;
  /** Not 0 if the port is theirs. */
  chipsetPortWrite(vcpu: number, port: number, size: number, value: number): number;
  /** MMIO of 1, 2, 4 or 8 bytes of the APICs, for the host that emulates it: the low 32 bits; -1 if it is none of theirs. */
  chipsetRead(vcpu: number, gpa: number, size: number): bigint;
  chipsetWrite(vcpu: number, gpa: number, size: number, value: number): number;
  /** Para paging (docs/HYPERCALLS.md): 0 or more, or the negative of an error. */
  pinRoot(vcpu: number, root: number, levels: number): number;
  unpinRoot(vcpu: number, root: number): number;
  updateTables(vcpu: number, batch: number, count: number, size: number): number;
  /** Steal time: the vCPU could have run for `ns` and did not. */
  addStealNs(vcpu: number, ns: bigint): void;
  /** Steal time: 1 = it lost its pCPU while it could run, 0 = it has one again. */
  setPreempted(vcpu: number, preempted: number): void;
  /** Asynchronous page faults: the page of a token is there. */
  asyncPfReady(vcpu: number, token: number): void;
  /** The same after the state of a machine that waited for pages was loaded. */
  asyncPfRestored(vcpu: number): void;
  /** kvm-clock: the host had stopped the guest. 0 where the guest has no time page. */
  clockStopped(vcpu: number): number;
}

/** What the core calls; assembly/host.ts. */
export interface CoreImports {
  /** Monotonic host time in nanoseconds. */
  nowNs(): number;
  /** Brings the page of RAM at a Wasm address; spec/fill-page.ts says what `how` and the answer mean. */
  fillPage(address: number, how: number): number;
}

const REQUIRED = [
  "runVcpu",
  "initVm",
  "resetVcpu",
  "setIrqLine",
  "setPitReplaced",
  "nextDeadlineNs",
  "advanceTimers",
  "clockNowNs",
  "advanceClock",
  "guestWritten",
  "memoryWritten",
  "slotsChanged",
  "flushTlbAll",
  "setDirtyLog",
  "syncVcpu",
  "translateGva",
  "setA20",
  "deliverMsi",
  "raiseNmi",
  "chipsetPortRead",
  "chipsetPortWrite",
  "chipsetRead",
  "chipsetWrite",
  "pinRoot",
  "unpinRoot",
  "updateTables",
  "addStealNs",
  "setPreempted",
  "clockStopped",
  "asyncPfReady",
  "asyncPfRestored",
] as const;

/** Instantiates the core on the VM's memory. Throws VmError("host") when the module is not this version's core. */
export async function instantiateCore(
  module: WebAssembly.Module,
  memory: WebAssembly.Memory,
  host: CoreImports,
): Promise<Core> {
  let instance: WebAssembly.Instance;
  try {
    instance = await WebAssembly.instantiate(module, {
      env: { memory },
      host: { nowNs: host.nowNs, fillPage: (address: number, how: number) => host.fillPage(address, how) },
    });
  } catch (cause) {
    throw new VmError(
      "host",
      "The core module does not accept this version's imports; build it again with `npm run build`.",
      {},
      { cause },
    );
  }
  const missing = REQUIRED.filter((name) => typeof instance.exports[name] !== "function");
  if (missing.length > 0) {
    throw new VmError("host", `The core module lacks ${missing.join(", ")}; build it again with \`npm run build\`.`, {
      missing,
    });
  }
  return instance.exports as unknown as Core;
}
