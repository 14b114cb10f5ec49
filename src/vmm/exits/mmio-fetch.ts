import { EXIT_ADDR } from "../../../spec/layout.ts";
import { VmError } from "../error.ts";
import { type ExitContext, Next } from "./handler.ts";

/** The guest jumped to where no memory is: nothing sensible can follow, so say where. */
export function mmioFetch(machine: ExitContext): Next {
  const address = machine.vcpu.getU32(EXIT_ADDR);
  const { eip } = machine.vcpu;
  machine.crash(
    new VmError(
      "guest-crash",
      `The guest executes from guest-physical address 0x${address.toString(16)}, where there is no memory (EIP 0x${eip.toString(16)}).`,
      {
        address,
        eip,
        cs: machine.vcpu.segment("cs").selector,
      },
    ),
  );
  return Next.Look;
}
