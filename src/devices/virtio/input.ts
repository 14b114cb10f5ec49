// Input device (virtio 1.2, section 5.8): a keyboard, a mouse or a tablet, in the codes of Linux's input layer.
import type { DeviceState, DmaMemory } from "../../vmm/device.ts";
import type { SavedState } from "../saved-state.ts";
import { VirtioDevice } from "./device.ts";

const TYPE_INPUT = 18;
const EVENTS = 0;
const STATUS = 1;
const EVENT_BYTES = 8;
/** Events that wait for buffers; beyond that whole groups are dropped, so that no key hangs between two states. */
const EVENTS_MAX = 1024;

// ---- configuration: what is selected shows in the 128 bytes from 8
const CONFIG_SELECT = 0;
const CONFIG_SUBSELECT = 1;
const CONFIG_SIZE = 2;
const CONFIG_UNION = 8;
const CONFIG_BYTES = 136;
const SELECT_ID_NAME = 0x01;
const SELECT_ID_SERIAL = 0x02;
const SELECT_ID_DEVICES = 0x03;
const SELECT_PROPERTIES = 0x10;
const SELECT_EVENT_BITS = 0x11;
const SELECT_AXIS = 0x12;
const BUS_VIRTUAL = 0x06;

// ---- linux/input-event-codes.h
const EV_SYN = 0x00;
const EV_KEY = 0x01;
const EV_REL = 0x02;
const EV_ABS = 0x03;
const EV_LED = 0x11;
const EV_REP = 0x14;
const REL_X = 0x00;
const REL_Y = 0x01;
const REL_WHEEL = 0x08;
const ABS_X = 0x00;
const ABS_Y = 0x01;
const BTN_LEFT = 0x110;
const BTN_RIGHT = 0x111;
const BTN_MIDDLE = 0x112;
const KEY_MAX = 248;
const LEDS = 3;
/** Tablets give positions from 0 to this in both directions. */
export const TABLET_MAX = 0x7fff;

export type InputKind = "keyboard" | "mouse" | "tablet";

const NAMES: Readonly<Record<InputKind, string>> = {
  keyboard: "Paravane virtio keyboard",
  mouse: "Paravane virtio mouse",
  tablet: "Paravane virtio tablet",
};
const BUTTONS = [BTN_LEFT, BTN_RIGHT, BTN_MIDDLE];

interface InputEvent {
  readonly type: number;
  readonly code: number;
  readonly value: number;
}

export class VirtioInput extends VirtioDevice {
  #waiting: InputEvent[] = [];
  #buttons = 0;
  /** LEDs that the guest has on: bit 0 Num, 1 Caps, 2 Scroll. */
  leds = 0;
  #counts = { events: 0, dropped: 0 };

  constructor(
    name: string,
    memory: DmaMemory,
    readonly kind: InputKind,
  ) {
    super({ name, type: TYPE_INPUT, queueSizes: [64, 64], features: [], configBytes: CONFIG_BYTES }, memory);
  }

  // ---- for the host

