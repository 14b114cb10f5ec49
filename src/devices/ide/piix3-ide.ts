// The IDE function of PIIX3 (82371SB datasheet, 2.3): two channels at their ISA addresses, bus masters at BAR 4.
import type { Device, DeviceClock, DeviceState, DeviceTimer, GuestMemory, IoRange, IrqLine } from "../../vmm/device.ts";
import { COMMAND_IO, PCI_STATUS, PciFunction } from "../pci/function.ts";
import { SavedState } from "../saved-state.ts";
import { type DrivePair, IdeChannel } from "./channel.ts";
import type { IdeDrive } from "./drive.ts";

/** Where every PC has them. */
export const IDE_CHANNELS = [
  { command: 0x1f0, control: 0x3f6, irq: 14 },
  { command: 0x170, control: 0x376, irq: 15 },
] as const;
export const IDE_FUNCTION = 1;

const COMMAND_PORTS = 8;
/** IDETIM of the primary channel; the secondary's follows. Bit 15: the channel is decoded. */
const IDETIM = 0x40;
const IDETIM_DECODE = 0x8000;
const SIDETIM = 0x44;
const BUS_MASTER_BAR = 4;
const BUS_MASTER_PORTS = 16;

export interface Piix3IdeOptions {
  readonly memory: GuestMemory;
  readonly clock: DeviceClock;
  readonly irqs: readonly [IrqLine, IrqLine];
  /** Master and slave of the primary, then of the secondary channel. */
  readonly drives: readonly (IdeDrive | undefined)[];
  readonly mapPorts: (range: IoRange) => { unmap(): void };
}

export class Piix3Ide implements Device {
  readonly name = "ide";
  readonly stateVersion = 1;
  readonly pci: PciFunction;
  readonly channels: readonly [IdeChannel, IdeChannel];
  readonly #mappings: ({ unmap(): void }[] | undefined)[] = [undefined, undefined];
  /** Requests that were under way when the state was saved are made again when the machine runs. */
  readonly #continue: DeviceTimer;

  constructor(private readonly options: Piix3IdeOptions) {
    const { drives, irqs, memory, clock } = options;
    const pair = (first: number): DrivePair => [drives[first], drives[first + 1]];
    this.channels = [
      new IdeChannel("ide.primary", irqs[0], memory, clock, pair(0)),
      new IdeChannel("ide.secondary", irqs[1], memory, clock, pair(2)),
    ];
    this.#continue = clock.timer("ide.continue", () => {
      for (const channel of this.channels) channel.continueWork();
    });
    const remap = (): void => this.#remap();
    const decode = (value: number): void => {
      for (const offset of [IDETIM, IDETIM + 2]) this.pci.writeConfig(offset, 2, value);
    };
    this.pci = new (class extends PciFunction {
      protected override configWritten(): void {
        remap();
      }
      override leaveAsFirmware(): void {
        decode(IDETIM_DECODE);
      }
    })("piix3-ide", {
      vendor: 0x8086,
      device: 0x7010,
      classCode: 0x010180,
      subsystemVendor: 0x1af4,
      subsystem: 0x1100,
    });
    this.pci.set(PCI_STATUS, 2, 0x0280);
    this.pci.allowWrites(IDETIM, 4, 0xffffffff);
    this.pci.allowWrites(SIDETIM, 1, 0xff);
    this.pci.addBar(BUS_MASTER_BAR, {
      space: "io",
      sizeBytes: BUS_MASTER_PORTS,
      handler: {
        read: (offset, size) => this.channels[offset >> 3]?.readBusMaster(offset & 7, size) ?? 0,
        write: (offset, size, value) => this.channels[offset >> 3]?.writeBusMaster(offset & 7, size, value),
      },
    });
  }

  #remap(): void {
    for (const [i, channel] of this.channels.entries()) {
      const place = IDE_CHANNELS[i];
      if (place === undefined) continue;
      const wanted = this.pci.command & COMMAND_IO && this.pci.get(IDETIM + 2 * i, 2) & IDETIM_DECODE;
      const mapped = this.#mappings[i];
      if (!wanted) {
        for (const mapping of mapped ?? []) mapping.unmap();
        this.#mappings[i] = undefined;
      } else if (mapped === undefined) {
        const { name, commandBlock, controlBlock } = channel;
        this.#mappings[i] = [
          { name, first: place.command, count: COMMAND_PORTS, width: 4 as const, handler: commandBlock },
          { name: `${name}.control`, first: place.control, count: 1, handler: controlBlock },
        ].map((range) => this.options.mapPorts(range));
      }
    }
  }

  reset(): void {
    this.#continue.disarm();
    for (const channel of this.channels) channel.reset();
    this.#remap();
  }

  // ---- save and load; configuration space is the PCI host's

  save(): DeviceState {
    return { primary: this.channels[0].save(), secondary: this.channels[1].save() };
  }

  load(state: DeviceState, version: number): void {
    const saved = SavedState.open(this.name, state, version, this.stateVersion);
    this.channels[0].load(saved.nested("primary"));
    this.channels[1].load(saved.nested("secondary"));
    if (this.channels.some(({ mustResubmit }) => mustResubmit)) this.#continue.arm(this.options.clock.nowNs());
  }

  metrics(): Readonly<Record<string, number>> {
    const total: Record<string, number> = {};
    for (const { drives } of this.channels) {
      for (const drive of drives) {
        for (const [name, value] of Object.entries(drive?.metrics() ?? {})) total[name] = (total[name] ?? 0) + value;
      }
    }
    return total;
  }
}
