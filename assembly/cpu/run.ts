// runVcpu: what happens between instructions. Events in the order of SDM 3A table 6-2 (traps of the previous
// instruction, NMI, interrupts, code breakpoints, then the instruction itself), then blocks until something stops them.
import {
  BLOCK_COUNT, BLOCK_RECORDS, BUDGET_END, CTRL_EXCEPTIONS, CTRL_FLAGS, CTRLF_DEBUG, CTRLF_INTERRUPTS, CTRLF_WINDOW, CUR_BLOCK, CUR_REC, DEBUG_BREAK, DEBUG_BREAK_COUNT, DR7,
  EFLAGS_SYS, EIP, EVENT, EVENT_EXIT, EVENT_NO_STEP, EVENT_TIMER, EXIT_ADDR, EXIT_DATA, EXIT_NR, EXIT_QUAL, EXIT_REASON, EXIT_SIZE, FAULT, FAULT_AGAIN, FAULT_ERROR, FAULT_EXCEPTION,
  FAULT_EXIT, FAULT_NONE, FAULT_SHUTDOWN, FAULT_VECTOR, HALTED, INHIBIT, INHIBIT_DELIVERED, INHIBIT_SS, KICKED, LAST_EXIT, NMI_BLOCKED, PENDING_DB, REC_END, BLOCK_EIP,
  REC_STRIDE, REPLAY_COUNT, REPLAY_NEXT, RETIRED, SEG, SEG_BASE, SEG_CS, SEG_STRIDE, STRING_WORK, TASK_COMMITTED, VECTORING, VM_BASE, VM_HOST_DEADLINE_NS, WATCH_HIT, WATCH_HIT_ADDR, WATCH_HIT_SIZE,
} from "../../spec/layout";
import { DEBUG_BREAKPOINT, DEBUG_WATCH, Exit } from "../../spec/exits";
import { IrqSource, IrqTrace } from "../../spec/irq-trace";
import { FLAG_IF, FLAG_RF, FLAG_TF } from "../../spec/registers";
import { Vector } from "../../spec/vectors";
import { acknowledgeInterrupt, interruptPending, nmiPending } from "../irq/pending";
import { traceIrq } from "../irq/trace";
import { STRING_WORK_MAX } from "../isa/strings";
import { deliverDebugTrap, deliverException, deliverInterrupt, deliverNmi, redeliver } from "../isa/system/interrupt";
import { clockIsVirtual, instructionsUntil, nowNs } from "../time/clock";
import { advanceTimers, nextDeadlineNs } from "../time/deadline";
import { findBlock, scratchBlock } from "./blocks";
import { codeBreakpoints } from "./debug";
import { clearFault, raise } from "./fault";
import { runBlocks, STOP_INSIDE } from "./interpreter";
import { NO_EXIT, replayClear, replayRecord } from "./replay";

/** BS of DR6: single step. */
const DR6_BS: u32 = 0x4000;
/** Enable bits of DR7. */
const DR7_ENABLED: u32 = 0xff;
/** Nothing to report: go on. */
const GO_ON: i32 = -1;

function codeLinear(vcpu: i32): u32 {
  return load<u32>(vcpu, EIP) + load<u32>(vcpu + SEG + SEG_CS * SEG_STRIDE, SEG_BASE);
}

/** Deals with the recorded fault of an instruction whose EIP has been set back. GO_ON or an exit reason. */
function settleFault(vcpu: i32): i32 {
  while (true) {
    switch (load<u32>(vcpu, FAULT)) {
      case FAULT_NONE:
        // delivered: only now, because a delivery that waits for the host (a stack in MMIO) is repeated with its instruction
        replayClear(vcpu);
        clearFault(vcpu);
        return GO_ON;
      case FAULT_EXCEPTION: {
        const vector = load<u32>(vcpu, FAULT_VECTOR);
        if ((load<u32>(vcpu, CTRL_EXCEPTIONS) >> vector) & 1) {
          store<u32>(vcpu, vector, EXIT_NR);
          store<u64>(vcpu, <u64>load<u32>(vcpu, FAULT_ERROR), EXIT_DATA);
          replayClear(vcpu);
          clearFault(vcpu);
          return Exit.Exception;
        }
        deliverException(vcpu);
        // a delivery takes the time of an instruction: a guest whose handlers only fault uses up its budget, too
        // one that waits for the host is repeated with its instruction, and takes its time then
        if (load<u32>(vcpu, FAULT) != FAULT_EXIT) store<u64>(vcpu, load<u64>(vcpu, RETIRED) + 1, RETIRED);
        if (load<u32>(vcpu, FAULT) == FAULT_EXCEPTION) raise(vcpu, Vector.DF, 0);
        break;
      }
      case FAULT_AGAIN:
        replayClear(vcpu);
        clearFault(vcpu);
        return GO_ON;
      case FAULT_EXIT: {
        const reason = load<i32>(vcpu, EXIT_REASON);
        store<u32>(vcpu, 0, REPLAY_NEXT);
        store<u32>(vcpu, reason, LAST_EXIT);
        clearFault(vcpu);
        return reason;
      }
      default:
        return Exit.Shutdown;
    }
  }
}

