// Devices that not every machine has, by family: each is a file of its own in pages, and comes when a configuration names it.
import type { CheckedConfig } from "./check-config.ts";
import { VmError } from "./error.ts";

/** The families that one machine has. */
export interface DeviceFamilies {
  /** IDE and floppy drives. */
  readonly storage?: typeof import("./board-ide.ts");
  readonly virtio?: typeof import("./board-virtio.ts");
  /** Network cards that are not virtio's. */
  readonly nics?: typeof import("./board-nics.ts");
  readonly vga?: typeof import("./board-vga.ts");
}

/** What of a configuration says which families there are. */
type Named = Pick<
  CheckedConfig,
  "drives" | "nics" | "display" | "consoles" | "rng" | "balloon" | "vsock" | "inputs" | "shares"
>;

/** Throws VmError("host") when what they are made of cannot be loaded. */
export async function loadFamilies(config: Named): Promise<DeviceFamilies> {
  const { drives, nics } = config;
  // Together: each takes its time to come.
  const [storage, virtio, others, vga] = await Promise.all([
    drives.some(({ bus }) => bus === "ide" || bus === "floppy")
      ? loaded("drives", import("./board-ide.ts"))
      : undefined,
    hasVirtio(config) ? loadVirtio() : undefined,
    nics.some(({ model }) => model !== "virtio") ? loaded("network cards", import("./board-nics.ts")) : undefined,
    config.display === "none" ? undefined : loaded("graphics adapter", import("./board-vga.ts")),
  ]);
  return {
    ...(storage && { storage }),
    ...(virtio && { virtio }),
    ...(others && { nics: others }),
    ...(vga && { vga }),
  };
}

/** Also for cards that come later. Throws as `loadFamilies`. */
export const loadVirtio = (): Promise<typeof import("./board-virtio.ts")> =>
  loaded("virtio devices", import("./board-virtio.ts"));

async function loaded<T>(what: string, part: Promise<T>): Promise<T> {
  try {
    return await part;
  } catch (cause) {
    const message = `The machine's ${what} could not be loaded; look whether the server of this page still answers.`;
    throw new VmError("host", message, { what }, { cause });
  }
}

function hasVirtio({ drives, nics, consoles, rng, balloon, vsock, inputs, shares }: Named): boolean {
  return (
    drives.some(({ bus }) => bus === "virtio") ||
    nics.some(({ model }) => model === "virtio") ||
    [consoles, inputs, shares].some(({ length }) => length > 0) ||
    rng ||
    balloon !== undefined ||
    vsock !== undefined
  );
}
