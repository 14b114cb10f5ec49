// Drives and network cards of a VM that does not run: what comes and goes is its configuration.
import { checkConfig } from "../vmm/check-config.ts";
import type { PortableConfig } from "../vmm/config.ts";
import type { DiskSource, DriveConfig, NicConfig } from "../vmm/device-config.ts";
import { VmError } from "../vmm/error.ts";

/** A disk or a network card to attach. */
export type NewCard =
  | { readonly drive: DriveConfig; readonly nic?: undefined }
  | { readonly nic: NicConfig; readonly drive?: undefined };

/** The part of a configuration that says which there are. */
export type Cards = Pick<PortableConfig, "drives" | "nics">;

/** Throws VmError("bad-config"). */
export function withCard(config: PortableConfig, { drive, nic }: NewCard): Cards {
  const drives = [...(config.drives ?? []), ...(drive === undefined ? [] : [drive])];
  const nics = [...(config.nics ?? []), ...(nic === undefined ? [] : [nic])];
  // With every place filled in: it stays where it is when another one goes.
  const checked = checkConfig({ ...config, drives, nics });
  return { drives: checked.drives, nics: checked.nics };
}

/** Throws VmError("not-found"). */
export function withoutCard(config: PortableConfig, id: string): Cards {
  const { drives = [], nics = [] } = config;
  const kept = droppedCard(config, id);
  if (kept.drives?.length === drives.length && kept.nics?.length === nics.length) {
    const known = [...drives, ...nics].map((card) => card.id).join(", ") || "none";
    throw new VmError("not-found", `There is no drive or network card "${id}"; there are: ${known}.`, { id });
  }
  return kept;
}

/** Without a drive or, where no drive has that id, a network card. */
export function droppedCard({ drives = [], nics = [] }: PortableConfig, id: string): Cards {
  const kept = drives.filter((drive) => drive.id !== id);
  return { drives: kept, nics: kept.length < drives.length ? nics : nics.filter((nic) => nic.id !== id) };
}

/** Throws VmError("not-found") for a drive that has no medium to change. */
export function withMedium(config: PortableConfig, id: string, medium: DiskSource | undefined): Cards {
  const { drives = [], nics = [] } = config;
  const changes = ({ bus, media }: DriveConfig): boolean => bus === "floppy" || media === "cdrom";
  if (!drives.some((drive) => drive.id === id && changes(drive))) {
    const known = drives.flatMap((drive) => (changes(drive) ? [drive.id] : [])).join(", ") || "none";
    throw new VmError("not-found", `No drive "${id}" has a medium to change; drives that do: ${known}.`, { id });
  }
  return { drives: drives.map((drive) => (drive.id === id ? { ...drive, backend: medium } : drive)), nics };
}
