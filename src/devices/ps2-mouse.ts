// A PS/2 mouse with three buttons; once the guest knocks (sample rates 200, 100, 80) a wheel, and with another knock
// (200, 200, 80) two more buttons, as Microsoft's IntelliMouse and IntelliMouse Explorer have them.
import type { DeviceState } from "../vmm/device.ts";
import { SavedState } from "./saved-state.ts";

const ACK = 0xfa;
const RESEND = 0xfe;
const SELF_TEST_PASSED = 0xaa;
const ID_PLAIN = 0;
const ID_WHEEL = 3;
const ID_FIVE_BUTTONS = 4;
const KNOCKS: Readonly<Record<string, number>> = { "200,100,80": ID_WHEEL, "200,200,80": ID_FIVE_BUTTONS };
const BUFFER_BYTES = 256;
/** Counts that wait for the guest to read what came before; further ones are lost. */
const WAITING_MAX = 2048;
/** Counts reported for 0 to 5 under 2:1 scaling; larger ones are doubled (IBM PS/2 Technical Reference, mouse). */
const SCALED = [0, 1, 1, 3, 6, 9] as const;

export class Ps2Mouse {
  readonly #queue: number[] = [];
  #reporting = false;
  #remote = false;
  #wrap = false;
  #scaling21 = false;
  #resolution = 2;
  #rate = 100;
  #id = ID_PLAIN;
  #knock = [0, 0, 0];
  #awaiting = 0;
  #buttons = 0;
  /** Those of the last packet. */
  #toldButtons = 0;
  #dx = 0;
  #dy = 0;
  #dz = 0;

  constructor(private readonly onData: () => void) {}

