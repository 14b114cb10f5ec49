// Asynchronous page faults: a page of a restored guest that will come later is told by #PF with a token in CR2, so that the
// guest lets another task run; that it has come, by an interrupt with the token in shared memory.
// Linux Documentation/virt/kvm/x86/msr.rst, MSR_KVM_ASYNC_PF_EN, _INT and _ACK.
import {
  CPL, CR2, CTRL_EXCEPTIONS, EFLAGS_SYS, INHIBIT, KVM_ASYNC_PF_EN, KVM_ASYNC_PF_INT, LAPIC_PRIVATE, MODE, MODE_FLAT_CODE, REPLAY_COUNT, TASK_COMMITTED, VECTORING,
} from "../../spec/layout";
import { ASYNC_PF_MAX, ASYNC_PF_READY, ASYNC_PF_READY_COUNT, ASYNC_PF_WAITING } from "../../spec/chipset";
import {
  ASYNC_PF_ALL, ASYNC_PF_BY_INTERRUPT, ASYNC_PF_FLAGS, ASYNC_PF_NOT_PRESENT, ASYNC_PF_RESERVED, ASYNC_PF_SIZE, ASYNC_PF_TOKEN, KVM_MSR_ENABLED,
} from "../../spec/paravirt";
import { FLAG_IF } from "../../spec/registers";
import { Vector } from "../../spec/vectors";
import { FILL_LATER, FILL_TOKEN } from "../../spec/fill-page";
import { hostFillPage } from "../host";
import { faulted, raise } from "../cpu/fault";
import { lapicReceive } from "../irq/lapic";
import { beforeLentWrite, lentArea } from "./area";

/** Enabled, with page-ready by interrupt, as every guest since Linux 5.8 wants it. */
const ON: u64 = KVM_MSR_ENABLED | ASYNC_PF_BY_INTERRUPT;

function area(vcpu: i32): i32 {
  const value = load<u64>(vcpu, KVM_ASYNC_PF_EN);
  return (value & ON) == ON ? lentArea(value & ~(<u64>63), ASYNC_PF_SIZE) : 0;
}

/** False (#GP) for reserved bits and, where it is enabled, an address that is not RAM. */
export function writeAsyncPfEnable(vcpu: i32, value: u64): bool {
  if (value & ASYNC_PF_RESERVED) return false;
  if (value & KVM_MSR_ENABLED && lentArea(value & ~(<u64>63), ASYNC_PF_SIZE) == 0) return false;
  store<u64>(vcpu, value, KVM_ASYNC_PF_EN);
  if (area(vcpu) == 0) resetAsyncPf(vcpu);
  return true;
}

/** False for what is no vector. */
export function writeAsyncPfVector(vcpu: i32, value: u64): bool {
  if (value >> 8) return false;
  store<u64>(vcpu, value, KVM_ASYNC_PF_INT);
  return true;
}

/** The guest has taken a token: the next one. */
export function writeAsyncPfAck(vcpu: i32, value: u64): bool {
  if (value & 1) deliverReady(vcpu);
  return true;
}

/** Nobody waits any more. */
export function resetAsyncPf(vcpu: i32): void {
  store<u32>(vcpu, 0, LAPIC_PRIVATE + ASYNC_PF_WAITING);
  store<u32>(vcpu, 0, LAPIC_PRIVATE + ASYNC_PF_READY_COUNT);
}

/**
 * An access from CPL 3 needs an absent page. True when the guest has been told that it comes later, by a #PF that is recorded now;
 * false when the page must be brought at once.
 */
