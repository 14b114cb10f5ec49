// Boot images in shared memory: a hundred VMs of one kernel on any number of threads keep one copy of it.
import type { BootSource } from "../vmm/config.ts";

/** Shared copies by original. The originals' owners keep them alive, not this table. */
const copies = new WeakMap<Uint8Array, Uint8Array>();

function shared(bytes: Uint8Array): Uint8Array {
  if (bytes.buffer instanceof SharedArrayBuffer) return bytes;
  let copy = copies.get(bytes);
  if (copy === undefined) {
    copy = new Uint8Array(new SharedArrayBuffer(bytes.length));
    copy.set(bytes);
    copies.set(bytes, copy);
  }
  return copy;
}

/** The same boot source with its images in shared memory. */
export function shareImages(boot: BootSource): BootSource {
  return mapImages(boot, shared);
}

/** And with images of this thread's own, for libraries that refuse shared memory. */
export function unshareImages(boot: BootSource): BootSource {
  if (typeof SharedArrayBuffer === "undefined") return boot;
  return mapImages(boot, (bytes) => (bytes.buffer instanceof SharedArrayBuffer ? bytes.slice() : bytes));
}

function mapImages(boot: BootSource, map: (bytes: Uint8Array) => Uint8Array): BootSource {
  switch (boot.kind) {
    case "linux":
      return { ...boot, kernel: map(boot.kernel), ...(boot.initrd === undefined ? {} : { initrd: map(boot.initrd) }) };
    case "multiboot":
      return {
        ...boot,
        kernel: map(boot.kernel),
        ...(boot.modules === undefined
          ? {}
          : { modules: boot.modules.map((module) => ({ ...module, image: map(module.image) })) }),
      };
    case "elf":
      return { ...boot, kernel: map(boot.kernel) };
    case "firmware":
    case "flat":
      return { ...boot, image: map(boot.image) };
    default:
      // Whoever boots it says what kinds there are.
      return boot;
  }
}
