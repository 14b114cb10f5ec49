// The board: which devices a configuration asks for and how they are wired. Devices know nothing of each other.
import { HC_CONSOLE_IRQ } from "../../spec/hypercalls.ts";
import { A20Gate } from "../devices/a20.ts";
import { AcpiPm, SCI_IRQ } from "../devices/acpi-pm.ts";
import { CmosRtc } from "../devices/cmos-rtc.ts";
import { DEBUGCON_PORT, DebugConsole, FIRMWARE_LOG_PORT } from "../devices/debugcon.ts";
import { Dma8237 } from "../devices/dma8237.ts";
import { FerrLatch } from "../devices/ferr.ts";
import { FwCfg } from "../devices/fw-cfg.ts";
import { Hpet } from "../devices/hpet.ts";
import { HypercallBlock } from "../devices/hypercall-block.ts";
import { HypercallConsole } from "../devices/hypercall-console.ts";
import { I8042 } from "../devices/i8042.ts";
import { IsaDebugExit } from "../devices/isa-debug-exit.ts";
import { ParallelPort } from "../devices/parallel.ts";
import { PcTestDevice } from "../devices/pc-testdev.ts";
import { PciHost } from "../devices/pci/host.ts";
import { PciHotplug } from "../devices/pci/hotplug.ts";
import { PIRQ_GSI_BASE, Piix3, SOUTH_BRIDGE_SLOT } from "../devices/pci/piix3.ts";
import { Port92 } from "../devices/port92.ts";
import { PostDisplay } from "../devices/post.ts";
import { ResetControl } from "../devices/reset-control.ts";
import { Uart16550 } from "../devices/uart16550.ts";
import type { Vga, VideoMemory } from "../devices/vga/vga.ts";
import { VM_GENERATION_GPE, VmGeneration } from "../devices/vm-generation.ts";
import { bootOrderFile } from "./boot-order.ts";
import type { MmioBus, PortBus } from "./bus.ts";
import type { CheckedConfig } from "./check-config.ts";
import type { Device, DeviceClock, DmaMemory, IoRange, IrqLine, MsiSink } from "./device.ts";
import type { DeviceFamilies } from "./device-families.ts";
import type { OpenDrive } from "./drives.ts";
import { VmError } from "./error.ts";
import type { IrqWiring } from "./irq.ts";
import type { NicSet } from "./nic-set.ts";
import type { OpenNic } from "./nics.ts";
import type { ResetCause } from "./status.ts";
import { NO_STORAGE, type StorageSet } from "./storage-set.ts";
import { VirtioCards } from "./virtio-cards.ts";
import { noVirtio, type VirtioSet } from "./virtio-set.ts";

/** COM1..COM4 as every PC has them. */
export const SERIAL_PORTS = [
  { base: 0x3f8, irq: 4 },
  { base: 0x2f8, irq: 3 },
  { base: 0x3e8, irq: 4 },
  { base: 0x2e8, irq: 3 },
] as const;
const PARALLEL_BASE = 0x378;
const PARALLEL_IRQ = 7;
const KEYBOARD_IRQ = 1;
const MOUSE_IRQ = 12;
const RTC_IRQ = 8;
const FERR_IRQ = 13;
/** By which SeaBIOS knows the kinds of devices in CMOS. */
const CMOS_BOOT_CODES = { floppy: 1, disk: 2, cdrom: 3, network: 4 } as const;
const PM_FUNCTION = 3;

/** What devices tell the VM. */
export interface BoardEvents {
  serial(port: number, byte: number): void;
  debugcon(byte: number): void;
  firmwareLog(byte: number): void;
  parallel(byte: number): void;
  post(code: number): void;
  reset(cause: ResetCause): void;
  powerOff(): void;
  debugExit(code: number): void;
  a20(enabled: boolean): void;
  /** The guest has let go of the card in a PCI slot. */
  ejected(slot: number): void;
  ignne(): void;
  /** Another timer drives IRQ 0 in place of the 8254, or no longer. */
  replacePit(replaced: boolean): void;
  /** The guest waits for about a microsecond. */
  ioDelay(): void;
}

