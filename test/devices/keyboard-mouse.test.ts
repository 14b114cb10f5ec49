import { describe, expect, it } from "vitest";
import { A20Gate } from "../../src/devices/a20.ts";
import { I8042 } from "../../src/devices/i8042.ts";
import { KEY_NAMES, keysOfCombination } from "../../src/devices/key-names.ts";
import { SET1_MAKE } from "../../src/devices/scancodes.ts";
import { TYPED_MAX } from "../../src/devices/typist.ts";
import { Keyboard } from "../../src/vmm/keyboard.ts";
import { plug, TestClock, TestLine } from "./bench-machine.ts";

function board() {
  const clock = new TestClock();
  const controller = new I8042({
    keyboardIrq: new TestLine(),
    mouseIrq: new TestLine(),
    a20: new A20Gate(() => {}),
    clock,
    requestReset: () => {},
  });
  controller.leaveAsFirmware();
  const { ports } = plug(controller);
  const keyboard = new Keyboard(controller, () => {});
  /** Bytes that are there now. */
  const read = (): number[] => {
    const bytes: number[] = [];
    while (ports.read(0x64, 1) & 1) bytes.push(ports.read(0x60, 1));
    return bytes;
  };
  /** Bytes that come while time passes and everything is read. */
  const readAll = (): number[] => {
    const bytes = read();
    while (keyboard.waiting > 0) {
      clock.advance(1e6);
      bytes.push(...read());
    }
    return bytes;
  };
  const mouse = (...bytes: number[]): number[] =>
    bytes.flatMap((byte) => {
      ports.write(0x64, 1, 0xd4);
      ports.write(0x60, 1, byte);
      return read();
    });
  return { clock, controller, ports, keyboard, read, readAll, mouse };
}

describe("what is typed", () => {
  it("comes key by key, however much it is, when the guest has read the one before", () => {
    const { keyboard, read, clock } = board();
    expect(keyboard.type("aB")).toBe(2);
    // Nobody reads: time alone brings nothing more.
    clock.advance(1e9);
    expect(read()).toEqual([0x1e]);
    const rest: number[] = [];
    for (let i = 0; i < 100; i++) {
      clock.advance(1e6);
      const bytes = read();
      expect(bytes.length).toBeLessThanOrEqual(1);
      rest.push(...bytes);
    }
    expect(rest).toEqual([0x9e, 0x2a, 0x30, 0xb0, 0xaa]);
  });

  it("is all there after any length, without loss", () => {
    const { keyboard, readAll } = board();
    const text = "a".repeat(3000);
    keyboard.type(text);
    expect(readAll()).toEqual([...text].flatMap(() => [0x1e, 0x9e]));
  });

  it("is refused whole where there is no room", () => {
    const { keyboard, readAll } = board();
    keyboard.type("a".repeat(TYPED_MAX / 2));
    expect(() => keyboard.type("bb")).toThrow(/does not read its keyboard/);
    expect(readAll().length).toBe(TYPED_MAX);
  });

  it("waits for a keyboard that the guest has switched off", () => {
    const { keyboard, ports, read, readAll, clock } = board();
    ports.write(0x60, 1, 0xf5);
    expect(read()).toEqual([0xfa]);
    keyboard.type("a");
    clock.advance(1e9);
    expect(read()).toEqual([]);
    ports.write(0x60, 1, 0xf4);
    expect(readAll()).toEqual([0xfa, 0x1e, 0x9e]);
  });

  it("goes on from a saved state, and is gone after a reset", () => {
    const a = board();
    a.keyboard.type("abc");
    const b = board();
    b.controller.load(a.controller.save(), a.controller.stateVersion);
    expect(b.keyboard.waiting).toBe(5);
    expect(b.readAll()).toEqual([0x1e, 0x9e, 0x30, 0xb0, 0x2e, 0xae]);
    a.controller.reset();
    expect(a.keyboard.waiting).toBe(0);
  });
});

