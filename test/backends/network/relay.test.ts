// A switch's cable to a relay: frames both ways, nothing beyond what a slow connection holds, and a new one when it is lost.
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { checkRelayUrl, type FrameSocket, RelayCable } from "../../../src/backends/network/relay.ts";

class FakeSocket implements FrameSocket {
  binaryType = "blob";
  bufferedAmount = 0;
  readyState = 0;
  onopen: (() => void) | null = null;
  onclose: (() => void) | null = null;
  onerror: (() => void) | null = null;
  onmessage: ((event: { readonly data: unknown }) => void) | null = null;
  readonly sent: Uint8Array[] = [];
  send(bytes: Uint8Array): void {
    this.sent.push(bytes);
  }
  close(): void {
    this.readyState = 3;
    this.onclose?.();
  }
  open(): void {
    this.readyState = 1;
    this.onopen?.();
  }
}

describe("a cable to a relay", () => {
  let sockets: FakeSocket[];
  let cable: RelayCable;
  const last = (): FakeSocket => sockets.at(-1) as FakeSocket;
  beforeEach(() => {
    vi.useFakeTimers();
    sockets = [];
    cable = new RelayCable(() => {
      sockets.push(new FakeSocket());
      return last();
    });
  });
  afterEach(() => {
    cable[Symbol.dispose]();
    vi.useRealTimers();
  });
  const frame = new Uint8Array(60).fill(7);

  it("loses what is sent while nobody is there or too much waits, and copies what it sends", () => {
    cable.send(frame);
    last().open();
    const mine = frame.slice();
    cable.send(mine);
    mine.fill(0);
    last().bufferedAmount = 2 << 20;
    cable.send(frame);
    expect(last().sent).toEqual([frame]);
    expect(cable.counts).toMatchObject({ sentFrames: 1, lostFrames: 2, connections: 1 });
  });

  it("takes frames of Ethernet's sizes and nothing else", () => {
    const received: number[] = [];
    cable.onReceive(({ length }) => received.push(length));
    last().open();
    for (const data of [
      "text",
      new ArrayBuffer(13),
      new ArrayBuffer(14),
      new ArrayBuffer(65_550),
      new ArrayBuffer(65_551),
    ])
      last().onmessage?.({ data });
    expect(last().binaryType).toBe("arraybuffer");
    expect(received).toEqual([14, 65_550]);
  });

  it("connects again, ever more patiently, and not after its end", () => {
    last().close();
    vi.advanceTimersByTime(500);
    expect(sockets).toHaveLength(2);
    last().close();
    vi.advanceTimersByTime(999);
    expect(sockets).toHaveLength(2);
    vi.advanceTimersByTime(1);
    expect(sockets).toHaveLength(3);
    last().open();
    last().close();
    vi.advanceTimersByTime(500);
    expect(sockets).toHaveLength(4);
    cable[Symbol.dispose]();
    vi.advanceTimersByTime(100_000);
    expect(sockets).toHaveLength(4);
  });

  it("takes addresses of WebSockets", () => {
    expect(checkRelayUrl("relay", "wss://relay.example:8080/x?y")).toBe("wss://relay.example:8080/x?y");
    for (const wrong of ["http://relay.example", "relay.example", 7, "ws://a/#b", undefined])
      expect(() => checkRelayUrl("networks[0].relay", wrong)).toThrow(/^networks\[0\]\.relay is .*ws:\/\//);
  });
});
