// The ISA DMA controllers of a PC: two 8237A (Intel 8237A datasheet), the first for bytes, the second for words, with the
// page registers that give them 24-bit addresses.
import type { Device, DeviceState, GuestMemory, IoHandler, IoRange } from "../vmm/device.ts";
import { SavedState } from "./saved-state.ts";

// ---- registers of one controller
const REG_COMMAND_STATUS = 8;
const REG_REQUEST = 9;
const REG_MASK = 10;
const REG_MODE = 11;
const REG_CLEAR_FLIP_FLOP = 12;
const REG_MASTER_CLEAR = 13;
const REG_CLEAR_MASK = 14;
const REG_ALL_MASK = 15;

const COMMAND_DISABLE = 0x04;
const MASK_SET = 0x04;
const MODE_TYPE = 0x0c;
const MODE_TYPE_TO_MEMORY = 0x04;
const MODE_TYPE_FROM_MEMORY = 0x08;
const MODE_AUTOINIT = 0x10;
const MODE_DOWN = 0x20;

const BYTE_BASE = 0x00;
const WORD_BASE = 0xc0;
const PAGE_BASE = 0x81;
const PAGE_COUNT = 15;
/** Channel by page register, from port 81h; the others are scratch. */
const PAGE_CHANNELS: readonly (number | undefined)[] = [
  2,
  3,
  1,
  undefined,
  undefined,
  undefined,
  0,
  undefined,
  6,
  7,
  5,
  undefined,
  undefined,
  undefined,
  4,
];
/** Channel 4 carries the first controller's requests. */
const CASCADE = 4;

interface Channel {
  baseAddress: number;
  baseCount: number;
  address: number;
  /** Transfers left, less one. */
  count: number;
  mode: number;
  masked: boolean;
  terminal: boolean;
  page: number;
  /** The device asserts DREQ. */
  request: (() => void) | undefined;
}

/** What a device sees of its channel. */
export interface DmaChannel {
  /** Asserts DREQ: `ready` is called, perhaps at once, whenever the channel can move data, until `release`. */
  request(ready: () => void): void;
  release(): void;
  /** Moves bytes from the device; fewer than given at the end of the count. `terminal`: the count has run out. */
  toMemory(from: Uint8Array): { moved: number; terminal: boolean };
  fromMemory(into: Uint8Array): { moved: number; terminal: boolean };
}

export class Dma8237 implements Device {
  readonly name = "dma8237";
  readonly stateVersion = 1;
  readonly ports: readonly IoRange[];
  readonly #channels: readonly Channel[] = Array.from({ length: 8 }, powerOnChannel);
  readonly #command = [0, 0];
  /** Which half of a 16-bit register the next access means. */
  readonly #high = [false, false];
  readonly #scratch = new Uint8Array(PAGE_COUNT);
  #bytes = 0;

  constructor(private readonly memory: GuestMemory) {
    const controller = (which: 0 | 1): IoHandler => ({
      read: (offset) => this.#read(which, which === 0 ? offset : offset >> 1),
      write: (offset, _size, value) => this.#write(which, which === 0 ? offset : offset >> 1, value),
    });
    const pages: IoHandler = {
      read: (offset) => this.#pageOwner(offset)?.page ?? this.#scratch[offset] ?? 0,
      write: (offset, _size, value) => {
        const channel = this.#pageOwner(offset);
        if (channel === undefined) this.#scratch[offset] = value;
        else channel.page = value;
      },
    };
    this.ports = [
      { name: "dma.bytes", first: BYTE_BASE, count: 16, handler: controller(0) },
      { name: "dma.words", first: WORD_BASE, count: 32, handler: controller(1) },
      { name: "dma.pages", first: PAGE_BASE, count: PAGE_COUNT, handler: pages },
    ];
  }

