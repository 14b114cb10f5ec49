// The gateway's end of guests' TCP connections, against a small TCP of the test's own, with and without a bad line.
import { describe, expect, it } from "vitest";
import { ETHERNET_HEADER } from "../../../src/backends/network/frame.ts";
import { readIpv4 } from "../../../src/backends/network/ipv4.ts";
import { ACK, advance, FIN, PSH, RST, readTcp, SYN } from "../../../src/backends/network/user/tcp-segment.ts";
import { Random } from "../../../src/host/sched/sim/random.ts";
import { SmallTcp } from "./small-tcp.ts";
import { type FakeStream, GATEWAY, UserGuest } from "./user-guest.ts";

const bytes = (length: number, seed = 1): Uint8Array =>
  Uint8Array.from({ length }, (_, i) => (i * seed + (i >> 8)) & 255);

/** An open connection; the guest's side is played segment by segment. */
function open(options: { mss?: number; windowScale?: number; window?: number } = {}) {
  const guest = new UserGuest();
  guest.announce();
  guest.packets();
  const ports = { sourcePort: 4000, target: GATEWAY, targetPort: 80 };
  const { window = 8000, mss = 1000, windowScale } = options;
  let sequence = 1000;
  const send = (flags: number, acknowledgement: number, payload: Uint8Array = new Uint8Array(0), at = sequence) =>
    guest.sendTcp(ports, {
      sequence: at,
      acknowledgement,
      flags,
      window,
      payload,
      ...(flags & SYN ? { mss, windowScale } : {}),
    });
  send(SYN, 0);
  sequence++;
  const stream = guest.sockets.streams[0] as FakeStream;
  expect(guest.packets()).toEqual([]);
  stream.events.connected();
  const [answer] = guest.segments();
  const first = advance(answer?.sequence ?? 0, 1);
  expect(answer).toMatchObject({ flags: SYN | ACK, acknowledgement: 1001, mss: 1460 });
  send(ACK, first);
  return {
    guest,
    stream,
    first,
    answer,
    send: (flags: number, acknowledgement: number, payload?: Uint8Array, at?: number) => {
      send(flags, acknowledgement, payload, at);
      if (at === undefined) sequence += (payload?.length ?? 0) + (flags & FIN ? 1 : 0);
    },
    get sequence() {
      return sequence;
    },
  };
}

