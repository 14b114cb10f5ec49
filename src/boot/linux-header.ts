// The header that a bzImage begins with and the "zero page" that its kernel is started with
// (Documentation/arch/x86/boot.rst and zero-page.rst). All offsets count from the start of either.
import { badImage, hex, type ImageReader } from "./image.ts";

export const OFFSET_SETUP_SECTS = 0x1f1;
export const OFFSET_SYSSIZE = 0x1f4;
export const OFFSET_VID_MODE = 0x1fa;
export const OFFSET_BOOT_FLAG = 0x1fe;
export const OFFSET_JUMP_LENGTH = 0x201;
export const OFFSET_HEADER_MAGIC = 0x202;
export const OFFSET_VERSION = 0x206;
export const OFFSET_TYPE_OF_LOADER = 0x210;
export const OFFSET_LOADFLAGS = 0x211;
export const OFFSET_CODE32_START = 0x214;
export const OFFSET_RAMDISK_IMAGE = 0x218;
export const OFFSET_RAMDISK_SIZE = 0x21c;
export const OFFSET_CMD_LINE_PTR = 0x228;
export const OFFSET_INITRD_ADDR_MAX = 0x22c;
export const OFFSET_KERNEL_ALIGNMENT = 0x230;
export const OFFSET_XLOADFLAGS = 0x236;
export const OFFSET_CMDLINE_SIZE = 0x238;
export const OFFSET_PAYLOAD_OFFSET = 0x248;
export const OFFSET_PAYLOAD_LENGTH = 0x24c;
export const OFFSET_PREF_ADDRESS = 0x258;
export const OFFSET_INIT_SIZE = 0x260;

/** Only in the zero page. */
export const ZERO_PAGE_BYTES = 4096;
/** struct screen_info. */
export const ZERO_VIDEO_MODE = 0x006;
export const ZERO_VIDEO_COLUMNS = 0x007;
export const ZERO_VIDEO_EGA_BX = 0x00a;
export const ZERO_VIDEO_LINES = 0x00e;
export const ZERO_VIDEO_IS_VGA = 0x00f;
export const ZERO_VIDEO_POINTS = 0x010;
/** BIOS mode 3, colour text, and what INT 10h BL=10h says of an adapter with 256 KiB. */
export const VIDEO_MODE_TEXT = 3;
export const VIDEO_EGA_256K = 3;
export const ZERO_EXT_MEM_K = 0x002;
export const ZERO_ACPI_RSDP = 0x070;
export const ZERO_ALT_MEM_K = 0x1e0;
export const ZERO_E820_ENTRIES = 0x1e8;
export const ZERO_E820_TABLE = 0x2d0;
export const E820_ROW_BYTES = 20;
export const MAX_E820_ROWS = 128;

export const HEADER_MAGIC = 0x53726448; // "HdrS"
export const BOOT_FLAG = 0xaa55;
export const LOADFLAG_LOADED_HIGH = 1 << 0;
/** Set by the kernel's own decompressor alone. */
export const LOADFLAG_KASLR = 1 << 1;
const XLOADFLAG_KERNEL_64 = 1 << 0;
export const LOADER_UNDEFINED = 0xff;
export const VID_MODE_NORMAL = 0xffff;

const MIN_VERSION = 0x0206;
const VERSION_PAYLOAD = 0x0208;
const VERSION_PREF_ADDRESS = 0x020a;
const SECTOR_BYTES = 512;
const PARAGRAPH_BYTES = 16;
const DEFAULT_SETUP_SECTS = 4;
const DEFAULT_CODE32_START = 0x100000;

export interface LinuxHeader {
  /** 0x020F is protocol 2.15. */
  readonly version: number;
  /** The protected-mode code, as it is loaded at `code32Start`. */
  readonly protectedMode: Uint8Array;
  readonly code32Start: number;
  readonly initrdAddrMax: number;
  /** Longest command line, without its terminator. */
  readonly cmdlineSize: number;
  /** Where the kernel wants to run and how much memory it needs there until it knows the memory map; 0 before 2.10. */
  readonly prefAddress: number;
  readonly initSize: number;
  /** The compressed kernel; undefined before protocol 2.08 and when the header names none. */
  readonly payload: Uint8Array | undefined;
  /** The setup header as the zero page holds it, from OFFSET_SETUP_SECTS on. */
  readonly setupHeader: Uint8Array;
}

/** Whether the file begins like a bzImage (any version). */
export function isBzImage(bytes: Uint8Array): boolean {
  if (bytes.length < OFFSET_VERSION + 2) return false;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return (
    view.getUint16(OFFSET_BOOT_FLAG, true) === BOOT_FLAG && view.getUint32(OFFSET_HEADER_MAGIC, true) === HEADER_MAGIC
  );
}

