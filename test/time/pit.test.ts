import fc from "fast-check";
import { beforeEach, describe, expect, test } from "vitest";
import { KDEV_IOAPIC, KDEV_PIC, KDEV_PIT } from "../../spec/layout.ts";
import { Chipset } from "../irq/machine.ts";

const HZ = 1193182;
/** Guest ns of a clock pulse. */
const at = (pulse: number) => Number((BigInt(pulse) * 1_000_000_000n + BigInt(HZ) - 1n) / BigInt(HZ));

let c: Chipset;
let pulse: number;

/** Moves to `n` pulses from now. */
function clock(n = 1): void {
  pulse += n;
  c.wait(at(pulse) - c.hostNs);
}
const gate = (level: number) => c.out(0x61, level);
const out2 = () => (c.in(0x61) >> 5) & 1;
/** Count and OUT of counter 2 by a read-back of both. */
function look(): { count: number; out: number; nullCount: number } {
  c.out(0x43, 0xc8);
  const status = c.in(0x42);
  const access = (status >> 4) & 3;
  let count = c.in(0x42);
  if (access === 3) count |= c.in(0x42) << 8;
  return { count, out: status >> 7, nullCount: (status >> 6) & 1 };
}
/** Counts and OUT over the next pulses, as the datasheet's waveforms print them: "3:1" is count 3 with OUT high. */
function wave(pulses: number): string {
  const seen: string[] = [];
  for (let i = 0; i < pulses; i++) {
    clock();
    const { count, out } = look();
    seen.push(`${count.toString(16)}:${out}`);
  }
  return seen.join(" ");
}

beforeEach(() => {
  c = new Chipset();
  pulse = 0;
  clock(1000);
});

