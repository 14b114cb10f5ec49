// Replaces a general operation by the interpreter's specialised one where operand size, form and segments allow.
// The ranges rely on the order of spec/opcodes/hot.ts and of the ALU rows of spec/opcodes/integer.ts (checked by a test).
import { Op } from "../../spec/op.gen";
import {
  EAX, MODE_FLAT_CODE, MODE_FLAT_DATA, MODE_SS32, PFX_ADDR16, PFX_LOCK, PFX_OP16, PFX_REG, REC_BASE, REC_IMM, REC_OP, REC_PFX, REC_REG,
  EA_ADDR16, EA_CHECKED, EA_SEG, EA_SEG_SHIFT, MODE_FS_OPEN, MODE_GS_OPEN, REC_EA, SEG_FS, SEG_GS,
} from "../../spec/layout";

const ALU_FORMS = 6; // EG8 EGV GE8 GEV EI8 EIV
const HOT_ALU_FORMS = 10; // RR32 RM32 MR32 RI32 MI32 RR8 RM8 MR8 RI8 MI8

function set(rec: i32, op: u32): void {
  store<u16>(rec, op, REC_OP);
}

/** G <- G op E becomes "RR" with REC_REG the destination, so E <- E op G swaps the two register fields. */
function swapRegisters(rec: i32): void {
  const g = load<u8>(rec, REC_REG);
  store<u8>(rec, load<u8>(rec, REC_BASE), REC_REG);
  store<u8>(rec, g, REC_BASE);
}

/** Chooses by addressing form: flat base + displacement, the same with an index, anything else. */
function memoryForm(rec: i32, plain: u32, indexed: u32, other: u32): u32 {
  const ea = <u32>load<u8>(rec, REC_EA);
  if (ea == 0) return plain;
  return ea & (EA_CHECKED | EA_ADDR16) ? other : indexed;
}

/** True where the operand's segment needs no check. */
function addressIsPlain(ea: u32, mode: u32): bool {
  if (ea & EA_ADDR16) return false;
  if (!(ea & EA_CHECKED)) return true;
  const seg = (ea & EA_SEG) >> EA_SEG_SHIFT;
  return (seg == SEG_FS && (mode & MODE_FS_OPEN) != 0) || (seg == SEG_GS && (mode & MODE_GS_OPEN) != 0);
}

/** Chooses by condition: carry, zero, any other. */
function byCondition(opcode: u32, carry: u32, zero: u32, other: u32): u32 {
  const pair = (opcode & 15) >> 1;
  return pair == 1 ? carry : pair == 2 ? zero : other;
}

function specialiseAlu(rec: i32, op: u32, reg: bool, op16: bool): void {
  const k = (op - <u32>Op.ADD_EG8) / ALU_FORMS;
  const form = (op - <u32>Op.ADD_EG8) % ALU_FORMS;
  const hot: u32 = <u32>Op.H_ADD_RR32 + k * HOT_ALU_FORMS;
  if (op16 && (form == 1 || form == 3 || form == 5)) return;
  switch (form) {
    case 0:
      if (reg) { swapRegisters(rec); set(rec, hot + 5); } else set(rec, hot + 7);
      break;
    case 1:
      if (reg) { swapRegisters(rec); set(rec, hot + 0); } else set(rec, hot + 2);
      break;
    case 2: set(rec, reg ? hot + 5 : hot + 6); break;
    case 3: set(rec, reg ? hot + 0 : hot + 1); break;
    case 4:
      if (reg) store<u8>(rec, load<u8>(rec, REC_BASE), REC_REG);
      set(rec, reg ? hot + 8 : hot + 9);
      break;
    default:
      if (reg) store<u8>(rec, load<u8>(rec, REC_BASE), REC_REG);
      set(rec, reg ? hot + 3 : hot + 4);
      break;
  }
}

