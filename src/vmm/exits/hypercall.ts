import { EXIT_ARGS, EXIT_DATA, EXIT_NR } from "../../../spec/layout.ts";
import { type ExitContext, Next } from "./handler.ts";

/** KVM's answer to a hypercall it does not have (Linux include/uapi/linux/kvm_para.h: KVM_ENOSYS). */
const KVM_ENOSYS = 1000;

/** VMCALL and VMMCALL that the core does not answer itself. None needs the host yet. */
export function hypercall(machine: ExitContext): Next {
  const { vcpu } = machine;
  const nr = vcpu.getU32(EXIT_NR);
  const args = [0, 8, 16, 24].map((offset) => vcpu.getU32(EXIT_ARGS + offset));
  machine.tracer("hypercall")?.({ kind: "hypercall", nr, args });
  vcpu.setU64(EXIT_DATA, BigInt.asUintN(64, BigInt(-KVM_ENOSYS)));
  return Next.Run;
}
