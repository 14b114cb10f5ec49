// QEMU's firmware configuration device (QEMU docs/specs/fw_cfg): a selector, a byte-wide data port and a DMA interface,
// all read-only for the guest.
import type { Device, DeviceState, GuestMemory, IoHandler, IoRange } from "../vmm/device.ts";
import { VmError } from "../vmm/error.ts";
import { SavedState } from "./saved-state.ts";

// ---- registers
const SELECTOR_PORT = 0x510;
const DMA_PORT = 0x514;

// ---- items
export const FW_CFG_SIGNATURE = 0x00;
export const FW_CFG_ID = 0x01;
const FW_CFG_UUID = 0x02;
const FW_CFG_RAM_SIZE = 0x03;
const FW_CFG_NOGRAPHIC = 0x04;
const FW_CFG_CPUS = 0x05;
const FW_CFG_BOOT_MENU = 0x0e;
const FW_CFG_MAX_CPUS = 0x0f;
const FW_CFG_FILE_DIR = 0x19;
const FW_CFG_FIRST_FILE = 0x20;
const FW_CFG_IRQ0_OVERRIDE = 0x8002;
/** Writing to an item and reading past this bit are for another architecture. */
const ITEM_MASK = 0xbfff;

const FEATURE_TRADITIONAL = 1;
const FEATURE_DMA = 2;
const DMA_SIGNATURE = [0x51, 0x45, 0x4d, 0x55, 0x20, 0x43, 0x46, 0x47]; // "QEMU CFG"
const DMA_ERROR = 0x01;
const DMA_READ = 0x02;
const DMA_SKIP = 0x04;
const DMA_SELECT = 0x08;
const DMA_WRITE = 0x10;
/** One transfer moves at most this much, so that a guest's length cannot occupy the host. */
const DMA_MAX = 64 * 1024 * 1024;
const FILES_MAX = 256;
const FILE_MAX = 0xffffffff;
const FILE_NAME_BYTES = 56;
const DIRECTORY_ROW_BYTES = 64;

export interface FwCfgOptions {
  readonly memory: GuestMemory;
  readonly ramBytes: number;
  readonly cpuCount: number;
  /** There is a display. Default false. */
  readonly graphic?: boolean;
}

export class FwCfg implements Device {
  readonly name = "fw-cfg";
  readonly stateVersion = 2;
  readonly ports: readonly IoRange[];

  // ---- state
  readonly #items = new Map<number, Uint8Array>();
  readonly #files: string[] = [];
  #selected = FW_CFG_SIGNATURE;
  #offset = 0;
  #dmaHigh = 0;
  // ---- metrics
  #transfers = 0;

  constructor(private readonly options: FwCfgOptions) {
    const selector: IoHandler = {
      read: (offset, size) => (offset === 1 && size === 1 ? this.#next() : 0),
      // A 16-bit write to the selector also covers the data port's address: one device, two registers.
      write: (offset, size, value) => {
        if (offset === 0 && size === 2) this.#select(value);
      },
    };
    const dma: IoHandler = {
      read: (offset, size) => memoryOrder(DMA_SIGNATURE.slice(offset, offset + size)),
      write: (offset, size, value) => this.#writeDma(offset, size, value),
    };
    this.ports = [
      { name: "fw-cfg", first: SELECTOR_PORT, count: 2, width: 2, handler: selector },
      { name: "fw-cfg.dma", first: DMA_PORT, count: 8, width: 4, handler: dma },
    ];
    this.#items.set(FW_CFG_SIGNATURE, new TextEncoder().encode("QEMU"));
    this.#items.set(FW_CFG_ID, little(FEATURE_TRADITIONAL | FEATURE_DMA, 4));
    this.#items.set(FW_CFG_UUID, new Uint8Array(16));
    this.#items.set(FW_CFG_RAM_SIZE, little(options.ramBytes, 8));
    this.#items.set(FW_CFG_NOGRAPHIC, little(options.graphic ? 0 : 1, 2));
    this.#items.set(FW_CFG_CPUS, little(options.cpuCount, 2));
    this.#items.set(FW_CFG_BOOT_MENU, little(0, 2));
    this.#items.set(FW_CFG_MAX_CPUS, little(options.cpuCount, 2));
    this.#items.set(FW_CFG_IRQ0_OVERRIDE, little(1, 1));
    this.#writeDirectory();
  }

  reset(): void {
    this.#selected = FW_CFG_SIGNATURE;
    this.#offset = 0;
    this.#dmaHigh = 0;
  }

  /** Adds a file, or replaces it. Throws VmError("bad-config") for a name that does not fit the directory. */
  addFile(name: string, data: Uint8Array): void {
    const bytes = new TextEncoder().encode(name).length;
    if (bytes === 0 || bytes >= FILE_NAME_BYTES) {
      throw new VmError("bad-config", `fw_cfg file name "${name}" must have 1 to ${FILE_NAME_BYTES - 1} bytes.`, {
        name,
      });
    }
    let index = this.#files.indexOf(name);
    if (index < 0) {
      if (this.#files.length === FILES_MAX)
        throw new VmError("bad-config", `fw_cfg has at most ${FILES_MAX} files.`, { name });
      index = this.#files.push(name) - 1;
    }
    this.#items.set(FW_CFG_FIRST_FILE + index, data);
    this.#writeDirectory();
  }

  // ---- read

  #select(item: number): void {
    this.#selected = item & ITEM_MASK;
    this.#offset = 0;
  }

  #item(): Uint8Array | undefined {
    return this.#items.get(this.#selected);
  }

