// ACPI fixed hardware as PIIX4's power management function has it (82371AB datasheet 7.2; ACPI 6.5 chapter 4): PM1a
// event and control, PM timer, GPE0, SMI command port, SCI on IRQ 9; power-off by S5.
import type { Device, DeviceClock, DeviceState, DeviceTimer, IoHandler, IoRange, IrqLine } from "../vmm/device.ts";
import { PCI_COMMAND, PCI_STATUS, PciFunction } from "./pci/function.ts";
import { SavedState } from "./saved-state.ts";

// ---- where (the addresses that firmware built for QEMU's "pc" chooses)
export const PM_BASE = 0x600;
export const PM_BYTES = 64;
export const GPE0_BASE = 0xafe0;
export const GPE0_BYTES = 4;
export const SMI_COMMAND_PORT = 0xb2;
export const ACPI_ENABLE = 0xf1;
export const ACPI_DISABLE = 0xf0;
export const SCI_IRQ = 9;
export const PM_TIMER_HZ = 3_579_545;
/** SLP_TYP that the DSDT's \_S5 names. */
export const SLEEP_TYPE_S5 = 0;
/** S4 as QEMU numbers it: also the end, there is nothing to resume from. */
const SLEEP_TYPE_S4 = 2;

// ---- registers, offsets from PM base
const PM1_STATUS = 0x00;
const PM1_ENABLE = 0x02;
const PM1_CONTROL = 0x04;
const PM_TIMER = 0x08;

const TIMER_EVENT = 0x0001;
const GLOBAL_EVENT = 0x0020;
const POWER_BUTTON = 0x0100;
const RTC_EVENT = 0x0400;
const WAKE = 0x8000;
const PM1_EVENTS = TIMER_EVENT | GLOBAL_EVENT | POWER_BUTTON | RTC_EVENT;
const SCI_ENABLE = 0x0001;
const GLOBAL_RELEASE = 0x0004;
const SLEEP_TYPE_SHIFT = 10;
const SLEEP_TYPE = 0x1c00;
const SLEEP_ENABLE = 0x2000;

// ---- PCI configuration of the function
const PMBASE = 0x40;
/** Device activity B: bit 25, SMIs by port B2h are on. There is no SMM here, so firmware finds its setup already done. */
const DEVACTB_HIGH = 0x5b;
const APMC_ENABLE = 0x02;
const PMREGMISC = 0x80;
const PMREGMISC_ENABLE = 1;

/** TMR_STS is set when bit 23 of the 24-bit timer changes. */
const TIMER_HALF = 2 ** 23;

export interface AcpiPmOptions {
  readonly sci: IrqLine;
  readonly clock: DeviceClock;
  readonly powerOff: () => void;
  /** Maps the PM block where the guest put it. */
  readonly mapPorts: (range: IoRange) => { unmap(): void };
}

export class AcpiPm implements Device {
  readonly name = "acpi-pm";
  readonly stateVersion = 1;
  readonly ports: readonly IoRange[];
  readonly pci: PciFunction;

  // ---- state
  #status = 0;
  #enable = 0;
  #control = 0;
  #gpeStatus = 0;
  #gpeEnable = 0;
  #smiCommand = 0;
  #smiStatus = 0;
  /** Half period of the timer that TMR_STS has accounted for. */
  #seenHalf = 0;
  readonly #overflow: DeviceTimer;
  #mapping: { unmap(): void } | undefined;
  #mappedAt = -1;
  readonly #block: IoHandler;

