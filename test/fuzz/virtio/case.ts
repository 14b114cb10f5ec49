// One case of the virtio fuzzer: a device of some kind, and a driver that does anything it can think of, mixed with things
// that are nearly right. A case is its seed.

import { TestClock, TestMemory } from "../../devices/bench-machine.ts";
import { TestDriver } from "../../devices/virtio/driver.ts";
import { KINDS, type MadeDevice, makeDevice } from "./devices.ts";
import { BUFFERS_AT, seeds } from "./requests.ts";

const RAM_BYTES = 1 << 18;
/** A step of a driver may keep the host no longer than this, whatever it says. */
const STEP_MS = 3000;

export interface Counts {
  cases: number;
  steps: number;
  kicks: number;
  chains: number;
  /** How often a device said that it needs a reset. */
  faults: number;
}

/** xorshift32: the same numbers for the same seed. */
export class Random {
  #state: number;
  constructor(seed: number) {
    this.#state = (Math.imul(seed, 0x9e3779b1) ^ 0x5bd1e995) | 1;
  }
  u32(): number {
    let x = this.#state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#state = x;
    return x >>> 0;
  }
  below(count: number): number {
    return this.u32() % count;
  }
  chance(one: number): boolean {
    return this.below(one) === 0;
  }
  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)] as T;
  }
}

/** Runs a case; throws what the device must not throw. */
export function runCase(seed: number, steps: number, share: string, counts: Counts): void {
  const r = new Random(seed);
  const kind = KINDS[seed % KINDS.length] as (typeof KINDS)[number];
  const memory = new TestMemory(RAM_BYTES);
  const clock = new TestClock();
  let made = makeDevice(kind, memory, clock, share);
  let driver = new TestDriver(made.device, { memory, clock });
  const begin = (): void => {
    driver.enablePci();
    driver.start({ without: [28, 29, 0, 1, 15].filter(() => r.chance(3)), size: 1 << r.below(8) });
    if (r.chance(2)) driver.enableMsix();
  };
  begin();
  const account = (): void => {
    const { chains = 0, faults = 0 } = made.device.metrics();
    counts.chains += chains;
    counts.faults += faults;
  };
  for (let step = 0; step < steps; step++) {
    counts.steps++;
    const before = performance.now();
    switch (r.below(16)) {
      case 0:
        scribble(driver, r);
        break;
      case 1:
        registers(driver, r);
        break;
      case 2:
        made.poke(r);
        break;
      case 3:
        clock.advance(r.below(5e6));
        break;
      case 4:
        if (!r.chance(8)) break;
        account();
        ({ made, driver } = reloaded(driver, kind, memory, clock, share));
        break;
      case 5:
        if (r.chance(20)) begin();
        break;
      default:
        // Most of the time there is a driver that means well, or it would be a fuzzer of one status bit.
        if (!made.device.running && r.chance(2)) begin();
        if (!r.chance(10)) driver.enablePci();
        counts.kicks++;
        request(driver, kind, r);
    }
    if (performance.now() - before > STEP_MS) throw new Error(`${kind}: a step took ${performance.now() - before} ms`);
  }
  account();
  // It still works: a driver that starts anew finds a device that is sound.
  driver.enablePci();
  driver.start();
  if (driver.needsReset || (driver.status & 15) !== 15) throw new Error(`${kind}: cannot be started again`);
  driver.pci.dispose();
  counts.cases++;
}

/** A chain or several that are nearly what the device wants, in the rings of some queue, and a kick. */
function request(driver: MadeDriver, kind: (typeof KINDS)[number], r: Random): void {
  const { view, memory } = driver;
  const queue = driver.queues[r.below(driver.queues.length)];
  if (queue === undefined || queue.size === 0) return;
  const mask = queue.size - 1;
  let index = view.getUint16(queue.avail + 2, true);
  let slot = r.below(queue.size);
  const many = r.chance(4) ? 1 + r.below(queue.size) : 1;
  for (let n = 0; n < many; n++) {
    const head = slot & mask;
    const parts = 1 + r.below(4);
    const readable = r.below(parts + 1);
    for (let part = 0; part < parts; part++) {
      const at = BUFFERS_AT + r.below(RAM_BYTES - BUFFERS_AT - 70_000);
      const length = r.chance(6) ? r.below(70_000) : r.pick([1, 4, 7, 8, 12, 16, 44, 64, 512, 513, 4096]);
      if (part < readable) memory.bytes.set(seeds(kind, r), at);
      const last = part + 1 === parts;
      const flags = (last ? 0 : 1) | (part < readable ? 0 : 2);
      queue.descriptor(
        queue.desc + (slot & mask) * 16,
        at,
        length,
        r.chance(100) ? r.below(16) : flags,
        (slot + 1) & mask,
      );
      slot++;
    }
    if (r.chance(30)) queue.descriptor(queue.desc + head * 16, queue.desc, 16 * (1 + r.below(queue.size + 2)), 4, 0);
    view.setUint16(queue.avail + 4 + (index & mask) * 2, r.chance(100) ? r.u32() : head, true);
    index++;
  }
  view.setUint16(queue.avail + 2, r.chance(200) ? r.u32() : index, true);
  queue.kick();
}

/** Anything anywhere in the rings. */
function scribble({ view, queues, memory }: MadeDriver, r: Random): void {
  const queue = queues[r.below(queues.length)];
  if (queue === undefined) return;
  for (let n = r.below(8); n >= 0; n--) {
    const at = queue.desc + r.below(0x3800);
    if (r.chance(4)) view.setUint32(at & ~3, r.u32(), true);
    else memory.bytes[at] = r.u32();
  }
  queue.kick();
}

function registers(driver: MadeDriver, r: Random): void {
  const offset = r.pick([r.below(0x3c), r.below(0x4000), 0x2000 + r.below(64), 0x3000 + 4 * r.below(8), 0x14, 0x16]);
  const size = r.pick([1, 2, 4]);
  const value = r.pick([0, 1, r.below(16), r.u32()]);
  if (r.chance(2)) driver.write(offset, size, value % 2 ** (8 * size));
  const read = driver.read(offset, size);
  if (!(read >= 0 && read < 2 ** (8 * size))) throw new Error(`read of ${size} at ${offset} gave ${read}`);
  if (r.chance(4)) driver.pci.pci.writeConfig(r.below(256) & ~3, 4, r.u32());
  if (r.chance(2)) driver.enablePci();
}

type MadeDriver = TestDriver<MadeDevice["device"]>;

/** The same machine from its saved state, as a snapshot would have it. */
function reloaded(
  driver: MadeDriver,
  kind: (typeof KINDS)[number],
  memory: TestMemory,
  clock: TestClock,
  share: string,
): { made: MadeDevice; driver: MadeDriver } {
  const state = structuredClone(driver.pci.save());
  const next = makeDevice(kind, memory, clock, share);
  const nextDriver = new TestDriver(next.device, { memory, clock });
  nextDriver.pci.pci.loadConfig(driver.pci.pci.saveConfig());
  nextDriver.pci.load(state, 1);
  for (const [i, queue] of driver.queues.entries()) {
    if (queue === undefined) continue;
    nextDriver.adopt(i, queue.size);
  }
  driver.pci.dispose();
  return { made: next, driver: nextDriver };
}
