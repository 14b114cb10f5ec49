// The gateway of a user network: addresses, names, time, and what goes where.
import { describe, expect, it } from "vitest";
import { PROTOCOL_ICMP, PROTOCOL_TCP } from "../../../src/backends/network/ipv4.ts";
import { parseRule } from "../../../src/backends/network/user/destinations.ts";
import { checkUserNetwork } from "../../../src/backends/network/user/settings.ts";
import { ntpRequest, readNtpAnswer } from "../../../src/host/clock/ntp.ts";
import { onesComplementSum, put16 } from "../../../src/vmm/network-bytes.ts";
import { GATEWAY, GATEWAY_MAC, GUEST, GUEST_MAC, ip, UserGuest } from "./user-guest.ts";

const BROADCAST = new Uint8Array(6).fill(255);
const EVERYBODY = 0xffffffff;

/** A DHCP message of that type, with more options. */
function dhcp(type: number, ...options: number[]): Uint8Array {
  const message = new Uint8Array(300);
  message.set([1, 1, 6, 0, 1, 2, 3, 4]);
  message.set(GUEST_MAC, 28);
  message.set([0x63, 0x82, 0x53, 0x63, 53, 1, type, ...options, 255], 236);
  return message;
}

function options(message: Uint8Array): Map<number, number[]> {
  const found = new Map<number, number[]>();
  for (let at = 240; message[at] !== 255; at += 2 + (message[at + 1] ?? 0))
    found.set(message[at] ?? 0, [...message.subarray(at + 2, at + 2 + (message[at + 1] ?? 0))]);
  return found;
}

function ask(guest: UserGuest, message: Uint8Array) {
  guest.sendUdp({ source: 0, sourcePort: 68, target: EVERYBODY, targetPort: 67, data: message }, BROADCAST);
  const [datagram] = guest.datagrams();
  return datagram && { ...datagram, yours: datagram.data.subarray(16, 20).join("."), options: options(datagram.data) };
}

function query(name: string, type = 1): Uint8Array {
  const labels = name.split(".").flatMap((label) => [label.length, ...Buffer.from(label)]);
  return Uint8Array.of(0xab, 0xcd, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, ...labels, 0, 0, type, 0, 1);
}