describe("8254: waveforms of the datasheet (counter 2, LSB only)", () => {
  test("mode 0: OUT rises N + 1 pulses after the count was written", () => {
    gate(1);
    c.out(0x43, 0x90);
    expect(out2()).toBe(0);
    c.out(0x42, 4);
    expect(wave(7)).toBe("4:0 3:0 2:0 1:0 0:1 ff:1 fe:1");
  });
  test("mode 0: GATE low stops the count", () => {
    gate(1);
    c.out(0x43, 0x90);
    c.out(0x42, 3);
    expect(wave(2)).toBe("3:0 2:0");
    gate(0);
    expect(wave(2)).toBe("2:0 2:0");
    gate(1);
    expect(wave(3)).toBe("1:0 0:1 ff:1");
  });
  test("mode 0: a count written under GATE low is loaded, and counts as soon as GATE rises", () => {
    c.out(0x43, 0x90);
    c.out(0x42, 2);
    expect(wave(2)).toBe("2:0 2:0");
    gate(1);
    expect(wave(2)).toBe("1:0 0:1");
  });
  test("mode 0: a new count starts again, with OUT low", () => {
    gate(1);
    c.out(0x43, 0x90);
    c.out(0x42, 1);
    expect(wave(3)).toBe("1:0 0:1 ff:1");
    c.out(0x42, 2);
    expect(out2()).toBe(0);
    expect(wave(4)).toBe("2:0 1:0 0:1 ff:1");
  });
  test("mode 0: the first of two bytes stops the count and takes OUT low", () => {
    gate(1);
    c.out(0x43, 0xb0);
    c.out(0x42, 2);
    c.out(0x42, 0);
    clock(5);
    expect(look()).toMatchObject({ out: 1, count: 0xfffe });
    c.out(0x42, 1);
    expect(look().out).toBe(0);
    clock(4);
    expect(look().count).toBe(0xfffe);
    c.out(0x42, 1);
    clock();
    expect(look()).toEqual({ count: 0x101, out: 0, nullCount: 0 });
  });
  test("mode 1: one shot from the trigger, retriggerable", () => {
    c.out(0x43, 0x92);
    c.out(0x42, 3);
    clock(3);
    expect(out2()).toBe(1);
    gate(1);
    expect(out2()).toBe(1);
    expect(wave(5)).toBe("3:0 2:0 1:0 0:1 ff:1");
    gate(0);
    gate(1);
    expect(wave(2)).toBe("3:0 2:0");
    gate(0);
    clock();
    gate(1);
    expect(wave(4)).toBe("3:0 2:0 1:0 0:1");
  });
  test("mode 1: a new count waits for the next trigger", () => {
    c.out(0x43, 0x92);
    c.out(0x42, 2);
    gate(1);
    clock();
    c.out(0x42, 4);
    expect(wave(3)).toBe("1:0 0:1 ff:1");
    gate(0);
    gate(1);
    expect(wave(5)).toBe("4:0 3:0 2:0 1:0 0:1");
  });
  test("mode 2: low for one pulse in N", () => {
    gate(1);
    c.out(0x43, 0x94);
    c.out(0x42, 3);
    expect(wave(7)).toBe("3:1 2:1 1:0 3:1 2:1 1:0 3:1");
  });
  test("mode 2: GATE stops it, raises OUT at once, and its rising edge reloads", () => {
    gate(1);
    c.out(0x43, 0x94);
    c.out(0x42, 3);
    clock(3);
    expect(out2()).toBe(0);
    gate(0);
    expect(out2()).toBe(1);
    clock(4);
    gate(1);
    expect(wave(4)).toBe("3:1 2:1 1:0 3:1");
  });
  test("mode 2: a new count is taken at the end of the period", () => {
    gate(1);
    c.out(0x43, 0x94);
    c.out(0x42, 4);
    clock(2);
    c.out(0x42, 5);
    expect(look().nullCount).toBe(1);
    expect(wave(4)).toBe("2:1 1:0 5:1 4:1");
    expect(look().nullCount).toBe(0);
  });
  test("mode 3: even and odd counts", () => {
    gate(1);
    c.out(0x43, 0x96);
    c.out(0x42, 4);
    expect(wave(8)).toBe("4:1 2:1 4:0 2:0 4:1 2:1 4:0 2:0");
    c.out(0x43, 0x96);
    c.out(0x42, 5);
    expect(wave(10)).toBe("4:1 2:1 0:1 4:0 2:0 4:1 2:1 0:1 4:0 2:0");
  });
  test("mode 3: GATE low raises OUT; a new count is taken at the end of the half period", () => {
    gate(1);
    c.out(0x43, 0x96);
    c.out(0x42, 4);
    clock(3);
    expect(out2()).toBe(0);
    gate(0);
    expect(out2()).toBe(1);
    gate(1);
    expect(wave(2)).toBe("4:1 2:1");
    c.out(0x42, 6);
    expect(wave(6)).toBe("6:0 4:0 2:0 6:1 4:1 2:1");
  });
  test("mode 4: a strobe of one pulse N + 1 pulses after the count was written", () => {
    gate(1);
    c.out(0x43, 0x98);
    expect(out2()).toBe(1);
    c.out(0x42, 3);
    expect(wave(7)).toBe("3:1 2:1 1:1 0:0 ff:1 fe:1 fd:1");
    clock(1000);
    expect(out2()).toBe(1);
    c.out(0x42, 2);
    expect(wave(4)).toBe("2:1 1:1 0:0 ff:1");
  });
  test("mode 5: the strobe comes N + 1 pulses after the trigger", () => {
    c.out(0x43, 0x9a);
    c.out(0x42, 3);
    clock(5);
    gate(1);
    expect(wave(2)).toBe("3:1 2:1");
    gate(0);
    gate(1);
    expect(wave(5)).toBe("3:1 2:1 1:1 0:0 ff:1");
  });
  test("modes 6 and 7 are 2 and 3 and read back as written", () => {
    gate(1);
    c.out(0x43, 0x9c);
    c.out(0x42, 3);
    expect(wave(4)).toBe("3:1 2:1 1:0 3:1");
    c.out(0x43, 0xe8);
    expect(c.in(0x42) & 0x3f).toBe(0x1c);
    c.out(0x43, 0x9e);
    c.out(0x42, 4);
    expect(wave(4)).toBe("4:1 2:1 4:0 2:0");
  });
  test("BCD counts borrow by decades; 0 is 10000", () => {
    gate(1);
    c.out(0x43, 0xb1);
    c.out(0x42, 0x00);
    c.out(0x42, 0x10);
    clock(2);
    expect(look().count).toBe(0x0999);
    clock(1000);
    expect(look()).toMatchObject({ count: 0x9999, out: 1 });
    c.out(0x43, 0xb5);
    c.out(0x42, 0);
    c.out(0x42, 0);
    clock(1);
    expect(look().count).toBe(0);
    clock(1);
    expect(look().count).toBe(0x9999);
    clock(9998);
    expect(look()).toMatchObject({ count: 1, out: 0 });
    clock(1);
    expect(look()).toMatchObject({ count: 0, out: 1 });
  });
  test("counts of 1, which modes 2 and 3 do not allow, do no harm", () => {
    gate(1);
    for (const mode of [0x94, 0x96]) {
      c.out(0x43, mode);
      c.out(0x42, 1);
      clock(100);
      expect([0, 1]).toContain(out2());
    }
    c.out(0x43, 0x14);
    c.out(0x40, 1);
    expect(c.core.pitNextDeadline()).toBe(2n ** 63n - 1n);
  });
});

