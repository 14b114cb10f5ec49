import { describe, expect, it } from "vitest";
import { FwCfg } from "../../src/devices/fw-cfg.ts";
import { plug, TestMemory } from "./bench-machine.ts";

function device() {
  const memory = new TestMemory();
  const fwCfg = new FwCfg({ memory, ramBytes: 64 << 20, cpuCount: 1 });
  const { ports } = plug(fwCfg);
  const select = (item: number): void => ports.write(0x510, 2, item);
  const bytes = (count: number): number[] => Array.from({ length: count }, () => ports.read(0x511, 1));
  /** A DMA request at 0x1000, all fields big endian. Returns the control word afterwards. */
  const dma = (control: number, length: number, address: number): number => {
    const view = new DataView(memory.bytes.buffer);
    view.setUint32(0x1000, control);
    view.setUint32(0x1004, length);
    view.setUint32(0x1008, 0);
    view.setUint32(0x100c, address);
    ports.write(0x514, 4, 0);
    ports.write(0x518, 4, 0x00100000); // 0x1000, big endian
    return view.getUint32(0x1000);
  };
  return { fwCfg, memory, ports, select, bytes, dma };
}
const text = (bytes: number[]): string => String.fromCharCode(...bytes);
const READ = 2;
const SKIP = 4;
const SELECT = 8;

describe("fw_cfg", () => {
  it("lists files with size, selector and name, big endian", () => {
    const { fwCfg, select, bytes } = device();
    fwCfg.addFile("bootorder", Uint8Array.of(1, 2, 3));
    fwCfg.addFile("etc/e820", Uint8Array.of(9));
    select(0x19);
    expect(bytes(4)).toEqual([0, 0, 0, 2]);
    expect(bytes(8)).toEqual([0, 0, 0, 3, 0, 0x20, 0, 0]);
    expect(text(bytes(56)).replaceAll("\0", "")).toBe("bootorder");
    expect(bytes(8)).toEqual([0, 0, 0, 1, 0, 0x21, 0, 0]);
    select(0x21);
    expect(bytes(2)).toEqual([9, 0]);
  });

  it("replaces a file of the same name and refuses names that do not fit", () => {
    const { fwCfg, select, bytes } = device();
    fwCfg.addFile("a", Uint8Array.of(1));
    fwCfg.addFile("a", Uint8Array.of(2, 3));
    select(0x20);
    expect(bytes(3)).toEqual([2, 3, 0]);
    expect(() => fwCfg.addFile("x".repeat(56), new Uint8Array(1))).toThrow(/1 to 55 bytes/);
  });

  it("reads by DMA with select, skip and zero fill, and clears the control word", () => {
    const { fwCfg, memory, dma } = device();
    fwCfg.addFile("f", Uint8Array.of(1, 2, 3, 4, 5, 6));
    memory.bytes.fill(0xee, 0x2000, 0x2010);
    expect(dma(0x20 * 0x10000 + SELECT + SKIP, 2, 0)).toBe(0);
    expect(dma(READ, 2, 0x2000)).toBe(0);
    expect(dma(READ, 5, 0x2004)).toBe(0);
    expect([...memory.bytes.subarray(0x2000, 0x200a)]).toEqual([3, 4, 0xee, 0xee, 5, 6, 0, 0, 0, 0xee]);
  });

  it("refuses writes and transfers of a size that would occupy the host", () => {
    const { dma } = device();
    expect(dma(0x10, 4, 0x2000)).toBe(1);
    expect(dma(SELECT + READ, 0xffffffff, 0x2000)).toBe(1);
  });

  it("survives any request a guest can make", () => {
    const { memory, ports, dma } = device();
    for (let control = 0; control < 32; control++)
      for (const address of [0, 0xfffff, 0x100000, 0xfffffff0]) dma(control, 64, address);
    ports.write(0x514, 4, 0xffffffff);
    ports.write(0x518, 4, 0xffffffff);
    ports.write(0x518, 1, 1);
    expect(memory.bytes.length).toBe(1 << 20);
  });
});