describe("the gateway", () => {
  it("answers ARP for its own addresses alone", () => {
    const guest = new UserGuest();
    guest.announce();
    const [reply] = guest.arps();
    expect(reply?.subarray(0, 12)).toEqual(Uint8Array.of(...GUEST_MAC, ...GATEWAY_MAC));
    expect(reply?.subarray(20, 32)).toEqual(Uint8Array.of(0, 2, ...GATEWAY_MAC, 10, 0, 2, 2));
  });

  it("gives an address with all that a guest needs, the same one to the same card", () => {
    const guest = new UserGuest({ hostname: "box", domain: "example.org" });
    const offer = ask(guest, dhcp(1));
    expect(offer).toMatchObject({ sourcePort: 67, targetPort: 68, source: GATEWAY, yours: "10.0.2.15" });
    expect(offer?.options.get(53)).toEqual([2]);
    const ack = ask(guest, dhcp(3, 50, 4, 10, 0, 2, 15, 54, 4, 10, 0, 2, 2));
    expect(ack?.options.get(53)).toEqual([5]);
    expect(ack?.options.get(1)).toEqual([255, 255, 255, 0]);
    expect(ack?.options.get(3)).toEqual([10, 0, 2, 2]);
    expect(ack?.options.get(6)).toEqual([10, 0, 2, 3]);
    expect(ack?.options.get(28)).toEqual([10, 0, 2, 255]);
    expect(ack?.options.get(42)).toEqual([10, 0, 2, 2]);
    expect(Buffer.from(ack?.options.get(12) ?? []).toString()).toBe("box");
    expect(Buffer.from(ack?.options.get(15) ?? []).toString()).toBe("example.org");
    expect(ask(guest, dhcp(3, 50, 4, 10, 0, 2, 99))?.options.get(53)).toEqual([6]);
    const other = dhcp(1);
    other[33] = 9;
    expect(ask(guest, other)?.yours).toBe("10.0.2.16");
    expect(ask(guest, dhcp(1))?.yours).toBe("10.0.2.15");
  });

  it("has an address for every card, however many a guest makes up", () => {
    const guest = new UserGuest();
    for (let i = 0; i < 2000; i++) {
      const message = dhcp(1);
      message.set([i >> 8, i & 255], 32);
      expect(ask(guest, message)?.yours).toMatch(/^10\.0\.2\.\d+$/);
    }
    expect(guest.network.metrics()["leases"]).toBe(240);
  });

  it("says what boots over the network", () => {
    const guest = new UserGuest({ tftp: "/srv", bootFile: "boot.ipxe" });
    const offer = ask(guest, dhcp(1));
    expect(offer?.data.subarray(20, 24)).toEqual(Uint8Array.of(10, 0, 2, 2));
    expect(Buffer.from(offer?.data.subarray(108, 117) ?? []).toString()).toBe("boot.ipxe");
    expect(Buffer.from(offer?.options.get(67) ?? []).toString()).toBe("boot.ipxe");
  });

  it("answers pings to itself, large ones in fragments, and says of others that they are not to be had", () => {
    const guest = new UserGuest();
    guest.announce();
    guest.packets();
    const echo = new Uint8Array(4000).fill(0x55);
    echo.set([8, 0, 0, 0]);
    put16(echo, 2, ~onesComplementSum(echo, 0, echo.length));
    guest.sendIpv4(PROTOCOL_ICMP, echo, GATEWAY);
    const packets = guest.packets();
    expect(packets.map(({ offset, more }) => [offset, more])).toEqual([
      [0, true],
      [1480, true],
      [2960, false],
    ]);
    const reply = Buffer.concat(packets.map(({ payload }) => payload));
    expect(reply[0]).toBe(0);
    expect(onesComplementSum(reply, 0, reply.length)).toBe(0xffff);
    guest.sendIpv4(PROTOCOL_ICMP, echo.subarray(0, 64), ip("192.0.2.1"));
    expect(guest.icmp()).toEqual(["3.13"]);
    guest.sendIpv4(99, echo, ip("192.0.2.1"));
    expect(guest.icmp()).toEqual(["3.13"]);
  });

  it("has the host's time by NTP", () => {
    const guest = new UserGuest();
    guest.announce();
    guest.packets();
    const sentNs = 1_700_000_000_000_000_000n;
    guest.sendUdp({ sourcePort: 123, target: GATEWAY, targetPort: 123, data: ntpRequest(sentNs) });
    const [answer] = guest.datagrams();
    const sample = readNtpAnswer(answer?.data ?? new Uint8Array(), sentNs, sentNs);
    expect(sample?.offsetNs).toBeCloseTo(50_000_000e9, -6);
  });

  it("drops what comes from elsewhere, and what is for other guests", () => {
    const guest = new UserGuest();
    guest.announce();
    guest.packets();
    const data = new Uint8Array(4);
    guest.sendUdp({ source: ip("192.168.1.1"), sourcePort: 9, target: ip("192.0.2.1"), targetPort: 9, data });
    guest.sendUdp({ sourcePort: 9, target: ip("10.0.2.77"), targetPort: 9, data });
    guest.sendUdp({ sourcePort: 9, target: ip("127.0.0.1"), targetPort: 9, data });
    guest.sendUdp({ sourcePort: 9, target: ip("224.0.0.251"), targetPort: 9, data });
    expect(guest.sockets.datagrams).toEqual([]);
    expect(guest.network.metrics()["strangers"]).toBe(1);
  });
});

