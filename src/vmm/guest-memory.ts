// Guest-physical memory as devices, boot code and debuggers reach it. Every address comes from a guest or a user, so
// every access is clipped to the slots: outside them reads give all ones and writes are dropped.
import type { AbsentPages } from "./absent-pages.ts";
import type { DmaMemory } from "./device.ts";
import type { MemorySlot } from "./slots.ts";

export class SlotMemory implements DmaMemory {
  /** End of RAM: addresses count from 0, with the video hole in them. */
  readonly sizeBytes: number;
  readonly ramBytes: number;
  readonly #bytes: Uint8Array;

  /**
   * `onWritten` is told of every change (guest-physical address, bytes), so that decoded code on it is forgotten.
   */
  constructor(
    memory: WebAssembly.Memory,
    private readonly slots: readonly MemorySlot[],
    ramBytes: number,
    private readonly onWritten: (gpa: number, size: number) => void,
    private readonly absent?: Pick<AbsentPages, "bring">,
  ) {
    this.#bytes = new Uint8Array(memory.buffer);
    this.sizeBytes = ramBytes;
    this.ramBytes = ramBytes;
  }

  read(gpa: number, into: Uint8Array): void {
    let at = 0;
    while (at < into.length) {
      const slot = this.#find(gpa + at);
      if (slot === undefined) {
        const run = this.#gap(gpa + at, into.length - at);
        into.fill(0xff, at, at + run);
        at += run;
        continue;
      }
      const offset = gpa + at - slot.gpa;
      const run = Math.min(into.length - at, slot.size - offset);
      this.absent?.bring(slot.host + offset, run);
      into.set(this.#bytes.subarray(slot.host + offset, slot.host + offset + run), at);
      at += run;
    }
  }

  write(gpa: number, from: Uint8Array): void {
    this.#put(gpa, from, false);
  }

  /** As `write`, but also into ROM: for the host, never on behalf of the guest. */
  writeRom(gpa: number, from: Uint8Array): void {
    this.#put(gpa, from, true);
  }

  view(gpa: number, sizeBytes: number): Uint8Array | undefined {
    const slot = this.#find(gpa);
    if (slot === undefined || slot.readonly || sizeBytes > slot.gpa + slot.size - gpa) return undefined;
    const at = slot.host + gpa - slot.gpa;
    this.absent?.bring(at, sizeBytes);
    return this.#bytes.subarray(at, at + sizeBytes);
  }

  written(gpa: number, sizeBytes: number): void {
    this.onWritten(gpa, sizeBytes);
  }

  /** One little-endian value of 1, 2 or 4 bytes. */
  readValue(gpa: number, size: 1 | 2 | 4): number {
    const bytes = new Uint8Array(size);
    this.read(gpa, bytes);
    let value = 0;
    for (let i = size - 1; i >= 0; i--) value = value * 256 + (bytes[i] ?? 0);
    return value;
  }

  writeValue(gpa: number, size: 1 | 2 | 4, value: number): void {
    const bytes = new Uint8Array(size);
    for (let i = 0; i < size; i++) bytes[i] = value >>> (8 * i);
    this.write(gpa, bytes);
  }

  #put(gpa: number, from: Uint8Array, rom: boolean): void {
    let at = 0;
    while (at < from.length) {
      const slot = this.#find(gpa + at);
      if (slot === undefined) {
        at += this.#gap(gpa + at, from.length - at);
        continue;
      }
      const offset = gpa + at - slot.gpa;
      const run = Math.min(from.length - at, slot.size - offset);
      if (rom || !slot.readonly) {
        this.absent?.bring(slot.host + offset, run);
        this.#bytes.set(from.subarray(at, at + run), slot.host + offset);
        this.onWritten(gpa + at, run);
      }
      at += run;
    }
  }

  #find(gpa: number): MemorySlot | undefined {
    for (const slot of this.slots) if (gpa >= slot.gpa && gpa < slot.gpa + slot.size) return slot;
    return undefined;
  }

  /** Bytes from `gpa`, at most `most`, until the next slot begins. */
  #gap(gpa: number, most: number): number {
    let run = most;
    for (const slot of this.slots) if (slot.gpa > gpa) run = Math.min(run, slot.gpa - gpa);
    return run;
  }
}
