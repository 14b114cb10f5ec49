// Switches and links: who gets which frame, when, and how many get lost.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { capturedBackend, pcapHeader } from "../../../src/backends/network/pcap.ts";
import { type NetworkPort, VirtualNetwork } from "../../../src/backends/network/virtual-network.ts";
import { VmError } from "../../../src/vmm/error.ts";
import type { LinkSettings } from "../../../src/vmm/network.ts";
import { ManualClock } from "./manual-clock.ts";

const BROADCAST = [255, 255, 255, 255, 255, 255];
const mac = (n: number): number[] => [2, 0, 0, 0, n >> 8, n & 255];
const frame = (to: number[], from: number[], number = 0, length = 60): Uint8Array => {
  const bytes = new Uint8Array(length);
  bytes.set([...to, ...from, 0x88, 0xb5, number >> 8, number & 255]);
  return bytes;
};

/** A card that remembers what came, and when. */
class Card {
  readonly got: { number: number; atNs: number }[] = [];
  constructor(
    readonly port: NetworkPort,
    readonly address: number[],
    clock: ManualClock,
  ) {
    port.onReceive((bytes) =>
      this.got.push({ number: ((bytes[14] ?? 0) << 8) | (bytes[15] ?? 0), atNs: clock.nowNs() }),
    );
  }
  send(to: number[], number = 0, length = 60): void {
    this.port.send(frame(to, this.address, number, length));
  }
  get numbers(): number[] {
    return this.got.map(({ number }) => number);
  }
}

function make(switches: string[], seed = 1) {
  const clock = new ManualClock();
  const network = new VirtualNetwork({ clock, seed });
  for (const name of switches) network.addSwitch(name);
  let cards = 0;
  const card = (name: string, link: LinkSettings = {}): Card =>
    new Card(network.connect(name, link), mac(++cards), clock);
  return { clock, network, card };
}

describe("a switch", () => {
  it("floods what it does not know, and sends what it knows to one port alone", () => {
    const { card } = make(["lan"]);
    const [a, b, c] = [card("lan"), card("lan"), card("lan")];
    a.send(b.address, 1);
    expect([a.numbers, b.numbers, c.numbers]).toEqual([[], [1], [1]]);
    b.send(a.address, 2);
    a.send(b.address, 3);
    expect([a.numbers, b.numbers, c.numbers]).toEqual([[2], [1, 3], [1]]);
    c.send(BROADCAST, 4);
    expect([a.numbers, b.numbers, c.numbers]).toEqual([[2, 4], [1, 3, 4], [1]]);
  });

  it("learns that a card has moved, forgets who left and who was silent for long", () => {
    const { card, clock } = make(["lan"]);
    const [a, b, c] = [card("lan"), card("lan"), card("lan")];
    a.send(BROADCAST, 1);
    // The same address from another port: a moved guest.
    c.port.send(frame(BROADCAST, a.address, 2));
    b.send(a.address, 3);
    expect(c.numbers).toContain(3);
    expect(a.numbers).not.toContain(3);
    clock.advanceMs(301_000);
    b.send(a.address, 4);
    expect(a.numbers).toContain(4);
    c.port[Symbol.dispose]();
    b.send(a.address, 5);
    expect(a.numbers).toContain(5);
    expect(c.numbers).not.toContain(5);
  });

  it("keeps what is for the next switch alone, and malformed frames", () => {
    const { card } = make(["lan"]);
    const [a, b] = [card("lan"), card("lan")];
    a.send([0x01, 0x80, 0xc2, 0, 0, 0], 1);
    a.port.send(new Uint8Array(13));
    a.port.send(new Uint8Array(70_000));
    expect(b.numbers).toEqual([]);
  });

  it("forgets the oldest of a guest's made-up addresses, and no more than it must", () => {
    const { card, network } = make(["lan"]);
    const [a, b] = [card("lan"), card("lan")];
    for (let i = 0; i < 10_000; i++) a.port.send(frame(BROADCAST, [2, 1, 0, 0, i >> 8, i & 255]));
    expect(network.switches[0]?.addresses).toBe(4096);
    b.send(BROADCAST, 1);
    a.send(b.address, 2);
    expect(b.numbers.at(-1)).toBe(2);
  });
});

describe("linked switches", () => {
  it("carry frames over any tree, once each", () => {
    const { card, network } = make(["a", "b", "c"]);
    network.link("a", "b");
    network.link("b", "c");
    const [one, two, three] = [card("a"), card("b"), card("c")];
    one.send(BROADCAST, 1);
    expect([two.numbers, three.numbers]).toEqual([[1], [1]]);
    three.send(one.address, 2);
    expect([one.numbers, two.numbers]).toEqual([[2], [1]]);
  });

  it("block a link that closes a circle, and use it when another one fails", () => {
    const { card, network } = make(["a", "b", "c"]);
    const first = network.link("a", "b");
    network.link("b", "c");
    const spare = network.link("c", "a");
    expect([first.blocked, spare.blocked]).toEqual([false, true]);
    const [one, two] = [card("a"), card("b")];
    one.send(BROADCAST, 1);
    expect(two.numbers).toEqual([1]);
    two.send(one.address, 2);
    first.setLink(false);
    expect(spare.blocked).toBe(false);
    one.send(two.address, 3);
    expect(two.numbers).toEqual([1, 3]);
    first.setLink(true);
    expect([first.blocked, spare.blocked]).toEqual([false, true]);
    first[Symbol.dispose]();
    expect(spare.blocked).toBe(false);
    two.send(one.address, 4);
    expect(one.numbers.at(-1)).toBe(4);
  });

  it("are refused by name where a name or a setting is wrong", () => {
    const { network } = make(["a", "b"]);
    const message = (act: () => unknown): string => {
      try {
        act();
      } catch (error) {
        return error instanceof VmError ? error.message : String(error);
      }
      return "";
    };
    expect(message(() => network.connect("c"))).toBe('There is no switch "c"; there are: a, b.');
    expect(message(() => network.link("a", "a"))).toContain("joins two switches");
    expect(message(() => network.addSwitch("a"))).toContain('a switch "a" already');
    expect(message(() => network.connect("a", { loss: 2 }))).toBe("link.loss is 2; accepted: a number from 0 to 1.");
    expect(message(() => network.connect("a", { bitsPerSecond: 0 }))).toContain("link.bitsPerSecond is 0");
  });
});

