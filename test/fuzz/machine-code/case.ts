// One case: a random machine, run several times with different budgets. Nothing outside the guest may be touched, nothing
// may trap or hang, and every way of slicing the same run must come to the same end.
import { Exit } from "../../../spec/exits.ts";
import * as L from "../../../spec/layout.ts";
import { CR0_PG } from "../../../spec/registers.ts";
import { Random } from "../../../tools/oracle/random.ts";
import { type FuzzMachine, ROM_GPA, STATE_NAMES } from "./machine.ts";
import { type Setup, setUp } from "./setup.ts";

export interface Failure {
  readonly seed: number;
  readonly kind: "trap" | "damage" | "unsound" | "stuck" | "exit" | "differs" | "clock";
  readonly message: string;
  readonly setup?: Pick<Setup, "mode" | "paging" | "romTables">;
}

export interface Outcome {
  readonly failure?: Failure;
  readonly setup: Setup;
  readonly retired: number;
  readonly exits: number;
  /** How the run ended: the exit reason, or "budget". */
  readonly end: string;
  /** The runs were not compared: the guest changed its page tables under the TLB. */
  readonly incomparable: boolean;
}

/** Exits in a row without progress. One instruction may need many: FXSAVE to a device is some 70 accesses. */
const STUCK_EXITS = 400;
const MAX_HOST_EXITS = 20_000;
const NEVER = 1n << 62n;

interface Run {
  readonly end: string;
  readonly trace: string;
  readonly exits: number;
  readonly retired: number;
}

type Budgets = (r: Random) => number;
const SINGLE: Budgets = () => 1;
const LARGE: Budgets = () => 100_000;
const MIXED: Budgets = (r) => r.pick([1, 2, 3, 7, 1000, 100_000]);

class Stop extends Error {
  constructor(
    readonly kind: Failure["kind"],
    message: string,
  ) {
    super(message);
  }
}

/** `limit` instructions in slices; the host's answers and events derive from `seed` and the order of exits alone. */
function run(m: FuzzMachine, seed: number, limit: number, budgets: Budgets, events: boolean, each?: () => void): Run {
  const host = new Random(seed, 2);
  const slices = new Random(seed, 3);
  const start = m.retired;
  let exits = 0;
  let idle = 0;
  let halts = 0;
  let place = 0;
  let hash = 0;
  let last = "";
  while (true) {
    const before = m.retired;
    const left = limit - (before - start);
    if (left <= 0) break;
    const reason = m.core.runVcpu(m.vcpu, BigInt(Math.min(left, budgets(slices))));
    each?.();
    const now = m.retired;
    if (now < before) throw new Stop("clock", `RETIRED fell from ${before} to ${now}`);
    if (now - start > limit) throw new Stop("clock", `ran ${now - start} instructions with a budget of ${limit}`);
    // a repeated string instruction makes progress element by element
    const at = m.get(L.ECX) ^ Math.imul(m.get(L.ESI), 3) ^ Math.imul(m.get(L.EDI), 5);
    idle = now === before && at === place ? idle + 1 : 0;
    place = at;
    if (reason === Exit.Budget) {
      if (now === before) throw new Stop("stuck", "a budget was used up without an instruction");
      if (events && slices.chance(20)) event(m, slices);
      continue;
    }
    exits++;
    hash = (Math.imul(hash, 31) + reason * 65537 + (now - start)) | 0;
    last = `${reason}`;
    if (idle > STUCK_EXITS)
      throw new Stop("stuck", `${idle} exits (the last: ${reason}) without an instruction retired at ${where(m)}`);
    // halted, and the only timer that ticks is masked
    halts = reason === Exit.Hlt && idle > 0 ? halts + 1 : 0;
    if (halts > 16 || !answer(m, host, reason))
      return { end: last, trace: `${exits}:${hash}`, exits, retired: now - start };
    if (exits > MAX_HOST_EXITS) break;
  }
  return { end: "budget", trace: `${exits}:${hash}`, exits, retired: m.retired - start };
}

/** What devices may do at any time. */
function event(m: FuzzMachine, r: Random): void {
  const kind = r.below(6);
  if (kind === 0) m.core.raiseNmi(m.vcpu);
  else if (kind === 1) m.core.deliverMsi(0xfee00000 | (r.u32() & 0xff00c), r.u32() & 0xc7ff);
  else if (kind === 2) {
    const slot = r.pick(m.slots);
    m.core.guestWritten(slot.gpa + r.below(slot.size), r.below(9000));
  } else if (kind === 3) m.core.setA20(r.below(2));
  else m.core.setIrqLine(r.below(24), r.below(2));
}

/** Plays the host. False where a host would end or leave the guest. */
function answer(m: FuzzMachine, r: Random, reason: Exit): boolean {
  const data = (): void => m.view.setBigUint64(m.vcpu + L.EXIT_DATA, (BigInt(r.u32()) << 32n) | BigInt(r.u32()), true);
  switch (reason) {
    case Exit.PortIn: {
      const bytes = m.get(L.EXIT_SIZE) * m.get(L.EXIT_COUNT);
      if (bytes > L.IO_DATA_SIZE) throw new Stop("exit", `a port exit of ${bytes} bytes`);
      for (let i = 0; i < bytes; i += 4) m.set(L.IO_DATA + i, r.u32());
      data();
      return true;
    }
    case Exit.PortOut: {
      const bytes = m.get(L.EXIT_SIZE) * m.get(L.EXIT_COUNT);
      if (bytes > L.IO_DATA_SIZE) throw new Stop("exit", `a port exit of ${bytes} bytes`);
      return true;
    }
    case Exit.MmioRead:
    case Exit.Hypercall:
      data();
      return true;
    case Exit.Ferr:
      // as the chipset: IRQ 13, and IGNNE# as if a handler had written port F0h; without one the FPU waits for ever
      m.core.setIrqLine(13, 1);
      if (r.chance(50)) m.set(L.FPU_FERR, m.get(L.FPU_FERR) | L.FERR_IGNNE);
      return true;
    case Exit.MmioWrite:
    case Exit.Deadline:
      return true;
    case Exit.MsrRead:
    case Exit.MsrWrite:
      m.set(L.EXIT_QUAL, r.below(2));
      if (reason === Exit.MsrRead) data();
      return true;
    case Exit.Hlt: {
      const next = m.core.nextDeadlineNs(m.vcpu);
      if (next >= NEVER) return false;
      const wait = next - m.core.clockNowNs(m.vcpu);
      if (wait > 0n) m.core.advanceClock(m.vcpu, wait);
      m.core.advanceTimers(m.vcpu, m.core.clockNowNs(m.vcpu));
      return true;
    }
    case Exit.Shutdown:
    case Exit.MmioFetch:
    case Exit.Reset:
      return false;
    default:
      throw new Stop("exit", `exit ${reason}, which nobody asked for`);
  }
}

