// Which format an image has. A guest can write anything into a raw disk, another format's header too: an image is
// never taken for what its content says unless its name says so as well.
import { VmError } from "../../vmm/error.ts";

export const DISK_FORMATS = ["raw", "qcow2", "dir"] as const;
export type DiskFormat = (typeof DISK_FORMATS)[number];
export type ImageFormat = Exclude<DiskFormat, "dir">;

const QCOW2_NAME = /\.qcow2$/i;
/** First bytes of formats that exist elsewhere. */
const SIGNATURES: readonly (readonly [format: string, text: string])[] = [
  ["qcow2", "QFI\u00fb"],
  ["qed", "QED\0"],
  ["vmdk", "KDMV"],
  ["vmdk", "COWD"],
  ["vmdk", "# Disk DescriptorFile"],
  ["vdi", "<<< "],
  ["vhdx", "vhdxfile"],
  ["vpc", "conectix"],
  ["luks", "LUKS\u00ba\u00be"],
  ["parallels", "WithoutFreeSpace"],
  ["dmg", "koly"],
];
export const SIGNATURE_BYTES = 32;

/** The format that the first bytes announce, undefined for plain data. */
export function signature(head: Uint8Array): string | undefined {
  const text = String.fromCharCode(...head.subarray(0, SIGNATURE_BYTES));
  return SIGNATURES.find(([, magic]) => text.startsWith(magic))?.[0];
}

/** The format of an image whose user does not say it. Throws VmError("bad-image") where name and content disagree. */
export function detectFormat(name: string, head: Uint8Array): ImageFormat {
  const found = signature(head);
  if (QCOW2_NAME.test(name)) {
    if (found === "qcow2") return "qcow2";
    throw new VmError("bad-image", `${name} is called qcow2 but does not begin like one; say its format: format=raw.`, {
      name,
    });
  }
  if (found === undefined) return "raw";
  const advice =
    found === "qcow2"
      ? "a raw disk can be made to look so by its guest: say format=qcow2, or format=raw"
      : "that format is not supported: convert it with qemu-img to qcow2, or say format=raw";
  throw new VmError("bad-image", `${name} begins like a ${found} image, and ${advice}.`, { name, found });
}