/** Throws VmError("bad-image") naming the header field that does not fit this loader or this machine. */
export function parseLinuxHeader(image: ImageReader): LinuxHeader {
  const name = image.name;
  const flag = image.u16(OFFSET_BOOT_FLAG, "boot_flag");
  const magic = image.u32(OFFSET_HEADER_MAGIC, "the header magic");
  if (flag !== BOOT_FLAG || magic !== HEADER_MAGIC) {
    throw badImage(
      `The ${name} is no Linux bzImage: boot_flag is ${hex(flag)} and the header magic ${hex(magic)}, where 0xaa55 and 0x53726448 ("HdrS") are accepted; give a vmlinuz file or an ELF vmlinux.`,
      { bootFlag: flag, magic },
    );
  }
  const version = image.u16(OFFSET_VERSION, "the protocol version");
  if (version < MIN_VERSION) {
    throw badImage(
      `The ${name} speaks boot protocol ${versionText(version)}; 2.06 (Linux 2.6.22) and later are accepted: use a newer kernel.`,
      { version },
    );
  }
  if (!(image.u8(OFFSET_LOADFLAGS, "loadflags") & LOADFLAG_LOADED_HIGH)) {
    throw badImage(
      `The ${name} is a zImage (bit 0 of loadflags is clear), which loads below 1 MiB; build it as bzImage.`,
    );
  }
  if (version >= 0x020c && image.u16(OFFSET_XLOADFLAGS, "xloadflags") & XLOADFLAG_KERNEL_64) {
    throw badImage(
      `The ${name} is for x86-64 (bit 0 of xloadflags is set); this machine runs 32-bit x86: use an i386 kernel, such as Debian's linux-image-686.`,
    );
  }

  const setupSects = image.u8(OFFSET_SETUP_SECTS, "setup_sects") || DEFAULT_SETUP_SECTS;
  const setupBytes = (setupSects + 1) * SECTOR_BYTES;
  const syssize = image.u32(OFFSET_SYSSIZE, "syssize") * PARAGRAPH_BYTES;
  // The size is in whole paragraphs; some builders (memtest86+) do not pad the last one.
  if (setupBytes + syssize - (PARAGRAPH_BYTES - 1) > image.length) {
    throw badImage(
      `The ${name} is incomplete: setup_sects ${setupSects} and syssize ${hex(syssize / PARAGRAPH_BYTES)} make ${setupBytes + syssize} bytes, but the file has ${image.length}; fetch it again.`,
      { setupBytes, syssize, fileBytes: image.length },
    );
  }
  if (setupBytes >= image.length) {
    throw badImage(
      `The ${name} has no protected-mode code: setup_sects ${setupSects} takes all of its ${image.length} bytes.`,
      { setupSects },
    );
  }
  const protectedMode = image.bytes.subarray(setupBytes);

  // The setup header ends where the jump over it goes; the zero page has room for it up to the e820 table's neighbours.
  const headerEnd = Math.min(OFFSET_HEADER_MAGIC + image.u8(OFFSET_JUMP_LENGTH, "the setup jump"), 0x290);
  const setupHeader = image.slice(OFFSET_SETUP_SECTS, headerEnd - OFFSET_SETUP_SECTS, "the setup header");
  const field = (offset: number, since: number, otherwise: number): number =>
    version >= since && headerEnd >= offset + 4 ? image.u32(offset, `the setup header at ${hex(offset)}`) : otherwise;

  const payloadLength = field(OFFSET_PAYLOAD_LENGTH, VERSION_PAYLOAD, 0);
  const payloadOffset = field(OFFSET_PAYLOAD_OFFSET, VERSION_PAYLOAD, 0);
  if (payloadOffset + payloadLength > protectedMode.length) {
    throw badImage(
      `The ${name} is damaged: payload_offset ${hex(payloadOffset)} and payload_length ${hex(payloadLength)} lie outside its ${hex(protectedMode.length)} bytes of protected-mode code.`,
      { payloadOffset, payloadLength },
    );
  }
  const prefAddress =
    version >= VERSION_PREF_ADDRESS && headerEnd >= OFFSET_PREF_ADDRESS + 8
      ? image.u64(OFFSET_PREF_ADDRESS, "pref_address")
      : 0;
  return {
    version,
    protectedMode,
    code32Start: field(OFFSET_CODE32_START, 0x0200, 0) || DEFAULT_CODE32_START,
    initrdAddrMax: field(OFFSET_INITRD_ADDR_MAX, 0x0203, 0x37ffffff),
    cmdlineSize: field(OFFSET_CMDLINE_SIZE, 0x0206, 255) || 255,
    prefAddress,
    initSize: field(OFFSET_INIT_SIZE, VERSION_PREF_ADDRESS, 0),
    payload: payloadLength === 0 ? undefined : protectedMode.subarray(payloadOffset, payloadOffset + payloadLength),
    setupHeader,
  };
}

/** What a vmlinux, which has no setup header, is started with: protocol 2.15's defaults. */
export function defaultSetupHeader(): Uint8Array {
  const page = new Uint8Array(0x290);
  const view = new DataView(page.buffer);
  view.setUint16(OFFSET_BOOT_FLAG, BOOT_FLAG, true);
  view.setUint32(OFFSET_HEADER_MAGIC, HEADER_MAGIC, true);
  view.setUint16(OFFSET_VERSION, 0x020f, true);
  view.setUint8(OFFSET_LOADFLAGS, LOADFLAG_LOADED_HIGH);
  view.setUint32(OFFSET_INITRD_ADDR_MAX, 0x7fffffff, true);
  view.setUint32(OFFSET_KERNEL_ALIGNMENT, 0x1000000, true);
  view.setUint32(OFFSET_CMDLINE_SIZE, DEFAULT_CMDLINE_SIZE, true);
  return page.subarray(OFFSET_SETUP_SECTS);
}
/** COMMAND_LINE_SIZE of x86, without the terminator. */
export const DEFAULT_CMDLINE_SIZE = 2047;

const versionText = (version: number): string => `${version >> 8}.${String(version & 0xff).padStart(2, "0")}`;