  /** A key by its Linux code (KEY_A is 30); codes of set 1 up to 0x58 are the same numbers. */
  key(code: number, down: boolean): void {
    this.#send([{ type: EV_KEY, code, value: down ? 1 : 0 }]);
  }
  /** Relative motion in counts, y downward; the wheel upward. */
  move(dx: number, dy: number, wheel = 0): void {
    this.#send([
      ...(dx === 0 ? [] : [{ type: EV_REL, code: REL_X, value: dx }]),
      ...(dy === 0 ? [] : [{ type: EV_REL, code: REL_Y, value: dy }]),
      ...(wheel === 0 ? [] : [{ type: EV_REL, code: REL_WHEEL, value: wheel }]),
    ]);
  }
  /** A tablet's position, each from 0 to TABLET_MAX. */
  point(x: number, y: number): void {
    this.#send([
      { type: EV_ABS, code: ABS_X, value: x },
      { type: EV_ABS, code: ABS_Y, value: y },
    ]);
  }
  /** Which buttons are down: 1 left, 2 right, 4 middle. */
  buttons(mask: number): void {
    const changed = mask ^ this.#buttons;
    this.#buttons = mask;
    this.#send(
      BUTTONS.flatMap((code, i) => ((changed >> i) & 1 ? [{ type: EV_KEY, code, value: (mask >> i) & 1 }] : [])),
    );
  }

  /** One group of events: they belong together, and a report ends them. */
  #send(events: readonly InputEvent[]): void {
    if (events.length === 0) return;
    if (!this.running || this.#waiting.length + events.length >= EVENTS_MAX) {
      this.#counts.dropped += events.length;
      return;
    }
    this.#waiting.push(...events, { type: EV_SYN, code: 0, value: 0 });
    this.#deliver();
  }

  // ---- for the driver

  override kicked(queue: number): void {
    if (queue === EVENTS) this.#deliver();
    else this.#readStatus();
  }

  #deliver(): void {
    while (this.#waiting.length > 0) {
      const chain = this.take(EVENTS);
      if (chain === undefined) break;
      const { type, code, value } = this.#waiting.shift() as InputEvent;
      const event = new DataView(new ArrayBuffer(EVENT_BYTES));
      event.setUint16(0, type, true);
      event.setUint16(2, code, true);
      event.setInt32(4, value, true);
      chain.write(new Uint8Array(event.buffer));
      this.complete(EVENTS, chain);
      this.#counts.events++;
    }
    this.flush(EVENTS);
    this.queues[EVENTS]?.wantKicks(this.#waiting.length > 0);
  }

  #readStatus(): void {
    this.drain(STATUS, (chain) => {
      const bytes = chain.readCopy(EVENT_BYTES);
      if (bytes.length === EVENT_BYTES) {
        const view = new DataView(bytes.buffer, bytes.byteOffset);
        const led = view.getUint16(2, true);
        if (view.getUint16(0, true) === EV_LED && led < LEDS) {
          this.leds = view.getUint32(4, true) ? this.leds | (1 << led) : this.leds & ~(1 << led);
        }
      }
      this.complete(STATUS, chain);
      return true;
    });
  }

  // ---- configuration

  override writeConfig(offset: number, size: number, value: number): void {
    if (size !== 1 || offset > CONFIG_SUBSELECT) return;
    this.config.setUint8(offset, value);
    const bytes = this.#describe(this.config.getUint8(CONFIG_SELECT), this.config.getUint8(CONFIG_SUBSELECT));
    this.config.setUint8(CONFIG_SIZE, bytes.length);
    for (let at = CONFIG_UNION; at < CONFIG_BYTES; at++) this.config.setUint8(at, bytes[at - CONFIG_UNION] ?? 0);
  }

  #describe(select: number, subselect: number): Uint8Array {
    switch (select) {
      case SELECT_ID_NAME:
        return new TextEncoder().encode(NAMES[this.kind]);
      case SELECT_ID_SERIAL:
        return new TextEncoder().encode(this.name);
      case SELECT_ID_DEVICES:
        return Uint8Array.of(
          BUS_VIRTUAL,
          0,
          0xf4,
          0x1a,
          ["keyboard", "mouse", "tablet"].indexOf(this.kind) + 1,
          0,
          1,
          0,
        );
      case SELECT_PROPERTIES:
        return new Uint8Array();
      case SELECT_EVENT_BITS:
        return bitmap(this.#codes(subselect));
      case SELECT_AXIS: {
        if (this.kind !== "tablet" || subselect > ABS_Y) return new Uint8Array();
        // Minimum, maximum, fuzz, flat, resolution.
        return new Uint8Array(Uint32Array.of(0, TABLET_MAX, 0, 0, 0).buffer);
      }
      default:
        return new Uint8Array();
    }
  }

  /** Codes of a type of event that the device can send, or take (LEDs). */
  #codes(type: number): readonly number[] {
    if (this.kind === "keyboard") {
      if (type === EV_KEY) return Array.from({ length: KEY_MAX }, (_, i) => i + 1);
      if (type === EV_LED) return [0, 1, 2];
      return type === EV_REP ? [0, 1] : [];
    }
    if (type === EV_KEY) return BUTTONS;
    if (type === EV_REL) return this.kind === "mouse" ? [REL_X, REL_Y, REL_WHEEL] : [REL_WHEEL];
    return type === EV_ABS && this.kind === "tablet" ? [ABS_X, ABS_Y] : [];
  }

  // ---- reset, save and load

  protected override stopped(): void {
    this.#waiting = [];
    this.#buttons = 0;
    this.leds = 0;
  }

  /** Events on their way are lost, as when a plug is pulled. */
  protected override saveDevice(): DeviceState {
    return { leds: this.leds, buttons: this.#buttons };
  }
  protected override loadDevice(saved: SavedState): void {
    this.leds = saved.integer("leds", 7);
    this.#buttons = saved.integer("buttons", 7);
  }

  protected override deviceMetrics(): Readonly<Record<string, number>> {
    return this.#counts;
  }
}

function bitmap(codes: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(codes.length === 0 ? 0 : (Math.max(...codes) >> 3) + 1);
  for (const code of codes) bytes[code >> 3] = (bytes[code >> 3] ?? 0) | (1 << (code & 7));
  return bytes;
}