/** `limit` and `edit` (of the program's bytes) are for making a failing case smaller. */
export function runCase(m: FuzzMachine, seed: number, limit?: number, edit?: (code: Uint8Array) => void): Outcome {
  const r = new Random(seed, 1);
  let setup: Setup | undefined;
  let retired = 0;
  let exits = 0;
  let end = "";
  let incomparable = false;
  const failed = (kind: Failure["kind"], message: string): Outcome => ({
    failure: { seed, kind, message, setup },
    setup: setup as Setup,
    retired,
    exits,
    end,
    incomparable,
  });
  try {
    setup = setUp(r, m, edit);
    const most = limit ?? r.pick([50, 200, 1000, 3000]);
    const check = (how: string): string | undefined => {
      const damage = m.damage();
      if (damage) throw new Stop("damage", `${how}: ${damage}`);
      const unsound = m.unsound();
      if (unsound) throw new Stop("unsound", `${how}: ${unsound}`);
      return undefined;
    };
    // 1. in large slices
    const large = run(m, seed, most, LARGE, false);
    ({ retired, exits, end } = large);
    check("large slices");
    const state = m.state();
    const memory = m.contents();
    // 2. instruction by instruction
    m.rewind();
    let mutableTables = false;
    const single = run(m, seed, most, SINGLE, false, () => {
      if (m.get(L.CR0) & CR0_PG && m.get(L.CR3) >>> 0 < ROM_GPA) mutableTables = true;
    });
    retired += single.retired;
    check("single steps");
    incomparable = mutableTables;
    /** `always`: also where the guest changes page tables under the TLB. */
    const differs = (other: Run, how: string, always = false): void => {
      if (incomparable && !always) return;
      if (other.end !== large.end || other.trace !== large.trace || other.retired !== large.retired)
        throw new Stop("differs", `${how} ended with ${describe(other)}, large slices with ${describe(large)}`);
      const found: string[] = [];
      for (const [i, value] of m.state().entries())
        if (value !== state[i]) found.push(`${STATE_NAMES[i]} ${hex(value)} (large slices: ${hex(state[i] ?? 0)})`);
      if (found.length > 0) throw new Stop("differs", `${how}: ${found.slice(0, 8).join(", ")}`);
      const gpa = m.memoryDiffers(memory);
      if (gpa !== undefined) throw new Stop("differs", `${how}: memory at ${hex(gpa)}`);
    };
    differs(single, "single steps");
    // 3. mixed slices
    m.rewind();
    const mixed = run(m, seed, most, MIXED, false);
    retired += mixed.retired;
    check("mixed slices");
    differs(mixed, "mixed slices");
    // 4. instruction by instruction, each with empty TLBs: what an entry allows is what a walk allows
    m.rewind();
    m.core.flushTlbAll(m.vcpu);
    const walked = run(m, seed, most, SINGLE, false, () => m.core.flushTlbAll(m.vcpu));
    retired += walked.retired;
    check("empty TLBs");
    differs(walked, "empty TLBs");
    // 5. in large slices again, with pages that come when they are needed
    const hidden = new Random(seed, 4);
    const share = hidden.pick([20, 50, 100]);
    m.rewind(() => hidden.chance(share));
    const lazy = run(m, seed, most, LARGE, false);
    retired += lazy.retired;
    m.showAll();
    check("absent pages");
    differs(lazy, "absent pages", true);
    // 6. with events from outside
    m.rewind();
    retired += run(m, seed, most, MIXED, true).retired;
    check("with events");
    m.core.setA20(1);
    return { setup, retired, exits, end, incomparable };
  } catch (error) {
    if (error instanceof Stop) return failed(error.kind, error.message);
    const text = error instanceof Error ? `${error.name}: ${error.message}\n${error.stack ?? ""}` : String(error);
    return failed("trap", text);
  }
}

const hex = (n: number): string => `0x${(n >>> 0).toString(16)}`;
const describe = (run: Run): string => `exit ${run.end} after ${run.retired} instructions, exits ${run.trace}`;

/** The next instruction's place and bytes, for reports. */
export function where(m: FuzzMachine): string {
  const linear = (m.get(L.EIP) + m.get(L.SEG + L.SEG_CS * L.SEG_STRIDE + L.SEG_BASE)) >>> 0;
  const gpa = Number(m.core.translateGva(m.vcpu, linear));
  const slot = m.slots.find((s) => gpa >= s.gpa && gpa < s.gpa + s.size);
  const at = slot ? gpa - slot.gpa + slot.host : 0;
  return `${hex(linear)}: ${slot ? m.bytes.subarray(at, at + 15).toString("hex") : "no memory"}`;
}
