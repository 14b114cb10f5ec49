// Our own hypercalls as a guest of docs/HYPERCALLS.md uses them: machine code on a whole VM.
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import * as H from "../../spec/hypercalls.ts";
import { type BlockBackend, type ExitStatus, Vm, type VmConfig } from "../../src/index.ts";

const BASE = 0x10000;
const RESULTS = 0x8000;
const BUFFER = 0x20000;
const MEMORY = 1 << 20;

const imm32 = (value: number): number[] => [0, 8, 16, 24].map((shift) => (value >>> shift) & 0xff);

type Args = readonly [nr: number, ebx?: number, ecx?: number, edx?: number, esi?: number, edi?: number];

/** Makes the calls; EAX, ECX and EDX of each go to RESULTS, 12 bytes a call. Ends by HC_EXIT or the debug-exit port. */
function program(calls: readonly Args[], end: readonly number[] = [0xb0, 1, 0xe6, 0xf4]): Uint8Array {
  const code = calls.flatMap(([nr, ...args], i) => [
    ...[0xbb, 0xb9, 0xba, 0xbe, 0xbf].flatMap((opcode, n) => [opcode, ...imm32(args[n] ?? 0)]),
    ...[0xb8, ...imm32(nr), 0x0f, 0x01, i % 2 === 0 ? 0xc1 : 0xd9],
    ...[0xa3, ...imm32(RESULTS + i * 12)],
    ...[0x89, 0x0d, ...imm32(RESULTS + i * 12 + 4)],
    ...[0x89, 0x15, ...imm32(RESULTS + i * 12 + 8)],
  ]);
  return Uint8Array.from([...code, ...end, 0xf4]);
}

function u32(vm: Vm, gpa: number): number {
  const bytes = new Uint8Array(4);
  vm.memory.read(gpa, bytes);
  return new DataView(bytes.buffer).getUint32(0, true);
}

interface Ran {
  readonly vm: Vm;
  readonly status: ExitStatus;
  readonly console: string;
  /** EAX of each call, signed. */
  readonly eax: readonly number[];
}

async function run(
  calls: readonly Args[],
  config: Partial<VmConfig> = {},
  during?: (vm: Vm) => Promise<void>,
): Promise<Ran> {
  return await runImage(program(calls), calls.length, config, during);
}

async function runImage(
  image: Uint8Array,
  count: number,
  config: Partial<VmConfig> = {},
  during?: (vm: Vm) => Promise<void>,
): Promise<Ran> {
  const vm = await Vm.create({
    memoryBytes: MEMORY,
    clock: "virtual",
    timeoutMs: 30_000,
    boot: { kind: "flat", image, address: BASE, mode: "protected" },
    ...config,
  });
  let console = "";
  vm.on("serial", ({ bytes }) => {
    console += Buffer.from(bytes).toString("latin1");
  });
  vm.memory.write(BUFFER, new TextEncoder().encode("hello, hypervisor\n"));
  await during?.(vm);
  vm.start();
  const status = await vm.exited;
  const eax = Array.from({ length: count }, (_, i) => u32(vm, RESULTS + i * 12) | 0);
  return { vm, status, console, eax };
}

/** A disk in memory that answers at once or later. */
function disk(sectors: number, later = false): BlockBackend & { readonly bytes: Uint8Array } {
  const bytes = new Uint8Array(sectors * 512);
  const answer = (work: () => void): void | Promise<void> => {
    if (!later) return work();
    return new Promise((done) =>
      setTimeout(() => {
        work();
        done();
      }, 5),
    );
  };
  return {
    bytes,
    sizeBytes: bytes.length,
    readOnly: false,
    read: (offset, into) => answer(() => into.set(bytes.subarray(offset, offset + into.length))),
    write: (offset, from) => answer(() => bytes.set(from, offset)),
    flush: () => answer(() => {}),
    close: () => {},
  };
}

describe("the console", () => {
  it("writes where COM1 does, and says how much", async () => {
    const { console, eax } = await run([
      [H.HC_CONSOLE_WRITE, BUFFER, 18],
      [H.HC_CONSOLE_WRITE, BUFFER, 0],
      [H.HC_CONSOLE_WRITE, BUFFER, 4097],
      [H.HC_CONSOLE_WRITE, MEMORY - 4, 8],
      [H.HC_CONSOLE_WRITE, 0xfffffff0, 32],
    ]);
    expect(console).toBe("hello, hypervisor\n");
    expect(eax).toEqual([18, 0, -H.HC_EINVAL, -H.HC_EFAULT, -H.HC_EFAULT]);
  });

  it("reads what was typed, once", async () => {
    const { vm, eax } = await run(
      [
        [H.HC_CONSOLE_READ, BUFFER, 4],
        [H.HC_CONSOLE_READ, BUFFER + 4, 100],
        [H.HC_CONSOLE_READ, BUFFER, 100],
      ],
      {},
      async (vm) => vm.serial(0).write(new TextEncoder().encode("typed in")),
    );
    expect(eax).toEqual([4, 4, 0]);
    const bytes = new Uint8Array(8);
    vm.memory.read(BUFFER, bytes);
    expect(new TextDecoder().decode(bytes)).toBe("typed in");
  });
});

