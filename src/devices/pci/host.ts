// The PCI host bridge: configuration mechanism 1 (PCI Local Bus 3.0, 3.2.2.3.2), bus 0, and a 440FX at 00:00.0.
import type { Device, DeviceState, IoHandler, IoRange } from "../../vmm/device.ts";
import { VmError } from "../../vmm/error.ts";
import { SavedState } from "../saved-state.ts";
import { PCI_STATUS, PciFunction, type PciSlot } from "./function.ts";

// ---- registers
const CONFIG_ADDRESS = 0xcf8;
const CONFIG_DATA = 0xcfc;
const ADDRESS_ENABLE = 0x80000000;
const ADDRESS_BITS = 0x80fffffc;
/** The reset register's place within the dword of CONFIG_ADDRESS. */
const RESET_CONTROL_OFFSET = 1;

// ---- 440FX (82441FX datasheet)
const PAM0 = 0x59;
const PAM6 = 0x5f;
const SMRAM = 0x72;
const SMRAM_DEFAULT = 0x02;

export interface PciHostOptions {
  readonly map: PciSlot["map"];
  /** Drives PCI interrupt link A..D (0..3) for a device's slot. */
  readonly setIntx: (slot: number, pin: number, level: boolean) => void;
  readonly resetControl: IoHandler;
}

export class PciHost implements Device {
  readonly name = "pci-host";
  readonly stateVersion = 1;
  readonly ports: readonly IoRange[];
  /** By device * 8 + function. */
  readonly #functions: (PciFunction | undefined)[] = new Array(256).fill(undefined);
  #address = 0;
  #configReads = 0;
  #configWrites = 0;

  constructor(private readonly options: PciHostOptions) {
    const address: IoHandler = {
      read: (offset, size) => this.#readAddress(offset, size),
      write: (offset, size, value) => this.#writeAddress(offset, size, value),
    };
    const data: IoHandler = {
      read: (offset, size) => this.#readData(offset, size),
      write: (offset, size, value) => this.#writeData(offset, size, value),
    };
    this.ports = [
      { name: "pci.address", first: CONFIG_ADDRESS, count: 4, width: 4, handler: address },
      { name: "pci.data", first: CONFIG_DATA, count: 4, width: 4, handler: data },
    ];
    this.add(0, 0, hostBridge());
  }

  /** Puts a function on bus 0. */
  add(device: number, fn: number, func: PciFunction): void {
    this.#functions[device * 8 + fn] = func;
    func.attach({ map: this.options.map, setIntx: (pin, level) => this.options.setIntx(device, pin, level) });
  }

  /** Takes a function off the bus: from now on nobody answers there. */
  remove(device: number, fn: number): void {
    this.#functions[device * 8 + fn]?.detach();
    this.#functions[device * 8 + fn] = undefined;
  }

  /** All functions in order of address. */
  functions(): { device: number; fn: number; func: PciFunction }[] {
    return this.#functions.flatMap((func, devfn) =>
      func === undefined ? [] : [{ device: devfn >> 3, fn: devfn & 7, func }],
    );
  }

  reset(): void {
    this.#address = 0;
    for (const { func } of this.functions()) func.reset();
  }

  // ---- read and write

  #readAddress(offset: number, size: number): number {
    if (size === 4) return this.#address;
    if (size === 1 && offset === RESET_CONTROL_OFFSET) return this.options.resetControl.read(0, 1);
    return size === 1 ? 0xff : 0xffff;
  }

  #writeAddress(offset: number, size: number, value: number): void {
    if (size === 4) this.#address = (value & ADDRESS_BITS) >>> 0;
    else if (size === 1 && offset === RESET_CONTROL_OFFSET) this.options.resetControl.write(0, 1, value);
  }

  #readData(offset: number, size: number): number {
    this.#configReads++;
    return this.#target()?.readConfig((this.#address & 0xfc) + offset, size) ?? 0xffffffff >>> (32 - 8 * size);
  }

  #writeData(offset: number, size: number, value: number): void {
    this.#configWrites++;
    this.#target()?.writeConfig((this.#address & 0xfc) + offset, size, value);
  }

  #target(): PciFunction | undefined {
    if (this.#address < ADDRESS_ENABLE || (this.#address >>> 16) & 0xff) return undefined;
    return this.#functions[(this.#address >>> 8) & 0xff];
  }

  // ---- save and load

  save(): DeviceState {
    return {
      address: this.#address,
      functions: Object.fromEntries(this.functions().map(({ func }) => [func.name, func.saveConfig()])),
    };
  }

  load(state: DeviceState, version: number): void {
    const saved = SavedState.open(this.name, state, version, this.stateVersion);
    this.#address = saved.integer("address");
    const functions = new SavedState(this.name, saved.nested("functions"));
    const present = this.functions().map(({ func }) => func);
    for (const name of functions.fields()) {
      if (present.some((func) => func.name === name)) continue;
      throw new VmError("bad-snapshot", `${this.name}: this machine has no PCI function "${name}".`, { device: name });
    }
    for (const func of present) func.loadConfig(functions.nested(func.name));
  }

  metrics(): Readonly<Record<string, number>> {
    return { configReads: this.#configReads, configWrites: this.#configWrites };
  }
}

/** Shadow RAM is always writable on this machine, so the PAM registers only remember what firmware writes. */
function hostBridge(): PciFunction {
  const bridge = new PciFunction("i440fx", {
    vendor: 0x8086,
    device: 0x1237,
    revision: 2,
    classCode: 0x060000,
    // Firmware built for QEMU's "pc" takes its paths by this subsystem id.
    subsystemVendor: 0x1af4,
    subsystem: 0x1100,
  });
  bridge.set(PCI_STATUS, 2, 0);
  bridge.allowWrites(PAM0, 1, 0x30);
  for (let pam = PAM0 + 1; pam <= PAM6; pam++) bridge.allowWrites(pam, 1, 0x33);
  bridge.set(SMRAM, 1, SMRAM_DEFAULT);
  bridge.allowWrites(SMRAM, 1, 0x78);
  return bridge;
}
