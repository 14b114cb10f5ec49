// PIIX3 as the south bridge: the ISA bridge at 00:01.0 with the PCI interrupt router (82371SB datasheet).
import type { IrqLine } from "../../vmm/device.ts";
import { COMMAND_IO, COMMAND_MASTER, COMMAND_MEMORY, PCI_COMMAND, PCI_STATUS, PciFunction } from "./function.ts";

const PIRQ_ROUTE_A = 0x60;
const PIRQ_COUNT = 4;
const ROUTE_DISABLED = 0x80;
const ROUTE_IRQ = 0x0f;
/** ISA IRQs that a PCI interrupt can be routed to (all but 0, 1, 2, 8, 13). */
const ROUTABLE = 0xdef8;
/** Where the south bridge is: the ISA bridge and, beside it, power management. */
export const SOUTH_BRIDGE_SLOT = 1;
/** First I/O APIC input that the links also drive, beside the 8259s. */
export const PIRQ_GSI_BASE = 16;

export class Piix3 extends PciFunction {
  /** How many functions assert each link. */
  readonly #asserted = new Uint16Array(PIRQ_COUNT);
  readonly #pins = new Set<number>();

  constructor(
    private readonly isaLines: readonly IrqLine[],
    private readonly gsiLines: readonly IrqLine[],
  ) {
    super("piix3", {
      vendor: 0x8086,
      device: 0x7000,
      classCode: 0x060100,
      multifunction: true,
      subsystemVendor: 0x1af4,
      subsystem: 0x1100,
    });
    this.set(PCI_COMMAND, 2, COMMAND_IO | COMMAND_MEMORY | COMMAND_MASTER);
    this.set(PCI_STATUS, 2, 0x0200);
    for (let link = 0; link < PIRQ_COUNT; link++) {
      this.set(PIRQ_ROUTE_A + link, 1, ROUTE_DISABLED);
      this.allowWrites(PIRQ_ROUTE_A + link, 1, ROUTE_DISABLED | ROUTE_IRQ);
    }
    // X-bus chip select, serial IRQ and timing registers: remembered, without effect.
    for (const [offset, mask] of [
      [0x4c, 0xff],
      [0x4e, 0xff],
      [0x4f, 0x0f],
      [0x69, 0x1e],
      [0x6a, 0xff],
      [0x76, 0x8f],
      [0x77, 0x8f],
    ] as const) {
      this.allowWrites(offset, 1, mask);
    }
    this.set(0x4c, 1, 0x4d);
    this.set(0x4e, 1, 0x03);
    this.set(0x69, 1, 0x02);
    this.set(0x70, 1, 0x80);
    this.set(0x76, 1, 0x0c);
    this.set(0x77, 1, 0x0c);
  }

  /** Slots rotate the links, so that neighbours do not share one. */
  setSlotIntx(slot: number, pin: number, level: boolean): void {
    const key = slot * 4 + pin;
    if (level === this.#pins.has(key)) return;
    if (level) this.#pins.add(key);
    else this.#pins.delete(key);
    const link = linkOf(slot, pin);
    this.#asserted[link] = (this.#asserted[link] ?? 0) + (level ? 1 : -1);
    this.#drive();
  }

  /** The ISA IRQ a link is routed to, undefined while disabled. */
  routedIrq(link: number): number | undefined {
    const route = this.config[PIRQ_ROUTE_A + link] ?? ROUTE_DISABLED;
    const irq = route & ROUTE_IRQ;
    return route & ROUTE_DISABLED || !((ROUTABLE >> irq) & 1) ? undefined : irq;
  }

  /** What firmware does: link to ISA IRQ. */
  route(link: number, irq: number): void {
    this.writeConfig(PIRQ_ROUTE_A + link, 1, irq);
  }

  protected override configWritten(offset: number, size: number): void {
    if (offset < PIRQ_ROUTE_A + PIRQ_COUNT && offset + size > PIRQ_ROUTE_A) this.#drive();
  }

  #drive(): void {
    let isa = 0;
    for (let link = 0; link < PIRQ_COUNT; link++) {
      const level = (this.#asserted[link] ?? 0) > 0;
      this.gsiLines[link]?.set(level);
      const irq = this.routedIrq(link);
      if (level && irq !== undefined) isa |= 1 << irq;
    }
    for (const [irq, line] of this.isaLines.entries()) line.set(((isa >> irq) & 1) !== 0);
  }
}

/** PCI interrupt link (0..3 = PIRQA..D) of a slot's pin (0..3 = INTA..D). Slot 1, the south bridge, has INTA on PIRQA. */
export function linkOf(slot: number, pin: number): number {
  return (slot - 1 + pin) & 3;
}
