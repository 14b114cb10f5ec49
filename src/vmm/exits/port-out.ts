import { EXIT_COUNT, EXIT_DATA, EXIT_PORT, EXIT_SIZE, IO_DATA, IO_DATA_SIZE } from "../../../spec/layout.ts";
import { type ExitContext, Next } from "./handler.ts";
import { portBreak } from "./port-break.ts";

/** OUT and OUTS: the instruction has retired; a device may ask for a reset or the end of the VM. */
export function portOut(machine: ExitContext): Next {
  const { vcpu, ports } = machine;
  const port = vcpu.getU32(EXIT_PORT);
  const size = vcpu.getU32(EXIT_SIZE);
  const count = Math.min(vcpu.getU32(EXIT_COUNT), IO_DATA_SIZE / size);
  if (count <= 1) {
    ports.write(port, size, vcpu.getU32(EXIT_DATA));
  } else {
    ports.writeBlock(port, size, vcpu.bytes(IO_DATA, count * size));
  }
  const next = portBreak(machine, port, size);
  return next === Next.Run ? Next.Look : next;
}