describe("a connection", () => {
  it("is answered when the host's stands, and refused when that is", () => {
    const { stream, answer } = open();
    expect([stream.address, stream.port]).toEqual(["127.0.0.1", 80]);
    expect(answer?.windowScale).toBeUndefined();
    expect(open({ windowScale: 7 }).answer?.windowScale).toBe(3);
    const guest = new UserGuest();
    guest.announce();
    guest.packets();
    guest.sendTcp(
      { sourcePort: 4000, target: GATEWAY, targetPort: 80 },
      { sequence: 5, acknowledgement: 0, flags: SYN, window: 100, payload: new Uint8Array(0) },
    );
    guest.sockets.streams[0]?.fail("refused");
    expect(guest.segments()).toMatchObject([{ flags: RST | ACK, acknowledgement: 6, sequence: 0 }]);
    expect(guest.network.metrics()["tcpConnections"]).toBe(0);
  });

  it("carries bytes both ways, and closes half by half, whoever begins", () => {
    const guestFirst = open();
    guestFirst.send(ACK | PSH, guestFirst.first, Buffer.from("question"));
    expect(guestFirst.stream.text).toBe("question");
    guestFirst.send(ACK | FIN, guestFirst.first);
    expect(guestFirst.stream.hasEnded).toBe(true);
    guestFirst.stream.events.data(bytes(1500));
    guestFirst.guest.packets();
    guestFirst.send(ACK, advance(guestFirst.first, 1500));
    guestFirst.stream.events.ended();
    expect(guestFirst.guest.segments()).toMatchObject([
      { flags: FIN | ACK, sequence: advance(guestFirst.first, 1500) },
    ]);
    guestFirst.send(ACK, advance(guestFirst.first, 1501));
    expect(guestFirst.guest.network.metrics()["tcpConnections"]).toBe(0);
    expect(guestFirst.stream.wasReset).toBe(false);

    const hostFirst = open();
    hostFirst.stream.events.data(Buffer.from("bye"));
    hostFirst.stream.events.ended();
    hostFirst.guest.packets();
    hostFirst.send(ACK, advance(hostFirst.first, 4));
    hostFirst.send(ACK | PSH, advance(hostFirst.first, 4), Buffer.from("one more thing"));
    expect(hostFirst.stream.text).toBe("one more thing");
    hostFirst.send(ACK | FIN, advance(hostFirst.first, 4));
    expect(hostFirst.stream.hasEnded).toBe(true);
    expect(hostFirst.guest.segments().at(-1)).toMatchObject({ flags: ACK, acknowledgement: hostFirst.sequence });
    // Its last acknowledgement may get lost: the FIN comes again, and is answered again.
    hostFirst.send(ACK | FIN, advance(hostFirst.first, 4), undefined, hostFirst.sequence - 1);
    expect(hostFirst.guest.segments()).toMatchObject([{ flags: ACK, acknowledgement: hostFirst.sequence }]);
    hostFirst.guest.clock.advanceMs(5000);
    expect(hostFirst.guest.network.metrics()["tcpConnections"]).toBe(0);
  });

  it("is reset from either side, by an exact number only", () => {
    const byGuest = open();
    byGuest.send(RST, 0, undefined, byGuest.sequence + 5);
    expect(byGuest.stream.wasReset).toBe(false);
    expect(byGuest.guest.segments()).toMatchObject([{ flags: ACK }]);
    byGuest.send(RST, 0);
    expect(byGuest.stream.wasReset).toBe(true);
    const byHost = open();
    byHost.stream.fail("reset");
    expect(byHost.guest.segments()).toMatchObject([{ flags: RST | ACK, sequence: byHost.first }]);
    byHost.send(ACK | PSH, byHost.first, Buffer.from("late"));
    expect(byHost.guest.segments()).toMatchObject([{ flags: RST, sequence: byHost.first }]);
  });

  it("sends no more than the guest's window, asks when that is closed, and goes on when it opens", () => {
    const { guest, stream, first, send } = open({ window: 2500 });
    stream.events.data(bytes(6000));
    expect(guest.segments().map(({ payload }) => payload.length)).toEqual([1000, 1000]);
    guest.sendTcp(
      { sourcePort: 4000, target: GATEWAY, targetPort: 80 },
      { sequence: 1001, acknowledgement: advance(first, 2000), flags: ACK, window: 0, payload: new Uint8Array(0) },
    );
    expect(guest.segments()).toEqual([]);
    guest.clock.advanceMs(250);
    expect(guest.segments().map(({ payload }) => payload.length)).toEqual([1]);
    guest.clock.advanceMs(450);
    expect(guest.segments().map(({ payload }) => payload.length)).toEqual([1]);
    send(ACK, advance(first, 2001));
    expect(guest.segments().map(({ payload, sequence }) => [sequence, payload.length])).toEqual([
      [advance(first, 2001), 1000],
      [advance(first, 3001), 1000],
    ]);
  });

  it("sends again what is not acknowledged, ever more seldom, and gives up in the end", () => {
    const { guest, stream } = open();
    stream.events.data(Buffer.from("anybody there?"));
    const times: number[] = [];
    guest.onFrame = () => times.push(Math.round(guest.clock.nowNs() / 1e6));
    stream.events.data(new Uint8Array(0));
    for (let i = 0; i < 600; i++) guest.clock.advanceMs(1000);
    expect(times.slice(0, 4)).toEqual([1000, 3000, 7000, 15_000]);
    expect(stream.wasReset).toBe(true);
    expect(guest.network.metrics()["tcpConnections"]).toBe(0);
  });

  it("sends a lost segment again after three acknowledgements of the same", () => {
    const { guest, stream, first, send } = open();
    stream.events.data(bytes(6000));
    expect(guest.segments()).toHaveLength(6);
    for (let i = 0; i < 3; i++) send(ACK, advance(first, 1000));
    expect(guest.segments()).toEqual([]);
    send(ACK, advance(first, 1000));
    expect(guest.segments()).toMatchObject([{ sequence: advance(first, 1000) }]);
    send(ACK, advance(first, 6000));
    expect(guest.segments()).toEqual([]);
  });

  it("puts in order what comes out of order, and takes no byte twice", () => {
    const { guest, stream, first, send } = open();
    const data = bytes(300);
    const at = 1001;
    send(ACK, first, data.subarray(200, 300), at + 200);
    send(ACK, first, data.subarray(100, 200), at + 100);
    expect(stream.text).toBe("");
    expect(guest.segments()).toMatchObject([{ acknowledgement: at }, { acknowledgement: at }]);
    send(ACK, first, data.subarray(0, 150), at);
    expect(Buffer.concat(stream.written)).toEqual(Buffer.from(data));
    send(ACK, first, data, at);
    expect(Buffer.concat(stream.written).length).toBe(300);
    expect(guest.segments().at(-1)?.acknowledgement).toBe(at + 300);
  });

  it("promises a guest no more room than the host has, and says when there is room again", () => {
    const { guest, stream, first, send } = open();
    let sent = 0;
    for (; sent < 200_000; sent += 1000) {
      stream.waitingBytes = sent + 1000;
      send(ACK | PSH, first, bytes(1000));
      const window = guest.segments().at(-1)?.window ?? 0;
      if (window < 1000) break;
    }
    expect(sent).toBeGreaterThan(60_000);
    expect(sent).toBeLessThan(66_000);
    expect(Buffer.concat(stream.written).length).toBeLessThanOrEqual(65_535);
    stream.waitingBytes = 0;
    stream.events.drained();
    expect(guest.segments().at(-1)?.window).toBeGreaterThan(60_000);
  });

  it("does not read more from the host than the guest may still take", () => {
    const { guest, stream, first, send } = open({ windowScale: 0 });
    let pushed = 0;
    while (stream.reading && pushed < 10_000_000) {
      stream.events.data(new Uint8Array(16_384));
      pushed += 16_384;
    }
    expect(pushed).toBeLessThan(300_000);
    for (let taken = 0; taken < pushed; ) {
      for (const { payload } of guest.segments()) taken += payload.length;
      send(ACK, advance(first, taken));
    }
    expect(stream.reading).toBe(true);
  });
});

