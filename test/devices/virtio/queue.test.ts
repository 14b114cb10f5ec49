// The split ring: what a driver may do, and everything else it might.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { VirtioDevice } from "../../../src/devices/virtio/device.ts";
import { PLAIN_RINGS, place, TestDriver } from "./driver.ts";

/** Gives each chain back with its bytes reversed. */
class Mirror extends VirtioDevice {
  chains: string[] = [];
  /** Chains that are kept instead. */
  hold = false;
  constructor(memory: ConstructorParameters<typeof VirtioDevice>[1], size = 8) {
    super({ name: "mirror", type: 30, queueSizes: [size], features: [], configBytes: 4 }, memory);
  }
  override kicked(): void {
    this.drain(0, (chain) => {
      const bytes = chain.readCopy(1 << 20);
      this.chains.push(String.fromCharCode(...bytes));
      if (this.hold) return true;
      chain.write(bytes.reverse());
      this.complete(0, chain);
      return true;
    });
  }
}

function mirror(size = 8, without: readonly number[] = []) {
  const where = place();
  const driver = new TestDriver(new Mirror(where.memory, size), where).start({ without });
  return { driver, queue: driver.queue(0), device: driver.device };
}
const text = (value: string): Uint8Array => Uint8Array.from(value, (c) => c.charCodeAt(0));
const string = (bytes: Uint8Array | undefined): string => String.fromCharCode(...(bytes ?? []));

describe("a split virtqueue", () => {
  for (const [name, without] of [
    ["with event index and indirect descriptors", []],
    ["plain", PLAIN_RINGS],
  ] as const) {
    it(`${name} carries chains of several buffers, round and round`, () => {
      const { queue } = mirror(8, without);
      for (let round = 0; round < 100; round++) {
        const answer = queue.ask({ bytes: text("abc") }, { bytes: text(`d${round}`) }, { room: 2 }, { room: 30 });
        expect(string(answer.bytes)).toBe([...`abcd${round}`].reverse().join(""));
      }
    });

    it(`${name} handles many chains in one kick`, () => {
      const { driver, queue, device } = mirror(16, without);
      for (let i = 0; i < 8; i++) queue.add([{ bytes: text(`n${i}`) }, { room: 2 }]);
      queue.kick();
      expect(queue.take().map(({ bytes }) => string(bytes))).toEqual(Array.from({ length: 8 }, (_, i) => `${i}n`));
      expect(device.metrics()).toMatchObject({ kicks: 1, chains: 8, interrupts: 1, faults: 0 });
      expect(driver.needsReset).toBe(false);
    });
  }

  it("reads indirect tables, also behind direct descriptors", () => {
    const { queue } = mirror(4);
    queue.add([{ bytes: text("in") }, { bytes: text("direct") }, { room: 99 }], true);
    queue.kick();
    expect(string(queue.take()[0]?.bytes)).toBe("tceridni");
  });

  it("takes an indirect table with as many descriptors as the queue has, as Linux's largest writes make", () => {
    const { queue, device } = mirror(8);
    queue.add([...Array.from({ length: 7 }, () => ({ bytes: text("x") })), { room: 7 }], true);
    queue.kick();
    expect(string(queue.take()[0]?.bytes)).toBe("xxxxxxx");
    expect(device.lastFault).toBeUndefined();
  });

  it("takes wrapped indices of the free-running kind", () => {
    const { queue } = mirror(4);
    for (let i = 0; i < 70_000; i++) {
      const answer = queue.ask({ bytes: text("xy") }, { room: 2 });
      if (string(answer.bytes) !== "yx") throw new Error(`wrong at ${i}`);
    }
  });

  it("reports each written byte of rings and buffers, so that code on those pages is forgotten", () => {
    const { driver, queue } = mirror();
    driver.memory.writtenBytes = 0;
    queue.ask({ bytes: text("abc") }, { room: 3 });
    expect(driver.memory.writtenBytes).toBe(3 + 8 + 2 + 2); // buffer, used element, used index, avail event
  });

  it("interrupts by flag, and by event index only when it is passed (2.7.7)", () => {
    const plain = mirror(8, PLAIN_RINGS);
    plain.driver.enableMsix();
    plain.queue.ask({ bytes: text("a") }, { room: 1 });
    expect(plain.driver.messages).toEqual([1]);
    plain.driver.view.setUint16(plain.queue.avail, 1, true);
    plain.queue.ask({ bytes: text("a") }, { room: 1 });
    expect(plain.driver.messages).toEqual([1]);

    const event = mirror(8);
    event.driver.enableMsix();
    const usedEvent = event.queue.avail + 4 + 2 * 8;
    event.driver.view.setUint16(usedEvent, 2, true);
    for (const expected of [[], [], [1], [1]]) {
      event.queue.ask({ bytes: text("a") }, { room: 1 });
      expect(event.driver.messages).toEqual(expected);
    }
  });

  it("asks for the next kick by event index", () => {
    const { driver, queue } = mirror(8);
    for (let i = 1; i < 20; i++) {
      queue.ask({ bytes: text("a") }, { room: 1 });
      expect(driver.view.getUint16(queue.used + 4 + 8 * 8, true)).toBe(i);
    }
  });

  it("continues from saved state with the same rings", () => {
    const a = mirror(8);
    a.queue.ask({ bytes: text("one") }, { room: 3 });
    const state = a.driver.pci.save();
    const device = new Mirror(a.driver.memory);
    const b = new TestDriver(device, a.driver);
    b.pci.load(state, 1);
    expect(b.pci.save()).toEqual(state);
    a.queue.add([{ bytes: text("two") }, { room: 3 }]);
    b.write(0x3000, 2, 0);
    expect(device.chains).toEqual(["two"]);
    expect(string(a.queue.take()[0]?.bytes)).toBe("owt");
  });
});

