// Watches on memory and on ports of the core: the guest stops behind the access, exactly, and notices nothing.
import fc from "fast-check";
import { afterEach, describe, expect, it } from "vitest";
import { Debugger } from "../../src/debug/debugger.ts";
import type { MemoryWatch, Vm, VmConfig } from "../../src/index.ts";
import { CODE, codeVm } from "./guest.ts";

const DATA = 0x200000;
const open: Vm[] = [];
afterEach(async () => {
  for (const vm of open.splice(0)) await vm.stop();
});

async function debuggerFor(code: readonly number[], config: Partial<VmConfig> = {}): Promise<Debugger> {
  const vm = await codeVm(code, config);
  open.push(vm);
  return new Debugger(vm);
}

const le32 = (value: number): number[] => [...new Uint8Array(Uint32Array.of(value).buffer)];
/** mov [address], eax; mov eax, [address] */
const write = (address: number): number[] => [0xa3, ...le32(address)];
const read = (address: number): number[] => [0xa1, ...le32(address)];
const SPIN = [0xeb, 0xfe];
const watch = (address: number, sizeBytes: number, access: MemoryWatch["access"]): MemoryWatch => ({
  address,
  sizeBytes,
  access,
});

describe("a watch on memory", () => {
  it("stops behind the instruction, with the access, and leaves neighbours in the page alone", async () => {
    const debug = await debuggerFor([
      ...write(DATA),
      ...write(DATA + 8),
      ...read(DATA + 4),
      ...write(DATA + 4),
      ...SPIN,
    ]);
    debug.watchMemory(watch(DATA + 4, 4, "write"));
    expect(await debug.continue()).toEqual({
      kind: "stopped",
      stop: { reason: "watch", address: CODE + 20, number: DATA + 4, sizeBytes: 4, access: "write" },
    });
    expect(debug.get("eip")).toBe(BigInt(CODE + 20));
  });

  it("tells reads from writes, and takes an instruction that does both for a write", async () => {
    const debug = await debuggerFor([...write(DATA), ...read(DATA), 0xff, 0x05, ...le32(DATA), ...SPIN]); // inc dword [DATA]
    debug.watchMemory(watch(DATA, 1, "read"));
    expect(await debug.continue()).toMatchObject({ stop: { address: CODE + 10, access: "read" } });
    debug.watchMemory(watch(DATA, 1, "any"));
    expect(await debug.continue()).toMatchObject({ stop: { address: CODE + 16, access: "write" } });
    expect(debug.unwatchMemory(watch(DATA, 1, "any"))).toBe(true);
    expect(debug.memoryWatches).toEqual([watch(DATA, 1, "read")]);
    expect(debug.unwatchMemory(watch(DATA, 2, "read"))).toBe(false);
  });

  it("covers a range of any length, and accesses that reach into it", async () => {
    const debug = await debuggerFor([
      ...write(DATA + 0x2ffb), // the four bytes before
      ...write(DATA + 0x2ffd), // crosses a page and reaches one byte in
      ...write(DATA + 0x7fff), // the last byte of the range
      ...write(DATA + 0x8000),
      ...write(DATA + 0x5000),
      ...SPIN,
    ]);
    debug.watchMemory(watch(DATA + 0x3000, 0x5000, "write"));
    const stops = [10, 15, 25].map((at, i) => ({ address: CODE + at, number: DATA + [0x2ffd, 0x7fff, 0x5000][i]! }));
    for (const stop of stops) expect(await debug.continue()).toMatchObject({ kind: "stopped", stop });
  });

  it("covers the last byte of the address space", async () => {
    const debug = await debuggerFor([0xa2, ...le32(0xffffffff), ...SPIN]); // mov [0xffffffff], al
    debug.watchMemory(watch(0xffffffff, 1, "any"));
    expect(await debug.continue()).toMatchObject({ stop: { reason: "watch", number: 0xffffffff, sizeBytes: 1 } });
    expect(() => debug.watchMemory(watch(0xffffffff, 2, "any"))).toThrow(/2 bytes at 4294967295/);
  });

  it("stops a repeated string instruction behind the element", async () => {
    // mov edi, DATA; mov ecx, 4000; rep stosd
    const debug = await debuggerFor([0xbf, ...le32(DATA), 0xb9, ...le32(4000), 0xf3, 0xab, ...SPIN]);
    debug.watchMemory(watch(DATA + 4 * 1234 + 2, 1, "write"));
    expect(await debug.continue()).toMatchObject({ stop: { address: CODE + 10, number: DATA + 4 * 1234 } });
    expect([debug.get("ecx"), debug.get("edi")]).toEqual([BigInt(4000 - 1235), BigInt(DATA + 4 * 1235)]);
    const rest = debug.continue();
    await new Promise((resolve) => setTimeout(resolve, 20));
    await debug.interrupt();
    expect(await rest).toMatchObject({ kind: "interrupted" });
    expect(debug.get("ecx")).toBe(0n);
  });

  it("sees the frames that exceptions push, and not what a faulting instruction read", async () => {
    // the divisor at DATA is 0: xor eax, eax; mov esp, DATA + 0x1000; div dword [DATA]
    const handler = CODE + 0x40;
    const code = [
      0x0f,
      0x01,
      0x1d,
      ...le32(CODE + 0x80),
      0x31,
      0xc0,
      0xbc,
      ...le32(DATA + 0x1000),
      0xf7,
      0x35,
      ...le32(DATA),
    ];
    const image = new Uint8Array(0x100);
    image.set(code);
    image.set(SPIN, 0x40);
    image.set([0x07, 0, ...le32(CODE + 0x90)], 0x80);
    image.set([handler & 0xff, (handler >> 8) & 0xff, 0x08, 0, 0, 0x8e, (handler >> 16) & 0xff, 0], 0x90);
    const debug = await debuggerFor([...image]);
    debug.watchMemory(watch(DATA, 4, "any"));
    debug.watchMemory(watch(DATA + 0xff4, 4, "write"));
    expect(await debug.continue()).toMatchObject({
      stop: { reason: "watch", address: handler, number: DATA + 0xff4, access: "write" },
    });
  });

  it("leaves the guest's debug registers to the guest, whose own breakpoints go on", async () => {
    // mov eax, DATA; mov dr0, eax; mov eax, 0xd0001; mov dr7, eax; mov eax, dr7; mov [DATA], eax
    const code = [0xb8, ...le32(DATA), 0x0f, 0x23, 0xc0, 0xb8, ...le32(0xd0001), 0x0f, 0x23, 0xf8, 0x0f, 0x21, 0xf8];
    const debug = await debuggerFor([...code, ...write(DATA), ...SPIN]);
    debug.watch("exceptions", 1);
    debug.watchMemory(watch(DATA, 4, "write"));
    const stop = await debug.continue();
    expect(stop).toMatchObject({ stop: { reason: "watch", address: CODE + code.length + 5 } });
    expect([debug.get("eax"), debug.get("dr0")]).toEqual([0xd0401n, BigInt(DATA)]);
    expect(await debug.continue()).toMatchObject({ stop: { reason: "exception", number: 1 } });
  });

  it("does not change the guest's time or count of instructions", async () => {
    // 5000 rounds of loads, stores, a string store and a call, then the exit port
    const round = [
      0xbf,
      ...le32(DATA),
      0xb9,
      ...le32(100),
      0xf3,
      0xab,
      ...read(DATA + 16),
      ...write(DATA + 20),
      0x53,
      0x5b,
    ];
    const body = [0xbc, ...le32(DATA + 0x800), 0xbe, ...le32(5000), ...round, 0x4e, 0x75, 0x100 - round.length - 3];
    const code = [...body, 0xb0, 0, 0xe6, 0xf4, ...SPIN];
    const run = async (watches: MemoryWatch[]) => {
      const vm = await codeVm(code);
      open.push(vm);
      vm.breakOn({ memory: watches });
      vm.start();
      expect(await vm.exited).toEqual({ kind: "guest-exit", code: 1 });
      const { instructions, guestSeconds } = vm.statistics();
      return { instructions, guestSeconds };
    };
    expect(await run([watch(DATA + 0x900, 0x700, "any")])).toEqual(await run([]));
  });

  it("finds the first access of any program that a model finds", async () => {
    const access = fc.record({
      isWrite: fc.boolean(),
      size: fc.constantFrom(1, 2, 4),
      at: fc.integer({ min: 0, max: 0x3000 }),
    });
    const range = fc.record({
      address: fc.integer({ min: DATA, max: DATA + 0x3000 }),
      sizeBytes: fc.oneof(fc.integer({ min: 1, max: 8 }), fc.integer({ min: 1, max: 0x2000 })),
      access: fc.constantFrom<MemoryWatch["access"]>("read", "write", "any"),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.array(access, { minLength: 1, maxLength: 30 }),
        fc.array(range, { minLength: 1, maxLength: 3 }),
        async (accesses, watches) => {
          const code: number[] = [];
          let expected: object | undefined;
          for (const { isWrite, size, at } of accesses) {
            const opcode = isWrite ? (size === 1 ? 0xa2 : 0xa3) : size === 1 ? 0xa0 : 0xa1;
            code.push(...(size === 2 ? [0x66] : []), opcode, ...le32(DATA + at));
            const hit = watches.some(
              (w) =>
                (w.access === "any" || w.access === (isWrite ? "write" : "read")) &&
                DATA + at < w.address + w.sizeBytes &&
                w.address < DATA + at + size,
            );
            if (hit && expected === undefined) {
              const kind = isWrite ? "write" : "read";
              expected = {
                reason: "watch",
                address: CODE + code.length,
                number: DATA + at,
                sizeBytes: size,
                access: kind,
              };
            }
          }
          const end = CODE + code.length;
          const debug = await debuggerFor([...code, ...SPIN]);
          for (const w of watches) debug.watchMemory(w);
          debug.addBreakpoint(end);
          const stop = await debug.continue();
          expect(stop).toEqual({ kind: "stopped", stop: expected ?? { reason: "breakpoint", address: end } });
          await debug.target.stop();
        },
      ),
      { numRuns: 60 },
    );
  });

  it("is refused where it is none", async () => {
    const debug = await debuggerFor(SPIN);
    for (const [address, size] of [
      [0, 0],
      [-1, 4],
      [0.5, 4],
      [0, 2 ** 33],
    ] as const) {
      expect(() => debug.watchMemory(watch(address, size, "any"))).toThrow(/at least one byte between 0 and 4 GiB/);
    }
    expect(() => debug.watchMemory(watch(0, 4, "execute" as "any"))).toThrow(/read, write and any/);
    for (let i = 0; i < 12; i++) debug.watchMemory(watch(i, 1, "any"));
    expect(() => debug.watchMemory(watch(12, 1, "any"))).toThrow(/At most 12/);
    expect(debug.memoryWatches).toHaveLength(12);
    debug.clear();
    expect(debug.memoryWatches).toEqual([]);
  });
});

