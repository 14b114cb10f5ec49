// Linear-address memory access: the TLB hit inline, everything else in mmu/slow.ts.
// A value read while a fault is pending is 0 and a write then does nothing, so a handler may make its accesses one
// after the other and test `faulted` once, before it changes a register.
import { TLB_CURRENT, TLB_DELTA, TLB_READ, TLB_SUPER, TLB_WRITE } from "../../spec/layout";
import { slowRead, slowRead64, slowWrite, slowWrite64, slowReadForUpdate, sysReadSlow, sysWriteSlow } from "./slow";

export class Mem {
  /**
   * Address of the TLB entry for a linear address in the table at `tlb`. The shift by 17 keeps every page and its
   * successor (also 0xfffff000 and 0) in different entries, so the one tag test also refuses page-crossing accesses.
   */
  // @ts-ignore: decorator
  @inline static entry(tlb: i32, lin: u32): i32 {
    return tlb + <i32>(((lin >> 8) ^ (lin >> 17)) & 0xfff0);
  }

  /** Reads T (u8 u16 u32 u64 or signed) with the current privilege. */
  // @ts-ignore: decorator
  @inline static read<T>(vcpu: i32, lin: u32): T {
    const e = Mem.entry(load<i32>(vcpu, TLB_CURRENT), lin);
    if (((lin + (sizeof<T>() - 1)) & ~0xfff) == load<u32>(e, TLB_READ)) return load<T>(<i32>(lin + load<u32>(e, TLB_DELTA)));
    if (sizeof<T>() == 8) return <T>slowRead64(vcpu, lin);
    return <T>slowRead(vcpu, lin, sizeof<T>());
  }

  // @ts-ignore: decorator
  @inline static write<T>(vcpu: i32, lin: u32, value: T): void {
    const e = Mem.entry(load<i32>(vcpu, TLB_CURRENT), lin);
    if (((lin + (sizeof<T>() - 1)) & ~0xfff) == load<u32>(e, TLB_WRITE)) {
      store<T>(<i32>(lin + load<u32>(e, TLB_DELTA)), value);
      return;
    }
    if (sizeof<T>() == 8) slowWrite64(vcpu, lin, <u64>value);
    else slowWrite(vcpu, lin, sizeof<T>(), <u32>value);
  }

  /** Reads, having made sure that the same bytes can be written. */
  // @ts-ignore: decorator
  @inline static readForUpdate<T>(vcpu: i32, lin: u32): T {
    const e = Mem.entry(load<i32>(vcpu, TLB_CURRENT), lin);
    if (((lin + (sizeof<T>() - 1)) & ~0xfff) == load<u32>(e, TLB_WRITE)) return load<T>(<i32>(lin + load<u32>(e, TLB_DELTA)));
    return <T>slowReadForUpdate(vcpu, lin, sizeof<T>());
  }
}

/** Implicit supervisor access (descriptor tables, TSS, interrupt stack): CPL does not matter. */
export function sysRead<T>(vcpu: i32, lin: u32): T {
  const e = Mem.entry(load<i32>(vcpu, TLB_SUPER), lin);
  if (((lin + (sizeof<T>() - 1)) & ~0xfff) == load<u32>(e, TLB_READ)) return load<T>(<i32>(lin + load<u32>(e, TLB_DELTA)));
  return <T>sysReadSlow(vcpu, lin, sizeof<T>());
}

export function sysWrite<T>(vcpu: i32, lin: u32, value: T): void {
  const e = Mem.entry(load<i32>(vcpu, TLB_SUPER), lin);
  if (((lin + (sizeof<T>() - 1)) & ~0xfff) == load<u32>(e, TLB_WRITE)) {
    store<T>(<i32>(lin + load<u32>(e, TLB_DELTA)), value);
    return;
  }
  sysWriteSlow(vcpu, lin, sizeof<T>(), <u64>value);
}
