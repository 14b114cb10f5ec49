// Multiboot 1 (Multiboot Specification 0.6.96) the way `qemu -kernel` does it, so that kernels and test programs made
// for that run here unchanged: same boot information address, module placement and loader behaviour where the
// specification leaves a choice.
import type { BootSource } from "../vmm/config.ts";
import { loadElf, parseElf } from "./elf.ts";
import { badImage, hex, ImageReader } from "./image.ts";
import { type BootMachine, E820_RAM } from "./machine.ts";
import { PAGE_BYTES, Placement } from "./placement.ts";
import { flatGdt, GDT_BASE, MULTIBOOT_SELECTORS, protectedStart } from "./start.ts";

const HEADER_MAGIC = 0x1badb002;
const BOOTLOADER_MAGIC = 0x2badb002;
const HEADER_SEARCH_BYTES = 8192;
/** Magic, flags, checksum; and with the address fields of the a.out kludge. */
const HEADER_BYTES = 12;
const HEADER_ADDRESS_BYTES = 32;
const FLAG_ADDRESSES = 1 << 16;

const HIGH_MEMORY = 0x100000;
const INFO_BASE = 0x9000;
const INFO_BYTES = 88;
const INFO_FLAG_MEMORY = 1 << 0;
const INFO_FLAG_BOOT_DEVICE = 1 << 1;
const INFO_FLAG_COMMAND_LINE = 1 << 2;
const INFO_FLAG_MODULES = 1 << 3;
const INFO_FLAG_MEMORY_MAP = 1 << 6;
const INFO_FLAG_LOADER_NAME = 1 << 9;
/** First hard disk, no partition. */
const BOOT_DEVICE = 0x8000ffff;
const MAP_ROW_BYTES = 24;
const MODULE_ROW_BYTES = 16;
/** Strings, module table and memory map must end below the boot stack and everything else in conventional memory. */
const INFO_AREA_BYTES = 0x40000;

const encoder = new TextEncoder();
const cString = (text: string): Uint8Array => encoder.encode(`${text}\0`);
const alignPage = (address: number): number => Math.ceil(address / PAGE_BYTES) * PAGE_BYTES;

export interface MultibootHeader {
  readonly offset: number;
  readonly flags: number;
}

/** The header within the first 8 KiB, on a multiple of 4, whose checksum is right; or undefined. */
export function findMultibootHeader(bytes: Uint8Array): MultibootHeader | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const end = Math.min(bytes.length, HEADER_SEARCH_BYTES) - HEADER_BYTES;
  for (let offset = 0; offset <= end; offset += 4) {
    if (view.getUint32(offset, true) !== HEADER_MAGIC) continue;
    const flags = view.getUint32(offset + 4, true);
    if ((HEADER_MAGIC + flags + view.getUint32(offset + 8, true)) % 2 ** 32 === 0) return { offset, flags };
  }
  return undefined;
}

type MultibootSource = Extract<BootSource, { kind: "multiboot" }>;

/** Throws VmError("bad-image"). */
export function prepareMultiboot(source: MultibootSource, machine: BootMachine): void {
  const header = findMultibootHeader(source.kernel);
  if (!header) {
    throw badImage(
      `The multiboot kernel has no multiboot header: no magic 0x1badb002 with a matching checksum on a multiple of 4 in its first ${HEADER_SEARCH_BYTES} bytes; use a kernel built for multiboot 1 (2 has another header).`,
    );
  }
  const placement = new Placement(machine);
  let entry: number;
  if (header.flags & FLAG_ADDRESSES) {
    entry = loadByAddresses(new ImageReader(source.kernel, "multiboot kernel"), header, placement);
  } else {
    const elf = parseElf(source.kernel, "multiboot kernel");
    loadElf(elf, placement, "multiboot kernel");
    entry = elf.entry;
  }

  placement.place("boot GDT", GDT_BASE, flatGdt(MULTIBOOT_SELECTORS));
  const modules = (source.modules ?? []).map((module, index) => {
    const base = Math.max(alignPage(placement.end), HIGH_MEMORY);
    placement.place(`multiboot module ${index + 1}`, base, module.image);
    return { base, end: base + module.image.length, text: module.append };
  });
  const commandLine = source.name === undefined ? (source.append ?? "") : `${source.name} ${source.append ?? ""}`;
  placement.place("multiboot information", INFO_BASE, multibootInfo(machine, commandLine, modules));
  machine.setRegisters(protectedStart(entry, MULTIBOOT_SELECTORS, { eax: BOOTLOADER_MAGIC, ebx: INFO_BASE }));
}

