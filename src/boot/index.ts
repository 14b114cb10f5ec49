// Puts a boot source into a machine and sets the registers it starts with. Loaders that not every guest needs come when one does.
import type { BootSource } from "../vmm/config.ts";
import { VmError } from "../vmm/error.ts";
import { prepareFirmware } from "./firmware.ts";
import { prepareFlat } from "./flat.ts";
import { badImage } from "./image.ts";
import type { BootMachine } from "./machine.ts";

/**
 * Loads the images of `source` into `machine` and sets vCPU 0; called at power-on and again at every reset.
 * Throws VmError("bad-image" | "bad-config") whose message names the field, what was found and the next step.
 */
export async function prepareBoot(source: BootSource, machine: BootMachine): Promise<void> {
  try {
    switch (source.kind) {
      case "linux":
        return await (await import("./linux.ts")).prepareLinux(source, machine);
      case "multiboot":
        return (await import("./multiboot.ts")).prepareMultiboot(source, machine);
      case "elf":
        return (await import("./elf-program.ts")).prepareElf(source, machine);
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
