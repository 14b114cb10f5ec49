import { describe, expect, it } from "vitest";
import { A20Gate } from "../../src/devices/a20.ts";
import { CmosRtc } from "../../src/devices/cmos-rtc.ts";
import { FerrLatch } from "../../src/devices/ferr.ts";
import { I8042 } from "../../src/devices/i8042.ts";
import { IsaDebugExit } from "../../src/devices/isa-debug-exit.ts";
import { ParallelPort } from "../../src/devices/parallel.ts";
import { PcTestDevice } from "../../src/devices/pc-testdev.ts";
import { Port92 } from "../../src/devices/port92.ts";
import { PostDisplay } from "../../src/devices/post.ts";
import { keyOfCharacter, SET1_MAKE, SET1_OF_SET2, SET2_OF_SET1 } from "../../src/devices/scancodes.ts";
import { plug, TestClock, TestLine } from "./bench-machine.ts";

describe("RTC interrupts", () => {
  function rtc() {
    const clock = new TestClock();
    const irq = new TestLine();
    const device = new CmosRtc({ irq, clock, ramBytes: 64 << 20, cpuCount: 1 });
    const { ports } = plug(device);
    const read = (index: number): number => {
      ports.write(0x70, 1, index);
      return ports.read(0x71, 1);
    };
    const write = (index: number, value: number): void => {
      ports.write(0x70, 1, index);
      ports.write(0x71, 1, value);
    };
    return { clock, irq, device, read, write };
  }

  it("come once a second while UIE is on and register C is read", () => {
    const { clock, irq, read, write } = rtc();
    write(0x0b, 0x12);
    for (let second = 0; second < 5; second++) {
      clock.advance(1e9);
      expect(read(0x0c)).toBe(0xd0); // IRQF, PF (set without PIE too), UF
      expect(irq.level).toBe(false);
    }
    expect(irq.edges).toBe(5);
  });

  it("come 1,024 times a second at rate 6", () => {
    const { clock, irq, read, write } = rtc();
    write(0x0b, 0x42);
    let ticks = 0;
    for (let i = 0; i < 10_240; i++) {
      clock.advance(1e5);
      if (irq.level) {
        ticks++;
        read(0x0c);
      }
    }
    expect(ticks).toBe(Math.floor(1.024 * 1024));
  });

  it("wake at the alarm, with don't-care bytes", () => {
    const { clock, irq, write } = rtc(); // 04:05:06
    write(0x01, 0x00);
    write(0x03, 0xc0);
    write(0x05, 0xff);
    write(0x0b, 0x22);
    clock.advance(53.9e9);
    expect(irq.level).toBe(false);
    clock.advance(0.2e9);
    expect(irq.level).toBe(true);
  });

  it("need no timer while none is enabled", () => {
    const { clock, write } = rtc();
    write(0x0b, 0x02);
    expect(clock.advance(3600e9)).toBe(0);
  });

  it("are announced by UIP before the time changes", () => {
    const { clock, read } = rtc();
    expect(read(0x0a) & 0x80).toBe(0);
    clock.advance(0.9979e9);
    expect(read(0x0a) & 0x80).toBe(0x80);
    expect(read(0)).toBe(0x06);
    clock.advance(0.0022e9);
    expect(read(0x0a) & 0x80).toBe(0);
    expect(read(0)).toBe(0x07);
  });

  it("take any bytes as a time", () => {
    const { clock, read, write } = rtc();
    for (const index of [0, 2, 4, 6, 7, 8, 9, 0x32]) write(index, 0xff);
    clock.advance(1e9);
    for (const index of [0, 2, 4, 6, 7, 8, 9, 0x32]) expect(read(index)).toBeLessThan(0x100);
  });

  it("survive save and load", () => {
    const a = rtc();
    a.write(0x0b, 0x12);
    a.clock.advance(0.5e9);
    const saved = a.device.save();
    const b = rtc();
    b.clock.advance(0.5e9);
    b.device.load(saved, 1);
    b.clock.advance(0.6e9);
    expect(b.irq.level).toBe(true);
  });
});

