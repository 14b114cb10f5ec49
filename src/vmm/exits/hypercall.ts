import { HC_YIELD } from "../../../spec/hypercalls.ts";
import { EXIT_ARGS, EXIT_DATA, EXIT_NR } from "../../../spec/layout.ts";
import { isPromise } from "../maybe-promise.ts";
import { type ExitContext, Next } from "./handler.ts";

/** VMCALL and VMMCALL that the core does not answer itself. While a call waits for the host the guest stands still. */
export function hypercall(machine: ExitContext): Next {
  const { vcpu } = machine;
  const nr = vcpu.getU32(EXIT_NR);
  const args = [0, 8, 16, 24, 32].map((offset) => vcpu.getU32(EXIT_ARGS + offset));
  machine.tracer("hypercall")?.({ kind: "hypercall", nr, args });
  const answer = (result: number): void => vcpu.setLow64(EXIT_DATA, result >>> 0);
  const result = machine.hypercall(nr, args);
  if (isPromise(result)) {
    machine.hold(result.then(answer));
    return Next.Look;
  }
  answer(result);
  return nr === HC_YIELD ? Next.Yield : Next.Look;
}