describe("a watch on a port of the core", () => {
  /** The 8254's counter 0: latched, read twice; port 61h; the 8259s' mask. */
  const CODE_PORTS = [
    ...[0xb0, 0x34, 0xe6, 0x43, 0xb0, 0xff, 0xe6, 0x40, 0xe6, 0x40],
    ...[0xb0, 0x00, 0xe6, 0x43, 0xe4, 0x40, 0x88, 0xc3, 0xe4, 0x40, 0x88, 0xc7],
    ...[0xb0, 0xa5, 0xe6, 0x21, 0xb0, 0x00, 0xe4, 0x21, 0x88, 0xc1, 0xe4, 0x61, 0x88, 0xc5],
    ...SPIN,
  ];
  const END = CODE + CODE_PORTS.length - 2;

  it("stops behind each access, which has its usual effect at its usual time", async () => {
    const plain = await debuggerFor(CODE_PORTS);
    plain.addBreakpoint(END);
    await plain.continue();

    const debug = await debuggerFor(CODE_PORTS);
    const ports = [0x43, 0x40, 0x21, 0x61];
    for (const port of ports) debug.watch("ports", port);
    debug.addBreakpoint(END);
    const seen: number[] = [];
    for (let stop = await debug.continue(); stop.kind === "stopped" && stop.stop.reason === "port"; ) {
      seen.push(stop.stop.number ?? -1);
      stop = await debug.continue();
    }
    expect(seen).toEqual([0x43, 0x40, 0x40, 0x43, 0x40, 0x40, 0x21, 0x21, 0x61]);
    for (const name of ["ebx", "ecx", "eax", "eip"]) expect(debug.get(name), name).toBe(plain.get(name));
    expect((debug.target as Vm).statistics().instructions).toBe((plain.target as Vm).statistics().instructions);
    expect(debug.get("cl")).toBe(0xa5n);
  });

  it("lets a trace of ports show them, and the guest does not notice", async () => {
    const end = [...CODE_PORTS.slice(0, -2), 0xb0, 0, 0xe6, 0xf4, ...SPIN];
    const run = async (trace: VmConfig["trace"]) => {
      const vm = await codeVm(end, { trace });
      open.push(vm);
      const ports: number[] = [];
      vm.on("trace", (event) => event.kind === "port" && event.known && ports.push(event.port));
      vm.start();
      await vm.exited;
      const { instructions, guestSeconds } = vm.statistics();
      return { instructions, guestSeconds, ports };
    };
    const traced = await run(["port"]);
    expect(traced.ports).toEqual([0x43, 0x40, 0x40, 0x43, 0x40, 0x40, 0x21, 0x21, 0x61, 0xf4]);
    expect(traced).toEqual({ ...(await run([])), ports: traced.ports });
  });
});
