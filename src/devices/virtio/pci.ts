// Virtio over PCI, without the legacy interface (virtio 1.2, section 4.1): capabilities that say where in BAR 0 the
// structures are, MSI-X in BAR 1, INTx for guests without.
import type { Device, DeviceClock, DeviceState, DeviceTimer, IoHandler, MsiSink } from "../../vmm/device.ts";
import { COMMAND_MASTER, type PciFunction, type PciIdentity } from "../pci/function.ts";
import { Msix } from "../pci/msix.ts";
import { SavedState } from "../saved-state.ts";
import { STATUS_FEATURES_OK, type VirtioDevice } from "./device.ts";
import { STRUCTURES_BYTES, VirtioFunction } from "./pci-function.ts";

const VENDOR = 0x1af4;
const DEVICE_BASE = 0x1040;

// ---- structures: cfg_type and place in BAR 0
const COMMON = { type: 1, at: 0x0000 };
const NOTIFY = { type: 2, at: 0x3000 };
const ISR = { type: 3, at: 0x1000 };
const DEVICE = { type: 4, at: 0x2000 };
const STRUCTURE_BYTES = 0x1000;
const NOTIFY_MULTIPLIER = 4;

// ---- struct virtio_pci_common_cfg
const DEVICE_FEATURE_SELECT = 0x00;
const DEVICE_FEATURE = 0x04;
const DRIVER_FEATURE_SELECT = 0x08;
const DRIVER_FEATURE = 0x0c;
const CONFIG_MSIX_VECTOR = 0x10;
const DEVICE_STATUS = 0x14;
const QUEUE_SELECT = 0x16;
const QUEUE_SIZE = 0x18;
const QUEUE_MSIX_VECTOR = 0x1a;
const QUEUE_ENABLE = 0x1c;
const QUEUE_DESC = 0x20;
const QUEUE_DRIVER = 0x28;
const QUEUE_DEVICE = 0x30;
const QUEUE_RESET = 0x3a;
const COMMON_BYTES = 0x3c;

const ISR_QUEUE = 1;
const ISR_CONFIG = 2;
const NO_VECTOR = 0xffff;

export interface VirtioPciOptions {
  readonly msi: MsiSink;
  readonly clock: DeviceClock;
  /** Class, subclass and programming interface, as the drivers of firmware look for them. */
  readonly classCode: number;
  /** Function 0 of a slot with several. */
  readonly multifunction?: boolean;
}

export class VirtioPci implements Device {
  readonly name: string;
  readonly stateVersion = 1;
  readonly pci: PciFunction;
  readonly #msix: Msix;
  readonly #clock: DeviceClock;
  readonly #deferTimer: DeviceTimer;
  readonly #deferred = new Set<number>();
  #deviceFeatureSelect = 0;
  #driverFeatureSelect = 0;
  #queueSelect = 0;
  #configVector = NO_VECTOR;
  readonly #queueVectors: Uint16Array;
  #isr = 0;

  constructor(
    readonly device: VirtioDevice,
    options: VirtioPciOptions,
  ) {
    this.name = device.name;
    const bar: IoHandler = {
      read: (offset, size) => this.#read(offset, size),
      write: (offset, size, value) => this.#write(offset, size, value),
    };
    const identity: PciIdentity = {
      vendor: VENDOR,
      device: DEVICE_BASE + device.type,
      revision: 1,
      classCode: options.classCode,
      subsystemVendor: VENDOR,
      subsystem: 0x1100,
      interruptPin: 1,
      multifunction: options.multifunction ?? false,
    };
    const pci = new VirtioFunction(device.name, identity, bar);
    pci.addBar(0, { space: "memory", sizeBytes: STRUCTURES_BYTES, handler: bar });
    this.#msix = new Msix(pci, 1, device.queues.length + 1, options.msi);
    pci.msix = this.#msix;
    pci.addStructure(COMMON.type, COMMON.at, COMMON_BYTES);
    pci.addStructure(ISR.type, ISR.at, 1);
    if (device.config.byteLength > 0) pci.addStructure(DEVICE.type, DEVICE.at, device.config.byteLength);
    pci.addStructure(NOTIFY.type, NOTIFY.at, device.queues.length * NOTIFY_MULTIPLIER, [NOTIFY_MULTIPLIER, 0, 0, 0]);
    pci.addWindow();
    this.pci = pci;
    this.#queueVectors = new Uint16Array(device.queues.length).fill(NO_VECTOR);
    this.#clock = options.clock;
    this.#deferTimer = options.clock.timer(`${device.name}.queues`, () => this.#serveDeferred());
    device.attach({
      interruptQueue: (index) => this.#interrupt(this.#queueVectors[index] ?? NO_VECTOR, ISR_QUEUE),
      interruptConfig: () => this.#interrupt(this.#configVector, ISR_CONFIG),
      defer: (index) => {
        this.#deferred.add(index);
        this.#deferTimer.arm(options.clock.nowNs());
      },
    });
  }

