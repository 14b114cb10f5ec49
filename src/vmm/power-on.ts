// Power-on and reset of a machine: every device to its reset state, and what firmware leaves behind where none runs.
import { type BootMachine, E820_RAM, type TextScreenShape } from "../boot/machine.ts";
import { buildAcpiTables } from "../devices/acpi/tables.ts";
import { PM_BASE } from "../devices/acpi-pm.ts";
import { buildMpTable, MP_BASE } from "../devices/mp-table.ts";
import { configurePci } from "../devices/pci/firmware-setup.ts";
import { type Board, SERIAL_PORTS } from "./board.ts";
import { type CheckedConfig, checkFirmwareSize } from "./check-config.ts";
import { e820File, memoryMapFor } from "./e820.ts";
import { VmError } from "./error.ts";
import type { Machine } from "./machine.ts";
import { leaveMtrrsAsFirmware } from "./mtrr.ts";
import { FIRMWARE_ALIAS_BYTES, FOUR_GIB, LOW_MEMORY_END } from "./slots.ts";

/** Where SeaBIOS also shows its screen: COM1 (u16, little-endian). */
const SERIAL_CONSOLE_PORT = Uint8Array.of(0xf8, 0x03);
/** SeaBIOS runs the file of this name as the option ROM of PCI function 1234:1111. */
const VGA_ROM_FILE = "pci1234,1111.rom";

/**
 * Everything to its reset state but RAM, which keeps its contents as hardware does, and images are put where the boot
 * source wants them. `boot` is the boot code.
 */
export async function powerOn(machine: Machine, boot: (machine: BootMachine) => void | Promise<void>): Promise<void> {
  const { core, board, vcpu, config } = machine;
  core.initVm();
  for (const device of board.devices) device.reset();
  machine.irqs.reset();
  board.a20.reset();
  core.resetVcpu(vcpu.address);
  machine.restoreControls();
  board.fwCfg.addFile("etc/e820", e820File([{ base: 0, size: config.memoryBytes, type: E820_RAM }]));
  const acpiRsdp = config.boot.kind === "firmware" ? 0 : leaveAsFirmware(machine);
  const textScreen = prepareVga(board, config);
  if (config.boot.kind === "firmware" && config.serialPorts > 0)
    board.fwCfg.addFile("etc/sercon-port", SERIAL_CONSOLE_PORT);
  await boot({
    memory: machine.guest,
    e820: memoryMapFor(config.memoryBytes, config.apic),
    acpiRsdp,
    textScreen,
    setRegisters: (state) => vcpu.setRegisters(state),
    loadFirmware: (image) => loadFirmware(machine, image),
    addFwCfgFile: (name, data) => board.fwCfg.addFile(name, data),
  });
}

/** Gives firmware its VGA BIOS; without firmware the adapter is in text mode, and what is returned says so. */
function prepareVga({ vga, fwCfg }: Board, { boot, vgaBios }: CheckedConfig): TextScreenShape | undefined {
  if (vga === undefined || boot.kind !== "firmware") return vga?.leaveAsFirmware(vgaBios);
  if (vgaBios !== undefined) fwCfg.addFile(VGA_ROM_FILE, vgaBios);
  return undefined;
}

/** No firmware runs: does what it would have left behind. Returns the address of the RSDP, 0 without ACPI. */
function leaveAsFirmware({ board, config, cpu, guest, vcpu }: Machine): number {
  let rsdp = 0;
  configurePci(board.pci, board.bridge);
  board.keyboard.leaveAsFirmware();
  leaveMtrrsAsFirmware(vcpu);
  if (config.acpi) {
    const tables = buildAcpiTables({
      hpet: config.hpet,
      apic: config.apic,
      cpuCount: 1,
      vga: board.vga !== undefined,
      pmBase: PM_BASE,
      serialPorts: SERIAL_PORTS.slice(0, config.serialPorts),
    });
    guest.write(tables.base, tables.image);
    board.generation?.publish();
    rsdp = tables.rsdp;
  }
  if (config.apic) {
    const identity = cpu.leaves.find(({ leaf }) => leaf === 1);
    const mp = buildMpTable({
      cpuCount: 1,
      cpuSignature: identity?.eax ?? 0,
      cpuFeatures: identity?.edx ?? 0,
    });
    guest.write(MP_BASE, mp);
  }
  return rsdp;
}

function loadFirmware({ guest, map }: Machine, image: Uint8Array): void {
  checkFirmwareSize(image.length);
  if (image.length > map.romBytes) {
    throw new VmError("internal", "Room for firmware is only made for boot sources of kind firmware.", {
      length: image.length,
    });
  }
  guest.writeRom(FOUR_GIB - image.length, image);
  const alias = image.subarray(Math.max(0, image.length - FIRMWARE_ALIAS_BYTES));
  guest.write(LOW_MEMORY_END - alias.length, alias);
}
