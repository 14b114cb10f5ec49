// Guests out of the image cache as files in a scratch directory, where the emulators' processes read them.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sha256 } from "../../src/images/node/cache.ts";
import { openImage, pullImage, readImageFile } from "../../src/images/node/index.ts";
import { VmError } from "../../src/vmm/error.ts";
import type { GuestJob } from "./emulators.ts";
import { status } from "./status-line.ts";

/** All emulators get the same memory, whatever an image asks for. */
export const MEMORY_BYTES = 256 << 20;

export interface BenchGuest {
  readonly name: string;
  readonly kernel: Uint8Array;
  readonly initrd: Uint8Array;
  /** Hex SHA-256. */
  readonly kernelDigest: string;
  readonly initrdDigest: string;
  /** Packages and versions that it was made of. */
  readonly source: string;
}

export class Scratch implements AsyncDisposable {
  private constructor(readonly path: string) {}

  static async create(): Promise<Scratch> {
    return new Scratch(await mkdtemp(join(tmpdir(), "paravane-bench-")));
  }

  async write(name: string, bytes: Uint8Array): Promise<string> {
    const path = join(this.path, name);
    await writeFile(path, bytes);
    return path;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.path, { recursive: true, force: true });
  }
}

/** A known image, pulled if need be. Throws VmError as `pullImage` does. */
export async function openGuest(name: string): Promise<BenchGuest> {
  const entry = await pullImage(name, { onProgress: ({ phase }) => status(`${name}: ${phase}`) });
  status("");
  const { kernel, initrd } = await openImage(name);
  if (initrd === undefined)
    throw new VmError("bad-image", `The image ${name} has no initrd, so init never starts.`, { name });
  return { name, kernel, initrd, kernelDigest: sha256(kernel), initrdDigest: sha256(initrd), source: entry.source };
}

/** The guest as files; `append` follows what every run has. */
export async function prepareJob(scratch: Scratch, guest: BenchGuest, append: string): Promise<GuestJob> {
  await pullImage("seabios", { onProgress: ({ phase }) => status(`seabios: ${phase}`) });
  status("");
  return {
    kernel: await scratch.write(`${guest.name}.kernel`, guest.kernel),
    initrd: await scratch.write(`${guest.name}.initrd`, guest.initrd),
    bios: await scratch.write("bios.bin", await readImageFile("seabios", "bios")),
    vgabios: await scratch.write("vgabios.bin", await readImageFile("seabios", "vgabios")),
    append: `console=ttyS0 ${append}`,
    memoryBytes: MEMORY_BYTES,
    // v86's own default, with which it boots faster; its machine then ends with "System halted".
    acpi: false,
  };
}
