import { describe, expect, it } from "vitest";
import { type InputKind, VirtioInput } from "../../../src/devices/virtio/input.ts";
import { bytesOf, place, TestDriver } from "./driver.ts";

function input(kind: InputKind) {
  const where = place();
  const device = new VirtioInput("input", where.memory, kind);
  const driver = new TestDriver(device, where).start();
  const query = (select: number, subselect = 0): number[] => {
    driver.write(0x2000, 1, select);
    driver.write(0x2001, 1, subselect);
    return Array.from({ length: driver.config(2, 1) }, (_, i) => driver.config(8 + i, 1));
  };
  const listen = (count: number): void => {
    for (let i = 0; i < count; i++) driver.queue(0).add([{ room: 8 }]);
    driver.queue(0).kick();
  };
  const events = (): number[][] =>
    driver
      .queue(0)
      .take()
      .map(({ bytes }) => {
        const view = new DataView(bytes.buffer);
        return [view.getUint16(0, true), view.getUint16(2, true), view.getInt32(4, true)];
      });
  return { driver, device, query, listen, events };
}

describe("virtio-input", () => {
  it("says what it is and what it can send", () => {
    expect(String.fromCharCode(...input("keyboard").query(1))).toBe("Paravane virtio keyboard");
    const keys = input("keyboard").query(0x11, 1);
    expect([(keys[0] ?? 0) & 1, ((keys[3] ?? 0) >> 6) & 1]).toEqual([0, 1]); // no code 0; KEY_A is 30
    expect(input("mouse").query(0x11, 2)).toEqual([3, 1]);
    expect(input("mouse").query(0x11, 3)).toEqual([]);
    expect(input("tablet").query(0x12, 1)).toEqual([0, 0, 0, 0, 0xff, 0x7f, ...new Array(14).fill(0)].slice(0, 20));
    expect(input("tablet").query(0x77)).toEqual([]);
  });

  it("sends groups that a report ends", () => {
    const { device, listen, events } = input("mouse");
    listen(16);
    device.move(3, -4, 1);
    device.buttons(5);
    device.buttons(4);
    device.move(0, 0);
    expect(events()).toEqual([
      [2, 0, 3],
      [2, 1, -4],
      [2, 8, 1],
      [0, 0, 0],
      [1, 0x110, 1],
      [1, 0x112, 1],
      [0, 0, 0],
      [1, 0x110, 0],
      [0, 0, 0],
    ]);
  });

  it("drops whole groups when nobody takes them, and learns the LEDs", () => {
    const { device, driver, listen, events } = input("keyboard");
    for (let i = 0; i < 2000; i++) device.key(30, true);
    expect(device.metrics().dropped).toBe(2000 - 512);
    listen(64);
    expect(events().at(-1)).toEqual([0, 0, 0]);
    driver.queue(1).ask({ bytes: bytesOf([16, 0x11], [16, 1], [32, 1]) });
    expect(device.leds).toBe(2);
    driver.queue(1).ask({ bytes: bytesOf([16, 0x11], [16, 40], [32, 1]) });
    driver.queue(1).ask({ bytes: Uint8Array.of(1) });
    expect([device.leds, driver.needsReset]).toEqual([2, false]);
  });
});
