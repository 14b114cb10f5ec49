// What kind of image a file is, from its bytes alone.
import { isElf } from "./elf.ts";
import { isFirmwareSize } from "./firmware.ts";
import { isBzImage } from "./linux-header.ts";
import { findMultibootHeader } from "./multiboot.ts";

/** "linux" is a bzImage or a vmlinux; "boot-sector" and "iso" need a disk to be on. */
export type ImageKind = "linux" | "multiboot" | "elf" | "firmware" | "boot-sector" | "iso";
export type BootKind = "linux" | "multiboot" | "elf" | "firmware";

const RESET_VECTOR_FROM_END = 16;
const ISO_DESCRIPTOR = 0x8000;
const JUMP_OPCODES = [0xea, 0xe9, 0xeb];
const LINUX_BANNER = new TextEncoder().encode("Linux version ");

/** Undefined when the bytes are none of them. A file that is several is what `qemu -kernel` would take it for. */
export function detectImageKind(image: Uint8Array): ImageKind | undefined {
  if (isBzImage(image)) return "linux";
  if (findMultibootHeader(image)) return "multiboot";
  if (isElf(image)) return contains(image, LINUX_BANNER) ? "linux" : "elf";
  if (isFirmwareSize(image.length) && JUMP_OPCODES.includes(image[image.length - RESET_VECTOR_FROM_END] as number))
    return "firmware";
  if (String.fromCharCode(...image.subarray(ISO_DESCRIPTOR + 1, ISO_DESCRIPTOR + 6)) === "CD001") return "iso";
  if (image.length >= 512 && image[510] === 0x55 && image[511] === 0xaa) return "boot-sector";
  return undefined;
}

/** How `prepareBoot` can start it; undefined for what it cannot start by itself. */
export function detectBootKind(image: Uint8Array): BootKind | undefined {
  const kind = detectImageKind(image);
  return kind === "boot-sector" || kind === "iso" ? undefined : kind;
}

function contains(bytes: Uint8Array, text: Uint8Array): boolean {
  const first = text[0] as number;
  for (let at = bytes.indexOf(first); at >= 0; at = bytes.indexOf(first, at + 1)) {
    if (text.every((byte, index) => bytes[at + index] === byte)) return true;
  }
  return false;
}
