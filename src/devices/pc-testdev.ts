// QEMU's pc-testdev: registers by which kvm-unit-tests exercise port and memory accesses of every width and raise
// interrupt lines.
//   0xE0 4 bytes  a register, any width          0xE8 4 bytes  the same register, byte by byte
//   0xE4 4 bytes  flush: a write names a page whose host mapping is touched; nothing the guest can see
//   0x2000 24     a write of non-zero raises GSI (port - 0x2000), zero lowers it
//   0xFF000000    64 KiB of memory behind MMIO
import type { Device, DeviceState, IoHandler, IoRange, IrqLine } from "../vmm/device.ts";
import { SavedState } from "./saved-state.ts";

const REGISTER_PORT = 0xe0;
const FLUSH_PORT = 0xe4;
const REGISTER_BYTE_PORT = 0xe8;
const IRQ_PORT = 0x2000;
const IRQ_COUNT = 24;
const MMIO_BASE = 0xff000000;
const MMIO_BYTES = 0x10000;

export class PcTestDevice implements Device {
  readonly name = "testdev";
  readonly stateVersion = 1;
  readonly ports: readonly IoRange[];
  readonly mmio: readonly IoRange[];
  readonly #register = new Uint8Array(4);
  readonly #memory = new Uint8Array(MMIO_BYTES);
  readonly #lines: readonly IrqLine[];
  #levels = 0;

  constructor(line: (gsi: number) => IrqLine) {
    this.#lines = Array.from({ length: IRQ_COUNT }, (_, gsi) => line(gsi));
    const register = bytesHandler(this.#register);
    const flush: IoHandler = { read: () => 0, write: () => {} };
    const irq: IoHandler = {
      read: () => 0,
      write: (offset, _size, value) => this.#setLine(offset, value !== 0),
    };
    this.ports = [
      { name: "testdev.register", first: REGISTER_PORT, count: 4, width: 4, handler: register },
      { name: "testdev.flush", first: FLUSH_PORT, count: 4, width: 4, handler: flush },
      { name: "testdev.register-byte", first: REGISTER_BYTE_PORT, count: 4, width: 1, handler: register },
      { name: "testdev.irq", first: IRQ_PORT, count: IRQ_COUNT, width: 4, handler: irq },
    ];
    this.mmio = [
      { name: "testdev.memory", first: MMIO_BASE, count: MMIO_BYTES, width: 4, handler: bytesHandler(this.#memory) },
    ];
  }

  reset(): void {
    for (let gsi = 0; gsi < IRQ_COUNT; gsi++) this.#setLine(gsi, false);
  }

  #setLine(gsi: number, level: boolean): void {
    this.#levels = level ? this.#levels | (1 << gsi) : this.#levels & ~(1 << gsi);
    this.#lines[gsi]?.set(level);
  }

  save(): DeviceState {
    return { register: this.#register.slice(), memory: this.#memory.slice(), levels: this.#levels };
  }
  load(state: DeviceState, version: number): void {
    const saved = SavedState.open(this.name, state, version, this.stateVersion);
    const levels = saved.integer("levels", 0xffffff);
    this.#register.set(saved.bytes("register", 4));
    this.#memory.set(saved.bytes("memory", MMIO_BYTES));
    for (let gsi = 0; gsi < IRQ_COUNT; gsi++) this.#setLine(gsi, ((levels >> gsi) & 1) !== 0);
  }
}

/** Little-endian storage that the bus has already clipped to its range. */
function bytesHandler(bytes: Uint8Array): IoHandler {
  return {
    read: (offset, size) => {
      let value = 0;
      for (let i = 0; i < size; i++) value |= (bytes[offset + i] ?? 0) << (8 * i);
      return value >>> 0;
    },
    write: (offset, size, value) => {
      for (let i = 0; i < size; i++) bytes[offset + i] = value >>> (8 * i);
    },
  };
}
