// Saved guests in the browser's private files.
import { type Host, type HostedVm, inspectSnapshot, snapshotFolder, VmError } from "../src/index.ts";

const FOLDER = "snapshots";
const SUFFIX = ".pvs";

export interface KeptSnapshot {
  readonly file: string;
  readonly name: string;
  readonly sizeBytes: number;
  readonly createdAt: string;
  /** Why it cannot be used; undefined when its frame is whole. */
  readonly damage: string | undefined;
}

/** Newest first; none where the page has no private files. */
export async function listKept(): Promise<KeptSnapshot[]> {
  let folder: FileSystemDirectoryHandle;
  try {
    folder = await (await navigator.storage.getDirectory()).getDirectoryHandle(FOLDER);
  } catch {
    // Never saved anything, or not allowed to.
    return [];
  }
  const store = await snapshotFolder(FOLDER);
  const found: KeptSnapshot[] = [];
  for await (const [file, handle] of (
    folder as unknown as { entries(): AsyncIterable<[string, FileSystemHandle]> }
  ).entries()) {
    if (handle.kind !== "file" || !file.endsWith(SUFFIX)) continue;
    try {
      const { sizeBytes, createdAt, config } = await inspectSnapshot({ store, name: file });
      const name = typeof config["name"] === "string" ? config["name"] : file;
      found.push({ file, name, sizeBytes, createdAt, damage: undefined });
    } catch (error) {
      const { size, lastModified } = await (handle as FileSystemFileHandle).getFile();
      const createdAt = new Date(lastModified).toISOString();
      const damage = error instanceof Error ? error.message : String(error);
      found.push({ file, name: file, sizeBytes: size, createdAt, damage });
    }
  }
  return found.sort((a, b) => (a.createdAt < b.createdAt ? 1 : -1));
}

/** Throws VmError("io" | "host") where the browser gives no room. */
export async function keep(vm: HostedVm): Promise<void> {
  // Files may come and go while a browser is short of room, unless the visitor is asked.
  await navigator.storage.persist?.().catch(() => false);
  await vm.snapshot({ folder: FOLDER, name: `${vm.name}-${Date.now().toString(36)}${SUFFIX}` });
}

export async function restoreKept(host: Host, file: string, name: string): Promise<HostedVm> {
  return await host.restoreVm({ folder: FOLDER, name: file }, { name });
}

export async function keptFile(file: string): Promise<File> {
  return await (await handleOf(file)).getFile();
}

export async function removeKept(file: string): Promise<void> {
  const folder = await (await navigator.storage.getDirectory()).getDirectoryHandle(FOLDER);
  await folder.removeEntry(file);
}

/** Name of a file that a guest is downloaded as. */
export function fileNameOf(vm: HostedVm): string {
  return `${vm.name}-${new Date().toISOString().slice(0, 19).replaceAll(":", "")}${SUFFIX}`;
}

async function handleOf(file: string): Promise<FileSystemFileHandle> {
  try {
    const folder = await (await navigator.storage.getDirectory()).getDirectoryHandle(FOLDER);
    return await folder.getFileHandle(file);
  } catch (cause) {
    throw new VmError("not-found", `The saved guest ${file} is not there any more.`, { file }, { cause });
  }
}
