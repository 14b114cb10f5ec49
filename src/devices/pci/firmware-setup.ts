// What PCI firmware leaves behind, for guests that start without any: interrupt routing, base addresses, decoding on.
import {
  COMMAND_IO,
  COMMAND_MASTER,
  COMMAND_MEMORY,
  PCI_BAR0,
  PCI_COMMAND,
  PCI_INTERRUPT_LINE,
  PCI_INTERRUPT_PIN,
} from "./function.ts";
import type { PciHost } from "./host.ts";
import { linkOf, type Piix3 } from "./piix3.ts";

/** ISA IRQ of links A..D; level-triggered IRQs that no ISA device of this machine uses. */
export const LINK_IRQS = [10, 10, 11, 11] as const;
const IO_WINDOW = 0xc000;
/** Where devices' memory goes; the DSDT gives the same window to the guest. */
export const PCI_MEMORY_WINDOW = 0xe0000000;
export const PCI_MEMORY_WINDOW_END = 0xfec00000;

export function configurePci(host: PciHost, bridge: Piix3): void {
  for (const [link, irq] of LINK_IRQS.entries()) bridge.route(link, irq);
  let io = IO_WINDOW;
  let memory = PCI_MEMORY_WINDOW;
  for (const { device, func } of host.functions()) {
    let decode = 0;
    for (let bar = 0; bar < 6; bar++) {
      const spec = func.barSpec(bar);
      if (spec === undefined) continue;
      const size = spec.sizeBytes;
      if (spec.space === "io") {
        io = Math.ceil(io / size) * size;
        func.writeConfig(PCI_BAR0 + bar * 4, 4, io);
        io += size;
        decode |= COMMAND_IO;
      } else {
        memory = Math.ceil(memory / size) * size;
        func.writeConfig(PCI_BAR0 + bar * 4, 4, memory);
        memory += size;
        decode |= COMMAND_MEMORY;
      }
    }
    if (decode !== 0) func.writeConfig(PCI_COMMAND, 2, func.command | decode | COMMAND_MASTER);
    func.leaveAsFirmware();
    const pin = func.get(PCI_INTERRUPT_PIN, 1);
    if (pin > 0) func.writeConfig(PCI_INTERRUPT_LINE, 1, func.wiredIrq ?? LINK_IRQS[linkOf(device, pin - 1)] ?? 0);
  }
}