  constructor(private readonly options: AcpiPmOptions) {
    const gpe: IoHandler = {
      read: (offset) => ((offset < 2 ? this.#gpeStatus : this.#gpeEnable) >> (8 * (offset & 1))) & 0xff,
      write: (offset, _size, value) => this.#writeGpe(offset, value),
    };
    const smi: IoHandler = {
      read: (offset) => (offset === 0 ? this.#smiCommand : this.#smiStatus),
      write: (offset, _size, value) => this.#writeSmi(offset, value),
    };
    this.ports = [
      { name: "acpi.gpe0", first: GPE0_BASE, count: GPE0_BYTES, handler: gpe },
      { name: "acpi.smi", first: SMI_COMMAND_PORT, count: 2, handler: smi },
    ];
    this.#block = {
      read: (offset, size) => this.#read(offset, size),
      write: (offset, size, value) => this.#write(offset, size, value),
    };
    this.#overflow = options.clock.timer("acpi-pm.overflow", () => this.#updateSci());
    const remap = (): void => this.#remap();
    this.pci = new (class extends PciFunction {
      protected override configWritten(): void {
        remap();
      }
    })("piix4-pm", {
      vendor: 0x8086,
      device: 0x7113,
      revision: 3,
      classCode: 0x068000,
      interruptPin: 1,
      subsystemVendor: 0x1af4,
      subsystem: 0x1100,
    });
    this.pci.wiredIrq = SCI_IRQ;
    this.pci.set(PCI_COMMAND, 2, 0);
    this.pci.set(PCI_STATUS, 2, 0x0280);
    this.pci.set(PMBASE, 4, PM_BASE | 1);
    this.pci.allowWrites(PMBASE, 4, 0xffc0);
    this.pci.set(DEVACTB_HIGH, 1, APMC_ENABLE);
    this.pci.set(PMREGMISC, 1, PMREGMISC_ENABLE);
    this.pci.allowWrites(PMREGMISC, 1, 0x0f);
    this.#remap();
  }

  reset(): void {
    this.#status = 0;
    this.#enable = 0;
    // Firmware and Linux switch ACPI mode on by port B2h (FADT SMI_CMD, ACPI_ENABLE).
    this.#control = 0;
    this.#gpeStatus = 0;
    this.#gpeEnable = 0;
    this.#smiCommand = 0;
    this.#smiStatus = 0;
    this.#seenHalf = this.#half();
    this.#updateSci();
  }

  // ---- the host's side

  /** The user presses the power button: the guest is asked to shut down. False when it does not listen. */
  pressPowerButton(): boolean {
    this.#status |= POWER_BUTTON;
    this.#updateSci();
    return (this.#control & SCI_ENABLE) !== 0 && (this.#enable & POWER_BUTTON) !== 0;
  }

  /** The guest has ACPI on, and this general-purpose event. */
  listensTo(bit: number): boolean {
    return (this.#control & SCI_ENABLE) !== 0 && ((this.#gpeEnable >> bit) & 1) !== 0;
  }

  /** Raises a general-purpose event (hot plug). */
  raiseGpe(bit: number): void {
    this.#gpeStatus |= 1 << bit;
    this.#updateSci();
  }

  // ---- read

  #read(offset: number, size: number): number {
    switch (offset & ~3) {
      case PM1_STATUS: {
        this.#accountTimer();
        return field(this.#status | (this.#enable << 16), offset & 3, size);
      }
      case PM1_CONTROL:
        return field(this.#control, offset & 3, size);
      case PM_TIMER:
        return field(this.#ticks() % (2 * TIMER_HALF), offset & 3, size);
      default:
        return 0;
    }
  }

  // ---- write

  #write(offset: number, size: number, value: number): void {
    if (size === 4) {
      this.#write(offset, 2, value & 0xffff);
      this.#write(offset + 2, 2, value >>> 16);
      return;
    }
    // Byte accesses change their half of a 16-bit register.
    const shift = 8 * (offset & 1);
    const mask = size === 1 ? 0xff << shift : 0xffff;
    const bits = (value << shift) & mask;
    switch (offset & ~1) {
      case PM1_STATUS:
        this.#accountTimer();
        this.#status &= ~bits;
        break;
      case PM1_ENABLE:
        this.#enable = ((this.#enable & ~mask) | bits) & PM1_EVENTS;
        break;
      case PM1_CONTROL:
        this.#writeControl((this.#control & ~mask) | bits);
        break;
      default:
        return;
    }
    this.#updateSci();
  }

  #writeControl(value: number): void {
    // SCI_EN belongs to the chipset, SLP_EN and GBL_RLS always read 0 (ACPI 6.5 table 4.16).
    this.#control = (value & SLEEP_TYPE) | (this.#control & SCI_ENABLE);
    if (value & GLOBAL_RELEASE) this.#status |= GLOBAL_EVENT;
    if (!(value & SLEEP_ENABLE)) return;
    const type = (value & SLEEP_TYPE) >> SLEEP_TYPE_SHIFT;
    if (type === SLEEP_TYPE_S5 || type === SLEEP_TYPE_S4) this.options.powerOff();
    else this.#status |= WAKE; // a state this machine does not have: awake again at once
  }

  #writeGpe(offset: number, value: number): void {
    const shift = 8 * (offset & 1);
    if (offset < 2) this.#gpeStatus &= ~(value << shift);
    else this.#gpeEnable = (this.#gpeEnable & ~(0xff << shift)) | (value << shift);
    this.#updateSci();
  }

  #writeSmi(offset: number, value: number): void {
    if (offset === 1) {
      this.#smiStatus = value;
      return;
    }
    this.#smiCommand = value;
    if (value === ACPI_ENABLE) this.enableAcpi();
    else if (value === ACPI_DISABLE) this.#control &= ~SCI_ENABLE;
    this.#updateSci();
  }

  /** Hands the hardware over to the operating system (SCI_EN). */
  enableAcpi(): void {
    this.#control |= SCI_ENABLE;
    this.#updateSci();
  }

  // ---- timer and interrupt

  #ticks(): number {
    return Math.floor((this.options.clock.nowNs() * PM_TIMER_HZ) / 1e9);
  }
  #half(): number {
    return Math.floor(this.#ticks() / TIMER_HALF);
  }

  #accountTimer(): void {
    const half = this.#half();
    if (half !== this.#seenHalf) this.#status |= TIMER_EVENT;
    this.#seenHalf = half;
  }

  #updateSci(): void {
    this.#accountTimer();
    const pending = (this.#status & this.#enable & PM1_EVENTS) | (this.#gpeStatus & this.#gpeEnable);
    this.options.sci.set(pending !== 0 && (this.#control & SCI_ENABLE) !== 0);
    if (this.#enable & TIMER_EVENT && !(this.#status & TIMER_EVENT)) {
      this.#overflow.arm(Math.ceil(((this.#seenHalf + 1) * TIMER_HALF * 1e9) / PM_TIMER_HZ) + 1);
    } else {
      this.#overflow.disarm();
    }
  }

  #remap(): void {
    const enabled = (this.pci.get(PMREGMISC, 1) & PMREGMISC_ENABLE) !== 0;
    const base = this.pci.get(PMBASE, 4) & 0xffc0;
    const wanted = enabled && base !== 0 ? base : -1;
    if (wanted === this.#mappedAt) return;
    this.#mapping?.unmap();
    this.#mapping = undefined;
    this.#mappedAt = wanted;
    if (wanted >= 0)
      this.#mapping = this.options.mapPorts({
        name: "acpi.pm",
        first: wanted,
        count: PM_BYTES,
        width: 4,
        handler: this.#block,
      });
  }

  // ---- save and load

  save(): DeviceState {
    // Not accountTimer alone: the line must agree with what is saved.
    this.#updateSci();
    return {
      status: this.#status,
      enable: this.#enable,
      control: this.#control,
      gpeStatus: this.#gpeStatus,
      gpeEnable: this.#gpeEnable,
      smiCommand: this.#smiCommand,
      smiStatus: this.#smiStatus,
      seenHalf: this.#seenHalf,
    };
  }

  load(state: DeviceState, version: number): void {
    const saved = SavedState.open(this.name, state, version, this.stateVersion);
    this.#status = saved.integer("status", 0xffff);
    this.#enable = saved.integer("enable", 0xffff);
    this.#control = saved.integer("control", 0xffff);
    this.#gpeStatus = saved.integer("gpeStatus", 0xffff);
    this.#gpeEnable = saved.integer("gpeEnable", 0xffff);
    this.#smiCommand = saved.integer("smiCommand", 0xff);
    this.#smiStatus = saved.integer("smiStatus", 0xff);
    this.#seenHalf = saved.number("seenHalf");
    this.#updateSci();
  }
}

/** `size` bytes at byte `offset` of a 32-bit register. */
function field(value: number, offset: number, size: number): number {
  const shifted = value >>> (8 * offset);
  return size === 4 ? shifted >>> 0 : shifted & (size === 2 ? 0xffff : 0xff);
}
