// Starts Linux by its 32-bit boot protocol (Documentation/arch/x86/boot.rst, "32-bit Boot Protocol"). The compressed
// kernel inside a bzImage is unpacked here and started directly, which saves the guest its own decompression (seconds
// under an interpreter); with `guestDecompress`, or where the format is unknown here, the image's own code does it.
import type { BootSource } from "../vmm/config.ts";
import { VmError } from "../vmm/error.ts";
import { type ElfImage, isElf, loadElf, parseElf } from "./elf.ts";
import { badImage, hex, ImageReader, sizeText } from "./image.ts";
import * as field from "./linux-header.ts";
import type { BootMachine } from "./machine.ts";
import { payloadFormat, unpackPayload } from "./payload.ts";
import { PAGE_BYTES, Placement } from "./placement.ts";
import { flatGdt, GDT_BASE, LINUX_SELECTORS, protectedStart } from "./start.ts";

/** Free conventional memory, where real boot loaders put these too. */
const ZERO_PAGE_BASE = 0x10000;
const COMMAND_LINE_BASE = 0x20000;
/**
 * An i386 kernel maps some 887 MiB directly, and copies an initrd that lies above down to there: below, the copy is
 * saved.
 */
const DIRECT_MAP_END = 0x37000000;
const HIGH_MEMORY = 0x100000;

const encoder = new TextEncoder();

type LinuxSource = Extract<BootSource, { kind: "linux" }>;

/** Throws VmError("bad-image" | "bad-config"); nothing is started then. */
export async function prepareLinux(source: LinuxSource, machine: BootMachine): Promise<void> {
  const placement = new Placement(machine);
  const { entry, header, floor, initrdAddrMax, cmdlineSize } = isElf(source.kernel)
    ? loadVmlinux(source.kernel, placement)
    : await loadBzImage(source, placement);

  placement.place("boot GDT", GDT_BASE, flatGdt(LINUX_SELECTORS));
  placement.reserve("Linux zero page", ZERO_PAGE_BASE, field.ZERO_PAGE_BYTES);
  const commandLine = commandLineBytes(source.append ?? "", cmdlineSize);
  placement.place("kernel command line", COMMAND_LINE_BASE, commandLine);
  const initrdBase =
    source.initrd === undefined || source.initrd.length === 0
      ? 0
      : placeInitrd(source.initrd, placement, Math.max(floor, HIGH_MEMORY), initrdAddrMax);

  const page = zeroPage(header, machine);
  const view = new DataView(page.buffer);
  view.setUint32(field.OFFSET_CMD_LINE_PTR, COMMAND_LINE_BASE, true);
  view.setUint32(field.OFFSET_RAMDISK_IMAGE, initrdBase, true);
  view.setUint32(field.OFFSET_RAMDISK_SIZE, initrdBase === 0 ? 0 : (source.initrd?.length ?? 0), true);
  placement.write(ZERO_PAGE_BASE, page);
  machine.setRegisters(protectedStart(entry, LINUX_SELECTORS, { esi: ZERO_PAGE_BASE }));
}

interface LoadedKernel {
  readonly entry: number;
  /** The setup header that goes into the zero page. */
  readonly header: Uint8Array;
  /** End of the memory that the kernel needs before it reads the memory map. */
  readonly floor: number;
  readonly initrdAddrMax: number;
  readonly cmdlineSize: number;
}

function loadVmlinux(kernel: Uint8Array, placement: Placement): LoadedKernel {
  const elf = parseElf(kernel, "kernel");
  loadElf(elf, placement, "kernel");
  return {
    entry: elf.entry,
    header: field.defaultSetupHeader(),
    floor: elfEnd(elf),
    initrdAddrMax: 0x7fffffff,
    cmdlineSize: field.DEFAULT_CMDLINE_SIZE,
  };
}

async function loadBzImage(source: LinuxSource, placement: Placement): Promise<LoadedKernel> {
  const header = field.parseLinuxHeader(new ImageReader(source.kernel, "kernel"));
  const kernelEnd = header.prefAddress + header.initSize;
  if (kernelEnd > placement.ramEnd) {
    throw badImage(
      `The kernel needs memory up to ${hex(kernelEnd)} (pref_address ${hex(header.prefAddress)} and init_size ${hex(header.initSize)}), but RAM ends at ${hex(placement.ramEnd)}: give the VM at least ${sizeText(kernelEnd)} of memory.`,
      { prefAddress: header.prefAddress, initSize: header.initSize, ramEnd: placement.ramEnd },
    );
  }
  const common = {
    header: header.setupHeader,
    initrdAddrMax: header.initrdAddrMax,
    cmdlineSize: header.cmdlineSize,
  };
  const format = header.payload && payloadFormat(header.payload);
  if (source.guestDecompress || header.payload === undefined || format === undefined || format === "lzo") {
    placement.place("kernel", header.code32Start, header.protectedMode);
    // The decompressor copies the image to the end of the memory that init_size asks for, and unpacks to its start.
    if (kernelEnd > placement.end) placement.reserve("unpacked kernel", placement.end, kernelEnd - placement.end);
    return { ...common, entry: header.code32Start, floor: Math.max(kernelEnd, placement.end) };
  }
  const limitBytes = header.initSize > 0 ? header.initSize : placement.ramEnd;
  const payload = payloadView(header.payload, limitBytes, format);
  const kernel = await unpackPayload(header.payload, "kernel's payload", payload);
  const elf = parseElf(kernel, "unpacked kernel");
  loadElf(elf, placement, "unpacked kernel");
  return { ...common, entry: elf.entry, floor: Math.max(kernelEnd, elfEnd(elf)) };
}

