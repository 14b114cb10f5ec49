// How an instruction stops: every function that can fault records it here and returns; its callers return as
// soon as `faulted` holds, before they change any register. The run loop then delivers the exception.
import {
  BASE_CACHE, BASE_CACHE_SIZE, CR4,
  FAULT, FAULT_AGAIN, FAULT_ERROR, FAULT_EXCEPTION, FAULT_EXIT, FAULT_NONE, FAULT_SHUTDOWN, FAULT_VECTOR,
  EXIT_REASON, EVENT, EVENT_RECHECK, EVENT_EXIT, TLB_CURRENT, TLB_NO_TAG, TLB_NULL, CPL, TLB_USER, TLB_SUPER, TLB_SUPER_AC, CR0, EFLAGS_SYS,
} from "../../spec/layout";
import { CR0_AM, CR4_SMAP, FLAG_AC } from "../../spec/registers";
import { Vector } from "../../spec/vectors";

// From here on every access misses the TLB, and the slow path ignores accesses while a fault is recorded.
function stop(vcpu: i32, kind: u32): void {
  store<u32>(vcpu, kind, FAULT);
  store<u32>(vcpu, TLB_NULL, TLB_CURRENT);
}

/** Forgets the recorded fault and lets memory accesses through again. */
export function clearFault(vcpu: i32): void {
  store<u32>(vcpu, FAULT_NONE, FAULT);
  updateCurrentTlb(vcpu);
}

/** The TLB of explicit accesses below CPL 3: EFLAGS.AC lets them into user pages that SMAP closes (SDM 3A 4.6.1). */
export function supervisorTlb(vcpu: i32): i32 {
  const excused = load<u32>(vcpu, EFLAGS_SYS) & FLAG_AC && load<u32>(vcpu, CR4) & CR4_SMAP;
  return excused ? load<i32>(vcpu, TLB_SUPER_AC) : load<i32>(vcpu, TLB_SUPER);
}

/**
 * Chooses the TLB that inline accesses look into: by privilege and SMAP, or the empty one while alignment checks are on
 * (CPL 3, CR0.AM, EFLAGS.AC), so that every access takes the slow path, which checks.
 */
export function updateCurrentTlb(vcpu: i32): void {
  let tlb: i32;
  if (load<u32>(vcpu, CPL) != 3) tlb = supervisorTlb(vcpu);
  else {
    tlb = load<i32>(vcpu, TLB_USER);
    if (load<u32>(vcpu, CR0) & CR0_AM && load<u32>(vcpu, EFLAGS_SYS) & FLAG_AC) tlb = TLB_NULL;
  }
  store<i32>(vcpu, tlb, TLB_CURRENT);
  flushBaseCache(vcpu);
}

/** Four entries of the base-register cache that no page has. */
// @ts-ignore: decorator
@inline
function emptyFour(e: i32): void {
  const none = i32x4.splat(TLB_NO_TAG);
  v128.store(e, none);
  v128.store(e, none, 16);
  v128.store(e, none, 32);
  v128.store(e, none, 48);
}

/** Empties the copies of TLB entries that plain accesses look at first. By stores: a fill of 272 bytes is a call. */
export function flushBaseCache(vcpu: i32): void {
  const e = vcpu + BASE_CACHE;
  emptyFour(e);
  emptyFour(e + 64);
  emptyFour(e + 128);
  emptyFour(e + 192);
  v128.store(e, i32x4.splat(TLB_NO_TAG), BASE_CACHE_SIZE - 16);
}

/** Records an exception with an error code (ignored for vectors that push none). The first one of an instruction wins. */
export function raise(vcpu: i32, vector: i32, error: u32): void {
  if (load<u32>(vcpu, FAULT) != FAULT_NONE) return;
  stop(vcpu, FAULT_EXCEPTION);
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
  stop(vcpu, FAULT_EXIT);
  store<u32>(vcpu, reason, EXIT_REASON);
}

/** The instruction completes, then runVcpu returns `reason`. */
export function exitAfter(vcpu: i32, reason: i32): void {
  store<u32>(vcpu, reason, EXIT_REASON);
  store<u32>(vcpu, load<u32>(vcpu, EVENT) | EVENT_EXIT, EVENT);
}

/** Executes the same instruction again after pending interrupts had their chance. */
export function again(vcpu: i32): void {
  if (load<u32>(vcpu, FAULT) == FAULT_NONE) stop(vcpu, FAULT_AGAIN);
}

export function shutdown(vcpu: i32): void {
  stop(vcpu, FAULT_SHUTDOWN);
}

/** CS:EIP, the decode mode, privilege or interruptibility changed: leave the block loop after this instruction. */
export function recheck(vcpu: i32): void {
  store<u32>(vcpu, load<u32>(vcpu, EVENT) | EVENT_RECHECK, EVENT);
}
