// One ATA channel: registers that up to two drives share, its interrupt, and its bus master.
import type { DeviceClock, DeviceState, GuestMemory, IoHandler, IrqLine } from "../../vmm/device.ts";
import { SavedState } from "../saved-state.ts";
import { AtapiDrive } from "./atapi-drive.ts";
import { BusMaster } from "./bus-master.ts";
import type { DmaEnd, DriveChannel, IdeDrive } from "./drive.ts";
import {
  CMD_DEVICE_RESET,
  CMD_EXECUTE_DIAGNOSTIC,
  CONTROL_HOB,
  CONTROL_NIEN,
  CONTROL_SRST,
  DEVICE_DEV,
  REG_DATA,
  REG_DEVICE,
  REG_STATUS,
  STATUS_BSY,
  STATUS_DRQ,
} from "./registers.ts";

export type DrivePair = readonly [IdeDrive | undefined, IdeDrive | undefined];

export class IdeChannel implements DriveChannel {
  readonly busMaster: BusMaster;
  /** Of the command block (8 ports) and the device control register. */
  readonly commandBlock: IoHandler;
  readonly controlBlock: IoHandler;
  // ---- state
  #control = 0;
  #selected: 0 | 1 = 0;
  #line = false;
  /** The drive that is ready to move data by DMA. */
  #dmaDrive: IdeDrive | undefined;

  constructor(
    readonly name: string,
    private readonly irq: IrqLine,
    memory: GuestMemory,
    clock: DeviceClock,
    readonly drives: DrivePair,
  ) {
    this.busMaster = new BusMaster(memory);
    for (const [unit, drive] of drives.entries()) drive?.attach(this, clock, `${name}.${unit}`);
    this.commandBlock = {
      read: (offset, size) => this.#read(offset, size),
      write: (offset, size, value) => this.#write(offset, size, value),
      readBlock: (offset, size, into) => this.#readBlock(offset, size, into),
      writeBlock: (offset, size, from) => this.#writeBlock(offset, size, from),
    };
    this.controlBlock = {
      // The alternate status register: does not clear the interrupt.
      read: () => this.#drive?.status ?? 0,
      write: (_offset, _size, value) => this.#writeControl(value & 0xff),
    };
  }

  get #drive(): IdeDrive | undefined {
    return this.drives[this.#selected];
  }

  // ---- command block