  #pageOwner(offset: number): Channel | undefined {
    const channel = PAGE_CHANNELS[offset];
    return channel === undefined ? undefined : this.#channels[channel];
  }

  /** For the device that is wired to DREQ and DACK `n`. */
  channel(n: number): DmaChannel {
    const channel = this.#channels[n] as Channel;
    return {
      request: (ready) => {
        channel.request = ready;
        this.#serve(n);
      },
      release: () => {
        channel.request = undefined;
      },
      toMemory: (from) =>
        this.#move(n, MODE_TYPE_TO_MEMORY, from.length, (gpa, at, length) =>
          this.memory.write(gpa, from.subarray(at, at + length)),
        ),
      fromMemory: (into) =>
        this.#move(n, MODE_TYPE_FROM_MEMORY, into.length, (gpa, at, length) =>
          this.memory.read(gpa, into.subarray(at, at + length)),
        ),
    };
  }

  // ---- registers

  #read(which: 0 | 1, register: number): number {
    if (register < 8) {
      const { address, count } = this.#channels[which * 4 + (register >> 1)] as Channel;
      const value = register & 1 ? count : address;
      return this.#flip(which) ? (value >> 8) & 0xff : value & 0xff;
    }
    if (register === REG_COMMAND_STATUS) {
      let status = 0;
      for (let i = 0; i < 4; i++) {
        const channel = this.#channels[which * 4 + i] as Channel;
        status |= (channel.terminal ? 1 : 0) << i;
        status |= (channel.request === undefined ? 0 : 0x10) << i;
        channel.terminal = false;
      }
      return status;
    }
    if (register === REG_ALL_MASK) {
      let mask = 0;
      for (let i = 0; i < 4; i++) mask |= (this.#channels[which * 4 + i]?.masked ? 1 : 0) << i;
      return mask;
    }
    return 0;
  }

  #write(which: 0 | 1, register: number, value: number): void {
    const selected = this.#channels[which * 4 + (value & 3)] as Channel;
    switch (register) {
      case REG_COMMAND_STATUS:
        this.#command[which] = value;
        break;
      case REG_REQUEST:
        // Requests by software are for memory-to-memory transfers, which PCs do not have.
        return;
      case REG_MASK:
        selected.masked = (value & MASK_SET) !== 0;
        break;
      case REG_MODE:
        selected.mode = value & ~3;
        break;
      case REG_CLEAR_FLIP_FLOP:
        this.#high[which] = false;
        return;
      case REG_MASTER_CLEAR:
        this.#clear(which);
        return;
      case REG_CLEAR_MASK:
      case REG_ALL_MASK:
        for (let i = 0; i < 4; i++) {
          const channel = this.#channels[which * 4 + i] as Channel;
          channel.masked = register === REG_ALL_MASK && ((value >> i) & 1) !== 0;
        }
        break;
      default:
        this.#writeCounter(which, register, value);
        return;
    }
    for (let i = 0; i < 4; i++) this.#serve(which * 4 + i);
  }

  /** Writes go to the base and to the current register. */
  #writeCounter(which: 0 | 1, register: number, value: number): void {
    const channel = this.#channels[which * 4 + (register >> 1)] as Channel;
    const merged = (old: number): number => (high ? (old & 0xff) | (value << 8) : (old & 0xff00) | value);
    const high = this.#flip(which);
    if (register & 1) channel.count = channel.baseCount = merged(channel.baseCount);
    else channel.address = channel.baseAddress = merged(channel.baseAddress);
  }

  #flip(which: 0 | 1): boolean {
    const high = this.#high[which] ?? false;
    this.#high[which] = !high;
    return high;
  }

  #clear(which: 0 | 1): void {
    this.#command[which] = 0;
    this.#high[which] = false;
    for (let i = 0; i < 4; i++) {
      const channel = this.#channels[which * 4 + i] as Channel;
      channel.masked = true;
      channel.terminal = false;
    }
  }

  // ---- transfers

  #canMove(n: number): boolean {
    const channel = this.#channels[n];
    return (
      channel !== undefined && n !== CASCADE && !channel.masked && !((this.#command[n >> 2] ?? 0) & COMMAND_DISABLE)
    );
  }

  #serve(n: number): void {
    if (this.#canMove(n)) this.#channels[n]?.request?.();
  }

  #move(
    n: number,
    type: number,
    length: number,
    move: (gpa: number, at: number, length: number) => void,
  ): { moved: number; terminal: boolean } {
    const channel = this.#channels[n] as Channel;
    const unit = n >= 4 ? 2 : 1;
    const verify = (channel.mode & MODE_TYPE) === 0;
    let at = 0;
    let terminal = false;
    while (at + unit <= length && !terminal && this.#canMove(n)) {
      const down = (channel.mode & MODE_DOWN) !== 0;
      // Up to the end of the count, and of the 64 Ki transfers after which the address wraps.
      const toWrap = down ? 1 : 0x10000 - channel.address;
      const run = Math.min((length - at) / unit, channel.count + 1, toWrap) | 0;
      // A channel that is set up for the other direction moves nothing, but counts.
      if (!verify && (channel.mode & MODE_TYPE) === type) move(this.#gpa(n, channel), at, run * unit);
      at += run * unit;
      channel.address = (channel.address + (down ? -1 : run)) & 0xffff;
      terminal = run === channel.count + 1;
      channel.count = (channel.count - run) & 0xffff;
      if (terminal) this.#terminate(channel);
    }
    this.#bytes += at;
    return { moved: at, terminal };
  }

  #gpa(n: number, { page, address }: Channel): number {
    return n >= 4 ? ((page & 0xfe) << 16) + address * 2 : (page << 16) + address;
  }

  #terminate(channel: Channel): void {
    channel.terminal = true;
    if (channel.mode & MODE_AUTOINIT) {
      channel.address = channel.baseAddress;
      channel.count = channel.baseCount;
    } else {
      channel.masked = true;
    }
  }

  // ---- reset, save and load

  reset(): void {
    for (const channel of this.#channels) {
      const { request } = channel;
      Object.assign(channel, powerOnChannel(), { request });
    }
    this.#command.fill(0);
    this.#high.fill(false);
    this.#scratch.fill(0);
  }

  save(): DeviceState {
    return {
      channels: Object.fromEntries(
        this.#channels.map(({ request: _request, ...channel }, i) => [`channel${i}`, channel]),
      ),
      command0: this.#command[0],
      command1: this.#command[1],
      high0: this.#high[0],
      high1: this.#high[1],
      scratch: this.#scratch.slice(),
    };
  }

  load(state: DeviceState, version: number): void {
    const saved = SavedState.open(this.name, state, version, this.stateVersion);
    const channels = new SavedState(this.name, saved.nested("channels"));
    for (const [i, channel] of this.#channels.entries()) {
      const from = new SavedState(`${this.name}.channel${i}`, channels.nested(`channel${i}`));
      channel.baseAddress = from.integer("baseAddress", 0xffff);
      channel.baseCount = from.integer("baseCount", 0xffff);
      channel.address = from.integer("address", 0xffff);
      channel.count = from.integer("count", 0xffff);
      channel.mode = from.integer("mode", 0xff);
      channel.masked = from.flag("masked");
      channel.terminal = from.flag("terminal");
      channel.page = from.integer("page", 0xff);
    }
    this.#command[0] = saved.integer("command0", 0xff);
    this.#command[1] = saved.integer("command1", 0xff);
    this.#high[0] = saved.flag("high0");
    this.#high[1] = saved.flag("high1");
    this.#scratch.set(saved.bytes("scratch", PAGE_COUNT));
  }

  metrics(): Readonly<Record<string, number>> {
    return { bytes: this.#bytes };
  }
}

function powerOnChannel(): Channel {
  return {
    baseAddress: 0,
    baseCount: 0,
    address: 0,
    count: 0,
    mode: 0,
    masked: true,
    terminal: false,
    page: 0,
    request: undefined,
  };
}
