// The system family: one case an Op of spec/opcodes/system.ts, each in the file of its SDM topic.
import { Op } from "../../../spec/op.gen";
import { REC_IMM, REC_OP, SEG_CS, SEG_DS, SEG_ES, SEG_FS, SEG_GS, SEG_LDTR, SEG_SS, SEG_TR } from "../../../spec/layout";
import { Vector } from "../../../spec/vectors";
import { raiseUD } from "../../cpu/fault";
import { Flags } from "../../cpu/flags";
import { clearTaskSwitched, invalidate, loadMachineStatus, readControl, storeMachineStatus, writeControl } from "./control-registers";
import { cpuid } from "./cpuid";
import { readDebug, writeDebug } from "./debug-registers";
import { farDirect, farIndirect, farReturn } from "./far";
import { clearInterruptFlag, popFlags, pushFlags, setAccessCheck, setInterruptFlag } from "./flags";
import { int1, KIND_SOFTWARE, softwareInterrupt, trapInto } from "./interrupt";
import { input, inputString, output, outputString } from "./io";
import { interruptReturn } from "./iret";
import {
  loadFarPointer, loadLdt, loadTaskRegister, movFromSegment, movToSegment, popSegment, pushSegment,
} from "./load-segment";
import { hypercall } from "../../pv/hypercall";
import { readMsr, writeMsr } from "./msr";
import {
  bound, halt, monitor, monitorWait, readCounter, readTimeStamp, systemEnter, systemExit, writeBackCaches,
} from "./privileged";
import {
  adjustRpl, loadAccessRights, loadSegmentLimit, loadTable, storeSelector, storeTable, verify,
} from "./tables";

