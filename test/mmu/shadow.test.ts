// Shadow paging against direct paging: whatever the guest does to its tables, it sees the same, accessed and dirty bits
// included; and every exit is counted for what it is.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Exit } from "../../spec/exits.ts";
import * as L from "../../spec/layout.ts";
import {
  A,
  D,
  DATA,
  DATA_PAGES,
  DIRECTORIES,
  type Format,
  G,
  imm32,
  type Outcome,
  P,
  PagedMachine,
  PS,
  ROOT,
  TABLE_LOW,
  TABLES,
  U,
  W,
  WINDOWS,
} from "./paged-machine.ts";

const FORMATS: readonly Format[] = ["32-bit", "PAE"];
const PAGE = 0x1000;
const ENTRIES = 4;

type Step =
  | {
      readonly kind: "entry";
      readonly table: number;
      readonly index: number;
      readonly frame: number;
      readonly bits: number;
    }
  | {
      readonly kind: "directory";
      readonly directory: number;
      readonly window: number;
      readonly table: number;
      readonly bits: number;
    }
  | { readonly kind: "nx"; readonly table: number; readonly index: number; readonly set: boolean }
  | { readonly kind: "clear"; readonly table: number; readonly index: number; readonly bits: number }
  | { readonly kind: "wipe"; readonly table: number }
  | {
      readonly kind: "access";
      readonly how: "load" | "store" | "execute";
      readonly ring: 0 | 3;
      readonly window: number;
      readonly index: number;
      readonly offset: number;
    }
  | { readonly kind: "invlpg"; readonly window: number; readonly index: number }
  | { readonly kind: "cr3"; readonly root: number }
  | { readonly kind: "cr0"; readonly wp: boolean }
  | { readonly kind: "cr4"; readonly bits: number };

const table = fc.integer({ min: 0, max: 2 });
const index = fc.integer({ min: 0, max: ENTRIES - 1 });
const window = fc.integer({ min: 0, max: 1 });
const ring = fc.constantFrom<0 | 3>(0, 3);
/** Data pages, and page tables: a guest may map its tables wherever it likes. */
const frame = fc.oneof(
  { weight: 4, arbitrary: fc.integer({ min: 0, max: DATA_PAGES - 1 }).map((n) => DATA + n * PAGE) },
  { weight: 1, arbitrary: fc.constantFrom(...TABLES, ...DIRECTORIES) },
);
const bits = fc
  .tuple(
    ...[P, W, U, A, D, G].map((bit) => fc.integer({ min: 0, max: bit === P ? 9 : 3 }).map((n) => (n > 0 ? bit : 0))),
  )
  .map((all) => all.reduce((sum, bit) => sum | bit, 0));

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ kind: fc.constant("entry" as const), table, index, frame, bits }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("directory" as const),
      directory: table,
      window,
      table,
      bits: bits.chain((value) => fc.constantFrom(value & ~G, value & ~G, (value & ~G) | PS)),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("nx" as const), table, index, set: fc.boolean() }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant("clear" as const), table, index, bits: fc.constantFrom(A, D, A | D, W) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("wipe" as const), table }) },
  {
    weight: 12,
    arbitrary: fc.record({
      kind: fc.constant("access" as const),
      how: fc.constantFrom("load", "load", "store", "store", "execute"),
      ring,
      window,
      index,
      // the last ones cross into the next page
      offset: fc.constantFrom(0, 4, 8, 0x10, 0x80, 0xffe),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("invlpg" as const), window, index }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("cr3" as const), root: table }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("cr0" as const), wp: fc.boolean() }) },
  // PGE, SMEP; PSE matters to 32-bit paging
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("cr4" as const),
      bits: fc.constantFrom(0x10, 0x90, 0, 0x100010, 0x100090),
    }),
  },
);