describe("8254: reading", () => {
  test("a latched count stays until it has been read, low byte first", () => {
    c.out(0x43, 0x34);
    c.out(0x40, 0x00);
    c.out(0x40, 0x10);
    clock(2);
    c.out(0x43, 0x00);
    clock(100);
    c.out(0x43, 0x00);
    expect([c.in(0x40), c.in(0x40)]).toEqual([0xff, 0x0f]);
    c.out(0x43, 0x00);
    expect([c.in(0x40), c.in(0x40)]).toEqual([0x9b, 0x0f]);
  });
  test("read-back gives the status first, then the count, and a second command changes neither", () => {
    c.out(0x43, 0x34);
    c.out(0x40, 0x34);
    c.out(0x40, 0x12);
    c.out(0x43, 0xc2);
    clock(7);
    c.out(0x43, 0xc2);
    expect(c.in(0x40)).toBe(0xf4);
    c.in(0x40);
    c.in(0x40);
    c.out(0x43, 0xe2);
    expect(c.in(0x40)).toBe(0xb4);
    expect(c.in(0x40) | (c.in(0x40) << 8)).toBe(0x1234 - 6);
  });
  test("read-back latches several counters at once", () => {
    for (const n of [0, 1]) {
      c.out(0x43, (n << 6) | 0x14);
      c.out(0x40 + n, 0x80 + n);
    }
    clock(11);
    c.out(0x43, 0xd6);
    clock(50);
    expect([c.in(0x40), c.in(0x41)]).toEqual([0x80 - 10, 0x81 - 10]);
  });
  test("live reads alternate between the bytes; a control word starts with the low one", () => {
    c.out(0x43, 0x30);
    c.out(0x40, 0x78);
    c.out(0x40, 0x56);
    clock(1);
    expect([c.in(0x40), c.in(0x40), c.in(0x40)]).toEqual([0x78, 0x56, 0x78]);
    c.out(0x43, 0x30);
    c.out(0x40, 0x78);
    c.out(0x40, 0x56);
    clock(1);
    expect(c.in(0x40)).toBe(0x78);
  });
  test("MSB-only access writes and reads the high byte", () => {
    c.out(0x43, 0x24);
    c.out(0x40, 0x12);
    clock(1);
    expect(c.in(0x40)).toBe(0x12);
    clock(1);
    expect(c.in(0x40)).toBe(0x11);
  });
  test("port 61h keeps four bits, shows OUT2 and the refresh toggle", () => {
    c.out(0x61, 0xff);
    expect(c.in(0x61) & 0xcf).toBe(0x0f);
    let toggles = 0;
    let last = c.in(0x61) & 0x10;
    for (let i = 0; i < 1000; i++) {
      clock(1);
      const now = c.in(0x61) & 0x10;
      if (now !== last) toggles++;
      last = now;
    }
    expect(toggles).toBeGreaterThanOrEqual(55);
    expect(toggles).toBeLessThanOrEqual(56);
  });
});