describe("a link", () => {
  it("delays by latency and by what its bandwidth takes, in order", () => {
    const { card, clock } = make(["lan"]);
    const a = card("lan", { bitsPerSecond: 1_000_000, latencyMs: 10 });
    const b = card("lan");
    for (let i = 1; i <= 3; i++) a.send(b.address, i, 1226);
    clock.advanceMs(1000);
    // 1250 bytes with framing are 10 ms at a megabit a second.
    expect(b.got.map(({ atNs }) => Math.round(atNs / 1e6))).toEqual([20, 30, 40]);
    expect(b.numbers).toEqual([1, 2, 3]);
  });

  it("drops what its queue has no room for", () => {
    const { card, clock } = make(["lan"]);
    const a = card("lan", { bitsPerSecond: 1_000_000, queueBytes: 4100 });
    const b = card("lan");
    for (let i = 1; i <= 10; i++) a.send(b.address, i, 1000);
    clock.advanceMs(1000);
    expect(b.numbers).toEqual([1, 2, 3, 4]);
    expect(a.port.counts.sent.dropped).toBe(6);
  });

  it("loses as many as it is told to, the same ones for the same seed, and never lets one overtake", () => {
    const run = (seed: number) => {
      const { card, clock } = make(["lan"], seed);
      const a = card("lan", { loss: 0.2, latencyMs: 5, jitterMs: 20 });
      const b = card("lan");
      for (let i = 0; i < 5000; i++) {
        a.send(b.address, i);
        clock.advanceMs(1);
      }
      clock.advanceMs(100);
      return b.got;
    };
    const got = run(7);
    expect(got.length).toBeGreaterThan(5000 * 0.77);
    expect(got.length).toBeLessThan(5000 * 0.83);
    expect(got.every(({ number }, i) => i === 0 || number > (got[i - 1]?.number ?? 0))).toBe(true);
    expect(run(7)).toEqual(got);
    expect(run(8)).not.toEqual(got);
  });

  it("tells its card when the cable is pulled, and loses what was in it", () => {
    const { card, clock } = make(["lan"]);
    const a = card("lan", { latencyMs: 10 });
    const b = card("lan");
    const seen: boolean[] = [];
    a.port.onLink((up) => seen.push(up));
    a.send(b.address, 1);
    a.port.setLink(false);
    a.send(b.address, 2);
    clock.advanceMs(20);
    a.port.setLink(true);
    a.send(b.address, 3);
    clock.advanceMs(20);
    expect(b.numbers).toEqual([3]);
    expect(seen).toEqual([false, true]);
  });
});

const hasTcpdump = ((): boolean => {
  try {
    execFileSync("tcpdump", ["--version"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
})();

describe("a capture", () => {
  it.runIf(hasTcpdump)("is what tcpdump reads: every frame of both directions, with its time", () => {
    const { card } = make(["lan"]);
    const [a, b] = [card("lan"), card("lan")];
    const pieces: Uint8Array[] = [pcapHeader()];
    let timeMs = 1_700_000_000_123.25;
    const captured = capturedBackend(
      a.port,
      (bytes) => pieces.push(bytes),
      () => timeMs,
    );
    const got: number[] = [];
    captured.onReceive((bytes) => got.push(bytes[15] ?? 0));
    captured.send(frame(BROADCAST, a.address, 1, 100));
    timeMs += 2;
    b.send(a.address, 2, 64);
    expect(got).toEqual([2]);
    const folder = mkdtempSync(join(tmpdir(), "paravane-pcap-"));
    try {
      const file = join(folder, "net.pcap");
      writeFileSync(file, Buffer.concat(pieces));
      const text = execFileSync("tcpdump", ["-tt", "-nn", "-e", "-r", file], { stdio: ["ignore", "pipe", "ignore"] });
      const lines = text.toString().trim().split("\n");
      expect(readFileSync(file).length).toBe(24 + 16 + 100 + 16 + 64);
      expect(lines.filter((line) => line.includes("ethertype"))).toHaveLength(2);
      expect(lines[0]).toMatch(/^1700000000\.12325\d* 02:00:00:00:00:01 > ff:ff:ff:ff:ff:ff.*length 100/);
      expect(lines.find((line) => line.startsWith("1700000000.12525"))).toContain(
        "02:00:00:00:00:02 > 02:00:00:00:00:01",
      );
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
