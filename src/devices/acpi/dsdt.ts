// The DSDT: what the guest cannot find by itself. PCI root bridge with its windows and interrupt routing, the ISA devices
// behind the bridge, and the way to switch off.
import { GPE0_BASE, GPE0_BYTES, PM_BASE, PM_BYTES, SLEEP_TYPE_S5, SMI_COMMAND_PORT } from "../acpi-pm.ts";
import { HPET_BASE, HPET_BYTES } from "../hpet.ts";
import { type PciInterrupt, pciInterrupts } from "../interrupt-wiring.ts";
import { PCI_MEMORY_WINDOW, PCI_MEMORY_WINDOW_END } from "../pci/firmware-setup.ts";
import { HOTPLUG_BASE, HOTPLUG_BYTES, HOTPLUG_GPE, HOTPLUG_SLOTS } from "../pci/hotplug.ts";
import { SOUTH_BRIDGE_SLOT } from "../pci/piix3.ts";
import { VM_GENERATION_GPA, VM_GENERATION_GPE } from "../vm-generation.ts";
import {
  type Aml,
  and,
  arg0,
  assemble,
  define,
  device,
  eisaId,
  giveBack,
  ifTrue,
  integer,
  local0,
  method,
  name,
  notify,
  pack,
  portRegisters,
  resources,
  scope,
  store,
  string,
} from "./aml.ts";

export interface DsdtOptions {
  readonly hpet?: boolean;
  /** COM ports present: base and ISA IRQ. */
  readonly serialPorts: readonly { readonly base: number; readonly irq: number }[];
}

export function dsdtBody(options: DsdtOptions): Uint8Array {
  const { ports, irq, list } = resources;
  const isa = (path: string, id: string, ...descriptors: (readonly number[])[]): Aml =>
    device(path, define("_HID", eisaId(id)), define("_CRS", list(...descriptors)));
  const serial = options.serialPorts.map(({ base, irq: line }, n) =>
    device(
      `COM${n + 1}`,
      define("_HID", eisaId("PNP0501")),
      define("_UID", integer(n + 1)),
      define("_CRS", list(ports(base, 8), irq(line))),
    ),
  );
  return assemble([
    // The guest says which interrupt controllers it uses (ACPI 6.5, 5.8.1).
    define("\\PICF", integer(0)),
    method("\\_PIC", 1, store(arg0, name("\\PICF"))),
    define("\\_S5", pack(integer(SLEEP_TYPE_S5), integer(SLEEP_TYPE_S5), integer(0), integer(0))),
    scope(
      "\\_SB",
      device(
        "VGEN",
        define("_HID", string("PVNE0001")),
        define("_CID", string("VM_Gen_Counter")),
        define("_DDN", string("VM_Gen_Counter")),
        define("ADDR", pack(integer(VM_GENERATION_GPA), integer(0))),
      ),
      ...(options.hpet
        ? [
            device(
              "HPET",
              define("_HID", eisaId("PNP0103")),
              define("_CRS", list(resources.memory(HPET_BASE, HPET_BYTES))),
            ),
          ]
        : []),
      device(
        "PCI0",
        define("_HID", eisaId("PNP0A03")),
        define("_UID", integer(0)),
        define(
          "_CRS",
          list(
            resources.busRange(0, 0xff),
            ports(0xcf8, 8),
            resources.portWindow(0x0000, 0x0cf7),
            resources.portWindow(0x0d00, 0xffff),
            resources.memoryWindow(0xa0000, 0xbffff, true),
            resources.memoryWindow(PCI_MEMORY_WINDOW, PCI_MEMORY_WINDOW_END - 1, false),
          ),
        ),
        define(
          "PRTP",
          routing(({ irq }) => irq),
        ),
        define(
          "PRTA",
          routing(({ gsi }) => gsi),
        ),
        method("_PRT", 0, ifTrue(name("\\PICF"), giveBack(name("PRTA"))), giveBack(name("PRTP"))),
        device(
          "ISA",
          define("_ADR", integer(SOUTH_BRIDGE_SLOT << 16)),
          isa("KBD", "PNP0303", ports(0x60, 1), ports(0x64, 1), irq(1)),
          isa("MOU", "PNP0F13", irq(12)),
          isa("RTC", "PNP0B00", ports(0x70, 2), irq(8)),
          isa("FPU", "PNP0C04", ports(0xf0, 1), irq(13)),
          isa("LPT", "PNP0400", ports(0x378, 8), irq(7)),
          ...serial,
          isa(
            "SYSR",
            "PNP0C02",
            ports(PM_BASE, PM_BYTES),
            ports(GPE0_BASE, GPE0_BYTES),
            ports(HOTPLUG_BASE, HOTPLUG_BYTES),
            ports(SMI_COMMAND_PORT, 2),
          ),
        ),
        ...hotplugSlots(),
      ),
    ),
    scope(
      "\\_GPE",
      edgeEvent(VM_GENERATION_GPE, notify(name("\\_SB.VGEN"), integer(0x80))),
      edgeEvent(HOTPLUG_GPE, name("\\_SB.PCI0.HOTP")),
    ),
  ]);
}

/** The method of a general-purpose event. */
function edgeEvent(gpe: number, ...terms: Aml[]): Aml {
  return method(`_E${hex2(gpe)}`, 0, ...terms);
}

function hex2(value: number): string {
  return value.toString(16).toUpperCase().padStart(2, "0");
}

const DEVICE_CHECK = 1;
const EJECT_REQUEST = 3;

/** Slots whose cards come and go (ACPI 6.5, 6.3): each with its eject method, and the method that tells who was meant. */
function hotplugSlots(): Aml[] {
  const slots = HOTPLUG_SLOTS.map((slot) => ({ slot, path: `S${hex2(slot)}`, bit: integer((1 << slot) >>> 0) }));
  const tell = (what: number): Aml =>
    slots.map(({ path, bit }) => ifTrue(and(local0, bit), notify(name(path), integer(what))));
  return [
    portRegisters("HPR", HOTPLUG_BASE, ["HPIN", "HPRM", "HPEJ"]),
    ...slots.map(({ slot, path, bit }) =>
      device(
        path,
        define("_ADR", integer(slot * 0x10000)),
        define("_SUN", integer(slot)),
        method("_EJ0", 1, store(bit, name("HPEJ"))),
      ),
    ),
    method(
      "HOTP",
      0,
      // Seen is what was read, not what came meanwhile.
      store(name("HPIN"), local0),
      store(local0, name("HPIN")),
      tell(DEVICE_CHECK),
      store(name("HPRM"), local0),
      tell(EJECT_REQUEST),
    ),
  ];
}

/** _PRT rows: any function of a slot, its pin, no link device, the GSI. */
function routing(target: (row: PciInterrupt) => number): Aml {
  return pack(
    ...pciInterrupts().map((row) =>
      pack(integer(row.slot * 0x10000 + 0xffff), integer(row.pin), integer(0), integer(target(row))),
    ),
  );
}