/** Does a step; undefined when it would execute what is no code. */
function take(p: PagedMachine, s: Step): Outcome | undefined {
  const pae = p.format === "PAE";
  switch (s.kind) {
    case "entry":
      return p.store(p.windowEntry(TABLES[s.table] as number, s.index), s.frame | s.bits);
    case "directory":
      // a large page: everything from 0
      return p.store(
        p.entry(DIRECTORIES[s.directory] as number, p.directoryIndex(s.window)),
        (s.bits & PS ? 0 : (TABLES[s.table] as number)) | s.bits,
      );
    case "nx":
      return pae ? p.store(p.windowEntry(TABLES[s.table] as number, s.index) + 4, s.set ? 0x80000000 : 0) : undefined;
    case "clear":
      // and dword [entry], ~bits
      return p.run([0x81, 0x25, ...imm32(p.windowEntry(TABLES[s.table] as number, s.index)), ...imm32(~s.bits)]);
    case "wipe":
      // rep stosd
      return p.run([0x31, 0xc0, 0xbf, ...imm32(TABLES[s.table] as number), 0xb9, ...imm32(1024), 0xf3, 0xab]);
    case "access": {
      const address = (WINDOWS[s.window] as number) + s.index * PAGE;
      if (s.how === "load") return p.load(address + s.offset, s.ring);
      if (s.how === "store") return p.store(address + s.offset, 0x1234_0000 | s.offset, s.ring);
      const at = p.m.core.translateGva(p.m.vcpu, address);
      return at < BigInt(DATA) || at >= BigInt(DATA + DATA_PAGES * PAGE)
        ? undefined
        : p.execute(address + 0xff0, s.ring);
    }
    case "invlpg":
      return p.invalidate((WINDOWS[s.window] as number) + s.index * PAGE);
    case "cr3":
      return p.loadCr3(p.rootOf(s.root));
    case "cr0":
      return p.run([0xb8, ...imm32(s.wp ? 0x80010011 : 0x80000011), 0x0f, 0x22, 0xc0]);
    case "cr4":
      return p.run([0xb8, ...imm32(pae ? s.bits | 0x20 : s.bits), 0x0f, 0x22, 0xe0]);
  }
}

async function compare(format: Format, steps: readonly Step[], shadowBytes?: number): Promise<PagedMachine> {
  const direct = await PagedMachine.create(format, "direct");
  const shadow = await PagedMachine.create(format, "shadow", shadowBytes === undefined ? {} : { shadowBytes });
  if (format === "PAE") for (const p of [direct, shadow]) nxOn(p);
  for (const [i, s] of steps.entries()) {
    const before = direct.memory().slice(0, TABLE_BYTES);
    const expected = take(direct, s);
    const got = take(shadow, s);
    const change = changeOf(format, before, direct.memory());
    // A guest may well overwrite what maps its own code: then it is the TLB's luck how far it comes.
    if (change === "own code") return shadow;
    expect(got, `step ${i}: ${JSON.stringify(s)}`).toEqual(expected);
    expect(Buffer.compare(shadow.memory(), direct.memory()), `memory after step ${i}: ${JSON.stringify(s)}`).toBe(0);
    // Until the guest flushes, a processor may go by the old entry or by the new one (SDM volume 3, section 4.10.4).
    if (change === "stale") for (const p of [direct, shadow]) flush(p);
  }
  expect(shadow.m.field(L.RETIRED)).toBe(direct.m.field(L.RETIRED));
  return shadow;
}

/** From the PDPTs to the last directory: everything that maps. */
const TABLE_BYTES = Math.max(...DIRECTORIES) + PAGE - ROOT;

/** What a step did to the tables, as far as TLBs may hold it: took something away, or from the guest's own code. */
function changeOf(format: Format, before: Uint8Array, after: Uint8Array): "stale" | "own code" | undefined {
  const bytes = format === "PAE" ? 8 : 4;
  const entryAt = (all: Uint8Array, at: number): bigint => {
    const view = new DataView(all.buffer, all.byteOffset + at, bytes);
    return bytes === 8 ? view.getBigUint64(0, true) : BigInt(view.getUint32(0, true));
  };
  let stale = false;
  for (let at = 0; at < TABLE_BYTES; at += bytes) {
    const [old, now] = [entryAt(before, at), entryAt(after, at)];
    if (old === now || (old & BigInt(P)) === 0n) continue;
    const page = ROOT + (at & -PAGE);
    const ofCode =
      page === ROOT || page === TABLE_LOW || (at % PAGE === 0 && DIRECTORIES.some((directory) => directory === page));
    const harmless = ofCode ? BigInt(A | D) : BigInt(W | A | D);
    // More rights are found by walking again; NX set takes a right away.
    if ((now & ~harmless) === (old & ~harmless) && (old & ~now) === 0n) continue;
    if ((now | NX) === (old | NX) && (now & NX) === 0n) continue;
    if (ofCode) return "own code";
    stale = true;
  }
  return stale ? "stale" : undefined;
}
const NX = 1n << 63n;

/** CR4.PGE over and back. */
function flush(p: PagedMachine): void {
  const toggle = [0x35, ...imm32(0x80), 0x0f, 0x22, 0xe0];
  p.run([0x0f, 0x20, 0xe0, ...toggle, ...toggle]);
}

