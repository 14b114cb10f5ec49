// What the interpreter's switch does not execute itself, by family (the high byte of an Op).
import { REC_IMM } from "../../spec/layout";
import { Op } from "../../spec/op.gen";
import { Vector } from "../../spec/vectors";
import { raise } from "../cpu/fault";
import { execFlow } from "./flow";
import { execInt } from "./integer";
import { execMmx, execSse, execSse2, execSse4 } from "./simd/index";
import { execSystem } from "./system/system";
import { execX87 } from "./x87/exec";

/** Executes `rec`, whose operation is `op`. EIP already points behind it. */
export function execRare(vcpu: i32, rec: i32, op: u32): void {
  switch (op >> 8) {
    case 1: execInt(vcpu, rec, op); break;
    case 2: execFlow(vcpu, rec, op); break;
    case 3: execSystem(vcpu, rec); break;
    case 4: execX87(vcpu, rec); break;
    case 5: execMmx(vcpu, rec); break;
    case 6: execSse(vcpu, rec); break;
    case 7: execSse2(vcpu, rec); break;
    case 8: execSse4(vcpu, rec); break;
    default:
      // INVALID; REC_IMM tells an instruction of more than 15 bytes
      raise(vcpu, op == Op.INVALID && load<u32>(rec, REC_IMM) != 0 ? Vector.GP : Vector.UD, 0);
      break;
  }
}
