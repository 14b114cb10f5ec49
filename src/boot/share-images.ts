// Boot images in shared memory: a hundred VMs of one kernel on any number of threads keep one copy of it.
import { sameBytes } from "../vmm/compare-bytes.ts";
import type { BootSource } from "../vmm/config.ts";

/** Shared copies by original. The originals' owners keep them alive, not this table. */
const copies = new WeakMap<Uint8Array, Uint8Array>();
/** Copies that somebody still uses, by length: an image that was read a second time has the same bytes. */
const byLength = new Map<number, WeakRef<Uint8Array>[]>();

function shared(bytes: Uint8Array): Uint8Array {
  if (bytes.buffer instanceof SharedArrayBuffer) return bytes;
  let copy = copies.get(bytes);
  if (copy === undefined) {
    copy = copyOf(bytes) ?? newCopy(bytes);
    copies.set(bytes, copy);
  }
  return copy;
}

function newCopy(bytes: Uint8Array): Uint8Array {
  const copy = new Uint8Array(new SharedArrayBuffer(bytes.length));
  copy.set(bytes);
  byLength.set(bytes.length, [...(byLength.get(bytes.length) ?? []), new WeakRef(copy)]);
  return copy;
}

/** The copy that has these bytes; those that nobody uses any more are forgotten. */
function copyOf(bytes: Uint8Array): Uint8Array | undefined {
  const alive = (byLength.get(bytes.length) ?? []).flatMap((reference) => {
    const copy = reference.deref();
    return copy === undefined ? [] : [{ reference, copy }];
  });
  if (alive.length > 0)
    byLength.set(
      bytes.length,
      alive.map(({ reference }) => reference),
    );
  else byLength.delete(bytes.length);
  return alive.find(({ copy }) => sameBytes(copy, bytes))?.copy;
}

/** The same boot source with its images in shared memory. */
export function shareImages(boot: BootSource): BootSource {
  return mapImages(boot, shared);
}

/** Bytes of this thread's own, for libraries that refuse shared memory. */
export function unshared(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  if (typeof SharedArrayBuffer !== "undefined" && bytes.buffer instanceof SharedArrayBuffer) return bytes.slice();
  return bytes as Uint8Array<ArrayBuffer>;
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