export function execSystem(vcpu: i32, rec: i32): void {
  switch (<i32>load<u16>(rec, REC_OP)) {
    case Op.CALLF_AP: return farDirect(vcpu, rec, true);
    case Op.JMPF_AP: return farDirect(vcpu, rec, false);
    case Op.CALLF_M: return farIndirect(vcpu, rec, true);
    case Op.JMPF_M: return farIndirect(vcpu, rec, false);
    case Op.RETF_I: return farReturn(vcpu, rec, load<u32>(rec, REC_IMM));
    case Op.RETF: return farReturn(vcpu, rec, 0);
    case Op.IRET: return interruptReturn(vcpu, rec);
    case Op.INT_I: return softwareInterrupt(vcpu, load<u32>(rec, REC_IMM) & 0xff);
    case Op.INT3: return trapInto(vcpu, Vector.BP, KIND_SOFTWARE);
    case Op.INTO:
      if (Flags.of(vcpu)) trapInto(vcpu, Vector.OF, KIND_SOFTWARE);
      return;
    case Op.INT1: return int1(vcpu);
    case Op.BOUND: return bound(vcpu, rec);
    case Op.SYSENTER: return systemEnter(vcpu);
    case Op.SYSEXIT: return systemExit(vcpu);
    case Op.MOV_E_SREG: return movFromSegment(vcpu, rec);
    case Op.MOV_SREG_E: return movToSegment(vcpu, rec);
    case Op.PUSH_ES: return pushSegment(vcpu, rec, SEG_ES);
    case Op.PUSH_CS: return pushSegment(vcpu, rec, SEG_CS);
    case Op.PUSH_SS: return pushSegment(vcpu, rec, SEG_SS);
    case Op.PUSH_DS: return pushSegment(vcpu, rec, SEG_DS);
    case Op.PUSH_FS: return pushSegment(vcpu, rec, SEG_FS);
    case Op.PUSH_GS: return pushSegment(vcpu, rec, SEG_GS);
    case Op.POP_ES: return popSegment(vcpu, rec, SEG_ES);
    case Op.POP_SS: return popSegment(vcpu, rec, SEG_SS);
    case Op.POP_DS: return popSegment(vcpu, rec, SEG_DS);
    case Op.POP_FS: return popSegment(vcpu, rec, SEG_FS);
    case Op.POP_GS: return popSegment(vcpu, rec, SEG_GS);
    case Op.LES: return loadFarPointer(vcpu, rec, SEG_ES);
    case Op.LDS: return loadFarPointer(vcpu, rec, SEG_DS);
    case Op.LSS: return loadFarPointer(vcpu, rec, SEG_SS);
    case Op.LFS: return loadFarPointer(vcpu, rec, SEG_FS);
    case Op.LGS: return loadFarPointer(vcpu, rec, SEG_GS);
    case Op.SLDT: return storeSelector(vcpu, rec, SEG_LDTR);
    case Op.STR: return storeSelector(vcpu, rec, SEG_TR);
    case Op.LLDT: return loadLdt(vcpu, rec);
    case Op.LTR: return loadTaskRegister(vcpu, rec);
    case Op.VERR: return verify(vcpu, rec, false);
    case Op.VERW: return verify(vcpu, rec, true);
    case Op.LAR: return loadAccessRights(vcpu, rec);
    case Op.LSL: return loadSegmentLimit(vcpu, rec);
    case Op.ARPL: return adjustRpl(vcpu, rec);
    case Op.SGDT: return storeTable(vcpu, rec, false);
    case Op.SIDT: return storeTable(vcpu, rec, true);
    case Op.LGDT: return loadTable(vcpu, rec, false);
    case Op.LIDT: return loadTable(vcpu, rec, true);
    case Op.SMSW: return storeMachineStatus(vcpu, rec);
    case Op.LMSW: return loadMachineStatus(vcpu, rec);
    case Op.INVLPG: return invalidate(vcpu, rec);
    case Op.MOV_R_CR: return readControl(vcpu, rec);
    case Op.MOV_R_DR: return readDebug(vcpu, rec);
    case Op.MOV_CR_R: return writeControl(vcpu, rec);
    case Op.MOV_DR_R: return writeDebug(vcpu, rec);
    case Op.CLTS: return clearTaskSwitched(vcpu);
    case Op.WBINVD: return writeBackCaches(vcpu);
    case Op.HLT: return halt(vcpu);
    case Op.CLI: return clearInterruptFlag(vcpu);
    case Op.STI: return setInterruptFlag(vcpu);
    case Op.PUSHF: return pushFlags(vcpu, rec);
    case Op.POPF: return popFlags(vcpu, rec);
    case Op.CLAC: return setAccessCheck(vcpu, false);
    case Op.STAC: return setAccessCheck(vcpu, true);
    case Op.MONITOR: return monitor(vcpu, rec);
    case Op.MWAIT: return monitorWait(vcpu);
    case Op.CPUID: return cpuid(vcpu);
    case Op.WRMSR: return writeMsr(vcpu);
    case Op.RDTSC: return readTimeStamp(vcpu, false);
    case Op.RDMSR: return readMsr(vcpu);
    case Op.RDPMC: return readCounter(vcpu);
    case Op.RDTSCP: return readTimeStamp(vcpu, true);
    case Op.VMCALL: return hypercall(vcpu);
    case Op.IN_I8: return input(vcpu, rec, true, false);
    case Op.IN_IV: return input(vcpu, rec, true, true);
    case Op.OUT_I8: return output(vcpu, rec, true, false);
    case Op.OUT_IV: return output(vcpu, rec, true, true);
    case Op.IN_D8: return input(vcpu, rec, false, false);
    case Op.IN_DV: return input(vcpu, rec, false, true);
    case Op.OUT_D8: return output(vcpu, rec, false, false);
    case Op.OUT_DV: return output(vcpu, rec, false, true);
    case Op.INS8: return inputString(vcpu, rec, false);
    case Op.INSV: return inputString(vcpu, rec, true);
    case Op.OUTS8: return outputString(vcpu, rec, false);
    case Op.OUTSV: return outputString(vcpu, rec, true);
    default: return raiseUD(vcpu);
  }
}