  /** Past the end, and for an item that does not exist, 0. */
  #next(): number {
    return this.#item()?.[this.#offset++] ?? 0;
  }

  // ---- DMA

  #writeDma(offset: number, size: number, value: number): void {
    if (size !== 4) return;
    const swapped = swap32(value);
    if (offset === 0) {
      this.#dmaHigh = swapped;
      return;
    }
    if (offset !== 4) return;
    const high = this.#dmaHigh;
    this.#dmaHigh = 0;
    // Nothing of this machine lies above 4 GiB.
    if (high === 0) this.#transfer(swapped);
  }

  #transfer(control: number): void {
    this.#transfers++;
    const { memory } = this.options;
    const block = new Uint8Array(16);
    memory.read(control, block);
    const view = new DataView(block.buffer);
    const command = view.getUint32(0);
    const length = view.getUint32(4);
    const addressHigh = view.getUint32(8);
    const address = view.getUint32(12);
    let error = 0;
    if (command & DMA_SELECT) this.#select(command >>> 16);
    if (command & DMA_READ) {
      if (length > DMA_MAX || addressHigh !== 0) error = DMA_ERROR;
      else this.#read(address, length);
    } else if (command & DMA_WRITE) {
      error = DMA_ERROR;
    } else if (command & DMA_SKIP) {
      this.#offset = Math.min(0xffffffff, this.#offset + length);
    }
    const status = new Uint8Array(4);
    new DataView(status.buffer).setUint32(0, error);
    memory.write(control, status);
  }

  /** Copies what the item has and fills up with zeros. */
  #read(address: number, length: number): void {
    const item = this.#item() ?? new Uint8Array(0);
    const have = Math.max(0, Math.min(length, item.length - this.#offset));
    if (have > 0) this.options.memory.write(address, item.subarray(this.#offset, this.#offset + have));
    if (have < length) this.options.memory.write(address + have, new Uint8Array(length - have));
    this.#offset += length;
  }

  // ---- directory

  #writeDirectory(): void {
    const directory = new Uint8Array(4 + this.#files.length * DIRECTORY_ROW_BYTES);
    const view = new DataView(directory.buffer);
    view.setUint32(0, this.#files.length);
    this.#files.forEach((name, i) => {
      const at = 4 + i * DIRECTORY_ROW_BYTES;
      view.setUint32(at, this.#items.get(FW_CFG_FIRST_FILE + i)?.length ?? 0);
      view.setUint16(at + 4, FW_CFG_FIRST_FILE + i);
      directory.set(new TextEncoder().encode(name), at + 8);
    });
    this.#items.set(FW_CFG_FILE_DIR, directory);
  }

  // ---- save and load: items follow from the configuration, files are what boot code put there

  save(): DeviceState {
    return {
      selected: this.#selected,
      offset: this.#offset,
      dmaHigh: this.#dmaHigh,
      files: this.#files.map((name, i) => ({ name, data: this.#items.get(FW_CFG_FIRST_FILE + i)?.slice() })),
    };
  }
  load(state: DeviceState, version: number): void {
    const saved = SavedState.open(this.name, state, version, this.stateVersion);
    const files = saved.list("files", FILES_MAX).map((file) => {
      return { name: file.text("name"), data: file.bytes("data", FILE_MAX, false) };
    });
    this.#selected = saved.integer("selected", 0xffff);
    this.#offset = saved.integer("offset", Number.MAX_SAFE_INTEGER);
    this.#dmaHigh = saved.integer("dmaHigh");
    for (const i of this.#files.keys()) this.#items.delete(FW_CFG_FIRST_FILE + i);
    this.#files.length = 0;
    for (const { name, data } of files) this.addFile(name, data);
    this.#writeDirectory();
  }

  metrics(): Readonly<Record<string, number>> {
    return { dmaTransfers: this.#transfers };
  }
}

function little(value: number, size: number): Uint8Array {
  const bytes = new Uint8Array(size);
  for (let i = 0, rest = value; i < size; i++, rest = Math.floor(rest / 256)) bytes[i] = rest;
  return bytes;
}

/** The bytes as the guest's little-endian load sees them in memory order. */
function memoryOrder(bytes: readonly number[]): number {
  let value = 0;
  bytes.forEach((byte, i) => {
    value |= byte << (8 * i);
  });
  return value >>> 0;
}

function swap32(value: number): number {
  return ((value << 24) | ((value & 0xff00) << 8) | ((value >>> 8) & 0xff00) | (value >>> 24)) >>> 0;
}
