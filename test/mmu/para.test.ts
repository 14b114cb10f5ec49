// Para paging: registered tables are read-only to the guest, and change by hypercalls that let through what is the guest's alone.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Exit } from "../../spec/exits.ts";
import * as H from "../../spec/hypercalls.ts";
import * as L from "../../spec/layout.ts";
import {
  DATA,
  DATA_PAGES,
  DIRECTORIES,
  DIRECTORY,
  END,
  type Format,
  imm32,
  P,
  PagedMachine,
  TABLE_LOW,
  TABLES,
  U,
  W,
  WINDOWS,
} from "./paged-machine.ts";

const FORMATS: readonly Format[] = ["32-bit", "PAE"];
const BATCH = 0x5_8000;
const PF = 14;
const GP = 13;

async function pinned(format: Format): Promise<PagedMachine> {
  const p = await PagedMachine.create(format, "para");
  expect(p.call(H.HC_MMU_PIN, p.rootOf(0), format === "PAE" ? 3 : 2)).toBe(0);
  return p;
}

/** HC_MMU_UPDATE of these entries. */
function update(p: PagedMachine, items: readonly (readonly [address: number, value: number])[]): number {
  items.forEach(([address, value], i) => {
    const at = BATCH + i * 2 * p.entryBytes;
    p.m.w32(at, address);
    p.m.w32(at + p.entryBytes, value);
    if (p.format === "PAE") {
      p.m.w32(at + 4, 0);
      p.m.w32(at + 12, 0);
    }
  });
  return p.call(H.HC_MMU_UPDATE, BATCH, items.length, p.entryBytes);
}

