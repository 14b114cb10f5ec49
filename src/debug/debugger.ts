// Looks into a VM and moves it on: registers, memory by physical and by linear address, single steps, breakpoints.
// The REPL, the gdb stub and instruction-level test suites stand on this class; it stands on the public VM.
import { DEBUG_BREAK_MAX } from "../../spec/layout.ts";
import type { MemoryWatch } from "../vmm/debug-controls.ts";
import { VmError } from "../vmm/error.ts";
import { findRegister, REGISTERS, type Register } from "./registers.ts";
import type { DebugStop, DebugTarget, ExitStatus, StartState } from "./target.ts";

/** Why the guest is not running: a debug stop, or the machine has ended, or `interrupt` was called. */
export type Stop =
  | { readonly kind: "stopped"; readonly stop: DebugStop }
  | { readonly kind: "interrupted"; readonly address: number }
  | { readonly kind: "ended"; readonly status: ExitStatus };

export type WatchKind = "ports" | "msrs" | "exceptions";

const LIMITS: Readonly<Record<WatchKind, number>> = { ports: 0xffff, msrs: 0xffffffff, exceptions: 31 };

export class Debugger {
  readonly #breakpoints = new Set<number>();
  readonly #watches: Record<WatchKind, Set<number>> = { ports: new Set(), msrs: new Set(), exceptions: new Set() };
  #memory: readonly MemoryWatch[] = [];
  #ended: ExitStatus | undefined;
  #interruptRequested = false;

  constructor(
    readonly target: DebugTarget,
    /** vCPU number. */
    readonly index = 0,
  ) {
    void target.exited.then((status) => {
      this.#ended = status;
    });
  }

  /** How the machine ended, undefined while it has not. */
  get ended(): ExitStatus | undefined {
    return this.#ended;
  }

  get running(): boolean {
    return this.target.state === "running";
  }

  // ---------------------------------------------------------------- registers

  /** Unsigned value. Throws VmError("not-found") for a name that is none. */
  get(name: string): bigint {
    return this.#register(name).read(this.#vcpu());
  }

  /** Takes the low bits that the register has. */
  set(name: string, value: bigint | number): void {
    this.#register(name).write(this.#vcpu(), BigInt(value));
  }

  /** All registers by name. */
  registers(): Record<string, bigint> {
    const vcpu = this.#vcpu();
    return Object.fromEntries(REGISTERS.map((register) => [register.name, register.read(vcpu)]));
  }

  /** Linear address of the next instruction. */
  get pc(): number {
    return this.#vcpu().pc;
  }

  // ---------------------------------------------------------------- memory

  readPhysical(address: number, size: number): Uint8Array {
    this.#checkStopped();
    const bytes = new Uint8Array(size);
    this.target.memory.read(address >>> 0, bytes);
    return bytes;
  }

  writePhysical(address: number, bytes: Uint8Array): void {
    this.#checkStopped();
    this.target.memory.write(address >>> 0, bytes);
  }