describe("datagrams", () => {
  it("go out of a socket of their own port, and answers come back from whom they were sent to", () => {
    const guest = new UserGuest();
    guest.announce();
    guest.packets();
    const send = (target: string, text: string) =>
      guest.sendUdp({ sourcePort: 5000, target: ip(target), targetPort: 99, data: Buffer.from(text) });
    send("192.0.2.1", "one");
    send("10.0.2.2", "two");
    expect(
      guest.sockets.datagrams.map(({ address, port, bytes }) => `${address}:${port} ${Buffer.from(bytes)}`),
    ).toEqual(["192.0.2.1:99 one", "127.0.0.1:99 two"]);
    const events = guest.sockets.datagrams[0]?.events;
    events?.data(Buffer.from("answer"), "192.0.2.1", 99);
    events?.data(Buffer.from("local"), "127.0.0.1", 99);
    events?.data(Buffer.from("stranger"), "192.0.2.66", 99);
    expect(
      guest.datagrams().map(({ source, targetPort, data }) => [source, targetPort, `${Buffer.from(data)}`]),
    ).toEqual([
      [ip("192.0.2.1"), 5000, "answer"],
      [GATEWAY, 5000, "local"],
    ]);
  });

  it("have at most so many sockets, and idle ones close", () => {
    const guest = new UserGuest();
    guest.announce();
    for (let port = 1; port <= 5000; port++)
      guest.sendUdp({ sourcePort: port, target: ip("192.0.2.1"), targetPort: 9, data: new Uint8Array(1) });
    expect(guest.sockets.openUdpSockets).toBe(256);
    guest.clock.advanceMs(121_000);
    guest.sendUdp({ sourcePort: 6000, target: ip("192.0.2.1"), targetPort: 9, data: new Uint8Array(1) });
    expect(guest.sockets.openUdpSockets).toBe(1);
    guest.network[Symbol.dispose]();
    expect(guest.sockets.openUdpSockets).toBe(0);
  });

  it("to a forwarded port reach the guest, and its answer who asked", async () => {
    const guest = new UserGuest({ forwards: [{ protocol: "udp", hostPort: 7000, guestPort: 70 }] });
    await guest.network.open();
    guest.announce();
    guest.packets();
    guest.sockets.bound.get(7000)?.data(Buffer.from("hello"), "127.0.0.1", 4321);
    const [asked] = guest.datagrams();
    expect(asked).toMatchObject({ source: GATEWAY, target: GUEST, targetPort: 70 });
    guest.sendUdp({ sourcePort: 70, target: GATEWAY, targetPort: asked?.sourcePort ?? 0, data: Buffer.from("hi") });
    expect(guest.sockets.datagrams.map(({ address, port }) => [address, port])).toEqual([["127.0.0.1", 4321]]);
  });
});