/**
 * After the delivery of a trap or an interrupt: one a boundary. Else what comes next (an interrupt through a trap gate, a data
 * breakpoint that the pushed frame touched) would depend on where a budget ends, and could come for ever.
 */
function deliveryDone(vcpu: i32): i32 {
  const reason = settleFault(vcpu);
  if (reason == GO_ON) {
    store<u32>(vcpu, INHIBIT_DELIVERED, INHIBIT);
    // EVENT_NO_STEP was the delivery's, not the next instruction's
    store<u32>(vcpu, 0, EVENT);
  }
  return reason;
}

/**
 * The interrupt window (SDM 3C 26.2): true when the host asked for it and the guest can take an interrupt now. Under
 * CTRLF_INTERRUPTS an interrupt that cannot be taken asks, as the host would that has to inject it.
 */
function windowExits(vcpu: i32, open: bool, controls: u32): bool {
  const flags = load<u32>(vcpu, CTRL_FLAGS);
  if (open && controls & CTRLF_WINDOW) {
    store<u32>(vcpu, flags & ~CTRLF_WINDOW, CTRL_FLAGS);
    return true;
  }
  if (!open && controls & CTRLF_INTERRUPTS && interruptPending(vcpu)) store<u32>(vcpu, flags | CTRLF_WINDOW, CTRL_FLAGS);
  return false;
}

/** Delivers what is due before the next instruction. GO_ON or an exit reason. */
function deliverPending(vcpu: i32): i32 {
  if (load<u32>(vcpu, VECTORING) != 0) {
    redeliver(vcpu);
    return deliveryDone(vcpu);
  }
  // an instruction that waits for the host's answer is in the middle of its execution
  if (load<u32>(vcpu, REPLAY_COUNT) != 0) return GO_ON;
  const inhibit = load<u32>(vcpu, INHIBIT);
  if (inhibit & INHIBIT_DELIVERED) return GO_ON;
  if (load<u32>(vcpu, PENDING_DB) != 0 && !(inhibit & INHIBIT_SS)) {
    store<u32>(vcpu, 0, HALTED);
    if ((load<u32>(vcpu, CTRL_EXCEPTIONS) >> Vector.DB) & 1) {
      store<u32>(vcpu, Vector.DB, EXIT_NR);
      store<u64>(vcpu, <u64>load<u32>(vcpu, PENDING_DB), EXIT_DATA);
      store<u32>(vcpu, 0, PENDING_DB);
      return Exit.Exception;
    }
    deliverDebugTrap(vcpu);
    return deliveryDone(vcpu);
  }
  if (nmiPending(vcpu) && load<u32>(vcpu, NMI_BLOCKED) == 0 && !(inhibit & INHIBIT_SS)) {
    store<u32>(vcpu, 0, HALTED);
    traceIrq(IrqTrace.Take, Vector.NMI, IrqSource.Nmi, load<u32>(vcpu, EIP));
    deliverNmi(vcpu);
    return deliveryDone(vcpu);
  }
  const open = inhibit == 0 && (load<u32>(vcpu, EFLAGS_SYS) & FLAG_IF) != 0;
  const controls = load<u32>(vcpu, CTRL_FLAGS) & (CTRLF_WINDOW | CTRLF_INTERRUPTS);
  if (controls != 0 && windowExits(vcpu, open, controls)) return Exit.InterruptWindow;
  if (open && interruptPending(vcpu)) {
    const vector = acknowledgeInterrupt(vcpu);
    if (vector >= 0) {
      store<u32>(vcpu, 0, HALTED);
      deliverInterrupt(vcpu, vector);
      return deliveryDone(vcpu);
    }
  }
  return GO_ON;
}

