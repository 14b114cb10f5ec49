// The RTL8139 as its drivers see it, register by register; and drivers that do anything.
import { describe, expect, it } from "vitest";
import { fillChecksums } from "../../src/devices/net-offload.ts";
import { COMMAND_IO, COMMAND_MASTER, COMMAND_MEMORY, PCI_COMMAND } from "../../src/devices/pci/function.ts";
import { frameCheckSequence } from "../../src/devices/rtl8139/ethernet-crc.ts";
import { Rtl8139 } from "../../src/devices/rtl8139/rtl8139.ts";
import { Random } from "../../src/host/sched/sim/random.ts";
import type { IoHandler } from "../../src/vmm/device.ts";
import { onesComplementSum } from "../../src/vmm/network-bytes.ts";
import { TestClock, TestMemory } from "./bench-machine.ts";

const MAC = Uint8Array.of(2, 0x70, 0x76, 0, 0, 1);
const RING = 0x10000;
const DESCRIPTORS = 0x30000;
const BUFFER = 0x40000;

function make(plus = true) {
  const memory = new TestMemory();
  const clock = new TestClock();
  const sent: Uint8Array[] = [];
  let deliver: (frame: Uint8Array) => void = () => {};
  const backend = {
    send: (frame: Uint8Array) => void sent.push(frame.slice()),
    onReceive: (listener: (frame: Uint8Array) => void) => {
      deliver = listener;
      return { dispose: () => {} };
    },
  };
  const card = new Rtl8139("card", memory, { backend, clock, mac: MAC, plus });
  let interrupt = false;
  card.pci.attach({
    map: () => ({ unmap: () => {} }),
    setIntx: (_pin, level) => {
      interrupt = level;
    },
  });
  card.pci.writeConfig(PCI_COMMAND, 2, COMMAND_IO | COMMAND_MEMORY | COMMAND_MASTER);
  const io = card.pci.barSpec(0)?.handler as IoHandler;
  return {
    card,
    memory,
    clock,
    sent,
    io,
    receive: (frame: Uint8Array) => deliver(frame),
    get interrupt() {
      return interrupt;
    },
    word: (gpa: number) => {
      const bytes = new Uint8Array(4);
      memory.read(gpa, bytes);
      return new DataView(bytes.buffer).getUint32(0, true);
    },
    put: (gpa: number, ...words: number[]) => {
      const bytes = new DataView(new ArrayBuffer(words.length * 4));
      for (const [i, word] of words.entries()) bytes.setUint32(4 * i, word >>> 0, true);
      memory.write(gpa, new Uint8Array(bytes.buffer));
    },
  };
}

const frameTo = (target: ArrayLike<number>, length = 60): Uint8Array => {
  const frame = new Uint8Array(length);
  frame.set(target);
  frame.set([2, 0, 0, 0, 0, 9, 0x88, 0xb5], 6);
  return frame;
};

/** A word of the EEPROM, as Linux reads it. */
function readEeprom(io: IoHandler, word: number): number {
  const write = (pins: number) => io.write(0x50, 1, 0x80 | pins);
  write(0);
  write(8);
  for (let bit = 8; bit >= 0; bit--) {
    const value = ((0b110 << 6) | word) & (1 << bit) ? 2 : 0;
    write(8 | value);
    write(8 | value | 4);
  }
  write(8);
  let value = 0;
  for (let bit = 0; bit < 16; bit++) {
    write(8 | 4);
    value = (value << 1) | (io.read(0x50, 1) & 1);
    write(8);
  }
  write(0);
  return value;
}