/** What the machine has before it has devices. */
export interface BoardParts {
  readonly ports: PortBus;
  readonly mmio: MmioBus;
  readonly irqs: IrqWiring;
  readonly clock: DeviceClock;
  readonly memory: DmaMemory;
  readonly msi: MsiSink;
  readonly entropy: (into: Uint8Array) => void;
  /** Of the configuration that the board is made of. */
  readonly families: DeviceFamilies;
  readonly drives: readonly OpenDrive[];
  readonly nics: readonly OpenNic[];
  readonly generationId: Uint8Array;
  /** For config.display "vga". */
  readonly video?: VideoMemory | undefined;
}

export interface Board {
  /** In a fixed order: reset, save and metrics follow it. */
  readonly devices: Device[];
  readonly uarts: readonly Uart16550[];
  readonly keyboard: I8042;
  readonly rtc: CmosRtc;
  readonly pci: PciHost;
  readonly bridge: Piix3;
  readonly pm: AcpiPm | undefined;
  readonly hotplug: PciHotplug | undefined;
  readonly generation: VmGeneration | undefined;
  readonly ferr: FerrLatch;
  readonly fwCfg: FwCfg;
  readonly a20: A20Gate;
  readonly storage: StorageSet;
  readonly virtio: VirtioSet;
  readonly nics: NicSet;
  readonly vga: Vga | undefined;
  readonly hypercallConsole: HypercallConsole | undefined;
  readonly hypercallBlock: HypercallBlock | undefined;
}

