// How an instruction stops: every function that can fault records it here and returns; its callers return as
// soon as `faulted` holds, before they change any register. The run loop then delivers the exception.
import {
  FAULT, FAULT_AGAIN, FAULT_ERROR, FAULT_EXCEPTION, FAULT_EXIT, FAULT_NONE, FAULT_SHUTDOWN, FAULT_VECTOR,
  EXIT_REASON, EVENT, EVENT_RECHECK, EVENT_EXIT,
} from "../../spec/layout";
import { Vector } from "../../spec/vectors";

/** Records an exception with an error code (ignored for vectors that push none). The first one of an instruction wins. */
export function raise(vcpu: i32, vector: i32, error: u32): void {
  if (load<u32>(vcpu, FAULT) != FAULT_NONE) return;
  store<u32>(vcpu, FAULT_EXCEPTION, FAULT);
  store<u32>(vcpu, vector, FAULT_VECTOR);
  store<u32>(vcpu, error, FAULT_ERROR);
}

export function raiseUD(vcpu: i32): void {
  raise(vcpu, Vector.UD, 0);
}

export function raiseGP(vcpu: i32, error: u32): void {
  raise(vcpu, Vector.GP, error);
}

/** True when the instruction being executed must stop: exception, exit, or another try. */
// @ts-ignore: decorator
@inline
export function faulted(vcpu: i32): bool {
  return load<u32>(vcpu, FAULT) != FAULT_NONE;
}

/** The instruction needs the host before it can complete; it is executed again afterwards. */
export function exitBefore(vcpu: i32, reason: i32): void {
  if (load<u32>(vcpu, FAULT) != FAULT_NONE) return;
  store<u32>(vcpu, FAULT_EXIT, FAULT);
  store<u32>(vcpu, reason, EXIT_REASON);
}

/** The instruction completes, then runVcpu returns `reason`. */
export function exitAfter(vcpu: i32, reason: i32): void {
  store<u32>(vcpu, reason, EXIT_REASON);
  store<u32>(vcpu, load<u32>(vcpu, EVENT) | EVENT_EXIT, EVENT);
}

/** Executes the same instruction again after pending interrupts had their chance. */
export function again(vcpu: i32): void {
  if (load<u32>(vcpu, FAULT) == FAULT_NONE) store<u32>(vcpu, FAULT_AGAIN, FAULT);
}

export function shutdown(vcpu: i32): void {
  store<u32>(vcpu, FAULT_SHUTDOWN, FAULT);
}

/** CS:EIP, the decode mode, privilege or interruptibility changed: leave the block loop after this instruction. */
export function recheck(vcpu: i32): void {
  store<u32>(vcpu, load<u32>(vcpu, EVENT) | EVENT_RECHECK, EVENT);
}
