// Puts a boot source into a machine and sets the registers it starts with.
import type { BootSource } from "../vmm/config.ts";
import { VmError } from "../vmm/error.ts";
import { loadElf, parseElf } from "./elf.ts";
import { prepareFirmware } from "./firmware.ts";
import { prepareFlat } from "./flat.ts";
import { badImage } from "./image.ts";
import { prepareLinux } from "./linux.ts";
import type { BootMachine } from "./machine.ts";
import { prepareMultiboot } from "./multiboot.ts";
import { Placement } from "./placement.ts";
import { flatGdt, GDT_BASE, MULTIBOOT_SELECTORS, protectedStart } from "./start.ts";

/**
 * Loads the images of `source` into `machine` and sets vCPU 0; called at power-on and again at every reset.
 * Throws VmError("bad-image" | "bad-config") whose message names the field, what was found and the next step.
 */
export async function prepareBoot(source: BootSource, machine: BootMachine): Promise<void> {
  try {
    switch (source.kind) {
      case "linux":
        return await prepareLinux(source, machine);
      case "multiboot":
        return prepareMultiboot(source, machine);
      case "elf":
        return prepareElf(source, machine);
      case "firmware":
        return prepareFirmware(source, machine);
      case "flat":
        return prepareFlat(source, machine);
      default:
        throw new VmError(
          "bad-config",
          `boot.kind is "${String((source as { kind?: unknown }).kind)}"; "linux", "multiboot", "elf", "firmware" and "flat" are accepted.`,
        );
    }
  } catch (cause) {
    if (cause instanceof VmError) throw cause;
    throw badImage(
      `The ${source.kind} image cannot be booted: ${cause instanceof Error ? cause.message : String(cause)}.`,
      {},
      cause,
    );
  }
}

/** An ELF program on the bare machine: 32-bit protected mode, flat segments 08h and 10h, no stack. */
function prepareElf(source: Extract<BootSource, { kind: "elf" }>, machine: BootMachine): void {
  const elf = parseElf(source.kernel, "ELF kernel");
  const placement = new Placement(machine);
  loadElf(elf, placement, "ELF kernel");
  placement.place("boot GDT", GDT_BASE, flatGdt(MULTIBOOT_SELECTORS));
  machine.setRegisters(protectedStart(elf.entry, MULTIBOOT_SELECTORS));
}
