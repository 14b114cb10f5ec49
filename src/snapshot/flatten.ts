// One full snapshot of a snapshot with its parents.
import { loadPlatform } from "../platform/platform.ts";
import { SnapshotChain } from "./chain.ts";
import { imagesOf } from "./config.ts";
import { imagesOfDisks } from "./disks.ts";
import { GuestPages } from "./guest-pages.ts";
import type { SnapshotName } from "./restore.ts";
import { writeSnapshot } from "./writer.ts";

export interface FlattenedSnapshot {
  readonly id: string;
  readonly sizeBytes: number;
  /** The snapshots that it was made of. */
  readonly files: readonly string[];
}

/**
 * Writes `to`, which needs no parent; `from` and its parents stay. Snapshots that name `from` as their parent go on doing
 * so. Throws VmError as `Vm.restore` and `vm.snapshot` do.
 */
export async function flattenSnapshot(
  from: SnapshotName,
  to: SnapshotName,
  options: { readonly compress?: boolean } = {},
): Promise<FlattenedSnapshot> {
  const platform = await loadPlatform();
  const chain = await SnapshotChain.open(from.store, from.name, platform);
  try {
    const { manifest } = chain.top;
    const { disks } = manifest;
    const images = chain.eachImage(new Set([...imagesOf(manifest), ...imagesOfDisks(disks)]));
    const pages = GuestPages.scratch(manifest);
    await chain.readMemory(pages);
    const written = await writeSnapshot(
      await to.store.create(to.name),
      {
        manifest: { ...manifest, parent: null },
        images,
        disks,
        chunks: pages.captureAll(),
        compress: options.compress ?? true,
      },
      platform,
    );
    return { ...written, files: chain.files.map(({ name }) => name) };
  } finally {
    await chain.close();
  }
}
