// BT, BTS, BTR, BTC (SDM 2A). The register form of the bit offset reaches memory beyond the operand.
import { REC_IMM } from "../../spec/layout";
import { faulted } from "../cpu/fault";
import { setCf } from "../cpu/flags";
import { Mem } from "../mmu/access";
import { isRegForm, linearAddress, readE, readForUpdate, readG, writeE } from "./operand";

const TEST: u32 = 0;
const SET: u32 = 1;
const RESET: u32 = 2;

function change(k: u32, v: u32, mask: u32): u32 {
  if (k == SET) return v | mask;
  if (k == RESET) return v & ~mask;
  return v ^ mask;
}

function onOperand<T>(vcpu: i32, rec: i32, k: u32, bit: u32): void {
  const mask: u32 = 1 << (bit & (sizeof<T>() * 8 - 1));
  const v: u32 = k == TEST ? <u32>readE<T>(vcpu, rec) : <u32>readForUpdate<T>(vcpu, rec);
  if (faulted(vcpu)) return;
  if (k != TEST) {
    writeE<T>(vcpu, rec, <T>change(k, v, mask));
    if (faulted(vcpu)) return;
  }
  setCf(vcpu, v & mask ? 1 : 0);
}

function onMemory<T>(vcpu: i32, rec: i32, k: u32, bit: i32): void {
  const width: u32 = <u32>sizeof<T>() * 8;
  const displacement = <u32>((bit >> (sizeof<T>() == 4 ? 5 : 4)) * (sizeof<T>() as i32));
  const lin = linearAddress(vcpu, rec, displacement, sizeof<T>(), k != TEST);
  if (faulted(vcpu)) return;
  const mask: u32 = 1 << (<u32>bit & (width - 1));
  const v: u32 = k == TEST ? <u32>Mem.read<T>(vcpu, lin) : <u32>Mem.readForUpdate<T>(vcpu, lin);
  if (faulted(vcpu)) return;
  if (k != TEST) {
    Mem.write<T>(vcpu, lin, <T>change(k, v, mask));
    if (faulted(vcpu)) return;
  }
  setCf(vcpu, v & mask ? 1 : 0);
}

export function bitTestImmediate(vcpu: i32, rec: i32, k: u32, op16: bool): void {
  const bit = load<u32>(rec, REC_IMM);
  if (op16) onOperand<u16>(vcpu, rec, k, bit);
  else onOperand<u32>(vcpu, rec, k, bit);
}

export function bitTestRegister(vcpu: i32, rec: i32, k: u32, op16: bool): void {
  if (isRegForm(rec)) {
    const bit = readG<u32>(vcpu, rec);
    if (op16) onOperand<u16>(vcpu, rec, k, bit);
    else onOperand<u32>(vcpu, rec, k, bit);
    return;
  }
  if (op16) onMemory<u16>(vcpu, rec, k, <i32>readG<i16>(vcpu, rec));
  else onMemory<u32>(vcpu, rec, k, readG<i32>(vcpu, rec));
}