/** EFER.NXE by WRMSR. */
function nxOn(p: PagedMachine): void {
  p.run([0xb9, ...imm32(0xc0000080), 0xb8, ...imm32(0x800), 0x31, 0xd2, 0x0f, 0x30]);
}

describe.each(FORMATS)("%s", (format) => {
  it("random changes of tables and random accesses give the same as under direct paging", {
    timeout: 120_000,
  }, async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 60 }), async (steps) => {
        await compare(format, steps);
      }),
      { numRuns: 60 },
    );
  });

  it("so they do with room for a handful of shadow tables", { timeout: 120_000 }, async () => {
    let dropped = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 20, maxLength: 60 }), async (steps) => {
        const shadow = await compare(format, steps, 52 * 1024);
        dropped += shadow.m.field(L.COUNT_SHADOW_DROPPED);
      }),
      { numRuns: 40 },
    );
    expect(dropped).toBeGreaterThan(0);
  });

  it("counts each exit for what it is", async () => {
    const p = await PagedMachine.create(format, "shadow");
    const at = WINDOWS[0];
    const entry = p.windowEntry(TABLES[0], 0);
    const delta = (act: () => void): Record<string, number> => {
      const before = new Map(p.exits);
      act();
      const reasons = {
        fill: Exit.ShadowFill,
        dirty: Exit.ShadowDirty,
        fault: Exit.PageFault,
        write: Exit.PageTableWrite,
      };
      return Object.fromEntries(
        Object.entries(reasons).flatMap(([name, reason]) => {
          const n = p.count(reason) - (before.get(reason) ?? 0);
          return n === 0 ? [] : [[name, n]];
        }),
      );
    };
    // whatever code, stack and tables need
    p.store(entry, DATA | P | W);
    p.load(at);
    p.store(entry, 0);
    p.invalidate(at);
    p.load(at);
    expect(delta(() => p.load(at))).toEqual({ fault: 1 });
    expect(delta(() => p.store(entry, DATA | P | W))).toEqual({ write: 1 });
    expect(delta(() => p.load(at))).toEqual({ fill: 1 });
    expect(delta(() => p.load(at))).toEqual({});
    expect(delta(() => p.store(at, 1))).toEqual({ dirty: 1 });
    expect(delta(() => p.store(at, 2))).toEqual({});
    expect(p.m.r32(entry) & 0xfff).toBe(P | W | A | D);
    // the TLB knows it still; the shadow does not
    expect(delta(() => p.store(entry, DATA | P | W))).toEqual({ write: 1 });
    expect(delta(() => p.load(at))).toEqual({});
    p.invalidate(at);
    expect(delta(() => p.store(at, 3))).toEqual({ fill: 1 });
    expect(p.m.r32(entry) & 0xfff).toBe(P | W | A | D);
  });

  it("stops shadowing a table that is only written to", async () => {
    const p = await PagedMachine.create(format, "shadow");
    p.store(p.windowEntry(TABLES[0], 0), DATA | P | W);
    p.load(WINDOWS[0]);
    p.run([0x31, 0xc0, 0xbf, ...imm32(TABLES[0]), 0xb9, ...imm32(1024), 0xf3, 0xab]);
    expect(p.count(Exit.PageTableWrite)).toBeLessThan(200);
    expect(p.m.field(L.COUNT_SHADOW_DROPPED)).toBe(1);
    p.invalidate(WINDOWS[0]);
    expect(p.load(WINDOWS[0]).vector).toBe(14);
  });

  it("makes a read-modify-write of a table once", async () => {
    const p = await PagedMachine.create(format, "shadow");
    const entry = p.windowEntry(TABLES[0], 0);
    p.store(entry, DATA | P);
    p.load(WINDOWS[0]);
    const old = p.m.r32(entry);
    // mov eax, new; xchg [entry], eax; then xadd
    const exchange = [0xb8, ...imm32(DATA | P | W), 0x87, 0x05, ...imm32(entry)];
    expect(p.run(exchange).eax >>> 0).toBe(old);
    p.load(WINDOWS[0]);
    const add = [0xb8, ...imm32(0x1000), 0x0f, 0xc1, 0x05, ...imm32(entry)];
    const before = p.m.r32(entry);
    expect(p.run(add).eax >>> 0).toBe(before);
    expect(p.m.r32(entry)).toBe(before + 0x1000);
  });
});
