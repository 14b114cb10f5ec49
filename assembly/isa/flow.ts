// Near control transfers, PUSH and POP, ENTER and LEAVE in their general forms (family "flow"). SDM volume 2.
import {
  EAX, EBP, EBX, ECX, EDI, EDX, EIP, ESI, ESP, GPR, MODE, MODE_FLAT_CODE, MODE_SS32, PFX_ADDR16, PFX_OP16, REC_DISP, REC_IMM, REC_PFX, SEG, SEG_CS, SEG_LIMIT,
  SEG_STRIDE,
} from "../../spec/layout";
import { Op } from "../../spec/op.gen";
import { Vector } from "../../spec/vectors";
import { faulted, raise } from "../cpu/fault";
import { condition, Flags } from "../cpu/flags";
import { pop, push, setStackPointer, stackPointer, stackRead, stackSegmentAllows, stackWrite } from "../cpu/stack";
import { probeWrite } from "../mmu/slow";
import { readE, readG, writeE, writeG } from "./operand";
import { execString } from "./strings";

function imm(rec: i32): u32 {
  return load<u32>(rec, REC_IMM);
}

/** Goes to `target` in the current code segment; #GP(0) beyond its limit. */
function jump(vcpu: i32, target: u32, op16: bool): void {
  const eip = op16 ? target & 0xffff : target;
  if (!insideCode(vcpu, eip)) return;
  store<u32>(vcpu, eip, EIP);
}

function insideCode(vcpu: i32, eip: u32): bool {
  if (load<u32>(vcpu, MODE) & MODE_FLAT_CODE) return true;
  if (eip <= load<u32>(vcpu + SEG + SEG_CS * SEG_STRIDE, SEG_LIMIT)) return true;
  raise(vcpu, Vector.GP, 0);
  return false;
}

function relative(vcpu: i32, rec: i32, op16: bool): void {
  jump(vcpu, load<u32>(vcpu, EIP) + imm(rec), op16);
}

function call(vcpu: i32, target: u32, op16: bool): void {
  const eip = op16 ? target & 0xffff : target;
  if (!insideCode(vcpu, eip)) return;
  if (op16) push<u16>(vcpu, <u16>load<u32>(vcpu, EIP));
  else push<u32>(vcpu, load<u32>(vcpu, EIP));
  if (!faulted(vcpu)) store<u32>(vcpu, eip, EIP);
}

function ret(vcpu: i32, op16: bool, release: u32): void {
  const sp = stackPointer(vcpu);
  const eip: u32 = op16 ? <u32>stackRead<u16>(vcpu, sp) : stackRead<u32>(vcpu, sp);
  if (faulted(vcpu) || !insideCode(vcpu, eip)) return;
  setStackPointer(vcpu, sp + (op16 ? 2 : 4) + release);
  store<u32>(vcpu, eip, EIP);
}

/** ECX or CX by address size, after subtracting one. */
function countDown(vcpu: i32, addr16: bool): u32 {
  if (addr16) {
    const cx = <u32>load<u16>(vcpu, ECX) - 1;
    store<u16>(vcpu, <u16>cx, ECX);
    return cx & 0xffff;
  }
  const ecx = load<u32>(vcpu, ECX) - 1;
  store<u32>(vcpu, ecx, ECX);
  return ecx;
}

/** LOOP, LOOPE, LOOPNE: the target is checked before the count changes. */
function loop(vcpu: i32, rec: i32, also: bool, op16: bool): void {
  const addr16 = (<u32>load<u8>(rec, REC_PFX) & PFX_ADDR16) != 0;
  const left = addr16 ? <u32>load<u16>(vcpu, ECX) : load<u32>(vcpu, ECX);
  if (left != 1 && also) {
    relative(vcpu, rec, op16);
    if (faulted(vcpu)) return;
  }
  countDown(vcpu, addr16);
}

function pushRegister(vcpu: i32, rec: i32, op16: bool): void {
  if (op16) push<u16>(vcpu, readG<u16>(vcpu, rec));
  else push<u32>(vcpu, readG<u32>(vcpu, rec));
}

