// What a device model is, and what the machine gives it. Devices never import backends or the VM.

/** An interrupt line of the machine (ISA IRQ or GSI). Level semantics; the controllers decide edge or level. */
export interface IrqLine {
  set(level: boolean): void;
}

/** The VM's clock as devices see it. Nanoseconds of guest time since power-on, never backwards. */
export interface DeviceClock {
  nowNs(): number;
  /** Calls `fire` once guest time has reached `deadlineNs`. One deadline a timer: `arm` replaces, `disarm` forgets. */
  timer(name: string, fire: (nowNs: number) => void): DeviceTimer;
  /** Host wall clock in milliseconds since 1970, derived from guest time when the clock is virtual. */
  wallMs(): number;
}

export interface DeviceTimer {
  arm(deadlineNs: number): void;
  disarm(): void;
  readonly deadlineNs: number | undefined;
}

/** One access of 1, 2 or 4 bytes; `offset` counts from the first port or byte of the range. */
export interface IoHandler {
  read(offset: number, size: number): number;
  write(offset: number, size: number, value: number): void;
  /**
   * String I/O: as many accesses of `size` bytes to the same port as fill `into`. For data ports that move whole sectors;
   * without these the bus makes one access after the other.
   */
  readBlock?(offset: number, size: number, into: Uint8Array): void;
  writeBlock?(offset: number, size: number, from: Uint8Array): void;
}

/** A range of ports or guest-physical addresses that a device claims. */
export interface IoRange {
  readonly name: string;
  readonly first: number;
  readonly count: number;
  /** Bytes of the device's data path: wider accesses are split by the bus. Default 1 for ports, 4 for MMIO. */
  readonly width?: 1 | 2 | 4;
  readonly handler: IoHandler;
}

/** Guest-physical memory for devices that move data themselves (DMA, virtio). Bounds are checked. */
export interface GuestMemory {
  readonly sizeBytes: number;
  /** Copies out of guest RAM; bytes outside RAM read as all ones. */
  read(gpa: number, into: Uint8Array): void;
  /** Copies into guest RAM; bytes outside RAM are dropped. Decoded code on those pages is invalidated. */
  write(gpa: number, from: Uint8Array): void;
}

/** Guest RAM that a device works on in place: rings, and buffers of any length without a copy. */
export interface DmaMemory extends GuestMemory {
  /** The bytes themselves; undefined unless all of them are RAM. Whoever changes them calls `written` afterwards. */
  view(gpa: number, sizeBytes: number): Uint8Array | undefined;
  /** Bytes of a view have changed: decoded code on those pages is invalidated. */
  written(gpa: number, sizeBytes: number): void;
}

/** Message-signalled interrupts (PCI Local Bus 3.0, 6.8): the write of `data` to an address in FEExxxxxh. */
export interface MsiSink {
  deliver(address: number, data: number): void;
}

/** JSON-compatible state with `Uint8Array` leaves, by name and never by position. */
export type DeviceState = { readonly [key: string]: unknown };

export interface Device {
  /** Unique in the machine, stable across snapshots: "uart0", "rtc". */
  readonly name: string;
  /** Bumped when the shape of the saved state changes. */
  readonly stateVersion: number;
  readonly ports?: readonly IoRange[];
  readonly mmio?: readonly IoRange[];
  reset(): void;
  save(): DeviceState;
  /** Throws VmError("bad-snapshot") naming the field that does not fit. */
  load(state: DeviceState, version: number): void;
  /** The VM is a copy of another: what must differ between copies (identifiers, seeds) is made anew, from `entropy`. */
  renewIdentity?(entropy: (into: Uint8Array) => void): void;
  /** Counters for `--stats` and metrics. */
  metrics?(): Readonly<Record<string, number>>;
  dispose?(): void;
}

/** Byte sink and source that the host attaches to a console-like device. */
export interface ByteBackend {
  /** Bytes from the guest. */
  write(bytes: Uint8Array): void;
  /** Called by the device once, to receive input. */
  onInput(listener: (bytes: Uint8Array) => void): { dispose(): void };
}
