import { describe, expect, it } from "vitest";
import { StreamConsole } from "../../src/backends/stream.ts";

const MIB = 1024 * 1024;

describe("console streams", () => {
  it("drop the oldest output that nobody reads, count it, and keep the rest in order", async () => {
    const console_ = new StreamConsole();
    for (let i = 0; i < 6; i++) console_.output(new Uint8Array(MIB).fill(i));
    console_.close();
    expect(console_.droppedBytes).toBe(2 * MIB);
    const kept: Uint8Array[] = [];
    for await (const chunk of console_.readable) kept.push(chunk);
    const all = Buffer.concat(kept);
    expect(all.length).toBe(4 * MIB);
    expect([all[0], all[MIB], all[4 * MIB - 1]]).toEqual([2, 3, 5]);
  });

  it("cost the host no more for a byte at a time, and drop to the byte", async () => {
    const console_ = new StreamConsole();
    const total = 6 * MIB + 5;
    const used = (): number => process.memoryUsage().heapUsed + process.memoryUsage().arrayBuffers;
    const before = used();
    for (let i = 0; i < total; i++) console_.output(Uint8Array.of(i % 251));
    // With what the collector has not come to yet; an object a byte would be hundreds.
    expect(used() - before).toBeLessThan(64 * MIB);
    expect(console_.droppedBytes).toBe(total - 4 * MIB);
    console_.close();
    let at = total - 4 * MIB;
    for await (const chunk of console_.readable)
      for (const byte of chunk) if (byte !== at++ % 251) expect.unreachable();
    expect(at).toBe(total);
  });

  it("hand output to a waiting reader at once, and end when closed", async () => {
    const console_ = new StreamConsole();
    const reader = console_.readable.getReader();
    const first = reader.read();
    console_.output(Uint8Array.of(1, 2));
    expect(await first).toEqual({ done: false, value: Uint8Array.of(1, 2) });
    const last = reader.read();
    console_.close();
    expect((await last).done).toBe(true);
  });

  it("forget output after the reader has cancelled", async () => {
    const console_ = new StreamConsole();
    await console_.readable.cancel();
    console_.output(new Uint8Array(8 * MIB));
    console_.close();
    expect(console_.droppedBytes).toBe(0);
  });

  it("send what is written to every listener until it is disposed of", () => {
    const console_ = new StreamConsole();
    const heard: number[] = [];
    const listener = console_.onInput((bytes) => heard.push(...bytes));
    console_.write("ab");
    listener.dispose();
    console_.write("c");
    expect(heard).toEqual([0x61, 0x62]);
  });
});