  #read(offset: number, size: number): number {
    if (offset === REG_DATA && size > 1) return this.#drive?.readData(size) ?? 0;
    let value = 0;
    for (let i = 0; i < size; i++) value |= this.#readRegister(offset + i) << (8 * i);
    return value >>> 0;
  }

  #readRegister(register: number): number {
    const drive = this.#drive;
    // Nobody drives the bus, or device 0 answers for a device 1 that is not there.
    if (drive === undefined) return 0;
    if (register === REG_STATUS) return drive.readStatus();
    return register === REG_DATA ? drive.readData(1) : drive.readRegister(register, this.#control);
  }

  #write(offset: number, size: number, value: number): void {
    if (offset === REG_DATA && size > 1) {
      this.#drive?.writeData(size, value);
      return;
    }
    for (let i = 0; i < size; i++) this.#writeRegister(offset + i, (value >>> (8 * i)) & 0xff);
  }

  #writeRegister(register: number, value: number): void {
    this.#control &= ~CONTROL_HOB;
    if (register === REG_DATA) this.#drive?.writeData(1, value);
    else if (register === REG_STATUS) this.#command(value);
    else {
      if (register === REG_DEVICE) this.#selected = value & DEVICE_DEV ? 1 : 0;
      for (const drive of this.drives) drive?.writeRegister(register, value);
      if (register === REG_DEVICE) this.interruptChanged();
    }
  }

  #readBlock(offset: number, size: number, into: Uint8Array): void {
    const drive = this.#drive;
    if (offset === REG_DATA && drive !== undefined) {
      drive.readDataBlock(size, into);
      return;
    }
    for (let at = 0; at < into.length; ) {
      let value = this.#read(offset, size);
      for (let i = 0; i < size; i++, value >>>= 8) into[at++] = value;
    }
  }

  #writeBlock(offset: number, size: number, from: Uint8Array): void {
    if (offset === REG_DATA) {
      this.#drive?.writeDataBlock(size, from);
      return;
    }
    for (let at = 0; at < from.length; ) {
      let value = 0;
      for (let i = 0; i < size; i++) value |= (from[at++] ?? 0) << (8 * i);
      this.#write(offset, size, value >>> 0);
    }
  }

  #command(command: number): void {
    if (command === CMD_EXECUTE_DIAGNOSTIC) {
      this.#dmaDrive = undefined;
      this.#selected = 0;
      for (const drive of this.drives) drive?.reset();
      for (const drive of this.drives) if (drive !== undefined) drive.device = 0;
      this.drives[0]?.setInterrupt(true);
      return;
    }
    const drive = this.#drive;
    if (drive === undefined) return;
    if (drive.status & (STATUS_BSY | STATUS_DRQ)) {
      if (command !== CMD_DEVICE_RESET || !(drive instanceof AtapiDrive)) return;
      drive.reset();
    }
    if (this.#dmaDrive === drive) this.#dmaDrive = undefined;
    drive.execute(command);
  }

  #writeControl(value: number): void {
    const before = this.#control;
    this.#control = value;
    if (value & CONTROL_SRST && !(before & CONTROL_SRST)) {
      this.#dmaDrive = undefined;
      for (const drive of this.drives) {
        if (drive === undefined) continue;
        drive.reset();
        drive.status = STATUS_BSY;
      }
    } else if (before & CONTROL_SRST && !(value & CONTROL_SRST)) {
      this.#selected = 0;
      for (const drive of this.drives) {
        if (drive === undefined) continue;
        drive.reset();
        drive.device = 0;
      }
    }
    this.interruptChanged();
  }

  // ---- what drives ask for

  interruptChanged(): void {
    const level = (this.#drive?.interrupt ?? false) && !(this.#control & CONTROL_NIEN);
    if (level === this.#line) return;
    this.#line = level;
    if (level) this.busMaster.interrupt();
    this.irq.set(level);
  }

  requestDma(drive: IdeDrive): void {
    this.#dmaDrive = drive;
    if (this.busMaster.started) this.#startDma();
  }

  endDma(_drive: IdeDrive, _end: DmaEnd): void {
    this.busMaster.end();
  }

  #startDma(): void {
    const drive = this.#dmaDrive;
    if (drive === undefined) return;
    this.#dmaDrive = undefined;
    drive.runDma(this.busMaster.open());
  }

  // ---- bus master block

  readBusMaster(offset: number, size: number): number {
    let value = 0;
    for (let i = 0; i < size; i++) value |= this.busMaster.read(offset + i) << (8 * i);
    return value >>> 0;
  }

  writeBusMaster(offset: number, size: number, value: number): void {
    let start = false;
    for (let i = 0; i < size; i++) start = this.busMaster.write(offset + i, (value >>> (8 * i)) & 0xff) || start;
    if (start) this.#startDma();
  }

  // ---- reset, save and load

  reset(): void {
    this.#control = 0;
    this.#selected = 0;
    this.#dmaDrive = undefined;
    this.busMaster.reset();
    for (const drive of this.drives) {
      if (drive === undefined) continue;
      drive.reset();
      drive.device = 0;
    }
    this.interruptChanged();
  }

  save(): DeviceState {
    return {
      control: this.#control,
      selected: this.#selected,
      /** 2 for none. */
      dmaDrive: this.#dmaDrive === undefined ? 2 : this.drives.indexOf(this.#dmaDrive),
      busMaster: this.busMaster.save(),
      drives: Object.fromEntries(this.drives.map((drive, i) => [`drive${i}`, drive?.save() ?? {}])),
    };
  }

  load(state: DeviceState): void {
    const saved = new SavedState(this.name, state);
    const drives = new SavedState(this.name, saved.nested("drives"));
    this.busMaster.load(this.name, saved.nested("busMaster"));
    this.#control = saved.integer("control", 0xff);
    this.#selected = saved.integer("selected", 1) === 1 ? 1 : 0;
    for (const [i, drive] of this.drives.entries()) drive?.load(`${this.name}.drive${i}`, drives.nested(`drive${i}`));
    this.#dmaDrive = this.drives[saved.integer("dmaDrive", 2)];
    this.#line = (this.#drive?.interrupt ?? false) && !(this.#control & CONTROL_NIEN);
    this.irq.set(this.#line);
  }

  /** True when a drive has a request to make again. */
  get mustResubmit(): boolean {
    return this.drives.some((drive) => drive?.mustResubmit);
  }
  continueWork(): void {
    for (const drive of this.drives) drive?.continueWork();
  }
}