describe("where a guest may go", () => {
  const reach = (allow: string[] | undefined, target: string, port = 80, restrict = false): string => {
    const guest = new UserGuest({ ...(allow ? { allow } : {}), restrict });
    guest.announce();
    guest.packets();
    guest.sendUdp({ sourcePort: 1, target: ip(target), targetPort: port, data: new Uint8Array(1) });
    return guest.sockets.datagrams[0]?.address ?? guest.icmp()[0] ?? "nothing";
  };

  it("is anywhere but the clouds' own services by default, nowhere with restrict, and where rules say", () => {
    expect(reach(undefined, "192.0.2.1")).toBe("192.0.2.1");
    expect(reach(undefined, "10.0.2.2")).toBe("127.0.0.1");
    expect(reach(undefined, "169.254.169.254")).toBe("3.13");
    expect(reach(undefined, "192.0.2.1", 80, true)).toBe("3.13");
    expect(reach(undefined, "10.0.2.2", 80, true)).toBe("3.3");
    expect(reach(["192.0.2.0/24"], "192.0.2.9")).toBe("192.0.2.9");
    expect(reach(["192.0.2.0/24"], "198.51.100.1")).toBe("3.13");
    expect(reach(["192.0.2.1:443"], "192.0.2.1", 80)).toBe("3.13");
    expect(reach(["192.0.2.1:443"], "192.0.2.1", 443)).toBe("192.0.2.1");
    expect(reach(["0.0.0.0/0"], "169.254.169.254")).toBe("3.13");
    expect(reach(["169.254.169.254"], "169.254.169.254")).toBe("169.254.169.254");
    expect(reach(["192.0.2.1"], "10.0.2.2")).toBe("3.3");
    expect(reach(["host:8080"], "10.0.2.2", 8080)).toBe("127.0.0.1");
    expect(reach(["host:8080"], "10.0.2.2", 8081)).toBe("3.3");
  });

  it("by name is where the name server says that the name is", () => {
    const guest = new UserGuest({ allow: ["*.example.org:80", "host"] });
    guest.announce();
    guest.packets();
    const lookUp = (name: string) => {
      guest.sendUdp({ sourcePort: 99, target: ip("10.0.2.3"), targetPort: 53, data: query(name) });
      return guest.datagrams()[0]?.data;
    };
    expect((lookUp("elsewhere.org")?.[3] ?? 0) & 15).toBe(5);
    expect(guest.sockets.datagrams).toEqual([]);
    expect(lookUp("www.example.org")).toBeUndefined();
    const [forwarded] = guest.sockets.datagrams.splice(0);
    expect(forwarded).toMatchObject({ address: "192.0.2.53", port: 53 });
    const answer = Uint8Array.of(...(forwarded?.bytes ?? []), 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 198, 51, 100, 7);
    answer.set([0x81, 0x80, 0, 1, 0, 1], 2);
    // Somebody else cannot answer, nor one who does not know the number.
    forwarded?.events.data(answer, "192.0.2.99", 53);
    const wrong = answer.slice();
    wrong[0] = (wrong[0] ?? 0) ^ 1;
    forwarded?.events.data(wrong, "192.0.2.53", 53);
    expect(guest.datagrams()).toEqual([]);
    forwarded?.events.data(answer, "192.0.2.53", 53);
    expect(guest.datagrams()[0]?.data.subarray(0, 2)).toEqual(Uint8Array.of(0xab, 0xcd));
    const go = (port: number) =>
      guest.sendUdp({ sourcePort: 98, target: ip("198.51.100.7"), targetPort: port, data: new Uint8Array(1) });
    go(80);
    go(81);
    expect(guest.sockets.datagrams.map(({ address, port }) => `${address}:${port}`)).toEqual(["198.51.100.7:80"]);
    expect(guest.icmp()).toEqual(["3.13"]);
  });

  it("names only, addresses and ports that are ones are rules", () => {
    for (const rule of [
      "192.0.2.0/24",
      "10.1.2.3:80",
      "example.org",
      "*.example.org:443",
      "host",
      "host:22",
      "0.0.0.0/0",
    ])
      expect(parseRule(rule), rule).toBeDefined();
    for (const rule of ["", "*", "192.0.2.0/33", "300.1.1.1", "-x.org", "a..b", "host:0", "x:70000", "*.*.org"])
      expect(parseRule(rule), rule).toBeUndefined();
  });

  it("refuses settings by name", () => {
    const message = (settings: Parameters<typeof checkUserNetwork>[0]): string => {
      try {
        checkUserNetwork(settings);
      } catch (error) {
        return error instanceof Error ? error.message : "";
      }
      return "accepted";
    };
    expect(message({ net: "10.0.2.0/8" })).toContain('net is "10.0.2.0/8"');
    expect(message({ host: "10.9.9.9" })).toContain("host is");
    expect(message({ dns: "10.0.2.2" })).toContain("dns is");
    expect(message({ dhcpStart: "10.0.2.255" })).toContain("dhcpStart is");
    expect(message({ allow: ["*"] })).toContain("allow[0] is");
    expect(message({ allow: [], restrict: true })).toContain("allow is");
    expect(message({ bootFile: "x" })).toContain("bootFile is");
    expect(message({ forwards: [{ protocol: "tcp", hostPort: 80, guestPort: 0 }] })).toContain(
      "forwards[0].guestPort is 0",
    );
    expect(message({ net: "192.168.7.0/29" })).toBe("accepted");
    expect(message({})).toBe("accepted");
  });

  it("goes no further for a packet that was on its way for too long", () => {
    const guest = new UserGuest();
    guest.announce();
    guest.packets();
    // ipv4Packets writes a time to live of 64; a route of one hop ends at the gateway.
    guest.network.send(withTtl(guest, 1));
    expect(guest.icmp()).toEqual(["11.0"]);
    expect(guest.sockets.datagrams).toEqual([]);
  });
});

function withTtl(guest: UserGuest, ttl: number): Uint8Array {
  let sent = new Uint8Array();
  const { send } = guest.network;
  guest.network.send = (frame) => {
    sent = frame.slice();
  };
  guest.sendIpv4(PROTOCOL_TCP, new Uint8Array(20), ip("192.0.2.1"));
  guest.network.send = send;
  sent[22] = ttl;
  sent.set([0, 0], 24);
  put16(sent, 24, ~onesComplementSum(sent, 14, 34));
  return sent;
}