function atBreakpoint(vcpu: i32): bool {
  const lin = codeLinear(vcpu);
  const n = load<i32>(vcpu, DEBUG_BREAK_COUNT);
  for (let i = 0; i < n; i++) {
    if (load<u32>(vcpu + (i << 2), DEBUG_BREAK) == lin) {
      store<u64>(vcpu, <u64>lin, EXIT_ADDR);
      store<u32>(vcpu, DEBUG_BREAKPOINT, EXIT_QUAL);
      return true;
    }
  }
  return false;
}

/** True when a watched range was accessed, which is then the debug exit's. */
function atWatch(vcpu: i32): bool {
  const hit = load<u32>(vcpu, WATCH_HIT);
  if (hit == 0) return false;
  store<u32>(vcpu, 0, WATCH_HIT);
  store<u32>(vcpu, DEBUG_WATCH, EXIT_QUAL);
  store<u32>(vcpu, hit, EXIT_NR);
  store<u64>(vcpu, <u64>load<u32>(vcpu, WATCH_HIT_ADDR), EXIT_ADDR);
  store<u32>(vcpu, load<u32>(vcpu, WATCH_HIT_SIZE), EXIT_SIZE);
  return true;
}

/**
 * Accounts for how the block loop stopped: RETIRED, EIP of an instruction that did not complete, traps.
 * GO_ON or an exit reason.
 */
function account(vcpu: i32, stop: i32, stepped: bool): i32 {
  const fault = load<u32>(vcpu, FAULT);
  const block = load<i32>(vcpu, CUR_BLOCK);
  if (block != 0) {
    const rec = load<i32>(vcpu, CUR_REC);
    let done = <u64>((rec - block - BLOCK_RECORDS) / REC_STRIDE);
    if (stop == STOP_INSIDE) {
      if (fault == FAULT_NONE || fault == FAULT_AGAIN) done++;
      if (fault != FAULT_NONE && fault != FAULT_SHUTDOWN)
        store<u32>(vcpu, load<u32>(vcpu, BLOCK_EIP) + <u32>load<u8>(rec - REC_STRIDE, REC_END), EIP);
    }
    store<u64>(vcpu, load<u64>(vcpu, RETIRED) + done, RETIRED);
    store<u32>(vcpu, 0, CUR_BLOCK);
  }
  const completed = fault == FAULT_NONE || fault == FAULT_AGAIN;
  if (completed) {
    if (load<u32>(vcpu, REPLAY_COUNT) != 0) replayClear(vcpu);
    if (stepped && !(load<u32>(vcpu, EVENT) & EVENT_NO_STEP)) store<u32>(vcpu, load<u32>(vcpu, PENDING_DB) | DR6_BS, PENDING_DB);
  }
  // what an instruction did that is executed again, it has not done
  if (!completed) store<u32>(vcpu, 0, WATCH_HIT);
  if (fault != FAULT_NONE) {
    const settled = settleFault(vcpu);
    if (settled != GO_ON) return settled;
  }
  // also between two rounds of OUTS: the round is done, its data are the host's
  if (load<u32>(vcpu, EVENT) & EVENT_EXIT) {
    store<u32>(vcpu, 0, EVENT);
    return load<i32>(vcpu, EXIT_REASON);
  }
  return GO_ON;
}

/**
 * Runs the vCPU for at most `budget` instructions and returns why it stopped (Exit, details in the exit record).
 * After PortIn, MmioRead, MmioWrite, MsrRead, MsrWrite, Hypercall and the like the host puts its answer into EXIT_DATA
 * and calls again.
 */
