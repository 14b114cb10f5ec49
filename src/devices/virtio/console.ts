// Console device (virtio 1.2, section 5.3) with several ports, each a console or a plain byte stream by name.
import type { ByteBackend, DeviceClock, DeviceState, DeviceTimer, DmaMemory } from "../../vmm/device.ts";
import { ByteQueue } from "../byte-queue.ts";
import { SavedState } from "../saved-state.ts";
import { RateLimiter, type RateLimitOptions } from "../token-bucket.ts";
import { VirtioDevice } from "./device.ts";

const TYPE_CONSOLE = 3;
const QUEUE_SIZE = 128;
const CONTROL_TO_GUEST = 2;
const CONTROL_FROM_GUEST = 3;
/** What is kept for a guest that does not read. */
const INPUT_BYTES = 256 * 1024;
const OUTPUT_PIECE = 64 * 1024;
/** Control messages that wait for buffers; more come only from a guest that asks without listening. */
const MESSAGES_MAX = 256;

// ---- features
const F_SIZE = 0;
const F_MULTIPORT = 1;
const F_EMERG_WRITE = 2;

// ---- configuration
const CONFIG_COLUMNS = 0;
const CONFIG_ROWS = 2;
const CONFIG_PORTS = 4;
const CONFIG_EMERGENCY = 8;
const CONFIG_BYTES = 12;

// ---- control messages
const CONTROL_BYTES = 8;
const DEVICE_READY = 0;
const DEVICE_ADD = 1;
const PORT_READY = 3;
const CONSOLE_PORT = 4;
const RESIZE = 5;
const PORT_OPEN = 6;
const PORT_NAME = 7;

export interface ConsolePortOptions {
  readonly backend: ByteBackend;
  /** What the guest finds in /dev/virtio-ports. */
  readonly name?: string;
  /** A terminal that the guest logs in on, or a stream of bytes for programs. */
  readonly kind: "console" | "stream";
}

interface Port {
  readonly options: ConsolePortOptions;
  readonly receiveQueue: number;
  readonly transmitQueue: number;
  readonly input: ByteQueue;
  /** The guest has it open. */
  open: boolean;
  columns: number;
  rows: number;
  subscription: { dispose(): void };
  readonly limiter: RateLimiter;
  readonly limitTimer: DeviceTimer;
}

export class VirtioConsole extends VirtioDevice {
  readonly #ports: readonly Port[];
  #messages: Uint8Array[] = [];
  #counts = { receivedBytes: 0, sentBytes: 0, droppedMessages: 0 };