describe.each(FORMATS)("%s", (format) => {
  const levels = format === "PAE" ? 3 : 2;

  it("a registered table is read-only, in every ring, whatever maps it and whatever CR0.WP is", async () => {
    const p = await PagedMachine.create(format, "para");
    const entry = p.windowEntry(TABLES[0], 0);
    p.store(entry, DATA | P | W | U);
    // a user's window on the table itself
    p.store(p.windowEntry(TABLES[0], 1), TABLES[0] | P | W | U);
    p.store(WINDOWS[0] + 0x1000, 0);
    expect(p.call(H.HC_MMU_PIN, p.rootOf(0), levels)).toBe(0);
    expect(p.store(entry, 0)).toMatchObject({ vector: PF, error: 3, cr2: entry });
    expect(p.store(WINDOWS[0] + 0x1000, 0, 3)).toMatchObject({ vector: PF, error: 7, cr2: WINDOWS[0] + 0x1000 });
    p.run([0xb8, ...imm32(0x80000011), 0x0f, 0x22, 0xc0]);
    expect(p.store(p.entry(DIRECTORY, 0), 0)).toMatchObject({ vector: PF, error: 3 });
    expect(p.load(entry).vector).toBe(END);
    // the MMU itself writes there
    p.load(WINDOWS[0]);
    expect(p.m.r32(entry) & 0x20).toBe(0x20);
  });

  it("a batch of updates is one exit, and takes effect without INVLPG", async () => {
    const p = await pinned(format);
    const items = Array.from(
      { length: 8 },
      (_, i) => [p.windowEntry(TABLES[0], i), (DATA + i * 0x1000) | P | W] as const,
    );
    const before = p.count(Exit.Hypercall);
    expect(update(p, items)).toBe(8);
    expect(p.count(Exit.Hypercall)).toBe(before + 1);
    for (let i = 0; i < 8; i++) p.store(WINDOWS[0] + i * 0x1000, i + 1);
    expect(Array.from({ length: 8 }, (_, i) => p.m.r32(DATA + i * 0x1000))).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    expect(update(p, [[p.windowEntry(TABLES[0], 0), 0]])).toBe(1);
    expect(p.load(WINDOWS[0]).vector).toBe(PF);
    expect(p.load(WINDOWS[0] + 0x1000)).toMatchObject({ vector: END, eax: 2 });
  });

  it("takes what the guest has: RAM, the video window, devices; and nothing else", async () => {
    const p = await pinned(format);
    const at = p.windowEntry(TABLES[0], 0);
    const tried = (frame: number): number => update(p, [[at, (frame | P | W) >>> 0]]);
    expect([0, 0xff000, 0xa0000, 0xfee00000, 0xc0000000].map(tried)).toEqual([1, 1, 1, 1, 1]);
    expect([0x100000, 0x40000000, 0xbffff000].map(tried)).toEqual([-1, -1, -1]);
    // not present: anything
    expect(update(p, [[at, 0x40000000]])).toBe(1);
    // as table: RAM alone
    expect(update(p, [[p.entry(DIRECTORY, p.directoryIndex(0)), 0xfee00000 | P]])).toBe(-H.HC_EFAULT);
  });

  it("stops before the first wrong item and says how many were done", async () => {
    const p = await pinned(format);
    const good = [p.windowEntry(TABLES[0], 0), DATA | P] as const;
    expect(update(p, [good, [p.windowEntry(TABLES[0], 1), DATA | P], [DATA, 1], good])).toBe(2);
    expect(update(p, [[DATA, 1], good])).toBe(-H.HC_EINVAL);
    expect(update(p, [[p.windowEntry(TABLES[0], 0) + 1, 0]])).toBe(-H.HC_EINVAL);
    expect(update(p, [[0x200000, 0]])).toBe(-H.HC_EFAULT);
    expect(p.call(H.HC_MMU_UPDATE, BATCH, 0, p.entryBytes)).toBe(-H.HC_EINVAL);
    expect(p.call(H.HC_MMU_UPDATE, BATCH, H.HC_MMU_BATCH_MAX + 1, p.entryBytes)).toBe(-H.HC_EINVAL);
    expect(p.call(H.HC_MMU_UPDATE, BATCH, 1, 12 - p.entryBytes)).toBe(-H.HC_EINVAL);
    expect(p.call(H.HC_MMU_UPDATE, 0xfffff8, 8, p.entryBytes)).toBe(-H.HC_EFAULT);
  });

  it("registers a table with its first entry and lets it go with its last", async () => {
    const p = await pinned(format);
    const at = p.entry(DIRECTORY, p.directoryIndex(1));
    expect(p.store(TABLES[2], 0).vector).toBe(END);
    // an entry in it that the guest may not have
    p.store(TABLES[2] + 16, 0x40000000 | P);
    expect(update(p, [[at, TABLES[2] | P]])).toBe(-H.HC_EPERM);
    expect(p.store(TABLES[2] + 16, 0).vector).toBe(END);
    expect(update(p, [[at, TABLES[2] | P | W]])).toBe(1);
    expect(p.store(TABLES[2], 0).vector).toBe(PF);
    expect(p.store(TABLES[1], 0).vector).toBe(END);
    expect(update(p, [[at, TABLES[1] | P | W]])).toBe(1);
    expect(p.store(TABLES[2], 0).vector).toBe(END);
  });

  it("CR3 takes registered roots alone, without an exit", async () => {
    const p = await pinned(format);
    expect(p.loadCr3(p.rootOf(1)).vector).toBe(GP);
    expect(p.call(H.HC_MMU_PIN, p.rootOf(1), levels)).toBe(0);
    expect(p.call(H.HC_MMU_PIN, p.rootOf(1), levels)).toBe(-H.HC_EBUSY);
    const before = p.count(Exit.Cr3Load);
    expect(p.loadCr3(p.rootOf(1)).vector).toBe(END);
    expect(p.count(Exit.Cr3Load)).toBe(before);
    expect(p.call(H.HC_MMU_UNPIN, p.rootOf(1))).toBe(-H.HC_EBUSY);
    expect(p.call(H.HC_MMU_UNPIN, p.rootOf(2))).toBe(-H.HC_ENODEV);
    p.loadCr3(p.rootOf(0));
    expect(p.call(H.HC_MMU_UNPIN, p.rootOf(1))).toBe(0);
    expect(p.store(p.entry(DIRECTORIES[1], 9), 0).vector).toBe(END);
    // shared with the first
    expect(p.store(p.entry(TABLE_LOW, 200), 0).vector).toBe(PF);
    // how tables are read cannot change
    expect(p.run([0xb8, ...imm32(format === "PAE" ? 0 : 0x30), 0x0f, 0x22, 0xe0]).vector).toBe(GP);
  });

  it("the first root is the one in use, and roots are checked", async () => {
    const p = await PagedMachine.create(format, "para");
    expect(p.call(H.HC_MMU_PIN, p.rootOf(1), levels)).toBe(-H.HC_EINVAL);
    expect(p.call(H.HC_MMU_PIN, p.rootOf(0), 5 - levels)).toBe(-H.HC_EINVAL);
    p.store(p.windowEntry(TABLES[1], 3), 0x40000000 | P);
    expect(p.call(H.HC_MMU_PIN, p.rootOf(0), levels)).toBe(-H.HC_EPERM);
    // and nothing is left behind of the attempt
    expect(p.store(TABLES[0], 0).vector).toBe(END);
    expect(p.store(p.windowEntry(TABLES[1], 3), 0).vector).toBe(END);
    expect(p.call(H.HC_MMU_PIN, p.rootOf(0), levels)).toBe(0);
  });

  it("hostile numbers and tables give an errno or a fault of the guest's, and the account stays right", {
    timeout: 60_000,
  }, async () => {
    const word = fc.oneof(
      fc.integer({ min: 0, max: 0xffffffff }),
      fc.constantFrom(...TABLES, ...DIRECTORIES, TABLE_LOW, BATCH, DATA, 0xfffff000, 0xffff8, 0),
      fc
        .constantFrom(...TABLES, ...DIRECTORIES)
        .chain((page) => fc.integer({ min: 0, max: 1023 }).map((i) => page + i * 4)),
    );
    const value = fc.tuple(word, fc.integer({ min: 0, max: 0x1ff })).map(([a, b]) => ((a & ~0x1ff) | b) >>> 0);
    const action = fc.oneof(
      fc.record({
        kind: fc.constant("update" as const),
        items: fc.array(fc.tuple(word, value), { minLength: 1, maxLength: 8 }),
      }),
      fc.record({ kind: fc.constant("pin" as const), root: word, levels: fc.integer({ min: 0, max: 4 }) }),
      fc.record({ kind: fc.constant("unpin" as const), root: word }),
      fc.record({
        kind: fc.constant("call" as const),
        nr: fc.integer({ min: 0, max: 40 }),
        ebx: word,
        ecx: word,
        edx: word,
      }),
      fc.record({ kind: fc.constant("store" as const), at: word, value }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(action, { minLength: 1, maxLength: 25 }), async (actions) => {
        const p = await pinned(format);
        const { core, vcpu } = p.m;
        const { view, map } = p.m;
        const refsOf = (page: number): number => view.getUint32(map.tableRefs + page * 4, true);
        const results: number[] = [];
        for (const a of actions) {
          if (a.kind === "update") {
            // The batch became a table: read-only, so a guest could not have written what comes now.
            if (refsOf((map.ramBase + BATCH) >> 12) !== 0) continue;
            for (const [i, [address, entry]] of a.items.entries()) {
              const at = BATCH + i * 2 * p.entryBytes;
              p.m.w32(at, address);
              p.m.w32(at + p.entryBytes, entry);
            }
            results.push(core.updateTables(vcpu, BATCH, a.items.length, p.entryBytes));
          } else if (a.kind === "pin") results.push(core.pinRoot(vcpu, a.root, a.levels));
          else if (a.kind === "unpin") results.push(core.unpinRoot(vcpu, a.root));
          else if (a.kind === "call") results.push(core.updateTables(vcpu, a.ebx, a.ecx, a.edx));
          else if (a.at < 1 << 20 && a.at !== 0 && p.m.field(L.FAULT) === 0) p.store(a.at & ~3, a.value);
        }
        for (const result of results) expect(result).toBeGreaterThan(-1001);
        // What is registered is exactly what the roots name: the account made anew is the same.
        const refs = (): number[] => {
          const pages: number[] = [];
          for (let page = map.ramBase >> 12; page < (map.ramBase + map.ramBytes) >> 12; page++)
            pages.push(refsOf(page));
          return pages;
        };
        const kept = refs();
        p.m.sync();
        expect(refs()).toEqual(kept);
      }),
      { numRuns: Number(process.env.PARA_RUNS ?? 60) },
    );
  });
});

it("without para paging there are no such calls", async () => {
  const p = await PagedMachine.create("32-bit", "direct");
  expect(p.call(H.HC_MMU_PIN, DIRECTORY, 2)).toBe(-H.HC_ENOSYS);
  expect(DATA_PAGES).toBe(16);
});