describe("exit, clock, yield and the empty call", () => {
  it("ends the VM as the debug-exit port does", async () => {
    const { status } = await run([[H.HC_EXIT, 21]]);
    expect(status).toEqual({ kind: "guest-exit", code: 43 });
  });

  it("tells guest time and the date without an exit", async () => {
    const { vm, eax } = await run(
      [
        [H.HC_CLOCK, H.HC_CLOCK_MONOTONIC],
        [H.HC_CLOCK, H.HC_CLOCK_WALL],
        [H.HC_CLOCK, 2],
        [H.HC_EMPTY, 0],
      ],
      { wallSeconds: 1_000_000_000 },
    );
    expect(eax).toEqual([0, 0, -H.HC_EINVAL, 0]);
    const ns = (i: number): number => u32(vm, RESULTS + i * 12 + 8) * 2 ** 32 + u32(vm, RESULTS + i * 12 + 4);
    expect(ns(0)).toBeLessThan(1e6);
    expect(ns(1)).toBeGreaterThanOrEqual(1e18);
    expect(ns(1)).toBeLessThan(1e18 + 1e6);
    const { exits, core } = vm.statistics();
    expect(exits.hypercall).toBeUndefined();
    expect(core.hypercalls).toBe(4);
  });

  it("exits once for each of the others", async () => {
    const { vm, eax } = await run([[H.HC_EMPTY, 1], [H.HC_YIELD], [H.HC_EMPTY, 1]]);
    expect(eax).toEqual([0, 0, 0]);
    expect(vm.statistics().exits.hypercall).toBe(3);
  });
});

describe.each([false, true])("block, answers later: %s", (later) => {
  it("reads and writes sectors", async () => {
    const backend = disk(64, later);
    backend.bytes.fill(0xab, 512, 1024);
    const drives = [{ id: "d", bus: "hypercall", backend }] as const;
    const { vm, eax } = await run(
      [
        [H.HC_BLOCK_INFO, 0, BUFFER],
        [H.HC_BLOCK_READ, 0, BUFFER + 512, 1, 2],
        [H.HC_BLOCK_WRITE, 0, BUFFER + 512, 63, 1],
        [H.HC_BLOCK_FLUSH, 0],
        [H.HC_BLOCK_READ, 0, BUFFER, 63, 2],
        [H.HC_BLOCK_READ, 0, BUFFER, 0, 0],
        [H.HC_BLOCK_READ, 0, BUFFER, 0, 257],
        [H.HC_BLOCK_READ, 0, BUFFER, 0, 1, 0xffffffff],
        [H.HC_BLOCK_WRITE, 0, MEMORY - 512, 0, 2],
        [H.HC_BLOCK_WRITE, 1, BUFFER, 0, 1],
      ],
      { drives },
    );
    expect(eax).toEqual([
      0,
      0,
      0,
      0,
      -H.HC_EINVAL,
      -H.HC_EINVAL,
      -H.HC_EINVAL,
      -H.HC_EINVAL,
      -H.HC_EFAULT,
      -H.HC_ENODEV,
    ]);
    expect([0, 4, 8, 12].map((offset) => u32(vm, BUFFER + offset))).toEqual([64, 0, 0, 0]);
    expect(u32(vm, BUFFER + 512)).toBe(0xabababab);
    expect(backend.bytes.subarray(63 * 512).every((byte) => byte === 0xab)).toBe(true);
  });
});

it("a read-only drive refuses writes and a broken one says so", async () => {
  const broken = { ...disk(8), read: () => Promise.reject(new Error("no")) };
  const { eax } = await run(
    [
      [H.HC_BLOCK_WRITE, 0, BUFFER, 0, 1],
      [H.HC_BLOCK_READ, 1, BUFFER, 0, 1],
    ],
    {
      drives: [
        { id: "ro", bus: "hypercall", backend: disk(8), readOnly: true },
        { id: "broken", bus: "hypercall", backend: broken },
      ],
    },
  );
  expect(eax).toEqual([-H.HC_EROFS, -H.HC_EIO]);
});