export function buildBoard(config: CheckedConfig, parts: BoardParts, events: BoardEvents): Board {
  const { ports, mmio, irqs, clock, memory, families } = parts;
  const a20 = new A20Gate(events.a20);
  const resetControl = new ResetControl(() => events.reset("port-cf9"));
  const rtcLine = new GatedLine(irqs.line(RTC_IRQ));
  const rtc = new CmosRtc({
    irq: rtcLine,
    clock,
    ramBytes: config.memoryBytes,
    cpuCount: 1,
    floppyTypes: families.storage?.floppyTypes(parts.drives) ?? [0, 0],
    bootOrder: config.bootOrder.map((device) => CMOS_BOOT_CODES[device]),
  });
  const keyboard = new I8042({
    keyboardIrq: irqs.line(KEYBOARD_IRQ),
    mouseIrq: irqs.line(MOUSE_IRQ),
    a20,
    clock,
    requestReset: () => events.reset("keyboard-controller"),
  });
  const ferr = new FerrLatch(irqs.line(FERR_IRQ), events.ignne);
  const bridge = new Piix3(
    Array.from({ length: 16 }, (_, irq) => irqs.line(irq)),
    Array.from({ length: 4 }, (_, link) => irqs.line(PIRQ_GSI_BASE + link)),
  );
  const pci = new PciHost({
    map: (space, range) => (space === "io" ? ports.addMovable(range) : mmio.add(range)),
    setIntx: (slot, pin, level) => bridge.setSlotIntx(slot, pin, level),
    resetControl,
  });
  pci.add(SOUTH_BRIDGE_SLOT, 0, bridge);
  const fwCfg = new FwCfg({
    memory,
    ramBytes: config.memoryBytes,
    cpuCount: 1,
    graphic: config.display !== "none",
  });
  const order = bootOrderFile(parts.drives, parts.nics);
  if (order !== undefined) fwCfg.addFile("bootorder", order);
  const uarts = SERIAL_PORTS.slice(0, config.serialPorts).map(
    ({ base, irq }, n) =>
      new Uart16550({ name: `uart${n}`, base, irq: irqs.line(irq), clock, transmit: (byte) => events.serial(n, byte) }),
  );
  const devices: Device[] = [
    pci,
    resetControl,
    rtc,
    keyboard,
    new Port92(a20, () => events.reset("port-92")),
    ferr,
    fwCfg,
    ...uarts,
    new ParallelPort(PARALLEL_BASE, irqs.line(PARALLEL_IRQ), events.parallel),
    new DebugConsole("debugcon", DEBUGCON_PORT, events.debugcon),
    new DebugConsole("firmware-log", FIRMWARE_LOG_PORT, events.firmwareLog),
  ];
  let pm: AcpiPm | undefined;
  let hotplug: PciHotplug | undefined;
  let generation: VmGeneration | undefined;
  if (config.acpi) {
    pm = new AcpiPm({
      sci: irqs.line(SCI_IRQ),
      clock,
      powerOff: events.powerOff,
      mapPorts: (range) => ports.addMovable(range),
    });
    pci.add(SOUTH_BRIDGE_SLOT, PM_FUNCTION, pm.pci);
    const power = pm;
    hotplug = new PciHotplug({ raiseGpe: (bit) => power.raiseGpe(bit), ejected: events.ejected });
    devices.push(pm, hotplug);
    if (config.boot.kind !== "firmware") {
      // Firmware builds tables of its own and uses the memory in which the ID would lie.
      generation = new VmGeneration(memory, () => power.raiseGpe(VM_GENERATION_GPE), parts.generationId);
      devices.push(generation);
    }
  }
  if (config.hpet) {
    devices.push(
      new Hpet({
        clock,
        msi: parts.msi,
        line: (gsi) => irqs.line(gsi),
        replacePit: events.replacePit,
        replaceRtc: (on) => rtcLine.open(!on),
      }),
    );
  }
  const vga = parts.video && families.vga?.addVga(parts.video, pci, clock);
  if (vga !== undefined) devices.push(vga);
  const hypercallConsole = config.paravirt.includes("console")
    ? new HypercallConsole({
        memory,
        irq: irqs.line(HC_CONSOLE_IRQ),
        input: uarts[0],
        output: uarts.length > 0 ? (byte) => events.serial(0, byte) : events.debugcon,
      })
    : undefined;
  if (hypercallConsole !== undefined) devices.push(hypercallConsole);
  const hypercallDrives = parts.drives.filter(({ bus }) => bus === "hypercall");
  const hypercallBlock =
    hypercallDrives.length > 0 && config.paravirt.includes("block")
      ? new HypercallBlock(memory, hypercallDrives)
      : undefined;
  if (hypercallBlock !== undefined) devices.push(hypercallBlock);
  const dma = new Dma8237(memory);
  const storage = families.storage?.addStorage({ ...parts, pci, dma }) ?? NO_STORAGE;
  devices.push(dma, ...storage.devices);
  const cards = new VirtioCards({ pci, memory, clock, msi: parts.msi });
  const virtio = families.virtio?.addVirtio(config, cards, { ...parts, pci }) ?? noVirtio(cards);
  devices.push(...virtio.devices);
  const otherNics = families.nics?.addNics(parts.nics, { pci, memory, clock });
  devices.push(...(otherNics?.values() ?? []));
  // Virtio's come and go.
  const nics: NicSet = { get: (id) => otherNics?.get(id) ?? virtio.nics.get(id) };
  if (config.testDevice) devices.push(new PcTestDevice((gsi) => irqs.line(gsi)));
  for (const device of devices) {
    // The test device's byte register would cover the debug console: it takes the ports that are free.
    const map = device instanceof PcTestDevice ? ports.addMovable : ports.add;
    for (const range of device.ports ?? []) map.call(ports, range);
    for (const range of device.mmio ?? []) mmio.add(range);
  }
  const chosen: [field: string, device: Device][] = [
    ["postPort", new PostDisplay(config.postPort, events.post, events.ioDelay)],
  ];
  if (config.debugExitPort !== undefined) {
    chosen.push(["debugExitPort", new IsaDebugExit(config.debugExitPort, events.debugExit)]);
  }
  for (const [field, device] of chosen) {
    devices.push(device);
    for (const range of device.ports ?? []) addChosen(ports, range, field);
  }
  const power = { pm, hotplug, generation };
  const calls = { hypercallConsole, hypercallBlock };
  return {
    devices,
    uarts,
    keyboard,
    rtc,
    pci,
    bridge,
    ...power,
    ferr,
    fwCfg,
    a20,
    storage,
    virtio,
    nics,
    vga,
    ...calls,
  };
}

/** A line that another device may take the place of. */
class GatedLine implements IrqLine {
  #level = false;
  #open = true;

  constructor(private readonly line: IrqLine) {}

  set(level: boolean): void {
    this.#level = level;
    this.line.set(level && this.#open);
  }
  open(open: boolean): void {
    this.#open = open;
    this.set(this.#level);
  }
}

/** Maps a device at the port that the configuration chose for it. */
function addChosen(ports: PortBus, range: IoRange, field: string): void {
  try {
    ports.add(range);
  } catch (cause) {
    const port = `0x${range.first.toString(16)}`;
    throw new VmError(
      "bad-config",
      `${field} ${port} is a port of another device; choose a free one.`,
      { field },
      { cause },
    );
  }
}
