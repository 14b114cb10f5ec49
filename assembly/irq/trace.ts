// The interrupt controllers' log (spec/irq-trace.ts). While nobody traces, each place that writes to it costs one load.
import { KICKED, VM_BASE, VM_IRQ_TRACE, VM_IRQ_TRACE_COUNT } from "../../spec/layout";
import {
  IRQ_TRACE_A,
  IRQ_TRACE_B,
  IRQ_TRACE_BASE,
  IRQ_TRACE_C,
  IRQ_TRACE_KIND,
  IRQ_TRACE_MAX,
  IRQ_TRACE_STRIDE,
} from "../../spec/irq-trace";
import { signal, vcpuAt, vcpuCount } from "./pending";

/** From here on the vCPUs are kicked, so that the host comes and empties the log. */
const HALF_FULL: u32 = IRQ_TRACE_MAX / 2;

export function traceIrq(kind: u32, a: u32, b: u32, c: u32): void {
  if (load<u32>(VM_BASE, VM_IRQ_TRACE) != 0) record(kind, a, b, c);
}

function record(kind: u32, a: u32, b: u32, c: u32): void {
  const n = load<u32>(VM_BASE, VM_IRQ_TRACE_COUNT);
  if (n < <u32>IRQ_TRACE_MAX) {
    const p = IRQ_TRACE_BASE + <i32>n * IRQ_TRACE_STRIDE;
    store<u32>(p, kind, IRQ_TRACE_KIND);
    store<u32>(p, a, IRQ_TRACE_A);
    store<u32>(p, b, IRQ_TRACE_B);
    store<u32>(p, c, IRQ_TRACE_C);
  }
  if (n != 0xffffffff) store<u32>(VM_BASE, n + 1, VM_IRQ_TRACE_COUNT);
  if (n < HALF_FULL) return;
  const count = vcpuCount();
  for (let i = 0; i < count; i++) {
    store<u32>(vcpuAt(i), 1, KICKED);
    signal(vcpuAt(i));
  }
}