describe("an RTL8139", () => {
  it("has its address in registers and EEPROM, and says which chip it is", () => {
    const { io } = make();
    expect(io.read(0, 4)).toBe(0x00767002);
    expect(io.read(4, 2)).toBe(0x0100);
    expect(readEeprom(io, 0)).toBe(0x8129);
    expect([7, 8, 9].map((word) => readEeprom(io, word))).toEqual([0x7002, 0x0076, 0x0100]);
    expect(io.read(0x40, 4)).toBe(0x74800000);
    expect(make(false).io.read(0x40, 4)).toBe(0x74400000);
    expect(io.read(0x64, 2)).toBe(0x782d);
  });

  it("sends from its four descriptors, in order, and interrupts when asked to", () => {
    const bench = make(false);
    const { io, memory, sent } = bench;
    io.write(0x37, 1, 0x0c);
    io.write(0x3c, 2, 0x0004);
    for (let i = 0; i < 6; i++) {
      memory.write(BUFFER, frameTo(MAC, 100 + i));
      const slot = i % 4;
      expect(io.read(0x10 + 4 * slot, 4) & 0x2000).toBe(0x2000);
      io.write(0x20 + 4 * slot, 4, BUFFER);
      io.write(0x10 + 4 * slot, 4, 100 + i);
      expect(io.read(0x10 + 4 * slot, 4) & 0xa000).toBe(0xa000);
    }
    expect(sent.map(({ length }) => length)).toEqual([100, 101, 102, 103, 104, 105]);
    expect(bench.interrupt).toBe(true);
    io.write(0x3e, 2, 0x0004);
    expect(bench.interrupt).toBe(false);
  });

  it("receives into its ring what its filter takes, with a header and a check sequence, and wraps", () => {
    const { io, memory, receive } = make(false);
    io.write(0x30, 4, RING);
    io.write(0x44, 4, 0x0a);
    io.write(0x37, 1, 0x0c);
    expect(io.read(0x37, 1) & 1).toBe(1);
    receive(frameTo([2, 0, 0, 0, 0, 5]));
    expect(io.read(0x37, 1) & 1).toBe(1);
    let at = 0;
    for (let i = 0; i < 100; i++) {
      const frame = frameTo(i % 2 ? MAC : new Uint8Array(6).fill(255), 60 + ((i * 37) % 1400));
      receive(frame);
      const ring = new Uint8Array(8192);
      memory.read(RING, ring);
      const record = Uint8Array.from({ length: 8 + frame.length }, (_, j) => ring[(at + j) % 8192] ?? 0);
      const view = new DataView(record.buffer);
      expect(view.getUint16(0, true)).toBe(i % 2 ? 0x4001 : 0x2001);
      expect(view.getUint16(2, true)).toBe(frame.length + 4);
      expect(record.slice(4, 4 + frame.length)).toEqual(frame);
      expect(view.getUint32(4 + frame.length, true)).toBe(frameCheckSequence(frame));
      at = (at + ((frame.length + 8 + 3) & ~3)) % 8192;
      expect(io.read(0x3a, 2)).toBe(at);
      io.write(0x38, 2, (at - 16) & 0xffff);
    }
    for (let i = 0; i < 10; i++) receive(frameTo(MAC, 1500));
    expect(io.read(0x3e, 2) & 0x10).toBe(0x10);
    expect(io.read(0x4c, 4)).toBe(5);
    // The check sequence of the standard's own example.
    expect(frameCheckSequence(new TextEncoder().encode("123456789"))).toBe(0xcbf43926);
  });

  it("sends and receives by rings of descriptors, and computes the checksums that are left to it", () => {
    const { io, memory, sent, receive, put, word } = make();
    io.write(0xe0, 2, 0x2b);
    io.write(0x20, 4, DESCRIPTORS);
    io.write(0x24, 4, 0);
    io.write(0xe4, 4, DESCRIPTORS + 0x1000);
    io.write(0x37, 1, 0x0c);
    io.write(0x44, 4, 0x0a);
    const packet = frameTo(MAC, 14 + 40 + 26);
    packet.set([8, 0, 0x45, 0, 0, 66, 0, 1, 0x40, 0, 64, 6, 0, 0, 10, 0, 2, 15, 10, 0, 2, 2], 12);
    packet.set([0x50, 0x18], 14 + 20 + 12);
    memory.write(BUFFER, packet);
    put(DESCRIPTORS, 0xa000_0000 | 0x4_0000 | 0x1_0000 | 30, 0, BUFFER, 0);
    put(DESCRIPTORS + 16, 0xd000_0000 | 0x4_0000 | 0x1_0000 | (packet.length - 30), 0, BUFFER + 30, 0);
    io.write(0xd9, 1, 0x40);
    expect(sent).toHaveLength(1);
    const [frame = new Uint8Array()] = sent;
    expect(onesComplementSum(frame, 14, 34)).toBe(0xffff);
    expect(onesComplementSum(frame, 34, frame.length, onesComplementSum(frame, 26, 34) + 6 + 46)).toBe(0xffff);
    // What the driver wrote stays, but that it is the chip's.
    expect(word(DESCRIPTORS + 16)).toBe(0x5005_0000 | (packet.length - 30));
    put(DESCRIPTORS + 0x1000, 0xc000_0000 | 1536, 0, BUFFER, 0);
    receive(frameTo(MAC, 200));
    expect(word(DESCRIPTORS + 0x1000)).toBe(0x7200_0000 | 204);
    receive(frameTo(MAC, 200));
    expect(io.read(0x3e, 2) & 0x10).toBe(0x10);
    const other = frameTo(MAC, 20);
    fillChecksums(other, { ip: true, tcp: true, udp: true });
    expect(other).toEqual(frameTo(MAC, 20));
  });

  it("goes on after a snapshot, and a copy has another address that its driver does not notice", () => {
    const first = make();
    first.io.write(0x37, 1, 0x0c);
    first.io.write(0x44, 4, 0x0a);
    first.io.write(0x30, 4, RING);
    const state = first.card.save();
    const second = make();
    second.card.pci.writeConfig(PCI_COMMAND, 2, COMMAND_MASTER);
    second.card.load(state, 1);
    expect(second.card.save()).toEqual(state);
    second.card.renewIdentity((into) => into.fill(0x44));
    second.memory.write(BUFFER, frameTo(new Uint8Array(6).fill(255)));
    second.memory.write(BUFFER + 6, MAC);
    second.io.write(0x20, 4, BUFFER);
    second.io.write(0x10, 4, 60);
    expect(second.sent[0]?.slice(6, 12)).toEqual(Uint8Array.of(0x46, 0x44, 0x44, 0x44, 0x44, 0x44));
    second.receive(frameTo([0x46, 0x44, 0x44, 0x44, 0x44, 0x44]));
    expect(second.io.read(0x3a, 2)).toBe(68);
    expect(() => second.card.load({ ...state, mac: new Uint8Array(3) }, 1)).toThrow(/mac/);
  });

  it.each([1, 2, 3, 4])("takes any accesses and frames (seed %i)", (seed) => {
    const random = new Random(seed);
    const below = (n: number): number => Math.floor(random.uniform() * n);
    const bench = make(seed % 2 === 0);
    for (let i = 0; i < 5000; i++) {
      const size = [1, 2, 4][below(3)] ?? 1;
      const offset = below(256 - size + 1) & ~(below(4) ? size - 1 : 0);
      const kind = below(10);
      if (kind < 6) bench.io.write(offset, size, below(3) ? random.bits() : below(0x50000));
      else if (kind < 8) expect(bench.io.read(offset, size)).toBeLessThanOrEqual(2 ** (8 * size) - 1);
      else if (kind === 8) bench.receive(frameTo(below(2) ? MAC : new Uint8Array(6).fill(255), 14 + below(2000)));
      else bench.clock.advance(below(1_000_000));
      if (below(50) === 0) bench.io.write(0x37, 1, 0x0c);
      if (below(50) === 0) bench.put(DESCRIPTORS + 16 * below(64), random.bits(), random.bits(), random.bits(), 0);
      if (below(50) === 0) bench.io.write(0x20, 4, DESCRIPTORS);
    }
    bench.io.write(0x37, 1, 0x10);
    expect(bench.io.read(0x37, 1)).toBe(1);
    bench.card.load(bench.card.save(), 1);
  });
});