  get pending(): boolean {
    return this.#queue.length > 0;
  }
  take(): number | undefined {
    const byte = this.#queue.shift();
    if (this.#queue.length === 0 && this.#moved()) this.#packet(true);
    return byte;
  }

  reset(): void {
    this.#queue.length = 0;
    this.#setDefaults();
    this.#id = ID_PLAIN;
    this.#wrap = false;
    this.#awaiting = 0;
  }

  /** Movement in counts (y up), wheel clicks (down is positive), and buttons: 1 left, 2 right, 4 middle, 8 and 16 more. */
  move(dx: number, dy: number, dz: number, buttons: number): void {
    this.#buttons = buttons & 0x1f;
    if (!this.#reporting && !this.#remote) return;
    const more = (sum: number, counts: number): number => clamp(sum + Math.trunc(counts), -WAITING_MAX, WAITING_MAX);
    this.#dx = more(this.#dx, dx);
    this.#dy = more(this.#dy, dy);
    this.#dz = more(this.#dz, dz);
    if (this.#remote || this.#queue.length >= BUFFER_BYTES / 2) return;
    while (this.#moved() && this.#queue.length < BUFFER_BYTES / 2) this.#packet(true);
    this.onData();
  }

  /** Something is still to be told. */
  #moved(): boolean {
    const moved = this.#dx !== 0 || this.#dy !== 0 || this.#dz !== 0;
    return this.#reporting && !this.#remote && (moved || this.#buttons !== this.#toldButtons);
  }

  /** A byte from the controller. */
  command(byte: number): void {
    if (this.#wrap && byte !== 0xec && byte !== 0xff) {
      this.#reply([byte]);
      return;
    }
    const awaited = this.#awaiting;
    this.#awaiting = 0;
    if (awaited === 0xe8) {
      this.#resolution = byte & 3;
      this.#reply([ACK]);
      return;
    }
    if (awaited === 0xf3) {
      this.#rate = byte;
      this.#knock = [this.#knock[1] ?? 0, this.#knock[2] ?? 0, byte];
      this.#id = KNOCKS[this.#knock.join()] ?? this.#id;
      this.#reply([ACK]);
      return;
    }
    switch (byte) {
      case 0xe6:
      case 0xe7:
        this.#scaling21 = byte === 0xe7;
        this.#reply([ACK]);
        return;
      case 0xe8: // resolution
      case 0xf3: // sample rate
        this.#awaiting = byte;
        this.#reply([ACK]);
        return;
      case 0xe9:
        this.#reply([ACK, this.#status(), this.#resolution, this.#rate]);
        return;
      case 0xea:
        this.#remote = false;
        this.#reply([ACK]);
        return;
      case 0xeb:
        this.#reply([ACK]);
        this.#packet(false);
        this.onData();
        return;
      case 0xec:
        this.#wrap = false;
        this.#reply([ACK]);
        return;
      case 0xee:
        this.#wrap = true;
        this.#reply([ACK]);
        return;
      case 0xf0:
        this.#remote = true;
        this.#reply([ACK]);
        return;
      case 0xf2:
        this.#reply([ACK, this.#id]);
        return;
      case 0xf4:
      case 0xf5:
        this.#reporting = byte === 0xf4;
        this.#reply([ACK]);
        return;
      case 0xf6:
        this.#setDefaults();
        this.#reply([ACK]);
        return;
      case 0xff:
        this.reset();
        this.#reply([ACK, SELF_TEST_PASSED, ID_PLAIN]);
        return;
      default:
        this.#reply([RESEND]);
        return;
    }
  }

  #setDefaults(): void {
    this.#reporting = false;
    this.#remote = false;
    this.#scaling21 = false;
    this.#resolution = 2;
    this.#rate = 100;
    this.#dx = 0;
    this.#dy = 0;
    this.#dz = 0;
  }

  #status(): number {
    const { left, right, middle } = {
      left: this.#buttons & 1,
      right: (this.#buttons >> 1) & 1,
      middle: (this.#buttons >> 2) & 1,
    };
    return (
      (this.#remote ? 0x40 : 0) |
      (this.#reporting ? 0x20 : 0) |
      (this.#scaling21 ? 0x10 : 0) |
      (left << 2) |
      (middle << 1) |
      right
    );
  }

  /** `streamed`: told by itself, and scaled; else asked for. */
  #packet(streamed: boolean): void {
    const scale = (counts: number): number => (streamed && this.#scaling21 ? scaled(counts) : counts);
    const most = this.#scaling21 ? 127 : 255;
    const dx = clamp(this.#dx, -most, most);
    const dy = clamp(this.#dy, -most, most);
    const dz = this.#id === ID_PLAIN ? this.#dz : clamp(this.#dz, -8, 7);
    this.#dx -= dx;
    this.#dy -= dy;
    this.#dz -= dz;
    this.#toldButtons = this.#buttons;
    const [x, y] = [scale(dx), scale(dy)];
    const bytes = [0x08 | (this.#buttons & 7) | (x < 0 ? 0x10 : 0) | (y < 0 ? 0x20 : 0), x & 0xff, y & 0xff];
    if (this.#id === ID_WHEEL) bytes.push(dz & 0xff);
    else if (this.#id === ID_FIVE_BUTTONS) bytes.push((dz & 0x0f) | ((this.#buttons & 0x18) << 1));
    if (this.#queue.length < BUFFER_BYTES * 2 - 8) this.#queue.push(...bytes);
  }

  #reply(bytes: readonly number[]): void {
    if (this.#queue.length < BUFFER_BYTES * 2 - 8) this.#queue.push(...bytes);
    this.onData();
  }

  save(): DeviceState {
    return {
      queue: Uint8Array.from(this.#queue),
      reporting: this.#reporting,
      remote: this.#remote,
      wrap: this.#wrap,
      scaling21: this.#scaling21,
      resolution: this.#resolution,
      rate: this.#rate,
      id: this.#id,
      knock: Uint8Array.from(this.#knock),
      awaiting: this.#awaiting,
      buttons: this.#buttons,
      toldButtons: this.#toldButtons,
      dx: this.#dx,
      dy: this.#dy,
      dz: this.#dz,
    };
  }
  load(state: DeviceState): void {
    const saved = new SavedState("mouse", state);
    const queue = saved.bytes("queue", BUFFER_BYTES * 2, false);
    this.#reporting = saved.flag("reporting");
    this.#remote = saved.flag("remote");
    this.#wrap = saved.flag("wrap");
    this.#scaling21 = saved.flag("scaling21");
    this.#resolution = saved.integer("resolution", 3);
    this.#rate = saved.integer("rate", 255);
    this.#id = saved.integer("id", ID_FIVE_BUTTONS);
    this.#knock = [...saved.bytes("knock", 3)];
    this.#awaiting = saved.integer("awaiting", 255);
    this.#buttons = saved.integer("buttons", 0x1f);
    this.#toldButtons = saved.integer("toldButtons", 0x1f);
    this.#dx = saved.number("dx");
    this.#dy = saved.number("dy");
    this.#dz = saved.number("dz");
    this.#queue.splice(0, this.#queue.length, ...queue);
  }
}

function clamp(value: number, low: number, high: number): number {
  return Math.max(low, Math.min(high, value));
}

function scaled(counts: number): number {
  const size = Math.abs(counts);
  return Math.sign(counts) * (SCALED[size] ?? size * 2);
}
