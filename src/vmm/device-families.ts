// Devices that not every machine has, by family: each is a file of its own in pages, and comes when a configuration names it.
import type { CheckedConfig } from "./check-config.ts";

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

export async function loadFamilies(config: Named): Promise<DeviceFamilies> {
  const { drives, nics } = config;
  // Together: each takes its time to come.
  const [storage, virtio, others, vga] = await Promise.all([
    drives.some(({ bus }) => bus === "ide" || bus === "floppy") ? import("./board-ide.ts") : undefined,
    hasVirtio(config) ? loadVirtio() : undefined,
    nics.some(({ model }) => model !== "virtio") ? import("./board-nics.ts") : undefined,
    config.display === "none" ? undefined : import("./board-vga.ts"),
  ]);
  return {
    ...(storage && { storage }),
    ...(virtio && { virtio }),
    ...(others && { nics: others }),
    ...(vga && { vga }),
  };
}

/** Also for cards that come later. */
export const loadVirtio = (): Promise<typeof import("./board-virtio.ts")> => import("./board-virtio.ts");

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
