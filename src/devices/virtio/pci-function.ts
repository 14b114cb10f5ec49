// The PCI function of a virtio device: the capabilities that say where its structures are, and the window through which
// configuration space alone reaches them (virtio 1.2, section 4.1.4).
import type { IoHandler } from "../../vmm/device.ts";
import { PciFunction, type PciIdentity } from "../pci/function.ts";
import type { Msix } from "../pci/msix.ts";

const CAPABILITY_VENDOR = 0x09;
const PCI_CFG = 5;
/** Size of the BAR that the structures are in. */
export const STRUCTURES_BYTES = 0x4000;

// ---- struct virtio_pci_cap, offsets from the capability's first byte
const CAP_BAR = 4;
const CAP_OFFSET = 8;
const CAP_LENGTH = 12;
const CAP_DATA = 16;

/** The PCI function: its configuration space also reaches BAR 0 through the PCI_CFG capability (4.1.4.9). */
export class VirtioFunction extends PciFunction {
  msix: Msix | undefined;
  #window = 0;

  constructor(
    name: string,
    identity: PciIdentity,
    private readonly bar: IoHandler,
  ) {
    super(name, identity);
  }

  addStructure(type: number, at: number, sizeBytes: number, extra: readonly number[] = []): void {
    const body = new DataView(new ArrayBuffer(14 + extra.length));
    body.setUint8(0, 16 + extra.length);
    body.setUint8(1, type);
    body.setUint32(6, at, true);
    body.setUint32(10, sizeBytes, true);
    for (const [i, byte] of extra.entries()) body.setUint8(14 + i, byte);
    this.addCapability(CAPABILITY_VENDOR, new Uint8Array(body.buffer));
  }

  addWindow(): void {
    const body = new Uint8Array(18);
    body[0] = 20;
    body[1] = PCI_CFG;
    const writable = new Uint8Array(18).fill(0xff, CAP_OFFSET - 2);
    writable[CAP_BAR - 2] = 0xff;
    this.#window = this.addCapability(CAPABILITY_VENDOR, body, writable);
  }

  /** The access that the window describes, undefined while it describes none. */
  #described(): { at: number; size: 1 | 2 | 4 } | undefined {
    const at = this.get(this.#window + CAP_OFFSET, 4);
    const size = this.get(this.#window + CAP_LENGTH, 4);
    if (this.get(this.#window + CAP_BAR, 1) !== 0 || at + size > STRUCTURES_BYTES || at % size !== 0) return undefined;
    return size === 1 || size === 2 || size === 4 ? { at, size } : undefined;
  }

  #touchesData(offset: number, size: number): boolean {
    const data = this.#window + CAP_DATA;
    return this.#window !== 0 && offset < data + 4 && offset + size > data;
  }

  override readConfig(offset: number, size: number): number {
    if (this.#touchesData(offset, size)) {
      const access = this.#described();
      if (access !== undefined) this.set(this.#window + CAP_DATA, 4, this.bar.read(access.at, access.size));
    }
    return super.readConfig(offset, size);
  }

  protected override configWritten(offset: number, size: number): void {
    this.msix?.controlWritten();
    // All of it is written by a reset or a load; a driver writes a field.
    if (size > 4 || !this.#touchesData(offset, size)) return;
    const access = this.#described();
    if (access !== undefined) this.bar.write(access.at, access.size, this.get(this.#window + CAP_DATA, access.size));
  }
}