export function runVcpu(vcpu: i32, budget: i64): i32 {
  replayRecord(vcpu);
  if (load<u32>(vcpu, FAULT) == FAULT_SHUTDOWN) return Exit.Shutdown;
  const end = load<u64>(vcpu, RETIRED) + <u64>(budget > 0 ? budget : 0);
  const counted = clockIsVirtual();
  store<u32>(vcpu, 0, STRING_WORK);
  let moved = false;
  while (true) {
    const event = load<u32>(vcpu, EVENT);
    store<u32>(vcpu, 0, EVENT);
    store<u32>(vcpu, 0, TASK_COMMITTED);
    if (load<u32>(vcpu, KICKED) != 0) {
      store<u32>(vcpu, 0, KICKED);
      return Exit.Kicked;
    }
    // behind the instruction, and again behind the delivery of an interrupt
    if (atWatch(vcpu)) return Exit.Debug;
    let left = end - load<u64>(vcpu, RETIRED);
    if (counted) {
      const now = nowNs(vcpu);
      let deadline = nextDeadlineNs(vcpu);
      if (deadline <= now) {
        if (load<i64>(VM_BASE, VM_HOST_DEADLINE_NS) <= now && left > 0 && moved) return Exit.Deadline;
        advanceTimers(vcpu, now);
        deadline = nextDeadlineNs(vcpu);
      }
      const until = instructionsUntil(vcpu, deadline);
      if (until != 0 && until < left) left = until;
    } else if (event & EVENT_TIMER) {
      // reading the host's clock is dear (19% of a loop of system calls): only where a deadline moved
      advanceTimers(vcpu, nowNs(vcpu));
    }
    moved = true;
    const delivered = deliverPending(vcpu);
    if (delivered != GO_ON) return delivered;
    if (atWatch(vcpu)) return Exit.Debug;
    if (load<u32>(vcpu, HALTED) != 0) return Exit.Hlt;
    if (end <= load<u64>(vcpu, RETIRED) || load<u32>(vcpu, STRING_WORK) >= STRING_WORK_MAX) return Exit.Budget;

    // what makes the next instruction a special one
    const inhibit = load<u32>(vcpu, INHIBIT);
    const flags = load<u32>(vcpu, EFLAGS_SYS);
    const debugger_ = (load<u32>(vcpu, CTRL_FLAGS) & CTRLF_DEBUG) != 0;
    const single =
      (flags & (FLAG_TF | FLAG_RF)) != 0 || inhibit != 0 || load<u32>(vcpu, REPLAY_COUNT) != 0 || (load<u32>(vcpu, DR7) & DR7_ENABLED) != 0 || debugger_;
    let block: i32;
    if (single) {
      if (debugger_ && atBreakpoint(vcpu)) return Exit.Debug;
      // also while the host's answers are kept: they may be the delivery's of this very fault. An instruction that is past
      // the check keeps its RF, or has no breakpoint on it.
      if (!(flags & FLAG_RF) && load<u32>(vcpu, DR7) & DR7_ENABLED) {
        const hit = codeBreakpoints(vcpu, codeLinear(vcpu));
        if (hit != 0) {
          raise(vcpu, Vector.DB, hit);
          const r = settleFault(vcpu);
          if (r != GO_ON) return r;
          continue;
        }
      }
      store<u32>(vcpu, flags & ~FLAG_RF, EFLAGS_SYS);
      store<u32>(vcpu, 0, INHIBIT);
      store<u64>(vcpu, load<u64>(vcpu, RETIRED) + 1, BUDGET_END);
      block = scratchBlock(vcpu, load<u32>(vcpu, EIP));
    } else {
      store<u64>(vcpu, load<u64>(vcpu, RETIRED) + left, BUDGET_END);
      block = findBlock(vcpu, load<u32>(vcpu, EIP));
      if (block != 0 && <u64>load<u32>(block, BLOCK_COUNT) > left) block = scratchBlock(vcpu, load<u32>(vcpu, EIP));
    }
    store<u32>(vcpu, 0, CUR_BLOCK);
    let reason: i32;
    if (block == 0) {
      // the fetch waits for the host: the instruction keeps its shadow and its RF
      if (single && load<u32>(vcpu, FAULT) == FAULT_EXIT) {
        store<u32>(vcpu, load<u32>(vcpu, EFLAGS_SYS) | (flags & FLAG_RF), EFLAGS_SYS);
        store<u32>(vcpu, inhibit, INHIBIT);
      }
      reason = settleFault(vcpu);
    } else {
      store<u32>(vcpu, block + BLOCK_RECORDS, CUR_REC);
      const stop = runBlocks(vcpu, block);
      const stopped = load<u32>(vcpu, FAULT);
      // an instruction that will be executed again keeps its shadow and its RF
      if (single && (stopped == FAULT_EXCEPTION || stopped == FAULT_EXIT)) {
        store<u32>(vcpu, load<u32>(vcpu, EFLAGS_SYS) | (flags & FLAG_RF), EFLAGS_SYS);
        // a frozen FPU takes interrupts, FERR#'s own above all: there the shadow is over
        if (stopped == FAULT_EXIT && load<u32>(vcpu, EXIT_REASON) != Exit.Ferr) store<u32>(vcpu, inhibit, INHIBIT);
      }
      reason = account(vcpu, stop, (flags & FLAG_TF) != 0);
    }
    if (reason != GO_ON) return reason;
  }
}

/** No answer is owed by the host, nothing is half done. */
export function resetRun(vcpu: i32): void {
  store<u32>(vcpu, NO_EXIT, LAST_EXIT);
  store<u32>(vcpu, 0, EVENT);
  store<u32>(vcpu, 0, CUR_BLOCK);
  replayClear(vcpu);
  clearFault(vcpu);
}
