import { EXIT_COUNT, EXIT_DATA, EXIT_PORT, EXIT_SIZE, IO_DATA, IO_DATA_SIZE } from "../../../spec/layout.ts";
import { CORE_PORTS } from "../core-ports.ts";
import type { ExitContext, Next } from "./handler.ts";
import { portBreak } from "./port-break.ts";

/** IN and INS: the core executes the instruction again with the answer. */
export function portIn(machine: ExitContext): Next {
  const { vcpu, ports } = machine;
  const port = vcpu.getU32(EXIT_PORT);
  const size = vcpu.getU32(EXIT_SIZE);
  const count = Math.min(vcpu.getU32(EXIT_COUNT), IO_DATA_SIZE / size);
  if (count <= 1) {
    const value = ports.read(port, size);
    vcpu.setLow64(EXIT_DATA, value);
    vcpu.setU32(IO_DATA, value);
  } else {
    ports.readBlock(port, size, vcpu.bytes(IO_DATA, count * size));
  }
  // The core takes no time over its own ports, and a watch must not change the guest's.
  if (!CORE_PORTS.includes(port)) machine.ioDelay();
  return portBreak(machine, port, size);
}