/** The build puts the unpacked size behind every payload; gzip's own trailer says the same in the same place. */
function payloadView(
  payload: Uint8Array,
  limitBytes: number,
  format: string,
): { limitBytes: number; expectedBytes?: number } {
  if (format === "elf" || payload.length < 4) return { limitBytes };
  const expectedBytes = new DataView(payload.buffer, payload.byteOffset + payload.length - 4, 4).getUint32(0, true);
  if (expectedBytes > limitBytes) {
    throw badImage(
      `The kernel's payload says that it unpacks to ${expectedBytes} bytes, but init_size has room for ${limitBytes}; the file is damaged, fetch it again.`,
      { expectedBytes, limitBytes },
    );
  }
  return { limitBytes, expectedBytes };
}

const elfEnd = (elf: ElfImage): number =>
  elf.segments.reduce((end, segment) => Math.max(end, segment.paddr + segment.memoryBytes), 0);

function commandLineBytes(append: string, limit: number): Uint8Array {
  const text = encoder.encode(append);
  if (text.includes(0))
    throw new VmError("bad-config", "The kernel command line (append) contains a NUL character; remove it.");
  if (text.length > limit) {
    throw new VmError(
      "bad-config",
      `The kernel command line (append) has ${text.length} bytes; this kernel accepts ${limit} (cmdline_size): shorten it.`,
      { bytes: text.length, accepted: limit },
    );
  }
  const bytes = new Uint8Array(text.length + 1);
  bytes.set(text);
  return bytes;
}

function placeInitrd(initrd: Uint8Array, placement: Placement, floor: number, addrMax: number): number {
  const limit = addrMax + 1;
  const base =
    placement.highest(initrd.length, floor, Math.min(limit, DIRECT_MAP_END)) ??
    placement.highest(initrd.length, floor, limit);
  if (base === undefined) {
    const room = Math.max(0, Math.min(limit, placement.ramEnd) - floor);
    throw badImage(
      `The initrd of ${sizeText(initrd.length)} does not fit: between the kernel's end ${hex(floor)} and ${hex(Math.min(limit, placement.ramEnd))} (${limit < placement.ramEnd ? "initrd_addr_max" : "the end of RAM"}) there are ${sizeText(room)}; give the VM more memory or make the initrd smaller.`,
      { initrdBytes: initrd.length, floor, limit, ramEnd: placement.ramEnd },
    );
  }
  placement.place("initrd", base, initrd, Math.ceil(initrd.length / PAGE_BYTES) * PAGE_BYTES);
  return base;
}

/** The zero page without the addresses of command line and initrd. */
function zeroPage(setupHeader: Uint8Array, machine: BootMachine): Uint8Array {
  const page = new Uint8Array(field.ZERO_PAGE_BYTES);
  const view = new DataView(page.buffer);
  page.set(setupHeader, field.OFFSET_SETUP_SECTS);
  view.setUint8(field.OFFSET_TYPE_OF_LOADER, field.LOADER_UNDEFINED);
  const loadflags = view.getUint8(field.OFFSET_LOADFLAGS);
  view.setUint8(field.OFFSET_LOADFLAGS, loadflags & ~field.LOADFLAG_KASLR);
  view.setUint16(field.OFFSET_VID_MODE, field.VID_MODE_NORMAL, true);
  view.setUint32(field.ZERO_ACPI_RSDP, machine.acpiRsdp, true);

  if (machine.textScreen !== undefined) {
    const { columns, rows, cellHeight } = machine.textScreen;
    view.setUint8(field.ZERO_VIDEO_MODE, field.VIDEO_MODE_TEXT);
    view.setUint8(field.ZERO_VIDEO_COLUMNS, columns);
    view.setUint16(field.ZERO_VIDEO_EGA_BX, field.VIDEO_EGA_256K, true);
    view.setUint8(field.ZERO_VIDEO_LINES, rows);
    view.setUint8(field.ZERO_VIDEO_IS_VGA, 1);
    view.setUint16(field.ZERO_VIDEO_POINTS, cellHeight, true);
  }
  const extendedKib = Math.max(0, Math.floor(machine.memory.ramBytes / 1024) - 1024);
  view.setUint16(field.ZERO_EXT_MEM_K, Math.min(extendedKib, 0xffff), true);
  view.setUint32(field.ZERO_ALT_MEM_K, extendedKib, true);

  const rows = machine.e820.slice(0, field.MAX_E820_ROWS);
  view.setUint8(field.ZERO_E820_ENTRIES, rows.length);
  rows.forEach((row, index) => {
    const at = field.ZERO_E820_TABLE + index * field.E820_ROW_BYTES;
    view.setBigUint64(at, BigInt(row.base), true);
    view.setBigUint64(at + 8, BigInt(row.size), true);
    view.setUint32(at + 16, row.type, true);
  });
  return page;
}