  constructor(
    name: string,
    memory: DmaMemory,
    private readonly clock: DeviceClock,
    ports: readonly ConsolePortOptions[],
  ) {
    const queueSizes = new Array(4 + 2 * (ports.length - 1)).fill(QUEUE_SIZE);
    const features = [F_SIZE, F_MULTIPORT, F_EMERG_WRITE];
    super({ name, type: TYPE_CONSOLE, queueSizes, features, configBytes: CONFIG_BYTES }, memory);
    this.#ports = ports.map((options, i) => {
      const receiveQueue = i === 0 ? 0 : 2 + 2 * i;
      const input = new ByteQueue(INPUT_BYTES);
      const subscription = options.backend.onInput((bytes) => this.#receive(i, bytes));
      const size = { columns: 80, rows: 25 };
      const transmitQueue = receiveQueue + 1;
      const limiter = new RateLimiter();
      const limitTimer = clock.timer(`${name}.limit${i}`, () => this.serve(transmitQueue));
      return { options, receiveQueue, transmitQueue, input, open: false, ...size, subscription, limiter, limitTimer };
    });
    this.config.setUint16(CONFIG_COLUMNS, 80, true);
    this.config.setUint16(CONFIG_ROWS, 25, true);
    this.config.setUint32(CONFIG_PORTS, ports.length, true);
  }

  // ---- for the host

  /** The terminal behind a port has a new size. */
  resize(index: number, columns: number, rows: number): void {
    const port = this.#ports[index];
    if (port === undefined) return;
    port.columns = columns & 0xffff;
    port.rows = rows & 0xffff;
    if (index === 0) {
      this.config.setUint16(CONFIG_COLUMNS, columns, true);
      this.config.setUint16(CONFIG_ROWS, rows, true);
    }
    if (this.#multiport) this.#sendSize(index);
    else if (index === 0) this.configChanged();
  }

  /** What each port may print; the guest waits where it prints more. */
  limitOutput(limits: RateLimitOptions): void {
    for (const { limiter, limitTimer } of this.#ports) {
      limiter.change(limits);
      // What waited may go now.
      if (limitTimer.deadlineNs !== undefined) limitTimer.arm(this.clock.nowNs());
    }
  }

  #receive(index: number, bytes: Uint8Array): void {
    const port = this.#ports[index];
    if (port === undefined) return;
    port.input.push(bytes);
    if (this.running) this.#deliver(port);
  }

  // ---- for the driver

  get #multiport(): boolean {
    return this.hasFeature(F_MULTIPORT);
  }

  override kicked(queue: number): void {
    if (this.#multiport && queue === CONTROL_TO_GUEST) this.#sendMessages();
    else if (this.#multiport && queue === CONTROL_FROM_GUEST) this.#receiveMessages();
    else {
      const port = this.#ports.find(({ receiveQueue }) => receiveQueue === (queue & ~1));
      if (port === undefined || (port !== this.#ports[0] && !this.#multiport)) return;
      if (queue === port.receiveQueue) this.#deliver(port);
      else this.#transmit(port);
    }
  }

  override writeConfig(offset: number, _size: number, value: number): void {
    // Before any driver: what a guest in trouble has to say, a byte at a time (5.3.4).
    if (offset === CONFIG_EMERGENCY) this.#output(this.#ports[0], Uint8Array.of(value & 0xff));
  }

  #output(port: Port | undefined, bytes: Uint8Array): void {
    this.#counts.sentBytes += bytes.length;
    port?.options.backend.write(bytes);
  }

  #transmit(port: Port): void {
    this.drain(port.transmitQueue, (chain) => {
      const wait = port.limiter.admit(chain.readableBytes, this.clock.nowNs());
      if (wait > 0) {
        port.limitTimer.arm(this.clock.nowNs() + wait);
        return false;
      }
      while (chain.unreadBytes > 0) this.#output(port, chain.readCopy(OUTPUT_PIECE));
      this.complete(port.transmitQueue, chain);
      return true;
    });
  }

  /** A port that nobody in the guest has open gets nothing: the driver would throw it away. */
  #deliver(port: Port): void {
    const ready = port.open || port.options.kind === "console" || !this.#multiport;
    while (ready && port.input.length > 0) {
      const chain = this.take(port.receiveQueue);
      if (chain === undefined) break;
      const bytes = port.input.take(chain.writableBytes);
      this.#counts.receivedBytes += chain.write(bytes);
      this.complete(port.receiveQueue, chain);
    }
    this.flush(port.receiveQueue);
    // Kicks for fresh buffers matter only while bytes wait for them.
    this.queues[port.receiveQueue]?.wantKicks(port.input.length > 0);
  }

  // ---- control

  #send(id: number, event: number, value: number, extra: Uint8Array = new Uint8Array()): void {
    if (this.#messages.length >= MESSAGES_MAX) {
      this.#counts.droppedMessages++;
      return;
    }
    const message = new Uint8Array(CONTROL_BYTES + extra.length);
    const view = new DataView(message.buffer);
    view.setUint32(0, id, true);
    view.setUint16(4, event, true);
    view.setUint16(6, value, true);
    message.set(extra, CONTROL_BYTES);
    this.#messages.push(message);
  }

  #sendSize(index: number): void {
    const port = this.#ports[index];
    if (port?.options.kind !== "console") return;
    // As specified (5.3.6.2). Linux took the two the other way round for years.
    const size = new DataView(new ArrayBuffer(4));
    size.setUint16(0, port.columns, true);
    size.setUint16(2, port.rows, true);
    this.#send(index, RESIZE, 0, new Uint8Array(size.buffer));
    if (this.running) this.#sendMessages();
  }

  #sendMessages(): void {
    while (this.#messages.length > 0) {
      const chain = this.take(CONTROL_TO_GUEST);
      if (chain === undefined) break;
      chain.write(this.#messages.shift() as Uint8Array);
      this.complete(CONTROL_TO_GUEST, chain);
    }
    this.flush(CONTROL_TO_GUEST);
    this.queues[CONTROL_TO_GUEST]?.wantKicks(this.#messages.length > 0);
  }

  #receiveMessages(): void {
    this.drain(CONTROL_FROM_GUEST, (chain) => {
      if (chain.readableBytes >= CONTROL_BYTES) {
        const bytes = chain.readCopy(CONTROL_BYTES);
        const view = new DataView(bytes.buffer, bytes.byteOffset);
        this.#control(view.getUint32(0, true), view.getUint16(4, true), view.getUint16(6, true));
      }
      this.complete(CONTROL_FROM_GUEST, chain);
      return true;
    });
    this.#sendMessages();
  }

  #control(id: number, event: number, value: number): void {
    if (event === DEVICE_READY) {
      if (value === 1) for (const i of this.#ports.keys()) this.#send(i, DEVICE_ADD, 1);
      return;
    }
    const port = this.#ports[id];
    if (port === undefined) return;
    if (event === PORT_READY && value === 1) {
      const { kind, name } = port.options;
      if (kind === "console") {
        this.#send(id, CONSOLE_PORT, 1);
        this.#sendSize(id);
      }
      if (name !== undefined) this.#send(id, PORT_NAME, 1, new TextEncoder().encode(name));
      this.#send(id, PORT_OPEN, 1);
    } else if (event === PORT_OPEN) {
      port.open = value === 1;
      if (port.open) this.#deliver(port);
    }
  }

  // ---- reset, save and load

  protected override stopped(): void {
    this.#messages = [];
    for (const port of this.#ports) {
      port.open = false;
      port.limitTimer.disarm();
    }
  }

  protected override saveDevice(): DeviceState {
    return {
      messages: this.#messages.map((message) => message.slice()),
      ports: Object.fromEntries(
        this.#ports.map(({ input, open, columns, rows, limiter }, i) => [
          String(i),
          { input: input.toBytes(), open, columns, rows, limits: limiter.save() },
        ]),
      ),
    };
  }

  protected override loadDevice(saved: SavedState): void {
    const messages = saved.nested("messages");
    this.#messages = Array.isArray(messages) ? messages.filter((message) => message instanceof Uint8Array) : [];
    const ports = new SavedState(this.name, saved.nested("ports"));
    for (const [i, port] of this.#ports.entries()) {
      const state = new SavedState(this.name, ports.nested(String(i)));
      port.input.clear();
      port.input.push(state.bytes("input", INPUT_BYTES, false));
      port.open = state.flag("open");
      port.columns = state.integer("columns", 0xffff);
      port.rows = state.integer("rows", 0xffff);
      port.limiter.load(this.name, state.nested("limits"));
    }
  }

  protected override deviceMetrics(): Readonly<Record<string, number>> {
    const inputDropped = this.#ports.reduce((sum, { input }) => sum + input.dropped, 0);
    const throttled = this.#ports.reduce((sum, { limiter }) => sum + limiter.throttled, 0);
    return { ...this.#counts, inputDropped, throttled };
  }

  override dispose(): void {
    for (const port of this.#ports) port.subscription.dispose();
  }
}