  /** Through the guest's page tables; shorter than `size` where a page is not present. */
  readLinear(address: number, size: number): Uint8Array {
    const bytes = new Uint8Array(size);
    return bytes.subarray(0, this.#vcpu().readLinear(address >>> 0, bytes));
  }

  /** Whatever the page's protection. Returns how many bytes were written before a page that is not present. */
  writeLinear(address: number, bytes: Uint8Array): number {
    return this.#vcpu().writeLinear(address >>> 0, bytes);
  }

  /** Physical address, undefined where the page is not present. */
  translate(address: number): number | undefined {
    return this.#vcpu().translate(address >>> 0);
  }

  // ---------------------------------------------------------------- moving on

  /** Executes `count` instructions, fewer when something stops the guest first. */
  async step(count = 1): Promise<Stop> {
    this.#checkStopped();
    return await this.#untilStop(async () => {
      const stop = await this.target.step(count);
      return { kind: "stopped", stop };
    });
  }

  /** Runs until a breakpoint, a watch, `interrupt` or the machine's end. */
  async continue(): Promise<Stop> {
    this.#checkStopped();
    this.#interruptRequested = false;
    // The instruction at a breakpoint that we stand on is executed, or the guest would never leave it.
    if (this.#breakpoints.has(this.pc)) {
      const stepped = await this.step(1);
      if (stepped.kind !== "stopped" || stepped.stop.reason !== "step") return stepped;
      if (this.#breakpoints.has(this.pc)) return { kind: "stopped", stop: { reason: "breakpoint", address: this.pc } };
    }
    if (this.#interruptRequested) return { kind: "interrupted", address: this.pc };
    let release: Disposable[] = [];
    try {
      return await this.#untilStop(
        async () =>
          await new Promise<Stop>((resolve) => {
            release = [
              this.target.on("debug-stop", (stop) => resolve({ kind: "stopped", stop })),
              this.target.on("state", ({ state }) => {
                // After the event of a debug stop, if there is one: that tells more.
                if (state === "paused") queueMicrotask(() => resolve({ kind: "interrupted", address: this.pc }));
              }),
            ];
            if (this.target.state === "created") this.target.start();
            else this.target.resume();
          }),
      );
    } finally {
      for (const subscription of release) subscription[Symbol.dispose]();
    }
  }

  /** Stops a running guest between two instructions; `continue` then resolves. */
  async interrupt(): Promise<void> {
    this.#interruptRequested = true;
    if (this.running) await this.target.pause();
  }

  /**
   * Sets what is given of the state, executes one instruction and returns what became of it. For instruction-level
   * suites: the same start always gives the same end.
   */
  async runOne(
    state: Partial<StartState>,
    memory: Iterable<readonly [address: number, bytes: Uint8Array]> = [],
  ): Promise<Stop> {
    for (const [address, bytes] of memory) this.writePhysical(address, bytes);
    this.#vcpu().setRegisters(state);
    return await this.step(1);
  }

  // ---------------------------------------------------------------- breakpoints

  /** At a linear address. Throws VmError("bad-config") beyond 32. */
  addBreakpoint(address: number): void {
    const linear = address >>> 0;
    if (!this.#breakpoints.has(linear) && this.#breakpoints.size >= DEBUG_BREAK_MAX) {
      throw new VmError("bad-config", `There are ${DEBUG_BREAK_MAX} breakpoints already; delete one first.`);
    }
    this.#breakpoints.add(linear);
    this.target.setBreakpoints([...this.#breakpoints]);
  }

  removeBreakpoint(address: number): boolean {
    const removed = this.#breakpoints.delete(address >>> 0);
    if (removed) this.target.setBreakpoints([...this.#breakpoints]);
    return removed;
  }

  get breakpoints(): readonly number[] {
    return [...this.#breakpoints];
  }

  /** Stops at accesses to a port or an MSR, or when an exception is raised (vector). */
  watch(kind: WatchKind, number: number): void {
    if (!(Number.isInteger(number) && number >= 0 && number <= LIMITS[kind])) {
      throw new VmError("bad-config", `${number} is none of the ${kind} 0 to 0x${LIMITS[kind].toString(16)}.`);
    }
    this.#watches[kind].add(number);
    this.#applyWatches();
  }

  unwatch(kind: WatchKind, number: number): boolean {
    const removed = this.#watches[kind].delete(number);
    if (removed) this.#applyWatches();
    return removed;
  }

  watches(kind: WatchKind): readonly number[] {
    return [...this.#watches[kind]];
  }

  /**
   * Stops behind an instruction, or the delivery of an interrupt, that accessed the range. The guest's debug registers are
   * left alone. Throws VmError("bad-config") beyond 12 ranges, or for one that does not fit 4 GiB.
   */
  watchMemory(watch: MemoryWatch): void {
    this.#setMemory([...this.#memory.filter((other) => !sameWatch(other, watch)), watch]);
  }

  unwatchMemory(watch: MemoryWatch): boolean {
    const left = this.#memory.filter((other) => !sameWatch(other, watch));
    if (left.length === this.#memory.length) return false;
    this.#setMemory(left);
    return true;
  }

  get memoryWatches(): readonly MemoryWatch[] {
    return this.#memory;
  }

  /** The watch that a stop is due to. */
  watchOf(stop: DebugStop): MemoryWatch | undefined {
    const { number = 0, sizeBytes = 0, access } = stop;
    return this.#memory.find(
      (watch) =>
        number < watch.address + watch.sizeBytes &&
        watch.address < number + sizeBytes &&
        (watch.access === "any" || watch.access === access),
    );
  }

  /** Removes every breakpoint and watch. */
  clear(): void {
    this.#breakpoints.clear();
    this.#memory = [];
    for (const watch of Object.values(this.#watches)) watch.clear();
    this.target.setBreakpoints([]);
    this.#applyWatches();
  }

  // ---------------------------------------------------------------- private

  #applyWatches(): void {
    const { ports, msrs, exceptions } = this.#watches;
    this.target.breakOn({ ports: [...ports], msrs: [...msrs], exceptions: [...exceptions], memory: this.#memory });
  }

  #setMemory(watches: readonly MemoryWatch[]): void {
    this.#checkStopped();
    const before = this.#memory;
    this.#memory = watches;
    try {
      this.#applyWatches();
    } catch (error) {
      this.#memory = before;
      throw error;
    }
  }

  #register(name: string): Register {
    const register = findRegister(name);
    if (!register) throw new VmError("not-found", `There is no register "${name}".`, { name });
    return register;
  }

  #vcpu(): ReturnType<DebugTarget["vcpu"]> {
    this.#checkStopped();
    return this.target.vcpu(this.index);
  }

  #checkStopped(): void {
    if (this.running) throw new VmError("bad-state", "The guest is running; interrupt it first.");
  }

  /** Whatever comes first: the step or run's own end, or the machine's. */
  async #untilStop(work: () => Promise<Stop>): Promise<Stop> {
    if (this.#ended) return { kind: "ended", status: this.#ended };
    const end = this.target.exited.then((status): Stop => ({ kind: "ended", status }));
    // A step that the machine's end cuts off rejects; the end itself is the answer then.
    const own = work().catch(async (error: unknown) => {
      await Promise.race([end, new Promise((resolve) => setTimeout(resolve, 0))]);
      if (this.#ended) return { kind: "ended", status: this.#ended } as const;
      throw error;
    });
    return await Promise.race([own, end]);
  }
}

function sameWatch(a: MemoryWatch, b: MemoryWatch): boolean {
  return a.address === b.address && a.sizeBytes === b.sizeBytes && a.access === b.access;
}
