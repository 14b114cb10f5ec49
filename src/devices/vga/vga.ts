// A VGA with Bochs VBE, as QEMU's "stdvga": the legacy registers and window, a PCI function 1234:1111 with its linear
// frame buffer in BAR 0 and its registers in BAR 2 (QEMU docs/specs/standard-vga). Video memory is memory of the VM:
// where the guest can reach it as it lies, its accesses are plain loads and stores.
import type { TextScreenShape } from "../../boot/machine.ts";
import type { Frame } from "../../display/frame.ts";
import type { Device, DeviceClock, DeviceState, IoHandler, IoRange } from "../../vmm/device.ts";
import { PciFunction } from "../pci/function.ts";
import { SavedState } from "../saved-state.ts";
import { Dispi } from "./dispi.ts";
import { PlanarMemory } from "./planes.ts";
import { VgaRegisters } from "./registers.ts";
import { inputStatus1 } from "./retrace.ts";
import { scanOut } from "./scan-out.ts";
import {
  enterTextMode,
  fillTextMemory,
  fontOfBios,
  TEXT_CELL_HEIGHT,
  TEXT_COLUMNS,
  TEXT_MEMORY_BYTES,
  TEXT_ROWS,
} from "./text-mode.ts";
import {
  CLOSED_WINDOW,
  INTERLEAVED_BYTES,
  sameWindow,
  WINDOW_BASE,
  WINDOW_END,
  type Window,
  windowOf,
} from "./window.ts";

// ---- ports
const MONO_PORTS = { first: 0x3b4, count: 2 } as const;
const MONO_STATUS = { first: 0x3ba, count: 1 } as const;
const COMMON_PORTS = { first: 0x3c0, count: 16 } as const;
const COLOR_PORTS = { first: 0x3d4, count: 2 } as const;
const COLOR_STATUS = { first: 0x3da, count: 1 } as const;
const DISPI_PORT = 0x1ce;

// ---- the PCI function
const VENDOR_QEMU = 0x1234;
const DEVICE_STDVGA = 0x1111;
const SUBSYSTEM_VENDOR = 0x1af4;
const SUBSYSTEM = 0x1100;
const CLASS_VGA = 0x030000;
const REVISION = 2;
const FRAME_BUFFER_BAR = 0;
const REGISTER_BAR = 2;
const REGISTER_BAR_BYTES = 4096;
/** In BAR 2: VGA ports from 3C0h on, and the dispi registers. */
const BAR_VGA = 0x400;
const BAR_VGA_END = 0x420;
const BAR_DISPI = 0x500;
const BAR_DISPI_END = 0x516;

// ---- memory
export const VIDEO_MEMORY_BYTES = 16 * 1024 * 1024;
/** Behind video memory: what the guest sees of planes 0 and 1 while the window shows them by turns. */
export const VRAM_AREA_BYTES = VIDEO_MEMORY_BYTES + 2 * INTERLEAVED_BYTES;

/** What the device has of the VM's memory. */
export interface VideoMemory {
  /** VRAM_AREA_BYTES. */
  readonly bytes: Uint8Array;
  /** Shows bytes `offset`.. to the guest at a guest-physical address, until unmapped. */
  show(base: number, offset: number, sizeBytes: number): { unmap(): void };
  /** The device has changed bytes. */
  written(offset: number, sizeBytes: number): void;
}

export class Vga implements Device {
  readonly name = "vga";
  readonly stateVersion = 1;
  readonly ports: readonly IoRange[];
  readonly mmio: readonly IoRange[];
  readonly pci: PciFunction;

  // ---- state
  readonly #registers: VgaRegisters;
  readonly #dispi: Dispi;
  readonly #planes: PlanarMemory;
  /** Video memory as plane words. */
  readonly #words: Uint32Array;
  /** The interleaved window. */
  readonly #pairs: Uint16Array;
  #window: Window = CLOSED_WINDOW;
  #shown: { unmap(): void } | undefined;
  // ---- metrics
  #windowReads = 0;
  #windowWrites = 0;
  #windowChanges = 0;

