// Ports of the controllers inside the core (8259s, 8254, port 61h, ELCR). Their accesses come out to the host only under the
// port bitmap, when a debugger or a trace wants to see them; the host then asks the core for the answer.
import type { Core } from "./core.ts";
import type { IoRange } from "./device.ts";

const RANGES = [
  ["pic-master", 0x20, 2],
  ["pit", 0x40, 4],
  ["port-61", 0x61, 1],
  ["pic-slave", 0xa0, 2],
  ["elcr", 0x4d0, 2],
] as const;

export const CORE_PORTS: readonly number[] = RANGES.flatMap(([, first, count]) =>
  Array.from({ length: count }, (_, i) => first + i),
);

/** The ranges as the port bus maps them. */
export function corePortRanges(core: Core, vcpu: number): IoRange[] {
  return RANGES.map(([name, first, count]) => ({
    name,
    first,
    count,
    width: 1,
    handler: {
      read: (offset) => Number(core.chipsetPortRead(vcpu, first + offset, 1)),
      write: (offset, _size, value) => void core.chipsetPortWrite(vcpu, first + offset, 1, value),
    },
  }));
}