describe("a forwarded port", () => {
  it("connects to the guest, asking for its address first", async () => {
    const guest = new UserGuest({ forwards: [{ protocol: "tcp", hostPort: 2222, guestPort: 22 }] });
    await guest.network.open();
    const taken: FakeStream[] = [];
    const { FakeStream: Stream } = await import("./user-guest.ts");
    const accepted = guest.sockets.accepting.get(2222)?.((events) => {
      const stream = new Stream("peer", 1, events);
      taken.push(stream);
      return stream;
    });
    expect(accepted).toBe(true);
    const [arp] = guest.arps();
    expect(arp?.subarray(38, 42)).toEqual(Uint8Array.of(10, 0, 2, 15));
    guest.announce();
    guest.packets();
    taken[0]?.events.data(Buffer.from("early"));
    guest.clock.advanceMs(1100);
    const [syn] = guest.segments();
    expect(syn).toMatchObject({ flags: SYN, targetPort: 22 });
    const ends = { sourcePort: 22, target: GATEWAY, targetPort: syn?.sourcePort ?? 0 };
    const next = advance(syn?.sequence ?? 0, 1);
    guest.sendTcp(ends, {
      sequence: 77,
      acknowledgement: next,
      flags: SYN | ACK,
      window: 5000,
      payload: new Uint8Array(0),
      mss: 1400,
    });
    const got = guest.segments();
    expect(Buffer.concat(got.map(({ payload }) => payload)).toString()).toBe("early");
    guest.sendTcp(ends, {
      sequence: 78,
      acknowledgement: advance(next, 5),
      flags: ACK | PSH,
      window: 5000,
      payload: Buffer.from("220 ready"),
    });
    expect(taken[0]?.text).toBe("220 ready");
    guest.network[Symbol.dispose]();
    expect(guest.sockets.accepting.size).toBe(0);
    expect(taken[0]?.wasReset).toBe(true);
  });

  it("resets who connects when nobody in the guest listens, or no guest is there", async () => {
    const guest = new UserGuest({ forwards: [{ protocol: "tcp", hostPort: 2222, guestPort: 22 }] });
    await guest.network.open();
    guest.announce();
    guest.packets();
    const { FakeStream: Stream } = await import("./user-guest.ts");
    const streams: FakeStream[] = [];
    const connect = () =>
      guest.sockets.accepting.get(2222)?.((events) => {
        const stream = new Stream("peer", 1, events);
        streams.push(stream);
        return stream;
      });
    connect();
    const [syn] = guest.segments();
    const ends = { sourcePort: 22, target: GATEWAY, targetPort: syn?.sourcePort ?? 0 };
    guest.sendTcp(ends, {
      sequence: 0,
      acknowledgement: advance(syn?.sequence ?? 0, 1),
      flags: RST | ACK,
      window: 0,
      payload: new Uint8Array(0),
    });
    expect(streams[0]?.wasReset).toBe(true);
    connect();
    guest.clock.advanceMs(120_000);
    expect(streams[1]?.wasReset).toBe(true);
  });
});