export function asyncPageFault(vcpu: i32, host: u32, fetch: bool): bool {
  if (!(load<u64>(vcpu, KVM_ASYNC_PF_EN) & KVM_MSR_ENABLED) || load<u32>(vcpu, CPL) != 3 || faulted(vcpu)) return false;
  // what the guest can leave and come back to: nothing half done, and interrupts, which end the wait, are possible
  if (!(load<u32>(vcpu, EFLAGS_SYS) & FLAG_IF) || load<u32>(vcpu, INHIBIT) != 0 || load<u32>(vcpu, REPLAY_COUNT) != 0) return false;
  if (load<u32>(vcpu, VECTORING) != 0 || load<u32>(vcpu, TASK_COMMITTED) != 0) return false;
  // a fetch beyond the CS limit is another fault; a debugger that stops at #PF looks for the guest's own
  if (fetch && !(load<u32>(vcpu, MODE) & MODE_FLAT_CODE)) return false;
  if ((load<u32>(vcpu, CTRL_EXCEPTIONS) >> Vector.PF) & 1) return false;
  const waiting = load<u32>(vcpu, LAPIC_PRIVATE + ASYNC_PF_WAITING);
  if (waiting >= <u32>ASYNC_PF_MAX) return false;
  const at = area(vcpu);
  // set: the guest has not looked at the last one
  if (at == 0 || load<u32>(at, ASYNC_PF_FLAGS) != 0) return false;
  const token = hostFillPage(host, FILL_LATER);
  // it was brought after all
  if (token < <u32>FILL_TOKEN) return false;
  beforeLentWrite(vcpu, at, ASYNC_PF_SIZE);
  store<u32>(at, ASYNC_PF_NOT_PRESENT, ASYNC_PF_FLAGS);
  store<u32>(vcpu, waiting + 1, LAPIC_PRIVATE + ASYNC_PF_WAITING);
  store<u32>(vcpu, token, CR2);
  raise(vcpu, Vector.PF, 0);
  return true;
}

/** For the host: the page of a token is there. */
export function asyncPfReady(vcpu: i32, token: u32): void {
  const count = load<u32>(vcpu, LAPIC_PRIVATE + ASYNC_PF_READY_COUNT);
  if (load<u32>(vcpu, LAPIC_PRIVATE + ASYNC_PF_WAITING) == 0 || count >= <u32>ASYNC_PF_MAX) return;
  store<u32>(vcpu + <i32>(count << 2), token, LAPIC_PRIVATE + ASYNC_PF_READY);
  store<u32>(vcpu, count + 1, LAPIC_PRIVATE + ASYNC_PF_READY_COUNT);
  deliverReady(vcpu);
}

/** For the host: the machine is a saved one, with all of its memory; whoever waited in the saved one need not. */
export function asyncPfRestored(vcpu: i32): void {
  if (load<u32>(vcpu, LAPIC_PRIVATE + ASYNC_PF_WAITING) == 0) return;
  store<u32>(vcpu, 1, LAPIC_PRIVATE + ASYNC_PF_WAITING);
  store<u32>(vcpu, 0, LAPIC_PRIVATE + ASYNC_PF_READY_COUNT);
  asyncPfReady(vcpu, ASYNC_PF_ALL);
}

/** Tells the oldest token, if the guest has taken the one before. */
function deliverReady(vcpu: i32): void {
  const count = load<u32>(vcpu, LAPIC_PRIVATE + ASYNC_PF_READY_COUNT);
  if (count == 0 || count > <u32>ASYNC_PF_MAX) return;
  const at = area(vcpu);
  if (at == 0 || load<u32>(at, ASYNC_PF_TOKEN) != 0) return;
  if (!lapicReceive(vcpu, load<u32>(vcpu, KVM_ASYNC_PF_INT) & 0xff, false)) return;
  beforeLentWrite(vcpu, at, ASYNC_PF_SIZE);
  const first = vcpu + LAPIC_PRIVATE + ASYNC_PF_READY;
  store<u32>(at, load<u32>(first), ASYNC_PF_TOKEN);
  memory.copy(first, first + 4, (ASYNC_PF_MAX - 1) << 2);
  store<u32>(vcpu, count - 1, LAPIC_PRIVATE + ASYNC_PF_READY_COUNT);
  const waiting = load<u32>(vcpu, LAPIC_PRIVATE + ASYNC_PF_WAITING);
  store<u32>(vcpu, waiting > 0 ? waiting - 1 : 0, LAPIC_PRIVATE + ASYNC_PF_WAITING);
}
