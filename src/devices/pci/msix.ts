// MSI-X: the capability, the vector table and the pending bits of a PCI function, in a BAR of their own (PCI Local Bus
// 3.0, 6.8.2).
import type { DeviceState, IoHandler, MsiSink } from "../../vmm/device.ts";
import { SavedState } from "../saved-state.ts";
import type { PciFunction } from "./function.ts";

const CAPABILITY_MSIX = 0x11;
const CONTROL_ENABLE = 0x8000;
const CONTROL_MASK = 0x4000;
const ENTRY_BYTES = 16;
const ENTRY_HIGH = 4;
const ENTRY_DATA = 8;
const ENTRY_CONTROL = 12;
const VECTOR_MASKED = 1;
const BAR_BYTES = 4096;
const PBA_AT = 0x800;
/** What fits before the pending bits. */
export const MSIX_VECTORS_MAX = PBA_AT / ENTRY_BYTES;

export class Msix implements IoHandler {
  readonly #table: DataView;
  readonly #pending: Uint8Array;
  readonly #controlAt: number;

  /** Adds capability and BAR to the function; call `controlWritten` when its configuration space was written. */
  constructor(
    private readonly pci: PciFunction,
    bar: number,
    readonly vectors: number,
    private readonly sink: MsiSink,
  ) {
    this.#table = new DataView(new ArrayBuffer(vectors * ENTRY_BYTES));
    this.#pending = new Uint8Array(Math.ceil(vectors / 64) * 8);
    const body = new DataView(new ArrayBuffer(10));
    body.setUint16(0, vectors - 1, true);
    body.setUint32(2, bar, true);
    body.setUint32(6, PBA_AT | bar, true);
    const writable = Uint8Array.of(0, (CONTROL_ENABLE | CONTROL_MASK) >> 8, 0, 0, 0, 0, 0, 0, 0, 0);
    this.#controlAt = pci.addCapability(CAPABILITY_MSIX, new Uint8Array(body.buffer), writable) + 2;
    pci.addBar(bar, { space: "memory", sizeBytes: BAR_BYTES, handler: this });
    this.reset();
  }

  get #control(): number {
    return this.pci.get(this.#controlAt, 2);
  }
  get enabled(): boolean {
    return (this.#control & CONTROL_ENABLE) !== 0;
  }

  /** Sends a vector's message, or remembers it while it is masked. */
  signal(vector: number): void {
    if (!this.enabled || vector >= this.vectors) return;
    if (this.#masked(vector)) {
      this.#pending[vector >> 3] = (this.#pending[vector >> 3] ?? 0) | (1 << (vector & 7));
      return;
    }
    const at = vector * ENTRY_BYTES;
    // Interrupts go to the local APICs below 4 GiB; nothing else answers such a write.
    if (this.#table.getUint32(at + ENTRY_HIGH, true) !== 0) return;
    this.sink.deliver(this.#table.getUint32(at, true), this.#table.getUint32(at + ENTRY_DATA, true));
  }

  #masked(vector: number): boolean {
    const entry = this.#table.getUint32(vector * ENTRY_BYTES + ENTRY_CONTROL, true);
    return (entry & VECTOR_MASKED) !== 0 || (this.#control & CONTROL_MASK) !== 0;
  }

  /** Masks may have gone: sends what waited for that. */
  controlWritten(): void {
    if (!this.enabled) return;
    for (let vector = 0; vector < this.vectors; vector++) {
      const byte = this.#pending[vector >> 3] ?? 0;
      if (byte === 0 || !((byte >> (vector & 7)) & 1) || this.#masked(vector)) continue;
      this.#pending[vector >> 3] = byte & ~(1 << (vector & 7));
      this.signal(vector);
    }
  }

  // ---- the BAR

  read(offset: number, size: number): number {
    let value = 0;
    for (let i = size - 1; i >= 0; i--) value = value * 256 + this.#byte(offset + i);
    return value;
  }

  #byte(offset: number): number {
    if (offset < this.#table.byteLength) return this.#table.getUint8(offset);
    return this.#pending[offset - PBA_AT] ?? 0;
  }

  write(offset: number, size: number, value: number): void {
    for (let i = 0; i < size && offset + i < this.#table.byteLength; i++) {
      const reserved = (offset + i) % ENTRY_BYTES > ENTRY_CONTROL;
      const byte =
        (offset + i) % ENTRY_BYTES === ENTRY_CONTROL ? (value >>> (8 * i)) & VECTOR_MASKED : value >>> (8 * i);
      if (!reserved) this.#table.setUint8(offset + i, byte);
    }
    this.controlWritten();
  }

  // ---- reset, save and load

  reset(): void {
    this.#pending.fill(0);
    for (let vector = 0; vector < this.vectors; vector++) {
      for (let i = 0; i < ENTRY_BYTES; i++) this.#table.setUint8(vector * ENTRY_BYTES + i, 0);
      this.#table.setUint8(vector * ENTRY_BYTES + ENTRY_CONTROL, VECTOR_MASKED);
    }
  }

  save(): DeviceState {
    return { table: new Uint8Array(this.#table.buffer).slice(), pending: this.#pending.slice() };
  }

  load(device: string, state: DeviceState): void {
    const saved = new SavedState(device, state);
    const table = saved.bytes("table", this.#table.byteLength);
    this.#pending.set(saved.bytes("pending", this.#pending.length));
    new Uint8Array(this.#table.buffer).set(table);
  }
}