/** `opcode` is the last opcode byte; `memory`: the record has a memory operand. REC_OP already holds the general operation `op`. */
export function specialise(rec: i32, op: u32, mode: u32, opcode: u32, memory: bool): void {
  const pfx = <u32>load<u8>(rec, REC_PFX);
  if (pfx & PFX_LOCK) return;
  const reg = (pfx & PFX_REG) != 0;
  // the hot loop knows flat segments, open FS and GS, and 32-bit addresses only
  if (memory && op != Op.LEA && !addressIsPlain(<u32>load<u8>(rec, REC_EA), mode)) return;
  const op16 = (pfx & PFX_OP16) != 0;
  if (op >= <u32>Op.ADD_EG8 && op < <u32>Op.ADD_EG8 + 8 * ALU_FORMS) {
    specialiseAlu(rec, op, reg, op16);
    return;
  }
  // byte operations and 8/16-bit moves first: operand size does not matter to them
  switch (op) {
    case Op.TEST_EG8: set(rec, reg ? Op.H_TEST_RR8 : Op.H_TEST_MR8); return;
    case Op.TEST_EI8:
      if (reg) store<u8>(rec, load<u8>(rec, REC_BASE), REC_REG);
      set(rec, reg ? Op.H_TEST_RI8 : Op.H_TEST_MI8);
      return;
    case Op.MOV_EG8:
      if (reg) { swapRegisters(rec); set(rec, Op.H_MOV_RR8); } else set(rec, Op.H_MOV_MR8);
      return;
    case Op.MOV_GE8: set(rec, reg ? Op.H_MOV_RR8 : Op.H_MOV_RM8); return;
    case Op.MOV_EI8:
      if (reg) store<u8>(rec, load<u8>(rec, REC_BASE), REC_REG);
      set(rec, reg ? Op.H_MOV_RI8 : Op.H_MOV_MI8);
      return;
    case Op.SETCC:
      if (reg) { store<u8>(rec, load<u8>(rec, REC_BASE), REC_REG); set(rec, byCondition(opcode, Op.H_SETC_R8, Op.H_SETZ_R8, Op.H_SET_R8)); }
      return;
    case Op.NOP: set(rec, Op.H_NOP); return;
    case Op.JCC:
      // near jumps of 32-bit code only; the 16-bit forms truncate EIP and stay general
      if (!op16 && mode & MODE_FLAT_CODE) set(rec, <u32>Op.H_JO + (opcode & 15));
      return;
    default: break;
  }
  if (op16) {
    if (op == Op.MOV_GEV && !reg) set(rec, Op.H_MOV_RM16);
    else if (op == Op.MOV_EGV && !reg) set(rec, Op.H_MOV_MR16);
    return;
  }
  const flatStack = (mode & (MODE_SS32 | MODE_FLAT_DATA)) == (MODE_SS32 | MODE_FLAT_DATA);
  switch (op) {
    case Op.MOV_EGV:
      if (reg) { swapRegisters(rec); set(rec, Op.H_MOV_RR32); } else set(rec, memoryForm(rec, Op.H_MOV_BR32, Op.H_MOV_XR32, Op.H_MOV_MR32));
      break;
    case Op.MOV_GEV: set(rec, reg ? Op.H_MOV_RR32 : memoryForm(rec, Op.H_MOV_RB32, Op.H_MOV_RX32, Op.H_MOV_RM32)); break;
    case Op.MOV_EIV:
      if (reg) store<u8>(rec, load<u8>(rec, REC_BASE), REC_REG);
      set(rec, reg ? Op.H_MOV_RI32 : Op.H_MOV_MI32);
      break;
    case Op.LEA:
      // segments do not matter to LEA; the 16-bit address form wraps and stays general
      if (!(pfx & PFX_ADDR16)) {
        store<u8>(rec, load<u8>(rec, REC_EA) & ~EA_CHECKED, REC_EA);
        set(rec, Op.H_LEA);
      }
      break;
    case Op.TEST_EGV: set(rec, reg ? Op.H_TEST_RR32 : Op.H_TEST_MR32); break;
    case Op.TEST_EIV:
      if (reg) store<u8>(rec, load<u8>(rec, REC_BASE), REC_REG);
      set(rec, reg ? Op.H_TEST_RI32 : Op.H_TEST_MI32);
      break;
    case Op.MOVZX8: set(rec, reg ? Op.H_MOVZX_R8 : Op.H_MOVZX_M8); break;
    case Op.MOVZX16: set(rec, reg ? Op.H_MOVZX_R16 : Op.H_MOVZX_M16); break;
    case Op.MOVSX8: set(rec, reg ? Op.H_MOVSX_R8 : Op.H_MOVSX_M8); break;
    case Op.MOVSX16: set(rec, reg ? Op.H_MOVSX_R16 : Op.H_MOVSX_M16); break;
    case Op.INC_EV: set(rec, reg ? Op.H_INC_R32 : Op.H_INC_M32); break;
    case Op.DEC_EV: set(rec, reg ? Op.H_DEC_R32 : Op.H_DEC_M32); break;
    case Op.NEG_EV: if (reg) set(rec, Op.H_NEG_R32); break;
    case Op.NOT_EV: if (reg) set(rec, Op.H_NOT_R32); break;
    case Op.IMUL_GE: set(rec, reg ? Op.H_IMUL_RR32 : Op.H_IMUL_RM32); break;
    case Op.IMUL_GEI: if (reg) set(rec, Op.H_IMUL_RRI32); break;
    case Op.MUL_EV: if (reg) set(rec, Op.H_MUL_R32); break;
    case Op.CWD: set(rec, Op.H_CDQ); break;
    case Op.XCHG_EGV: if (reg) set(rec, Op.H_XCHG_RR32); break;
    case Op.XCHG_ZA:
      store<u8>(rec, EAX, REC_REG);
      set(rec, Op.H_XCHG_RR32);
      break;
    case Op.SHL_EIV: if (reg && load<u32>(rec, REC_IMM) & 31) set(rec, Op.H_SHL_RI32); break;
    case Op.SHR_EIV: if (reg && load<u32>(rec, REC_IMM) & 31) set(rec, Op.H_SHR_RI32); break;
    case Op.SAR_EIV: if (reg && load<u32>(rec, REC_IMM) & 31) set(rec, Op.H_SAR_RI32); break;
    case Op.ROL_EIV: if (reg && load<u32>(rec, REC_IMM) & 31) set(rec, Op.H_ROL_RI32); break;
    case Op.ROR_EIV: if (reg && load<u32>(rec, REC_IMM) & 31) set(rec, Op.H_ROR_RI32); break;
    case Op.SHL_ECV: if (reg) set(rec, Op.H_SHL_RC32); break;
    case Op.SHR_ECV: if (reg) set(rec, Op.H_SHR_RC32); break;
    case Op.SAR_ECV: if (reg) set(rec, Op.H_SAR_RC32); break;
    case Op.CMOVCC: set(rec, reg ? byCondition(opcode, Op.H_CMOVC_RR32, Op.H_CMOVZ_RR32, Op.H_CMOV_RR32) : byCondition(opcode, Op.H_CMOVC_RM32, Op.H_CMOVZ_RM32, Op.H_CMOV_RM32)); break;
    case Op.JMP_J: if (mode & MODE_FLAT_CODE) set(rec, Op.H_JMP); break;
    case Op.JMP_E: if (mode & MODE_FLAT_CODE) set(rec, reg ? Op.H_JMP_R : Op.H_JMP_M); break;
    default:
      if (!flatStack) break;
      switch (op) {
        case Op.PUSH_ZV: set(rec, Op.H_PUSH_R32); break;
        case Op.POP_ZV: set(rec, Op.H_POP_R32); break;
        case Op.PUSH_I: set(rec, Op.H_PUSH_I32); break;
        case Op.PUSH_E: set(rec, reg ? Op.H_PUSH_R32 : Op.H_PUSH_M32); if (reg) store<u8>(rec, load<u8>(rec, REC_BASE), REC_REG); break;
        case Op.LEAVE: set(rec, Op.H_LEAVE); break;
        default: break;
      }
      // near transfers through a CS with a limit are checked by the general operations
      if (!(mode & MODE_FLAT_CODE)) break;
      switch (op) {
        case Op.CALL_J: set(rec, Op.H_CALL); break;
        case Op.CALL_E: set(rec, reg ? Op.H_CALL_R : Op.H_CALL_M); break;
        case Op.RET: set(rec, Op.H_RET); break;
        case Op.RET_I: set(rec, Op.H_RET_I); break;
        default: break;
      }
  }
}