function popRegister(vcpu: i32, rec: i32, op16: bool): void {
  if (op16) {
    const v = pop<u16>(vcpu);
    if (!faulted(vcpu)) writeG<u16>(vcpu, rec, v);
  } else {
    const v = pop<u32>(vcpu);
    if (!faulted(vcpu)) writeG<u32>(vcpu, rec, v);
  }
}

/** POP to memory computes its address with the stack pointer already moved (SDM 2B). */
function popE<T>(vcpu: i32, rec: i32): void {
  const sp = stackPointer(vcpu);
  const esp = load<u32>(vcpu, ESP);
  const v = stackRead<T>(vcpu, sp);
  if (faulted(vcpu)) return;
  setStackPointer(vcpu, sp + sizeof<T>());
  writeE<T>(vcpu, rec, v);
  if (faulted(vcpu)) store<u32>(vcpu, esp, ESP);
}

function pushAll<T>(vcpu: i32): void {
  const sp = stackPointer(vcpu);
  // the segment check of every push comes before any page fault
  for (let i: u32 = 1; i <= 8; i++) {
    if (!stackSegmentAllows(vcpu, sp - i * sizeof<T>(), sizeof<T>())) return;
  }
  for (let i = 7; i >= 0; i--) {
    stackWrite<T>(vcpu, sp - <u32>(i + 1) * sizeof<T>(), load<T>(vcpu + (i << 3), GPR));
    if (faulted(vcpu)) return;
  }
  setStackPointer(vcpu, sp - 8 * sizeof<T>());
}

function popAll<T>(vcpu: i32): void {
  const sp = stackPointer(vcpu);
  const di = stackRead<T>(vcpu, sp);
  const si = stackRead<T>(vcpu, sp + sizeof<T>());
  const bp = stackRead<T>(vcpu, sp + 2 * sizeof<T>());
  const bx = stackRead<T>(vcpu, sp + 4 * sizeof<T>());
  const dx = stackRead<T>(vcpu, sp + 5 * sizeof<T>());
  const cx = stackRead<T>(vcpu, sp + 6 * sizeof<T>());
  const ax = stackRead<T>(vcpu, sp + 7 * sizeof<T>());
  if (faulted(vcpu)) return;
  store<T>(vcpu, di, EDI);
  store<T>(vcpu, si, ESI);
  store<T>(vcpu, bp, EBP);
  store<T>(vcpu, bx, EBX);
  store<T>(vcpu, dx, EDX);
  store<T>(vcpu, cx, ECX);
  store<T>(vcpu, ax, EAX);
  setStackPointer(vcpu, sp + 8 * sizeof<T>());
}

function enter<T>(vcpu: i32, size: u32, level: u32): void {
  const bits32 = (load<u32>(vcpu, MODE) & MODE_SS32) != 0;
  let sp = stackPointer(vcpu) - sizeof<T>();
  stackWrite<T>(vcpu, sp, load<T>(vcpu, EBP));
  if (faulted(vcpu)) return;
  // with a 32-bit operand the frame pointer keeps the upper half of ESP even on a 16-bit stack (SDM 2A, FrameTemp)
  const frame = bits32 ? sp : (load<u32>(vcpu, ESP) & 0xffff0000) | (sp & 0xffff);
  if (level > 0) {
    let bp = load<u32>(vcpu, EBP);
    for (let i: u32 = 1; i < level; i++) {
      bp -= sizeof<T>();
      const v = stackRead<T>(vcpu, bp);
      sp -= sizeof<T>();
      stackWrite<T>(vcpu, sp, v);
      if (faulted(vcpu)) return;
    }
    sp -= sizeof<T>();
    stackWrite<T>(vcpu, sp, <T>frame);
    if (faulted(vcpu)) return;
  }
  sp -= size;
  // the last byte of the new frame must be writable (SDM 2A)
  const lin = (bits32 ? sp : sp & 0xffff) + load<u32>(vcpu + SEG + 2 * SEG_STRIDE, 4);
  if (!stackSegmentAllows(vcpu, sp, sizeof<T>()) || !probeWrite(vcpu, lin, sizeof<T>())) return;
  store<T>(vcpu, <T>frame, EBP);
  setStackPointer(vcpu, sp);
}