describe("over a bad line", () => {
  it.each([1, 2, 3, 4, 5, 6, 7, 8])("both directions arrive whole (seed %i)", (seed) => {
    const random = new Random(seed);
    const guest = new UserGuest();
    guest.announce();
    guest.packets();
    const up = bytes(20_000 + seed * 777, 7);
    const down = bytes(60_000 + seed * 331, 3);
    const tcp = new SmallTcp(guest, 4000 + seed, up, 300 + seed * 100);
    const lossy = (): boolean => random.uniform() < 0.15;
    // What the guest sends may get lost, or come twice.
    const { send } = guest.network;
    guest.network.send = (frame) => {
      if (lossy()) return;
      send.call(guest.network, frame);
      if (random.uniform() < 0.05) send.call(guest.network, frame);
    };
    const held: Uint8Array[] = [];
    guest.onFrame = (frame) => {
      if (lossy()) return;
      // And what it is sent may come out of order.
      if (random.uniform() < 0.1) held.unshift(frame.slice());
      else held.push(frame.slice());
    };
    let stream: FakeStream | undefined;
    let given = 0;
    for (let turn = 0; turn < 40_000 && !(tcp.isDone && stream?.hasEnded); turn++) {
      for (const frame of held.splice(0)) {
        const packet = readIpv4(frame.subarray(ETHERNET_HEADER));
        const segment = packet && readTcp(packet.payload, packet.source, packet.target);
        if (segment !== undefined) tcp.input(segment);
      }
      if (stream === undefined && guest.sockets.streams[0] !== undefined) {
        stream = guest.sockets.streams[0];
        stream.events.connected();
      }
      if (stream?.reading && given < down.length) {
        stream.events.data(down.slice(given, given + 4096));
        given += 4096;
        if (given >= down.length) stream.events.ended();
      }
      tcp.poll();
      guest.clock.advanceMs(20);
    }
    expect(tcp.isDone).toBe(true);
    expect(tcp.wasReset).toBe(false);
    expect(Buffer.from(tcp.received).equals(Buffer.from(down))).toBe(true);
    expect(Buffer.concat(stream?.written ?? []).equals(Buffer.from(up))).toBe(true);
  });
});