describe("keys by name", () => {
  it("are held together and let go in the other order", () => {
    const { keyboard, readAll } = board();
    keyboard.send("ctrl-alt-delete");
    expect(readAll()).toEqual([0x1d, 0x38, 0xe0, 0x53, 0xe0, 0xd3, 0xb8, 0x9d]);
    keyboard.send("f10");
    expect(readAll()).toEqual([0x44, 0xc4]);
  });

  it("all exist; another is named", () => {
    for (const name of KEY_NAMES) {
      const keys = keysOfCombination(name);
      if ("unknown" in keys) throw new Error(name);
      expect(Object.keys(SET1_MAKE), name).toContain(keys.codes[0]);
    }
    expect(keysOfCombination("-")).toEqual({ codes: ["Minus"] });
    expect(keysOfCombination("ctrl-KeyC")).toEqual({ codes: ["ControlLeft", "KeyC"] });
    const { keyboard } = board();
    expect(() => keyboard.send("ctrl-any")).toThrow(/no key "any"/);
    expect(() => keyboard.send("constructor")).toThrow(/no key "constructor"/);
  });

  it("Pause and Print Screen send what a PC keyboard sends", () => {
    const { keyboard, readAll } = board();
    keyboard.send("pause");
    expect(readAll()).toEqual([0xe1, 0x1d, 0x45, 0xe1, 0x9d, 0xc5]);
    keyboard.send("print");
    expect(readAll()).toEqual([0xe0, 0x2a, 0xe0, 0x37, 0xe0, 0xb7, 0xe0, 0xaa]);
  });
});

describe("the mouse", () => {
  const REPORT = 0xf4;
  const knock = (last: readonly number[]): number[] => last.flatMap((rate) => [0xf3, rate]);

  it("says nothing, and keeps no movement, until it is asked to report", () => {
    const { keyboard, mouse, read } = board();
    mouse(0xf6);
    keyboard.moveMouse(50, 50);
    expect(read()).toEqual([]);
    expect(mouse(REPORT)).toEqual([0xfa]);
    keyboard.moveMouse(1, 2);
    expect(read()).toEqual([0x08, 1, 2]);
  });

  it("splits what is too far for a packet, with signs", () => {
    const { keyboard, mouse, read } = board();
    mouse(REPORT);
    keyboard.moveMouse(300, -300);
    expect(read()).toEqual([0x28, 255, 1, 0x28, 45, 0xd3]);
  });

  it("loses no movement and no button while the guest is slow, within what a hand does", () => {
    const { keyboard, mouse, read } = board();
    mouse(REPORT);
    for (let i = 0; i < 200; i++) keyboard.moveMouse(1, 0, 0, i % 2);
    keyboard.moveMouse(0, 0, 0, 4);
    const bytes = read();
    let dx = 0;
    for (let i = 0; i < bytes.length; i += 3) dx += bytes[i + 1] as number;
    expect(dx).toBe(200);
    expect((bytes[bytes.length - 3] as number) & 7).toBe(4);
  });

  it("has a wheel after one knock, and five buttons after another", () => {
    const { keyboard, mouse, read } = board();
    expect(mouse(0xf2)).toEqual([0xfa, 0]);
    mouse(...knock([200, 100, 80]));
    expect(mouse(0xf2)).toEqual([0xfa, 3]);
    mouse(REPORT);
    keyboard.moveMouse(0, 0, -1);
    expect(read()).toEqual([0x08, 0, 0, 0xff]);
    mouse(...knock([200, 200, 80]));
    expect(mouse(0xf2)).toEqual([0xfa, 4]);
    keyboard.moveMouse(0, 0, 1, 0x11);
    expect(read()).toEqual([0x09, 0, 0, 0x21]);
  });

  it("scales by two when told to, small movements less", () => {
    const { keyboard, mouse, read } = board();
    mouse(0xe7, REPORT);
    for (const counts of [1, 2, 3, 4, 5, 6, -7]) keyboard.moveMouse(counts, 0);
    const bytes = read();
    expect(bytes.filter((_, i) => i % 3 === 1)).toEqual([1, 1, 3, 6, 9, 12, 0xf2]);
  });

  it("answers when asked in remote mode, and only then", () => {
    const { keyboard, mouse, read } = board();
    mouse(0xf0);
    keyboard.moveMouse(3, 4, 0, 2);
    expect(read()).toEqual([]);
    expect(mouse(0xeb)).toEqual([0xfa, 0x0a, 3, 4]);
    expect(mouse(0xeb)).toEqual([0xfa, 0x0a, 0, 0]);
  });

  it("tells its state: buttons, scaling, rate and resolution", () => {
    const { keyboard, mouse } = board();
    keyboard.moveMouse(0, 0, 0, 1);
    expect(mouse(0xe8, 3, 0xf3, 40, 0xe7, 0xe9)).toEqual([0xfa, 0xfa, 0xfa, 0xfa, 0xfa, 0xfa, 0x14, 3, 40]);
  });
});