function leave(vcpu: i32, op16: bool): void {
  const bp = load<u32>(vcpu, EBP);
  if (op16) {
    const v = stackRead<u16>(vcpu, bp);
    if (faulted(vcpu)) return;
    setStackPointer(vcpu, bp + 2);
    store<u16>(vcpu, v, EBP);
  } else {
    const v = stackRead<u32>(vcpu, bp);
    if (faulted(vcpu)) return;
    setStackPointer(vcpu, bp + 4);
    store<u32>(vcpu, v, EBP);
  }
}

/** Executes operation `op` (family "flow") of `rec`. */
export function execFlow(vcpu: i32, rec: i32, op: u32): void {
  const op16 = (<u32>load<u8>(rec, REC_PFX) & PFX_OP16) != 0;
  switch (op) {
    case Op.JCC: if (condition(vcpu, load<u32>(rec, REC_DISP) & 15)) relative(vcpu, rec, op16); break;
    case Op.JMP_J: relative(vcpu, rec, op16); break;
    case Op.CALL_J: call(vcpu, load<u32>(vcpu, EIP) + imm(rec), op16); break;
    case Op.JMP_E: {
      const target: u32 = op16 ? <u32>readE<u16>(vcpu, rec) : readE<u32>(vcpu, rec);
      if (!faulted(vcpu)) jump(vcpu, target, op16);
      break;
    }
    case Op.CALL_E: {
      const target: u32 = op16 ? <u32>readE<u16>(vcpu, rec) : readE<u32>(vcpu, rec);
      if (!faulted(vcpu)) call(vcpu, target, op16);
      break;
    }
    case Op.RET: ret(vcpu, op16, 0); break;
    case Op.RET_I: ret(vcpu, op16, imm(rec)); break;
    case Op.LOOP: loop(vcpu, rec, true, op16); break;
    case Op.LOOPE: loop(vcpu, rec, Flags.zf(vcpu), op16); break;
    case Op.LOOPNE: loop(vcpu, rec, !Flags.zf(vcpu), op16); break;
    case Op.JCXZ: {
      const addr16 = (<u32>load<u8>(rec, REC_PFX) & PFX_ADDR16) != 0;
      if ((addr16 ? <u32>load<u16>(vcpu, ECX) : load<u32>(vcpu, ECX)) == 0) relative(vcpu, rec, op16);
      break;
    }
    case Op.PUSH_ZV: pushRegister(vcpu, rec, op16); break;
    case Op.POP_ZV: popRegister(vcpu, rec, op16); break;
    case Op.PUSH_I: if (op16) push<u16>(vcpu, <u16>imm(rec)); else push<u32>(vcpu, imm(rec)); break;
    case Op.PUSH_E:
      if (op16) {
        const v = readE<u16>(vcpu, rec);
        if (!faulted(vcpu)) push<u16>(vcpu, v);
      } else {
        const v = readE<u32>(vcpu, rec);
        if (!faulted(vcpu)) push<u32>(vcpu, v);
      }
      break;
    case Op.POP_E: if (op16) popE<u16>(vcpu, rec); else popE<u32>(vcpu, rec); break;
    case Op.PUSHA: if (op16) pushAll<u16>(vcpu); else pushAll<u32>(vcpu); break;
    case Op.POPA: if (op16) popAll<u16>(vcpu); else popAll<u32>(vcpu); break;
    case Op.ENTER:
      if (op16) enter<u16>(vcpu, imm(rec) & 0xffff, (imm(rec) >> 16) & 31);
      else enter<u32>(vcpu, imm(rec) & 0xffff, (imm(rec) >> 16) & 31);
      break;
    case Op.LEAVE: leave(vcpu, op16); break;
    default: execString(vcpu, rec, op); break;
  }
}
