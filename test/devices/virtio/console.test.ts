import { describe, expect, it } from "vitest";
import { MemoryBackend } from "../../../src/backends/memory.ts";
import { VirtioConsole } from "../../../src/devices/virtio/console.ts";
import { bytesOf, place, TestDriver } from "./driver.ts";

const RECEIVE = 0;
const TRANSMIT = 1;
const TO_GUEST = 2;
const FROM_GUEST = 3;

function console_(without: number[] = []) {
  const where = place();
  const backends = [new MemoryBackend(), new MemoryBackend()] as const;
  const device = new VirtioConsole("console", where.memory, where.clock, [
    { backend: backends[0], kind: "console" },
    { backend: backends[1], kind: "stream", name: "log" },
  ]);
  const driver = new TestDriver(device, where).start({ without });
  const control = (id: number, event: number, value: number): void => {
    driver.queue(FROM_GUEST).ask({ bytes: bytesOf([32, id], [16, event], [16, value]) });
  };
  const messages = (): number[][] =>
    driver
      .queue(TO_GUEST)
      .take()
      .map(({ bytes }) => [...bytes]);
  const listen = (count = 16): void => {
    for (let i = 0; i < count; i++) driver.queue(TO_GUEST).add([{ room: 64 }]);
    driver.queue(TO_GUEST).kick();
  };
  return { driver, device, backends, control, messages, listen };
}
const text = (value: string): Uint8Array => new TextEncoder().encode(value);

describe("virtio-console", () => {
  it("introduces its ports as 5.3.6.1 has it", () => {
    const { control, messages, listen } = console_();
    listen();
    control(0, 0, 1);
    expect(messages()).toEqual([
      [0, 0, 0, 0, 1, 0, 1, 0],
      [1, 0, 0, 0, 1, 0, 1, 0],
    ]);
    control(0, 3, 1);
    expect(messages()).toEqual([
      [0, 0, 0, 0, 4, 0, 1, 0],
      [0, 0, 0, 0, 5, 0, 0, 0, 80, 0, 25, 0],
      [0, 0, 0, 0, 6, 0, 1, 0],
    ]);
    control(1, 3, 1);
    expect(messages()).toEqual([
      [1, 0, 0, 0, 7, 0, 1, 0, ...text("log")],
      [1, 0, 0, 0, 6, 0, 1, 0],
    ]);
  });

  it("carries bytes both ways, and keeps input until there is a buffer", () => {
    const { driver, backends } = console_();
    driver.queue(TRANSMIT).ask({ bytes: text("hel") }, { bytes: text("lo") });
    expect(backends[0].text()).toBe("hello");
    backends[0].send(text("abcdef"));
    driver.queue(RECEIVE).add([{ room: 4 }]);
    driver.queue(RECEIVE).add([{ room: 4 }]);
    driver.queue(RECEIVE).kick();
    expect(
      driver
        .queue(RECEIVE)
        .take()
        .map(({ bytes }) => String.fromCharCode(...bytes)),
    ).toEqual(["abcd", "ef"]);
  });

  it("gives a stream's bytes only to who has opened the port", () => {
    const { driver, backends, control } = console_();
    driver.queue(4).add([{ room: 10 }]);
    backends[1].send(text("x"));
    expect(driver.queue(4).take()).toEqual([]);
    control(1, 6, 1);
    expect(driver.queue(4).take()[0]?.bytes).toEqual(text("x"));
  });

  it("works without MULTIPORT: one port, its size in configuration space", () => {
    const { driver, device, backends } = console_([1]);
    driver.enableMsix();
    device.resize(0, 132, 50);
    expect([driver.config(0, 2), driver.config(2, 2), driver.messages]).toEqual([132, 50, [0]]);
    backends[0].send(text("k"));
    expect(driver.queue(RECEIVE).take().length).toBe(0);
    driver.queue(RECEIVE).add([{ room: 4 }]);
    driver.queue(RECEIVE).kick();
    expect(driver.queue(RECEIVE).take()[0]?.bytes).toEqual(text("k"));
    driver.queue(5).add([{ bytes: text("nobody") }]);
    driver.queue(5).kick();
    expect(backends[1].text()).toBe("");
  });

  it("prints an emergency byte before any driver is there", () => {
    const { driver, backends } = console_();
    driver.status = 0;
    driver.write(0x2008, 4, 0x21);
    expect(backends[0].text()).toBe("!");
  });

  it("does not grow with a guest that asks without listening", () => {
    const { control, device, driver } = console_();
    for (let i = 0; i < 1000; i++) control(1, 3, 1);
    expect(device.metrics().droppedMessages).toBeGreaterThan(1000);
    control(99, 6, 1);
    control(0, 77, 1);
    driver.queue(FROM_GUEST).ask({ bytes: Uint8Array.of(1) });
    expect(driver.needsReset).toBe(false);
  });

  it("saves input that waits, and what is open", () => {
    const a = console_();
    a.backends[0].send(text("waiting"));
    a.control(1, 6, 1);
    a.control(0, 0, 1);
    const state = structuredClone(a.driver.pci.save());
    const b = console_();
    b.driver.pci.load(state, 1);
    expect(b.driver.pci.save()).toEqual(state);
  });
});
