// A learning switch (IEEE 802.1D without its protocols): what comes in goes out where its target was last seen, else
// everywhere. Trees of switches: the network blocks links that would close a circle.
import { FRAME_MAX, FRAME_MIN, frameSource, frameTarget, isGroup } from "./frame.ts";
import { LearningTable } from "./learning-table.ts";

/** What leads away from a switch. */
export interface SwitchPort {
  /** Neither learns nor forwards. */
  blocked: boolean;
  /** The bytes are valid during the call only. */
  output(frame: Uint8Array): void;
}

export class EthernetSwitch {
  readonly #ports = new Set<SwitchPort>();
  readonly #table = new LearningTable<SwitchPort>();

  constructor(
    readonly name: string,
    private readonly nowNs: () => number,
  ) {}

  get ports(): number {
    return this.#ports.size;
  }
  get addresses(): number {
    return this.#table.size;
  }

  add(port: SwitchPort): void {
    this.#ports.add(port);
  }

  remove(port: SwitchPort): void {
    this.#ports.delete(port);
    this.#table.forget(port);
  }

  /** Another tree: addresses may be elsewhere now. */
  forgetAddresses(): void {
    this.#table.clear();
  }

  input(from: SwitchPort, frame: Uint8Array): void {
    if (from.blocked || frame.length < FRAME_MIN || frame.length > FRAME_MAX) return;
    const target = frameTarget(frame);
    if (isLinkLocal(target)) return;
    const now = this.nowNs();
    const source = frameSource(frame);
    if (!isGroup(source)) this.#table.learn(source, from, now);
    const known = isGroup(target) ? undefined : this.#table.find(target, now);
    if (known === from) return;
    if (known !== undefined) {
      if (!known.blocked) known.output(frame);
      return;
    }
    for (const port of this.#ports) if (port !== from && !port.blocked) port.output(frame);
  }
}

/** 01:80:C2:00:00:0x is for the next switch alone (802.1D, 7.12.6). */
function isLinkLocal(mac: Uint8Array): boolean {
  const [a, b, c, d, e, f = 0] = mac;
  return a === 0x01 && b === 0x80 && c === 0xc2 && d === 0 && e === 0 && f < 0x10;
}