describe("a hostile ring", () => {
  const cases: [string, (d: ReturnType<typeof mirror>) => void][] = [
    [
      "a loop",
      ({ queue }) => {
        queue.add([{ bytes: text("a") }, { bytes: text("b") }]);
        queue.descriptor(queue.desc + 16, 0x40000, 1, 1, 0);
      },
    ],
    [
      "a head beyond the table",
      ({ driver, queue }) => {
        queue.add([{ bytes: text("a") }]);
        driver.view.setUint16(queue.avail + 4, 8, true);
      },
    ],
    [
      "a next beyond the table",
      ({ queue }) => {
        queue.add([{ bytes: text("a") }]);
        queue.descriptor(queue.desc, 0x40000, 1, 1, 200);
      },
    ],
    [
      "an address outside RAM",
      ({ queue }) => {
        queue.add([{ bytes: text("a") }]);
        queue.descriptor(queue.desc, 0xfffff000, 1, 0, 0);
      },
    ],
    [
      "an address beyond 2^53",
      ({ driver, queue }) => {
        queue.add([{ bytes: text("a") }]);
        driver.view.setUint32(queue.desc + 4, 0xffffffff, true);
      },
    ],
    [
      "a huge length",
      ({ queue }) => {
        queue.add([{ bytes: text("a") }]);
        queue.descriptor(queue.desc, 0x40000, 0xffffffff, 0, 0);
      },
    ],
    [
      "an empty descriptor",
      ({ queue }) => {
        queue.add([{ bytes: text("a") }]);
        queue.descriptor(queue.desc, 0x40000, 0, 0, 0);
      },
    ],
    ["an index that jumps", ({ driver, queue }) => driver.view.setUint16(queue.avail + 2, 9, true)],
    [
      "an index that goes back",
      ({ driver, queue }) => {
        queue.ask({ bytes: text("a") }, { room: 1 });
        driver.view.setUint16(queue.avail + 2, 0, true);
      },
    ],
    [
      "writable before readable",
      ({ queue }) => {
        queue.add([{ room: 4 }, { bytes: text("a") }]);
      },
    ],
    [
      "an indirect descriptor in a table",
      ({ driver, queue }) => {
        queue.add([{ bytes: text("a") }, { room: 1 }], true);
        const table = driver.view.getUint32(queue.desc, true);
        queue.descriptor(table, table, 16, 4, 0);
      },
    ],
    [
      "an indirect descriptor that goes on",
      ({ queue }) => {
        queue.add([{ bytes: text("a") }], true);
        queue.descriptor(queue.desc, 0x40000, 16, 5, 1);
      },
    ],
    [
      "a table of half a descriptor",
      ({ queue }) => {
        queue.add([{ bytes: text("a") }], true);
        queue.descriptor(queue.desc, 0x40000, 24, 4, 0);
      },
    ],
    [
      "a table longer than any queue",
      ({ queue }) => {
        queue.add([{ bytes: text("a") }], true);
        queue.descriptor(queue.desc, 0x40000, 16 * 9, 4, 0);
      },
    ],
  ];
  for (const [name, spoil] of cases) {
    it(`with ${name} needs a reset, says so by a configuration interrupt, and works after it`, () => {
      const bench = mirror(8);
      bench.driver.enableMsix();
      spoil(bench);
      bench.driver.messages.length = 0;
      bench.device.chains.length = 0;
      bench.queue.kick();
      expect(bench.driver.needsReset).toBe(true);
      expect(bench.driver.messages).toEqual([0]);
      expect(bench.device.chains).toEqual([]);
      // Nothing is handled any more, until it is reset.
      bench.queue.kick();
      expect(bench.device.metrics().faults).toBe(1);
      const queue = bench.driver.start().queue(0);
      expect(bench.driver.needsReset).toBe(false);
      expect(string(queue.ask({ bytes: text("ok") }, { room: 2 }).bytes)).toBe("ko");
    });
  }

  it("with more chains than it has descriptors for needs a reset", () => {
    const { driver, queue, device } = mirror(4);
    device.hold = true;
    for (let i = 0; i < 5; i++) {
      queue.add([{ bytes: text("a") }]);
      queue.kick();
    }
    expect(device.chains.length).toBe(4);
    expect(driver.needsReset).toBe(true);
  });

  it("that is not in RAM or not aligned makes no queue", () => {
    for (const [field, value] of [
      [0x20, 0x100000],
      [0x20, 8],
      [0x28, 1],
      [0x30, 2],
      [0x24, 1],
      [0x34, 0xffffffff],
    ] as const) {
      const where = place();
      const driver = new TestDriver(new Mirror(where.memory), where);
      driver.negotiate();
      driver.write(0x16, 2, 0);
      driver.write(0x20, 4, 0x1000);
      driver.write(0x28, 4, 0x2000);
      driver.write(0x30, 4, 0x3000);
      driver.write(field, 4, value);
      driver.write(0x1c, 2, 1);
      driver.status = 15;
      expect(driver.needsReset).toBe(true);
    }
  });

  it("of any content hurts nothing and ends", () => {
    fc.assert(
      fc.property(
        fc.infiniteStream(fc.integer({ min: 0, max: 0xffffffff })),
        fc.integer({ min: 1, max: 40 }),
        (numbers, rounds) => {
          const { driver, queue } = mirror(8);
          const next = (below: number): number => (numbers.next().value as number) % below;
          for (let round = 0; round < rounds; round++) {
            for (let i = 0; i < 8; i++) {
              const at = next(4) === 0 ? (numbers.next().value as number) : 0x1000 + next(0x8000);
              const size = next(4) === 0 ? (numbers.next().value as number) : next(100);
              queue.descriptor(queue.desc + i * 16, at, size, next(8), next(9));
              driver.view.setUint16(queue.avail + 4 + i * 2, next(9), true);
            }
            driver.view.setUint16(queue.avail + 2, driver.view.getUint16(queue.avail + 2, true) + next(10), true);
            queue.kick();
            if (driver.needsReset) driver.start();
          }
        },
      ),
      { numRuns: 300 },
    );
  });
});
