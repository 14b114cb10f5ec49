// Execution controls of the host (CTRL_FLAGS): which system instructions exit before they execute, as VMX's controls.
// The host acknowledges by running the vCPU again; the core then executes the instruction itself.
import { CTRL_FLAGS, CTRLF_CPUID, CTRLF_CR3, CTRLF_DESCRIPTOR, CTRLF_INVLPG, CTRLF_RDTSC, EXIT_ADDR, EXIT_DATA, EXIT_NR } from "../../../spec/layout";
import { Exit } from "../../../spec/exits";
import { exitBefore } from "../../cpu/fault";
import { replayTake } from "../../cpu/replay";

/** Exits with `reason` unless the host has acknowledged this very access. True when the instruction must stop. */
function exitOnce(vcpu: i32, control: u32, reason: u32, address: u32): bool {
  if (!(load<u32>(vcpu, CTRL_FLAGS) & control)) return false;
  if (replayTake(vcpu, reason, address)) return false;
  store<u32>(vcpu, address, EXIT_NR);
  exitBefore(vcpu, reason);
  return true;
}

export function descriptorExit(vcpu: i32): bool {
  return exitOnce(vcpu, CTRLF_DESCRIPTOR, Exit.DescriptorAccess, 0);
}

export function cr3Exit(vcpu: i32, value: u32): bool {
  store<u64>(vcpu, value, EXIT_DATA);
  return exitOnce(vcpu, CTRLF_CR3, Exit.Cr3Load, value);
}

export function invlpgExit(vcpu: i32, linear: u32): bool {
  store<u64>(vcpu, linear, EXIT_ADDR);
  return exitOnce(vcpu, CTRLF_INVLPG, Exit.Invlpg, linear);
}

export function rdtscExit(vcpu: i32): bool {
  return exitOnce(vcpu, CTRLF_RDTSC, Exit.Rdtsc, 0);
}

export function cpuidExit(vcpu: i32): bool {
  return exitOnce(vcpu, CTRLF_CPUID, Exit.Cpuid, 0);
}
