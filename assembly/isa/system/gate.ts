// Call, interrupt, trap and task gates: decoding one, and the tests of the code segment and stack it leads to.
// SDM 3A 5.8.3-5.8.5, 6.11.
import {
  GATE, SEG_ATTR, SEG_BASE, SEG_CS, SEG_LIMIT, SEG_SELECTOR, SEG_TR,
} from "../../../spec/layout";
import { Vector } from "../../../spec/vectors";
import { faulted, raise } from "../../cpu/fault";
import { segAddress } from "../../cpu/segment";
import { draftAddress, TYPE_32 } from "./descriptor";
import { draftStack } from "./load-segment";
import { sysItem } from "./frame";

const GATE_OFFSET = GATE; // u32
const GATE_SELECTOR = GATE + 4; // u32
const GATE_ATTR = GATE + 8; // u32 type and S in 0..4, DPL, P
const GATE_PARAMETERS = GATE + 12; // u32 items that a call gate copies
const GATE_STACK = GATE + 16; // u32 ESP of the inner stack

/** Keeps the fields of the gate whose raw halves are given. A 16-bit gate has a 16-bit offset. */
export function decodeGate(vcpu: i32, low: u32, high: u32): void {
  const attr = (high >> 8) & 0xff;
  store<u32>(vcpu, (low & 0xffff) | (attr & TYPE_32 ? high & 0xffff0000 : 0), GATE_OFFSET);
  store<u32>(vcpu, low >> 16, GATE_SELECTOR);
  store<u32>(vcpu, attr, GATE_ATTR);
  store<u32>(vcpu, high & 31, GATE_PARAMETERS);
}

export function gateOffset(vcpu: i32): u32 {
  return load<u32>(vcpu, GATE_OFFSET);
}

export function gateSelector(vcpu: i32): u32 {
  return load<u32>(vcpu, GATE_SELECTOR);
}

export function gateAttr(vcpu: i32): u32 {
  return load<u32>(vcpu, GATE_ATTR);
}

export function gateParameters(vcpu: i32): u32 {
  return load<u32>(vcpu, GATE_PARAMETERS);
}

/** Bytes of one item that a transfer through the gate pushes. */
export function gateItemSize(vcpu: i32): u32 {
  return load<u32>(vcpu, GATE_ATTR) & TYPE_32 ? 4 : 2;
}

/**
 * Reads SS:ESP for privilege `cpl` from the current TSS; SS goes to its draft, ESP to innerStackPointer. Raises #TS or
 * #SS, `ext` being the EXT bit of error codes, and returns false.
 */
export function draftInnerStack(vcpu: i32, cpl: u32, ext: u32): bool {
  const tr = segAddress(vcpu, SEG_TR);
  const base = load<u32>(tr, SEG_BASE);
  const limit = load<u32>(tr, SEG_LIMIT);
  const wide = (load<u32>(tr, SEG_ATTR) & TYPE_32) != 0;
  const at: u32 = wide ? (cpl << 3) + 4 : (cpl << 2) + 2;
  if (at + (wide ? 5 : 3) > limit) {
    raise(vcpu, Vector.TS, (load<u32>(tr, SEG_SELECTOR) & 0xfffc) | ext);
    return false;
  }
  const sp = sysItem(vcpu, base + at, wide ? 4 : 2);
  const ss = sysItem(vcpu, base + at + (wide ? 4 : 2), 2);
  if (faulted(vcpu)) return false;
  store<u32>(vcpu, sp, GATE_STACK);
  return draftStack(vcpu, ss, cpl, Vector.TS, ext);
}

export function innerStackPointer(vcpu: i32): u32 {
  return load<u32>(vcpu, GATE_STACK);
}

/** Gives the drafted CS the privilege it will run with. */
export function setDraftRpl(vcpu: i32, cpl: u32): void {
  const cs = draftAddress(vcpu, SEG_CS);
  store<u32>(cs, (load<u32>(cs, SEG_SELECTOR) & 0xfffc) | cpl, SEG_SELECTOR);
}