  #serveDeferred(): void {
    const queues = [...this.#deferred];
    this.#deferred.clear();
    for (const index of queues) this.device.serve(index);
  }

  #interrupt(vector: number, cause: number): void {
    if (this.#msix.enabled) {
      this.#msix.signal(vector);
      return;
    }
    this.#isr |= cause;
    this.pci.setIntx(true);
  }

  // ---- read

  #read(offset: number, size: number): number {
    const at = offset & (STRUCTURE_BYTES - 1);
    switch (offset - at) {
      case COMMON.at:
        return this.#readCommon(at, size);
      case ISR.at:
        return at === 0 ? this.#readIsr() : 0;
      case DEVICE.at:
        return this.#readDeviceConfig(at, size);
      default:
        return 0;
    }
  }

  /** Any aligned part of a dword: the fields are as they lie in memory. */
  #readCommon(at: number, size: number): number {
    if (at + size > COMMON_BYTES + (-COMMON_BYTES & 3)) return 0;
    const dword = this.#commonDword(at & ~3) >>> (8 * (at & 3));
    return size === 4 ? dword : dword & (size === 2 ? 0xffff : 0xff);
  }

  #commonDword(at: number): number {
    const { device } = this;
    const queue = device.queues[this.#queueSelect];
    const pair = (low: number, high: number): number => ((low & 0xffff) | (high << 16)) >>> 0;
    switch (at) {
      case DEVICE_FEATURE_SELECT:
        return this.#deviceFeatureSelect;
      case DEVICE_FEATURE:
        return device.offered[this.#deviceFeatureSelect] ?? 0;
      case DRIVER_FEATURE_SELECT:
        return this.#driverFeatureSelect;
      case DRIVER_FEATURE:
        return device.accepted[this.#driverFeatureSelect] ?? 0;
      case CONFIG_MSIX_VECTOR:
        return pair(this.#configVector, device.queues.length);
      case DEVICE_STATUS:
        return pair(device.status | (device.configGeneration << 8), this.#queueSelect);
      case QUEUE_SIZE:
        return pair(queue?.size ?? 0, this.#queueVectors[this.#queueSelect] ?? NO_VECTOR);
      case QUEUE_ENABLE:
        return pair(queue?.enabled ? 1 : 0, queue === undefined ? 0 : this.#queueSelect);
      case QUEUE_DESC:
      case QUEUE_DESC + 4:
        return half(queue?.descriptorsAt ?? 0, at);
      case QUEUE_DRIVER:
      case QUEUE_DRIVER + 4:
        return half(queue?.availableAt ?? 0, at);
      case QUEUE_DEVICE:
      case QUEUE_DEVICE + 4:
        return half(queue?.usedAt ?? 0, at);
      default:
        return 0;
    }
  }

  #readIsr(): number {
    const isr = this.#isr;
    this.#isr = 0;
    this.pci.setIntx(false);
    return isr;
  }

  #readDeviceConfig(at: number, size: number): number {
    const { config } = this.device;
    let value = 0;
    for (let i = size - 1; i >= 0; i--)
      value = value * 256 + (at + i < config.byteLength ? config.getUint8(at + i) : 0);
    return value;
  }

  // ---- write

  #write(offset: number, size: number, value: number): void {
    const at = offset & (STRUCTURE_BYTES - 1);
    switch (offset - at) {
      case COMMON.at:
        this.#writeCommon(at, size, value);
        break;
      case DEVICE.at:
        if (at + size <= this.device.config.byteLength) this.device.writeConfig(at, size, value);
        break;
      case NOTIFY.at:
        // Without bus mastering there is no way to the rings.
        if (this.pci.command & COMMAND_MASTER) this.device.notify(at / NOTIFY_MULTIPLIER);
        break;
    }
  }

  /** Fields are written in their own width (4.1.3.1); other writes are not for any field. */
  #writeCommon(at: number, size: number, value: number): void {
    const { device } = this;
    const queue = device.queues[this.#queueSelect];
    const width =
      at === DEVICE_STATUS ? 1 : at < CONFIG_MSIX_VECTOR || (at >= QUEUE_DESC && at < QUEUE_DEVICE + 8) ? 4 : 2;
    if (size !== width) return;
    switch (at) {
      case DEVICE_FEATURE_SELECT:
        this.#deviceFeatureSelect = value;
        return;
      case DRIVER_FEATURE_SELECT:
        this.#driverFeatureSelect = value;
        return;
      case DRIVER_FEATURE:
        // Negotiation ends with FEATURES_OK.
        if (!(device.status & STATUS_FEATURES_OK) && this.#driverFeatureSelect < device.accepted.length)
          device.accepted[this.#driverFeatureSelect] = value;
        return;
      case CONFIG_MSIX_VECTOR:
        this.#configVector = this.#vector(value);
        return;
      case DEVICE_STATUS:
        device.writeStatus(value);
        if (value === 0) this.#resetRegisters();
        return;
      case QUEUE_SELECT:
        this.#queueSelect = value;
        return;
      case QUEUE_MSIX_VECTOR:
        if (queue !== undefined) this.#queueVectors[this.#queueSelect] = this.#vector(value);
        return;
      case QUEUE_RESET:
        if (value === 1) device.resetQueue(this.#queueSelect);
        return;
      case QUEUE_ENABLE:
        if (value === 1 && device.status & STATUS_FEATURES_OK) device.enableQueue(this.#queueSelect);
        return;
    }
    // What describes a queue holds still while it is enabled.
    if (queue === undefined || queue.enabled) return;
    switch (at & ~4) {
      case QUEUE_SIZE & ~4:
        if (at === QUEUE_SIZE && value > 0 && value <= queue.sizeMax && (value & (value - 1)) === 0) queue.size = value;
        return;
      case QUEUE_DESC:
        queue.descriptorsAt = replaceHalf(queue.descriptorsAt, at, value);
        return;
      case QUEUE_DRIVER:
        queue.availableAt = replaceHalf(queue.availableAt, at, value);
        return;
      case QUEUE_DEVICE:
        queue.usedAt = replaceHalf(queue.usedAt, at, value);
        return;
    }
  }

  /** A vector that the table has; others read back as "none" (4.1.5.1.2). */
  #vector(value: number): number {
    return value < this.#msix.vectors ? value : NO_VECTOR;
  }

  // ---- reset, save and load

  /** The device status said 0: vectors stay mapped in the table, but queues and configuration lose theirs. */
  #resetRegisters(): void {
    this.#deviceFeatureSelect = this.#driverFeatureSelect = this.#queueSelect = 0;
    this.#configVector = NO_VECTOR;
    this.#queueVectors.fill(NO_VECTOR);
    this.#deferred.clear();
    this.#deferTimer.disarm();
    this.#isr = 0;
    this.pci.setIntx(false);
  }

  reset(): void {
    this.device.reset();
    this.#resetRegisters();
    this.#msix.reset();
  }

  renewIdentity(entropy: (into: Uint8Array) => void): void {
    this.device.renewIdentity(entropy);
  }

  save(): DeviceState {
    const virtio = this.device.save();
    return {
      deviceFeatureSelect: this.#deviceFeatureSelect,
      driverFeatureSelect: this.#driverFeatureSelect,
      queueSelect: this.#queueSelect,
      configVector: this.#configVector,
      queueVectors: new Uint8Array(this.#queueVectors.slice().buffer),
      isr: this.#isr,
      msix: this.#msix.save(),
      deviceVersion: this.device.stateVersion,
      deferred: Uint8Array.from(this.#deferred),
      virtio,
    };
  }

  /** PCI configuration space, and with it the INTx level, is the host bridge's to load. */
  load(state: DeviceState, version: number): void {
    const saved = SavedState.open(this.name, state, version, this.stateVersion);
    SavedState.open(this.name, {}, saved.integer("deviceVersion"), this.device.stateVersion);
    this.#deviceFeatureSelect = saved.integer("deviceFeatureSelect");
    this.#driverFeatureSelect = saved.integer("driverFeatureSelect");
    this.#queueSelect = saved.integer("queueSelect", 0xffff);
    this.#configVector = saved.integer("configVector", 0xffff);
    this.#queueVectors.set(new Uint16Array(saved.bytes("queueVectors", this.#queueVectors.byteLength).buffer));
    this.#isr = saved.integer("isr", 3);
    this.#msix.load(this.name, saved.nested("msix"));
    this.device.load(saved.nested("virtio"));
    // What was under way is looked at again once the vCPU runs: by then the rings are back in memory.
    this.#deferred.clear();
    for (const index of saved.bytes("deferred", this.device.queues.length, false)) this.#deferred.add(index);
    if (this.#deferred.size > 0) this.#deferTimer.arm(this.#clock.nowNs());
  }

  metrics(): Readonly<Record<string, number>> {
    return this.device.metrics();
  }

  dispose(): void {
    this.device.dispose();
  }
}

/** The low or high word of a 64-bit field. */
function half(value: number, at: number): number {
  return at & 4 ? Math.floor(value / 0x100000000) : value >>> 0;
}
function replaceHalf(old: number, at: number, value: number): number {
  const high = at & 4 ? value : Math.floor(old / 0x100000000);
  const low = at & 4 ? old % 0x100000000 : value;
  // More than 53 bits is no address of RAM; keep the field a number that says so.
  return Math.min(Number.MAX_SAFE_INTEGER, high * 0x100000000 + low);
}