  constructor(
    private readonly memory: VideoMemory,
    clock: Pick<DeviceClock, "nowNs">,
  ) {
    const { bytes } = memory;
    this.#words = new Uint32Array(bytes.buffer, bytes.byteOffset, VIDEO_MEMORY_BYTES / 4);
    this.#pairs = new Uint16Array(bytes.buffer, bytes.byteOffset + VIDEO_MEMORY_BYTES, INTERLEAVED_BYTES / 2);
    this.#registers = new VgaRegisters(
      () => inputStatus1(this.#registers, clock.nowNs()),
      () => this.#updateWindow(),
    );
    this.#dispi = new Dispi(VIDEO_MEMORY_BYTES, {
      changed: () => this.#updateWindow(),
      wideDac: (wide) => {
        this.#registers.wideDac = wide;
      },
      clear: (count) => this.#clear(count),
    });
    this.#planes = new PlanarMemory(this.#registers, this.#words, (word) => memory.written(word * 4, 4));
    this.ports = this.#portRanges();
    const window: IoHandler = {
      read: (offset, size) => this.#readWindow(offset, size),
      write: (offset, size, value) => this.#writeWindow(offset, size, value),
    };
    this.mmio = [{ name: "vga.window", first: WINDOW_BASE, count: WINDOW_END - WINDOW_BASE, handler: window }];
    this.pci = this.#pciFunction();
  }

  #portRanges(): IoRange[] {
    const range = ({ first, count }: { first: number; count: number }): IoRange => ({
      name: "vga",
      first,
      count,
      handler: {
        read: (offset) => this.#registers.read(first + offset),
        write: (offset, _size, value) => this.#registers.write(first + offset, value),
      },
    });
    const dispi: IoHandler = {
      // The data port is at 1CFh and, aligned, at 1D0h. Both registers are words and nothing else.
      read: (offset, size) => {
        if (size !== 2) return 0xff;
        return offset === 0 ? this.#dispi.readIndex() : this.#dispi.read();
      },
      write: (offset, size, value) => {
        if (size !== 2) return;
        if (offset === 0) this.#dispi.writeIndex(value);
        else this.#dispi.write(value);
      },
    };
    return [
      ...[MONO_PORTS, MONO_STATUS, COMMON_PORTS, COLOR_PORTS, COLOR_STATUS].map(range),
      { name: "vga.dispi", first: DISPI_PORT, count: 4, width: 2, handler: dispi },
    ];
  }

  #pciFunction(): PciFunction {
    const pci = new PciFunction("vga", {
      vendor: VENDOR_QEMU,
      device: DEVICE_STDVGA,
      revision: REVISION,
      classCode: CLASS_VGA,
      subsystemVendor: SUBSYSTEM_VENDOR,
      subsystem: SUBSYSTEM,
    });
    pci.addBar(FRAME_BUFFER_BAR, {
      space: "memory",
      sizeBytes: VIDEO_MEMORY_BYTES,
      prefetchable: true,
      show: (base) => this.memory.show(base, 0, VIDEO_MEMORY_BYTES),
    });
    pci.addBar(REGISTER_BAR, {
      space: "memory",
      sizeBytes: REGISTER_BAR_BYTES,
      width: 2,
      handler: {
        read: (offset, size) => this.#readBar(offset, size),
        write: (offset, size, value) => this.#writeBar(offset, size, value),
      },
    });
    return pci;
  }

  // ---- registers in BAR 2

  #readBar(offset: number, size: number): number {
    if (offset >= BAR_VGA && offset + size <= BAR_VGA_END) {
      let value = 0;
      for (let i = size - 1; i >= 0; i--) value = (value << 8) | this.#registers.read(0x3c0 + offset - BAR_VGA + i);
      return value;
    }
    if (offset >= BAR_DISPI && offset < BAR_DISPI_END) return cut(this.#dispi.read((offset - BAR_DISPI) >> 1), size);
    return cut(0xffff, size);
  }

  #writeBar(offset: number, size: number, value: number): void {
    if (offset >= BAR_VGA && offset + size <= BAR_VGA_END) {
      for (let i = 0; i < size; i++) this.#registers.write(0x3c0 + offset - BAR_VGA + i, (value >> (8 * i)) & 0xff);
    } else if (offset >= BAR_DISPI && offset < BAR_DISPI_END && size === 2) {
      this.#dispi.write(value, (offset - BAR_DISPI) >> 1);
    }
  }

  // ---- the legacy window, where it is not memory

  #readWindow(offset: number, size: number): number {
    this.#windowReads++;
    let value = 0;
    for (let i = size - 1; i >= 0; i--) value = value * 256 + this.#readByte(WINDOW_BASE + offset + i);
    return value;
  }

  #writeWindow(offset: number, size: number, value: number): void {
    this.#windowWrites++;
    for (let i = 0; i < size; i++) this.#writeByte(WINDOW_BASE + offset + i, (value >>> (8 * i)) & 0xff);
  }

  #readByte(gpa: number): number {
    const address = this.#addressOf(gpa);
    return address === undefined ? 0xff : this.#planes.read(address);
  }

  #writeByte(gpa: number, byte: number): void {
    const address = this.#addressOf(gpa);
    if (address !== undefined) this.#planes.write(address, byte);
  }

  /** The address that goes to the planes; undefined outside the part of the window that answers. */
  #addressOf(gpa: number): number | undefined {
    const window = this.#window;
    const address = gpa - window.range.base;
    if (window.kind !== "planes" || address < 0 || address >= window.range.sizeBytes) return undefined;
    return address + window.offset;
  }

  #updateWindow(): void {
    const window = windowOf(this.#registers, this.#dispi);
    if (!sameWindow(window, this.#window)) this.#openWindow(window);
  }

  #openWindow(window: Window): void {
    this.#windowChanges++;
    this.#closeWindow();
    this.#window = window;
    const { base, sizeBytes } = window.range;
    if (window.kind === "linear") {
      this.#shown = this.memory.show(base, window.offset, Math.min(sizeBytes, VIDEO_MEMORY_BYTES - window.offset));
    } else if (window.kind === "interleaved") {
      for (let i = 0; i < this.#pairs.length; i++) this.#pairs[i] = this.#words[i] as number;
      this.memory.written(VIDEO_MEMORY_BYTES, INTERLEAVED_BYTES);
      this.#shown = this.memory.show(base, VIDEO_MEMORY_BYTES, INTERLEAVED_BYTES);
    }
  }

  #closeWindow(): void {
    this.#collect();
    this.#forgetWindow();
  }

  #forgetWindow(): void {
    this.#shown?.unmap();
    this.#shown = undefined;
    this.#window = CLOSED_WINDOW;
  }

  /** Brings what the guest wrote into the interleaved window to the planes. */
  #collect(): void {
    if (this.#window.kind !== "interleaved") return;
    for (let i = 0; i < this.#pairs.length; i++)
      this.#words[i] = ((this.#words[i] as number) & 0xffff0000) | (this.#pairs[i] as number);
    this.memory.written(0, this.#pairs.length * 4);
  }

  #clear(count: number): void {
    // A window onto it would bring back what was there.
    this.#closeWindow();
    this.memory.bytes.fill(0, 0, count);
    this.memory.written(0, count);
    this.#openWindow(windowOf(this.#registers, this.#dispi));
  }

  // ---- the picture

  /** What the screen shows now. */
  frame(): Frame {
    this.#collect();
    return scanOut(this.#registers, this.#dispi, this.memory.bytes, this.#words);
  }

  /** Text mode 3 with cleared memory, as a VGA BIOS leaves it; `bios` is where its font comes from. */
  leaveAsFirmware(bios: Uint8Array | undefined): TextScreenShape {
    this.#closeWindow();
    fillTextMemory(this.#words, bios === undefined ? undefined : fontOfBios(bios));
    this.memory.written(0, TEXT_MEMORY_BYTES);
    enterTextMode(this.#registers);
    return { columns: TEXT_COLUMNS, rows: TEXT_ROWS, cellHeight: TEXT_CELL_HEIGHT };
  }

  // ---- reset, save and load

  /** Video memory keeps its contents, as RAM does. The PCI function is reset by its bus. */
  reset(): void {
    this.#closeWindow();
    this.#registers.reset();
    this.#dispi.reset();
    this.#planes.latch = 0;
  }

  /** Video memory itself goes with the VM's memory. */
  save(): DeviceState {
    this.#collect();
    return {
      registers: this.#registers.save(),
      dispi: this.#dispi.save(),
      latch: this.#planes.latch >>> 0,
      pci: this.pci.saveConfig(),
    };
  }

  load(state: DeviceState, version: number): void {
    const saved = SavedState.open(this.name, state, version, this.stateVersion);
    const registers = new SavedState(this.name, saved.nested("registers"));
    const dispi = new SavedState(this.name, saved.nested("dispi"));
    const latch = saved.integer("latch");
    // Not to be collected: video memory is the saved one already.
    this.#forgetWindow();
    this.#registers.load(registers);
    this.#dispi.load(dispi);
    this.#planes.latch = latch;
    this.pci.loadConfig(saved.nested("pci"));
    this.#openWindow(windowOf(this.#registers, this.#dispi));
  }

  metrics(): Readonly<Record<string, number>> {
    return {
      windowReads: this.#windowReads,
      windowWrites: this.#windowWrites,
      windowChanges: this.#windowChanges,
    };
  }
}

function cut(value: number, size: number): number {
  return size === 1 ? value & 0xff : value & 0xffff;
}