describe("keyboard controller", () => {
  function controller() {
    const keyboardIrq = new TestLine();
    const mouseIrq = new TestLine();
    const clock = new TestClock();
    let resets = 0;
    let a20 = true;
    const device = new I8042({
      keyboardIrq,
      mouseIrq,
      a20: new A20Gate((on) => (a20 = on)),
      clock,
      requestReset: () => resets++,
    });
    const { ports } = plug(device);
    return { device, ports, clock, keyboardIrq, mouseIrq, resets: () => resets, a20: () => a20 };
  }
  const all = (ports: ReturnType<typeof controller>["ports"]): number[] => {
    const bytes: number[] = [];
    while (ports.read(0x64, 1) & 1) bytes.push(ports.read(0x60, 1));
    return bytes;
  };

  it("translates keys to set 1 as firmware leaves it, an interrupt a byte", () => {
    const { device, ports, keyboardIrq } = controller();
    device.leaveAsFirmware();
    device.keyboard.key(SET1_MAKE.KeyA ?? 0, true);
    device.keyboard.key(SET1_MAKE.KeyA ?? 0, false);
    device.keyboard.key(SET1_MAKE.ArrowUp ?? 0, true);
    device.keyboard.key(SET1_MAKE.ArrowUp ?? 0, false);
    expect(all(ports)).toEqual([0x1e, 0x9e, 0xe0, 0x48, 0xe0, 0xc8]);
    expect(keyboardIrq.edges).toBe(6);
    expect(keyboardIrq.level).toBe(false);
  });

  it("passes set 2 when translation is off", () => {
    const { device, ports } = controller();
    device.keyboard.key(SET1_MAKE.KeyA ?? 0, true);
    device.keyboard.key(SET1_MAKE.KeyA ?? 0, false);
    expect(all(ports)).toEqual([0x1c, 0xf0, 0x1c]);
  });

  it("holds keys back while the keyboard is disabled", () => {
    const { device, ports } = controller();
    device.leaveAsFirmware();
    ports.write(0x64, 1, 0xad);
    device.keyboard.key(SET1_MAKE.KeyA ?? 0, true);
    expect(ports.read(0x64, 1) & 1).toBe(0);
    ports.write(0x64, 1, 0xae);
    expect(ports.read(0x60, 1)).toBe(0x1e);
  });

  it("marks mouse bytes and gives them IRQ 12", () => {
    const { device, ports, mouseIrq } = controller();
    ports.write(0x64, 1, 0xd4);
    ports.write(0x60, 1, 0xf4);
    expect(ports.read(0x64, 1) & 0x21).toBe(0x21);
    expect(ports.read(0x60, 1)).toBe(0xfa);
    device.mouse.move(3, -2, 0, 1);
    expect(mouseIrq.level).toBe(true);
    expect(all(ports)).toEqual([0x29, 0x03, 0xfe]);
  });

  it("resets the machine by FE and by the output port, gates A20", () => {
    const { ports, resets, a20 } = controller();
    ports.write(0x64, 1, 0xff);
    expect(resets()).toBe(0);
    ports.write(0x64, 1, 0xfe);
    expect(resets()).toBe(1);
    ports.write(0x64, 1, 0xd1);
    ports.write(0x60, 1, 0xdd);
    expect([a20(), resets()]).toEqual([false, 1]);
    ports.write(0x64, 1, 0xd1);
    ports.write(0x60, 1, 0x02);
    expect([a20(), resets()]).toEqual([true, 2]);
  });

  it("keeps its buffers bounded when nobody reads", () => {
    const { device, ports } = controller();
    for (let i = 0; i < 10_000; i++) device.keyboard.key(0x1e, i % 2 === 0);
    for (let i = 0; i < 10_000; i++) device.mouse.move(1000, 1000, 0, 7);
    expect(all(ports).length).toBeLessThan(1000);
  });

  it("survives save and load", () => {
    const a = controller();
    a.device.leaveAsFirmware();
    a.device.keyboard.key(0x1e, true);
    a.device.keyboard.key(0x1e, false);
    const b = controller();
    b.device.load(a.device.save(), a.device.stateVersion);
    expect(all(b.ports)).toEqual([0x1e, 0x9e]);
  });

  it("has translation tables that invert each other", () => {
    for (let set1 = 1; set1 < SET2_OF_SET1.length; set1++) {
      const set2 = SET2_OF_SET1[set1] ?? 0;
      if (set2 !== 0) expect(SET1_OF_SET2[set2]).toBe(set1);
    }
    expect(new Set(SET2_OF_SET1).size).toBe(SET2_OF_SET1.length);
  });

  it("knows the key of every printable character", () => {
    for (let c = 0x20; c < 0x7f; c++) {
      const key = keyOfCharacter(String.fromCharCode(c));
      expect(SET1_MAKE[key?.code ?? ""], String.fromCharCode(c)).toBeDefined();
    }
  });
});