/** The "a.out kludge": where to load is in the header. Returns the entry address. */
function loadByAddresses(image: ImageReader, header: MultibootHeader, placement: Placement): number {
  image.slice(header.offset, HEADER_ADDRESS_BYTES, "the multiboot address fields");
  const field = (offset: number, name: string): number => image.u32(header.offset + offset, name);
  const headerAddress = field(12, "header_addr");
  const loadAddress = field(16, "load_addr");
  const loadEnd = field(20, "load_end_addr");
  const bssEnd = field(24, "bss_end_addr");
  const entry = field(28, "entry_addr");
  const start = header.offset - (headerAddress - loadAddress);
  if (headerAddress < loadAddress || start < 0) {
    throw badImage(
      `The multiboot header has header_addr ${hex(headerAddress)} and load_addr ${hex(loadAddress)}, which places the image's start at file offset ${start}; header_addr - load_addr must be 0 to the header's offset ${hex(header.offset)}.`,
      { headerAddress, loadAddress, offset: header.offset },
    );
  }
  if (loadEnd !== 0 && loadEnd < loadAddress) {
    throw badImage(
      `The multiboot header has load_end_addr ${hex(loadEnd)} below load_addr ${hex(loadAddress)}; 0 (the whole file) or an address above is accepted.`,
      { loadEnd, loadAddress },
    );
  }
  const loadBytes = loadEnd === 0 ? image.length - start : loadEnd - loadAddress;
  const contents = image.slice(start, loadBytes, "the load_addr to load_end_addr range");
  if (bssEnd !== 0 && bssEnd < loadAddress + loadBytes) {
    throw badImage(
      `The multiboot header has bss_end_addr ${hex(bssEnd)} below the end of the loaded data ${hex(loadAddress + loadBytes)}; 0 (no bss) or an address above is accepted.`,
      { bssEnd },
    );
  }
  placement.place("multiboot kernel", loadAddress, contents, bssEnd === 0 ? loadBytes : bssEnd - loadAddress);
  return entry;
}

/** RAM without a hole from `base` on. */
function ramBytesFrom(machine: BootMachine, base: number): number {
  const row = machine.e820.find((candidate) => candidate.type === E820_RAM && candidate.base === base);
  return row?.size ?? 0;
}

interface LoadedModule {
  readonly base: number;
  readonly end: number;
  readonly text: string;
}

/** The information structure at INFO_BASE, followed by all that it points to. */
function multibootInfo(machine: BootMachine, commandLine: string, modules: readonly LoadedModule[]): Uint8Array {
  const chunks: { at: number; bytes: Uint8Array }[] = [];
  let end = INFO_BYTES;
  const append = (bytes: Uint8Array): number => {
    const at = end;
    chunks.push({ at, bytes });
    end = (end + bytes.length + 3) & ~3;
    return INFO_BASE + at;
  };

  const map = new Uint8Array(machine.e820.length * MAP_ROW_BYTES);
  const mapView = new DataView(map.buffer);
  machine.e820.forEach((row, index) => {
    const at = index * MAP_ROW_BYTES;
    // The size does not count itself.
    mapView.setUint32(at, MAP_ROW_BYTES - 4, true);
    mapView.setBigUint64(at + 4, BigInt(row.base), true);
    mapView.setBigUint64(at + 12, BigInt(row.size), true);
    mapView.setUint32(at + 20, row.type, true);
  });
  const mapAddress = append(map);
  const table = new Uint8Array(modules.length * MODULE_ROW_BYTES);
  const tableView = new DataView(table.buffer);
  modules.forEach((module, index) => {
    const at = index * MODULE_ROW_BYTES;
    tableView.setUint32(at, module.base, true);
    tableView.setUint32(at + 4, module.end, true);
    tableView.setUint32(at + 8, append(cString(module.text)), true);
  });
  const tableAddress = append(table);
  const commandLineAddress = append(cString(commandLine));
  const nameAddress = append(cString("paravane"));
  if (end > INFO_AREA_BYTES) {
    throw badImage(
      `The multiboot information takes ${end} bytes with its ${modules.length} modules and their strings; at most ${INFO_AREA_BYTES} are accepted: use fewer modules or shorter strings.`,
      { bytes: end, modules: modules.length },
    );
  }

  const info = new Uint8Array(end);
  for (const { at, bytes } of chunks) info.set(bytes, at);
  const view = new DataView(info.buffer);
  view.setUint32(
    0,
    INFO_FLAG_MEMORY |
      INFO_FLAG_BOOT_DEVICE |
      INFO_FLAG_COMMAND_LINE |
      INFO_FLAG_MODULES |
      INFO_FLAG_MEMORY_MAP |
      INFO_FLAG_LOADER_NAME,
    true,
  );
  view.setUint32(4, ramBytesFrom(machine, 0) >>> 10, true);
  view.setUint32(8, ramBytesFrom(machine, HIGH_MEMORY) >>> 10, true);
  view.setUint32(12, BOOT_DEVICE, true);
  view.setUint32(16, commandLineAddress, true);
  view.setUint32(20, modules.length, true);
  view.setUint32(24, tableAddress, true);
  view.setUint32(44, map.length, true);
  view.setUint32(48, mapAddress, true);
  view.setUint32(64, nameAddress, true);
  return info;
}
