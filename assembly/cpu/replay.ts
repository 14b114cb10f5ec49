// Instructions that need the host (a device read, say) stop before they change anything, exit, and are executed again.
// The log holds the answers that the host has already given to this execution, in order, so that the second run takes
// them instead of asking again; it is emptied when the instruction completes.
import {
  EXIT_ADDR, EXIT_DATA, EXIT_NR, EXIT_PORT, EXIT_SIZE, LAST_EXIT, REPLAY_COUNT, REPLAY_LOG, REPLAY_MAX, REPLAY_NEXT, REPLAY_STRIDE,
} from "../../spec/layout";
import { Exit } from "../../spec/exits";
import { shutdown } from "./fault";

/** Value of LAST_EXIT when the host owes no answer. */
export const NO_EXIT: u32 = 0xffffffff;

/** Takes the next answer when it is for this request. `kind` is an Exit reason, plus the size in bits 8 and up. */
export function replayTake(vcpu: i32, kind: u32, address: u32): bool {
  const next = load<u32>(vcpu, REPLAY_NEXT);
  if (next >= load<u32>(vcpu, REPLAY_COUNT)) return false;
  const e = vcpu + REPLAY_LOG + <i32>next * REPLAY_STRIDE;
  if (load<u32>(e) != address || load<u32>(e, 4) != kind) return false;
  store<u32>(vcpu, next + 1, REPLAY_NEXT);
  return true;
}

/** The value of the answer taken last. */
export function replayValue(vcpu: i32): u64 {
  return load<u64>(vcpu + REPLAY_LOG + (load<i32>(vcpu, REPLAY_NEXT) - 1) * REPLAY_STRIDE, 8);
}

export function replayClear(vcpu: i32): void {
  store<u32>(vcpu, 0, REPLAY_COUNT);
  store<u32>(vcpu, 0, REPLAY_NEXT);
}

/**
 * Called when the host enters again after an exit that stopped an instruction: records its answer. No instruction needs more than
 * there is room for; a chain of faults and task switches through tables in device memory may, and is a shutdown.
 */
export function replayRecord(vcpu: i32): void {
  const reason = load<u32>(vcpu, LAST_EXIT);
  if (reason == NO_EXIT) return;
  store<u32>(vcpu, NO_EXIT, LAST_EXIT);
  // FERR# asks for no answer: the frozen FPU instruction begins anew once its interrupt has been taken. Nor does a hidden
  // fault: the instruction begins anew and finds the shadow entry.
  if (reason == Exit.Ferr || reason == Exit.ShadowFill || reason == Exit.ShadowDirty) return;
  const n = load<u32>(vcpu, REPLAY_COUNT);
  if (n >= <u32>REPLAY_MAX) return shutdown(vcpu);
  let address: u32 = 0;
  let kind = reason;
  switch (reason) {
    case Exit.PortIn:
    case Exit.PortOut:
      address = load<u32>(vcpu, EXIT_PORT);
      kind |= load<u32>(vcpu, EXIT_SIZE) << 8;
      break;
    case Exit.MmioRead:
    case Exit.MmioWrite:
    case Exit.PageTableWrite:
      address = load<u32>(vcpu, EXIT_ADDR);
      kind |= load<u32>(vcpu, EXIT_SIZE) << 8;
      break;
    default:
      address = load<u32>(vcpu, EXIT_NR);
      break;
  }
  const e = vcpu + REPLAY_LOG + <i32>n * REPLAY_STRIDE;
  store<u32>(e, address);
  store<u32>(e, kind, 4);
  store<u64>(e, load<u64>(vcpu, EXIT_DATA), 8);
  store<u32>(vcpu, n + 1, REPLAY_COUNT);
}