describe("debug exit", () => {
  it("gives (value << 1) | 1 at every width, and only for writes", () => {
    const codes: number[] = [];
    const { ports } = plug(new IsaDebugExit(0xf4, (code) => codes.push(code)));
    expect(ports.read(0xf4, 1)).toBe(0);
    ports.write(0xf4, 1, 0x10);
    ports.write(0xf4, 2, 0x8000);
    ports.write(0xf4, 4, 0xffffffff);
    expect(codes).toEqual([0x21, 0x10001, 0xffffffff]);
  });
});

describe("port 92h", () => {
  it("gates A20 and resets on the rising edge of bit 0 only", () => {
    let resets = 0;
    const changes: boolean[] = [];
    const { ports } = plug(new Port92(new A20Gate((on) => changes.push(on)), () => resets++));
    expect(ports.read(0x92, 1) & 2).toBe(2);
    ports.write(0x92, 1, 0);
    ports.write(0x92, 1, 3);
    ports.write(0x92, 1, 3);
    expect(changes).toEqual([false, true]);
    expect(resets).toBe(1);
  });
});

describe("POST display", () => {
  it("reports changes and counts every microsecond of delay", () => {
    const codes: number[] = [];
    let delays = 0;
    const { ports } = plug(
      new PostDisplay(
        0x80,
        (code) => codes.push(code),
        () => delays++,
      ),
    );
    for (const code of [1, 1, 2, 0, 0]) ports.write(0x80, 1, code);
    expect(codes).toEqual([1, 2, 0]);
    expect(delays).toBe(5);
    expect(ports.read(0x80, 1)).toBe(0);
  });
});

describe("parallel port", () => {
  it("prints on the strobe and acknowledges with IRQ 7 when asked", () => {
    const irq = new TestLine();
    const printed: number[] = [];
    const { ports } = plug(new ParallelPort(0x378, irq, (byte) => printed.push(byte)));
    const print = (byte: number, control: number): void => {
      ports.write(0x378, 1, byte);
      ports.write(0x37a, 1, control | 1);
      ports.write(0x37a, 1, control);
    };
    print(0x41, 0x0c);
    expect(irq.edges).toBe(0);
    print(0x42, 0x1c);
    expect(printed).toEqual([0x41, 0x42]);
    expect(irq.edges).toBe(1);
    expect(ports.read(0x379, 1) & 0xd8).toBe(0xd8);
  });
});

describe("FERR latch", () => {
  it("holds IRQ 13 until port F0h is written", () => {
    const irq = new TestLine();
    let ignne = 0;
    const device = new FerrLatch(irq, () => ignne++);
    const { ports } = plug(device);
    device.assert();
    expect(irq.level).toBe(true);
    ports.write(0xf0, 1, 0);
    expect([irq.level, ignne]).toEqual([false, 1]);
  });
});

describe("pc-testdev", () => {
  it("raises the line of the port it is written to and backs its MMIO with memory", () => {
    const lines = Array.from({ length: 24 }, () => new TestLine());
    const { ports, mmio } = plug(new PcTestDevice((gsi) => lines[gsi] ?? new TestLine()));
    ports.write(0x2005, 4, 1);
    expect(lines.map((line) => line.level).indexOf(true)).toBe(5);
    ports.write(0x2005, 4, 0);
    expect(lines.some((line) => line.level)).toBe(false);
    mmio.write(0xff00fffc, 4, 0x89abcdef);
    expect(mmio.read(0xff00fffe, 2)).toBe(0x89ab);
    expect(mmio.read(0xff010000, 4)).toBe(0xffffffff);
  });
});
