// Reads and writes of the local APIC's register page, and interprocessor interrupts (SDM 3A 11.4.1, 11.6.1).
import { FEATURES, LAPIC } from "../../spec/layout";
import { Feature } from "../../spec/features";
import {
  APIC_APR,
  APIC_DFR,
  APIC_EOI,
  APIC_ESR,
  APIC_ICR_HIGH,
  APIC_ICR_LOW,
  APIC_ID,
  APIC_IRR,
  APIC_ISR,
  APIC_LDR,
  APIC_LVT_ERROR,
  APIC_LVT_LINT0,
  APIC_LVT_LINT1,
  APIC_LVT_PERF,
  APIC_LVT_THERMAL,
  APIC_LVT_TIMER,
  APIC_PPR,
  APIC_RRD,
  APIC_SVR,
  APIC_TIMER_CURRENT,
  APIC_TIMER_DIVIDE,
  APIC_TIMER_INITIAL,
  APIC_TPR,
  APIC_VERSION,
  DELIVER_FIXED,
  DELIVER_INIT,
  DELIVER_LOWEST,
  DELIVER_NMI,
  DELIVER_SIPI,
  DELIVER_SMI,
  ESR_ILLEGAL_REGISTER,
  ESR_SEND_ILLEGAL_VECTOR,
  LVT_MASKED,
  LVT_REMOTE_IRR,
  SVR_ENABLE,
} from "../../spec/chipset";
import { IrqSource, IrqTrace } from "../../spec/irq-trace";
import { apicTimerCurrent, apicTimerSetDivide, apicTimerSetLvt, apicTimerStart, lapicAdvance } from "../time/apictimer";
import { nowNs } from "../time/clock";
import { deadlineMoved } from "../time/deadline";
import { vectorHighest } from "./bits";
import { deliver, deliverTo } from "./bus";
import { ioapicRetry } from "./ioapic";
import { lapicEoi, lapicError, lapicLint, lapicUpdate, lapicWriteEsr } from "./lapic";
import { settlePvEoi } from "../pv/eoi";
import { updateExtInt, vcpuAt, vcpuCount } from "./pending";
import { traceIrq } from "./trace";

const ICR_WRITABLE = 0xccfff & ~0x1000;
const ICR_LOGICAL = 0x800;
const ICR_ASSERT = 0x4000;
const ICR_LEVEL = 0x8000;

/** Only naturally aligned 32-bit accesses to the first bytes of a register are defined. */
// @ts-ignore: decorator
@inline
function defined(offset: u32, size: u32): bool {
  return size == 4 && (offset & 0xf) == 0;
}

/** A register of this version of the APIC. */
function exists(offset: i32): bool {
  if (offset >= APIC_ISR && offset < APIC_ESR + 0x10) return true;
  if (offset >= APIC_ICR_LOW && offset <= APIC_TIMER_CURRENT) return true;
  if (offset >= APIC_TPR && offset <= APIC_SVR) return true;
  return offset == APIC_ID || offset == APIC_VERSION || offset == APIC_TIMER_DIVIDE;
}

/** Reads the register at `pageOffset` into the page. Undefined accesses read 0; reserved registers also log an error. */
export function lapicMmioRead(vcpu: i32, pageOffset: u32, size: u32): u32 {
  if (!defined(pageOffset, size)) return 0;
  settlePvEoi(vcpu);
  const offset = <i32>pageOffset;
  if (!exists(offset)) {
    lapicError(vcpu, ESR_ILLEGAL_REGISTER);
    return 0;
  }
  if (offset == APIC_TIMER_CURRENT) return apicTimerCurrent(vcpu);
  if (offset == APIC_APR) return arbitrationPriority(vcpu);
  if (offset == APIC_EOI || offset == APIC_RRD) return 0;
  return load<u32>(vcpu + LAPIC + offset);
}

/** Arbitration priority (SDM 3A 11.6.2.4). */
function arbitrationPriority(vcpu: i32): u32 {
  const tpr = load<u32>(vcpu, LAPIC + APIC_TPR);
  const request = vectorHighest(vcpu + LAPIC + APIC_IRR);
  const serving = vectorHighest(vcpu + LAPIC + APIC_ISR);
  const irrv: u32 = request < 0 ? 0 : <u32>request >> 4;
  const isrv: u32 = serving < 0 ? 0 : <u32>serving >> 4;
  const tprClass = tpr >> 4;
  if (tprClass >= irrv && tprClass > isrv) return tpr;
  const both = tprClass & isrv;
  return (both > irrv ? both : irrv) << 4;
}