describe("8254: IRQ 0", () => {
  test("mode 2 interrupts every N pulses, at the deadline announced", () => {
    c.initPics();
    c.out(0x43, 0x34);
    c.out(0x40, 0xa9);
    c.out(0x40, 0x04);
    for (let n = 1; n <= 50; n++) {
      expect(Number(c.core.pitNextDeadline())).toBe(at(pulse + 1 + n * 0x4a9));
      c.wait(at(pulse + 1 + n * 0x4a9) - c.hostNs - 1);
      expect(c.pending()).toBe(false);
      c.wait(1);
      expect(c.ack()).toBe(0x20);
      c.out(0x20, 0x20);
      expect(c.pending()).toBe(false);
    }
  });
  test("mode 3 withdraws the request when nobody takes it in the high half", () => {
    c.initPics();
    c.out(0x43, 0x36);
    c.out(0x40, 0);
    c.out(0x40, 0);
    clock(1 + 65536);
    expect(c.pending()).toBe(true);
    clock(32768);
    expect(c.pending()).toBe(false);
    clock(32768);
    expect(c.ack()).toBe(0x20);
  });
  test("modes 0 and 4 interrupt once", () => {
    c.initPics();
    for (const [control, extra] of [
      [0x30, 1],
      [0x38, 2],
    ] as const) {
      c.out(0x43, control);
      c.out(0x40, 100);
      c.out(0x40, 0);
      if (c.pending()) c.ack();
      c.out(0x20, 0x20);
      clock(100 + extra - 1);
      expect(c.pending()).toBe(false);
      clock(1);
      expect(c.ack()).toBe(0x20);
      c.out(0x20, 0x20);
      clock(200000);
      expect(c.pending()).toBe(false);
      expect(c.core.pitNextDeadline()).toBe(2n ** 63n - 1n);
    }
  });
  test("periods missed while nobody looked make one interrupt, and the phase is kept", () => {
    c.initPics();
    c.out(0x43, 0x34);
    c.out(0x40, 0);
    c.out(0x40, 4);
    clock(1 + 1024 * 100 + 500);
    expect(c.ack()).toBe(0x20);
    c.out(0x20, 0x20);
    expect(c.pending()).toBe(false);
    clock(523);
    expect(c.pending()).toBe(false);
    clock(1);
    expect(c.pending()).toBe(true);
  });
  test("a mode that takes OUT from low to high interrupts at once", () => {
    c.initPics();
    c.out(0x43, 0x30);
    expect(c.pending()).toBe(false);
    c.out(0x43, 0x34);
    expect(c.ack()).toBe(0x20);
  });
  test("without the 8254 in Wasm its ports and deadlines are the host's", () => {
    const host = new Chipset({ devices: KDEV_PIC | KDEV_IOAPIC });
    expect(host.in(0x40)).toBe(-1);
    expect(host.in(0x61)).toBe(-1);
    expect(host.core.nextDeadlineNs(host.vcpu(0))).toBe(2n ** 63n - 1n);
    expect(new Chipset({ devices: KDEV_PIT }).in(0x20)).toBe(-1);
  });
});

describe("8254: lazy counting equals counting pulse by pulse", () => {
  const step = fc.oneof(
    { weight: 6, arbitrary: fc.record({ op: fc.constant("clock" as const), value: fc.integer({ min: 1, max: 90 }) }) },
    { weight: 1, arbitrary: fc.record({ op: fc.constant("gate" as const), value: fc.integer({ min: 0, max: 1 }) }) },
    { weight: 1, arbitrary: fc.record({ op: fc.constant("count" as const), value: fc.integer({ min: 0, max: 12 }) }) },
    {
      weight: 1,
      arbitrary: fc.record({ op: fc.constant("control" as const), value: fc.integer({ min: 0, max: 15 }) }),
    },
  );
  test("for every mode, any gate and any new counts", () => {
    const run = (steps: { op: string; value: number }[], single: boolean): string[] => {
      c = new Chipset();
      pulse = 0;
      gate(1);
      c.out(0x43, 0x94);
      c.out(0x42, 5);
      const seen: string[] = [];
      for (const { op, value } of steps) {
        if (op === "clock" && single) {
          for (let i = 0; i < value; i++) {
            look();
            clock();
          }
        } else if (op === "clock") clock(value);
        else if (op === "gate") gate(value);
        else if (op === "count") c.out(0x42, value);
        else c.out(0x43, 0x90 | value);
        seen.push(JSON.stringify(look()));
      }
      return seen;
    };
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        expect(run(steps, false)).toEqual(run(steps, true));
      }),
      { numRuns: 150 },
    );
  });
});
