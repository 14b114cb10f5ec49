// VMCALL and VMMCALL: number in EAX, arguments in EBX ECX EDX ESI EDI, result in EAX. KVM's calls
// (Linux Documentation/virt/kvm/x86/hypercalls.rst) and ours (docs/HYPERCALLS.md); what needs the host exits.
import {
  COUNT_HYPERCALL, CPL, EAX, EBX, ECX, EDI, EDX, ESI, EXIT_ARGS, EXIT_NR, VM_BASE, VM_WALL_NS,
} from "../../spec/layout";
import { Exit } from "../../spec/exits";
import { Feature } from "../../spec/features";
import {
  HC_BLOCK_FLUSH, HC_BLOCK_INFO, HC_BLOCK_READ, HC_BLOCK_WRITE, HC_CLOCK, HC_CLOCK_MONOTONIC, HC_CLOCK_WALL, HC_CONSOLE_READ, HC_CONSOLE_WRITE, HC_EINVAL,
  HC_EMPTY, HC_ENOSYS, HC_EPERM, HC_EXIT, HC_MMU_PIN, HC_MMU_UNPIN, HC_MMU_UPDATE, HC_RANGE, HC_YIELD,
} from "../../spec/hypercalls";
import { KVM_HC_VAPIC_POLL_IRQ } from "../../spec/paravirt";
import { exitBefore, recheck } from "../cpu/fault";
import { hasFeature } from "../cpu/features";
import { replayTake, replayValue } from "../cpu/replay";
import { nowNs } from "../time/clock";

/** The call is done here. */
function answer(vcpu: i32, result: i32): void {
  store<u32>(vcpu, <u32>result, EAX);
  store<u64>(vcpu, load<u64>(vcpu, COUNT_HYPERCALL) + 1, COUNT_HYPERCALL);
  recheck(vcpu);
}

/** True for a call of ours whose part is switched on. */
function isOffered(vcpu: i32, nr: u32): bool {
  switch (nr) {
    case HC_EMPTY:
      return hasFeature(vcpu, Feature.Hypercalls);
    case HC_CONSOLE_WRITE:
    case HC_CONSOLE_READ:
      return hasFeature(vcpu, Feature.HcConsole);
    case HC_YIELD:
      return hasFeature(vcpu, Feature.HcYield);
    case HC_EXIT:
      return hasFeature(vcpu, Feature.HcExit);
    case HC_CLOCK:
      return hasFeature(vcpu, Feature.HcClock);
    case HC_MMU_PIN:
    case HC_MMU_UNPIN:
    case HC_MMU_UPDATE:
      return hasFeature(vcpu, Feature.HcMmu);
    case HC_BLOCK_INFO:
    case HC_BLOCK_READ:
    case HC_BLOCK_WRITE:
    case HC_BLOCK_FLUSH:
      return hasFeature(vcpu, Feature.HcBlock);
    default:
      return false;
  }
}

/** Nanoseconds in EDX:ECX. */
function readClock(vcpu: i32): void {
  const which = load<u32>(vcpu, EBX);
  if (which != HC_CLOCK_MONOTONIC && which != HC_CLOCK_WALL) return answer(vcpu, -HC_EINVAL);
  const ns = nowNs(vcpu) + (which == HC_CLOCK_WALL ? load<i64>(VM_BASE, VM_WALL_NS) : 0);
  store<u32>(vcpu, <u32>ns, ECX);
  store<u32>(vcpu, <u32>(ns >> 32), EDX);
  answer(vcpu, 0);
}

export function hypercall(vcpu: i32): void {
  const nr = load<u32>(vcpu, EAX);
  if (load<u32>(vcpu, CPL) != 0) return answer(vcpu, -HC_EPERM);
  // a chance to take an interrupt that waits for one: the next boundary is
  if (nr == KVM_HC_VAPIC_POLL_IRQ) return answer(vcpu, 0);
  if (nr >> 16 == HC_RANGE) {
    if (!isOffered(vcpu, nr)) return answer(vcpu, -HC_ENOSYS);
    if (nr == HC_EMPTY && load<u32>(vcpu, EBX) == 0) return answer(vcpu, 0);
    if (nr == HC_CLOCK) return readClock(vcpu);
  }
  if (replayTake(vcpu, Exit.Hypercall, nr)) {
    store<u32>(vcpu, <u32>replayValue(vcpu), EAX);
    recheck(vcpu);
    return;
  }
  store<u32>(vcpu, nr, EXIT_NR);
  store<u64>(vcpu, load<u32>(vcpu, EBX), EXIT_ARGS);
  store<u64>(vcpu, load<u32>(vcpu, ECX), EXIT_ARGS + 8);
  store<u64>(vcpu, load<u32>(vcpu, EDX), EXIT_ARGS + 16);
  store<u64>(vcpu, load<u32>(vcpu, ESI), EXIT_ARGS + 24);
  store<u64>(vcpu, load<u32>(vcpu, EDI), EXIT_ARGS + 32);
  exitBefore(vcpu, Exit.Hypercall);
}
