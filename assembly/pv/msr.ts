// The MSRs of KVM's interface. One whose feature is off does not exist.
import { GPR_ZERO, KVM_ASYNC_PF_EN, KVM_ASYNC_PF_INT, KVM_PV_EOI_EN, KVM_STEAL_TIME, KVM_SYSTEM_TIME, KVM_WALL_CLOCK } from "../../spec/layout";
import { Feature } from "../../spec/features";
import {
  MSR_KVM_ASYNC_PF_ACK, MSR_KVM_ASYNC_PF_EN, MSR_KVM_ASYNC_PF_INT, MSR_KVM_PV_EOI_EN, MSR_KVM_STEAL_TIME, MSR_KVM_SYSTEM_TIME, MSR_KVM_SYSTEM_TIME_OLD, MSR_KVM_WALL_CLOCK, MSR_KVM_WALL_CLOCK_OLD,
} from "../../spec/msrs";
import { hasFeature } from "../cpu/features";
import { writeAsyncPfAck, writeAsyncPfEnable, writeAsyncPfVector } from "./async-pf";
import { writeSystemTime, writeWallClock } from "./clock";
import { writePvEoi } from "./eoi";
import { writeStealTime } from "./steal";

/** Offset in the vCPU block of a paravirtual MSR, which reads as it was written; 0 where there is none. */
export function pvMsrStorage(vcpu: i32, nr: u32): i32 {
  switch (nr) {
    case MSR_KVM_WALL_CLOCK_OLD: return hasFeature(vcpu, Feature.KvmClockOld) ? KVM_WALL_CLOCK : 0;
    case MSR_KVM_SYSTEM_TIME_OLD: return hasFeature(vcpu, Feature.KvmClockOld) ? KVM_SYSTEM_TIME : 0;
    case MSR_KVM_WALL_CLOCK: return hasFeature(vcpu, Feature.KvmClock) ? KVM_WALL_CLOCK : 0;
    case MSR_KVM_SYSTEM_TIME: return hasFeature(vcpu, Feature.KvmClock) ? KVM_SYSTEM_TIME : 0;
    case MSR_KVM_STEAL_TIME: return hasFeature(vcpu, Feature.KvmStealTime) ? KVM_STEAL_TIME : 0;
    case MSR_KVM_PV_EOI_EN: return hasFeature(vcpu, Feature.KvmPvEoi) ? KVM_PV_EOI_EN : 0;
    case MSR_KVM_ASYNC_PF_EN: return hasFeature(vcpu, Feature.KvmAsyncPf) ? KVM_ASYNC_PF_EN : 0;
    case MSR_KVM_ASYNC_PF_INT: return hasFeature(vcpu, Feature.KvmAsyncPfInt) ? KVM_ASYNC_PF_INT : 0;
    // reads as 0
    case MSR_KVM_ASYNC_PF_ACK: return hasFeature(vcpu, Feature.KvmAsyncPfInt) ? GPR_ZERO : 0;
    default: return 0;
  }
}

/** Writes an MSR that pvMsrStorage knows. False: #GP. */
export function writePvMsr(vcpu: i32, nr: u32, value: u64): bool {
  switch (nr) {
    case MSR_KVM_STEAL_TIME: return writeStealTime(vcpu, value);
    case MSR_KVM_PV_EOI_EN: return writePvEoi(vcpu, value);
    case MSR_KVM_ASYNC_PF_EN: return writeAsyncPfEnable(vcpu, value);
    case MSR_KVM_ASYNC_PF_INT: return writeAsyncPfVector(vcpu, value);
    case MSR_KVM_ASYNC_PF_ACK: return writeAsyncPfAck(vcpu, value);
    case MSR_KVM_SYSTEM_TIME:
    case MSR_KVM_SYSTEM_TIME_OLD:
      writeSystemTime(vcpu, value, nr == MSR_KVM_SYSTEM_TIME_OLD);
      return true;
    default:
      writeWallClock(vcpu, value);
      return true;
  }
}