/** Writes the register at `pageOffset` into the page. Undefined accesses and read-only registers are ignored. */
export function lapicMmioWrite(vcpu: i32, pageOffset: u32, size: u32, value: u32): void {
  if (!defined(pageOffset, size)) return;
  settlePvEoi(vcpu);
  const offset = <i32>pageOffset;
  if (!exists(offset)) {
    lapicError(vcpu, ESR_ILLEGAL_REGISTER);
    return;
  }
  if (offset >= APIC_LVT_TIMER && offset <= APIC_LVT_ERROR) {
    writeLvt(vcpu, offset, value);
    return;
  }
  switch (offset) {
    case APIC_EOI:
      lapicEoi(vcpu);
      break;
    case APIC_TPR:
      store<u32>(vcpu, value & 0xff, LAPIC + APIC_TPR);
      lapicUpdate(vcpu);
      break;
    case APIC_ICR_LOW:
      store<u32>(vcpu, value & ICR_WRITABLE, LAPIC + APIC_ICR_LOW);
      sendIpi(vcpu, value & ICR_WRITABLE, load<u32>(vcpu, LAPIC + APIC_ICR_HIGH) >> 24);
      break;
    case APIC_ICR_HIGH:
      store<u32>(vcpu, value & 0xff000000, LAPIC + APIC_ICR_HIGH);
      break;
    case APIC_TIMER_INITIAL:
      apicTimerStart(vcpu, value);
      deadlineMoved(vcpu);
      break;
    case APIC_TIMER_DIVIDE:
      apicTimerSetDivide(vcpu, value);
      deadlineMoved(vcpu);
      break;
    case APIC_SVR:
      writeSvr(vcpu, value);
      break;
    case APIC_ESR:
      lapicWriteEsr(vcpu);
      break;
    case APIC_ID:
      store<u32>(vcpu, value & 0xff000000, LAPIC + APIC_ID);
      break;
    case APIC_LDR:
      store<u32>(vcpu, value & 0xff000000, LAPIC + APIC_LDR);
      break;
    case APIC_DFR:
      store<u32>(vcpu, value | 0x0fffffff, LAPIC + APIC_DFR);
      break;
    default:
      break;
  }
}

/** Software disable masks every local interrupt; the bits stay set until they are written after enabling. */
function writeSvr(vcpu: i32, value: u32): void {
  const was = load<u32>(vcpu, LAPIC + APIC_SVR);
  // A timer that is due by now still expires under the old mask.
  lapicAdvance(vcpu, nowNs(vcpu));
  store<u32>(vcpu, value & 0x3ff, LAPIC + APIC_SVR);
  if (!(value & SVR_ENABLE)) {
    for (let lvt = APIC_LVT_TIMER; lvt <= APIC_LVT_ERROR; lvt += 0x10) {
      store<u32>(vcpu + LAPIC + lvt, load<u32>(vcpu + LAPIC + lvt) | LVT_MASKED);
    }
    updateExtInt(vcpu);
  } else if (!(was & SVR_ENABLE)) {
    // Level interrupts that nobody took are still asserted.
    ioapicRetry();
  }
}

/** Bits of each LVT register that can be written. */
function lvtWritable(vcpu: i32, offset: i32): u32 {
  if (offset == APIC_LVT_TIMER) return load<u32>(vcpu, FEATURES) & (1 << Feature.TscDeadline) ? 0x700ff : 0x300ff;
  if (offset == APIC_LVT_LINT0 || offset == APIC_LVT_LINT1) return 0x1a7ff;
  return offset == APIC_LVT_ERROR ? 0x100ff : 0x107ff;
}

function writeLvt(vcpu: i32, offset: i32, value: u32): void {
  let entry = value & lvtWritable(vcpu, offset);
  if (!(load<u32>(vcpu, LAPIC + APIC_SVR) & SVR_ENABLE)) entry |= LVT_MASKED;
  if (offset == APIC_LVT_TIMER) {
    apicTimerSetLvt(vcpu, entry);
    deadlineMoved(vcpu);
    return;
  }
  const lvt = vcpu + LAPIC + offset;
  // Remote IRR only means something for level-triggered fixed interrupts.
  const fixedLevel = (entry & 0x8700) == 0x8000;
  store<u32>(lvt, fixedLevel ? entry | (load<u32>(lvt) & LVT_REMOTE_IRR) : entry);
  if (offset == APIC_LVT_LINT0 || offset == APIC_LVT_LINT1) {
    lapicLint(vcpu, (offset - APIC_LVT_LINT0) >> 4, false);
    updateExtInt(vcpu);
  }
}

/** Sends what the interrupt command register says. */
function sendIpi(vcpu: i32, icr: u32, destination: u32): void {
  const mode = <i32>(icr >> 8) & 7;
  const vector = icr & 0xff;
  const shorthand = icr >> 18;
  if ((mode == DELIVER_FIXED || mode == DELIVER_LOWEST) && vector < 16) {
    lapicError(vcpu, ESR_SEND_ILLEGAL_VECTOR);
    return;
  }
  if (mode == 3 || mode > DELIVER_SIPI || mode == DELIVER_SMI) return;
  // INIT level de-assert only sets arbitration IDs, which are not modelled.
  if (mode == DELIVER_INIT && icr & ICR_LEVEL && !(icr & ICR_ASSERT)) return;
  traceIrq(IrqTrace.Send, vector, IrqSource.Ipi, mode);
  if (shorthand == 0) {
    deliver(destination, (icr & ICR_LOGICAL) != 0, mode, vector, false);
    return;
  }
  // A processor cannot reset or start itself by a shorthand.
  const startup = mode == DELIVER_INIT || mode == DELIVER_SIPI;
  if (shorthand == 1) {
    if (!startup) deliverTo(vcpu, mode, vector, false);
    return;
  }
  const count = vcpuCount();
  for (let i = 0; i < count; i++) {
    const other = vcpuAt(i);
    if (other == vcpu ? shorthand == 2 && !startup : true) deliverTo(other, mode, vector, false);
  }
}