describe("each part is a switch", () => {
  const one: Readonly<Record<string, Args>> = {
    console: [H.HC_CONSOLE_WRITE, BUFFER, 1],
    yield: [H.HC_YIELD],
    "hc-clock": [H.HC_CLOCK],
    block: [H.HC_BLOCK_FLUSH, 0],
  };
  it.each(Object.keys(one))("%s alone", async (name) => {
    const calls = Object.values(one);
    const { eax } = await run(calls, {
      paravirt: [name as "console"],
      drives: [{ id: "d", bus: "hypercall", backend: disk(1) }],
    });
    for (const [i, other] of Object.keys(one).entries()) expect(eax[i] === -H.HC_ENOSYS, other).toBe(other !== name);
  });

  it("CPUID says which, and that it is us", async () => {
    // mov eax, leaf; cpuid; registers to RESULTS
    const read = (leaf: number, at: number): number[] => [
      ...[0xb8, ...imm32(leaf), 0x0f, 0xa2, 0xa3, ...imm32(at)],
      ...[0x89, 0x1d, ...imm32(at + 4), 0x89, 0x0d, ...imm32(at + 8), 0x89, 0x15, ...imm32(at + 12)],
    ];
    const image = Uint8Array.from([
      ...read(H.HC_LEAF, RESULTS),
      ...read(H.HC_LEAF_FEATURES, RESULTS + 16),
      0xb0,
      1,
      0xe6,
      0xf4,
      0xf4,
    ]);
    const registers = async (config: Partial<VmConfig>): Promise<number[]> => {
      const { vm } = await runImage(image, 0, config);
      return Array.from({ length: 8 }, (_, i) => u32(vm, RESULTS + i * 4));
    };
    const all = await registers({ paging: "para" });
    expect(all[0]).toBe(H.HC_LEAF_FEATURES);
    expect(Buffer.from(Uint32Array.from(all.slice(1, 4)).buffer).toString()).toBe("ParavaneVMM\0");
    const every = [H.HCF_CONSOLE, H.HCF_YIELD, H.HCF_EXIT, H.HCF_CLOCK, H.HCF_MMU, H.HCF_BLOCK, H.HCF_PRESENT];
    expect(all.slice(4)).toEqual([every.reduce((a, b) => a + b), H.HC_ABI, H.HC_CONSOLE_IRQ, 0]);
    expect((await registers({}))[4]).toBe((all[4] as number) - H.HCF_MMU);
    expect((await registers({ paravirt: ["exit"] }))[4]).toBe(H.HCF_EXIT + H.HCF_PRESENT);
    expect((await registers({ paravirt: ["clock"] }))[0]).not.toBe(H.HC_LEAF_FEATURES);
  });
});

it("hostile numbers, addresses and lengths give an errno and change nothing outside what was named", {
  timeout: 60_000,
}, async () => {
  const word = fc.oneof(
    fc.integer({ min: 0, max: 0xffffffff }),
    fc.integer({ min: 0, max: 300 }),
    fc.constantFrom(BUFFER, MEMORY - 1, MEMORY - 512, 0xa0000, 0xfee00000),
  );
  // not the calls that end the VM
  const nr = fc.oneof(
    fc.integer({ min: 0x50560000, max: 0x50560020 }).filter((n) => n !== H.HC_EXIT),
    fc.integer({ min: 0, max: 0xffffffff }),
  );
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(nr, word, word, word, word, word), { minLength: 1, maxLength: 20 }),
      async (calls) => {
        // reads land where they are told to: not on the program
        const safe = calls
          .filter(([n, , b]) => ![H.HC_BLOCK_READ, H.HC_BLOCK_INFO].includes(n) || b >= BUFFER)
          .filter(([n, a]) => n !== H.HC_CONSOLE_READ || a >= BUFFER);
        const { status, eax } = await run(safe, {
          paging: "para",
          drives: [{ id: "d", bus: "hypercall", backend: disk(300) }],
        });
        expect(status).toEqual({ kind: "guest-exit", code: 3 });
        for (const value of eax) expect(value).toBeGreaterThanOrEqual(-H.HC_ENOSYS);
      },
    ),
    { numRuns: 60 },
  );
});

it("the document and the include file name every call with its number", () => {
  const text = readFileSync(new URL("../../docs/HYPERCALLS.md", import.meta.url), "utf8");
  const include = readFileSync(new URL("../../roms/lib/hypercalls.gen.inc", import.meta.url), "utf8");
  const calls = Object.entries(H).filter(([, value]) => value >>> 16 === H.HC_RANGE);
  expect(calls.length).toBe(13);
  for (const [name, value] of calls) {
    const hex = value.toString(16).toUpperCase().padStart(8, "0");
    expect(text).toContain(`| ${hex.slice(0, 4)}_${hex.slice(4)}h | ${name} |`);
    expect(include).toMatch(new RegExp(`^${name} +equ 0x${value.toString(16)}$`, "m"));
  }
});
