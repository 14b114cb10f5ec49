// A VM that is restored before its memory is: the guest, devices and whoever looks find every byte, and nothing is other than
// in one that was restored whole.
import { mkdtemp, open as openFile, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { readRomImage, readRomManifest } from "../../src/cli/roms.ts";
import { MemorySnapshots, type SnapshotStore, snapshotFolder, Vm, type VmConfig } from "../../src/index.ts";
import { Listener, sleep, startSteady, steadyConfig } from "./steady.ts";

/** Nothing comes on the side: what is absent does not depend on how fast this machine is. */
const ON_DEMAND = { lazy: { background: false } } as const;

const open: Vm[] = [];
afterEach(async () => {
  for (const vm of open.splice(0)) await vm[Symbol.asyncDispose]();
});
const keep = <T extends Vm>(vm: T): T => {
  open.push(vm);
  return vm;
};

async function kernelConfig(config: Partial<VmConfig>): Promise<VmConfig> {
  const rom = readRomManifest().roms.find(({ name }) => name === "kernel");
  if (rom === undefined) throw new Error("roms/manifest.json has no kernel");
  const boot = { kind: "multiboot", kernel: await readRomImage(rom), name: "kernel", append: "" } as const;
  return { memoryBytes: 16 << 20, clock: "virtual", boot, ...config } as VmConfig;
}

async function step(vm: Vm, instructions: number): Promise<void> {
  const end = vm.statistics().instructions + instructions;
  while (vm.statistics().instructions < end) await vm.step(Math.min(50_000, end - vm.statistics().instructions));
}

/** A snapshot with a child of it, of a guest that has run for a while. */
async function chainOf(config: VmConfig, store: SnapshotStore): Promise<void> {
  const vm = await Vm.create(config);
  await step(vm, 600_000);
  await vm.snapshot({ store, name: "base", track: true });
  await step(vm, 100_000);
  await vm.snapshot({ store, name: "top", parent: "base" });
  await vm.stop();
}

const sum = ({ left, demanded, fetched }: ReturnType<Vm["statistics"]>["absentPages"]): number =>
  left + demanded + fetched;
const absent = (vm: Vm): number => vm.statistics().absentPages.left;

describe("a lazily restored VM", () => {
  const guests: Record<string, () => Promise<VmConfig>> = {
    "without paging": () => steadyConfig({ clock: "virtual" }),
    "under direct paging": () => kernelConfig({ paging: "direct" }),
    "under shadow paging": () => kernelConfig({ virt: "full" }),
    "under para paging": () => kernelConfig({ virt: "para" }),
  };
  it.each(Object.keys(guests))("does exactly what one that was restored whole does, %s", async (which) => {
    const store = new MemorySnapshots();
    await chainOf(await (guests[which] as () => Promise<VmConfig>)(), store);
    const from = { store, name: "top" };
    const whole = keep(await Vm.restore(from, { identity: "same", lazy: false }));
    expect(absent(whole)).toBe(0);
    const lazy = keep(await Vm.restore(from, { identity: "same", ...ON_DEMAND }));
    const total = sum(lazy.statistics().absentPages);
    expect(total).toBeGreaterThan(20);
    for (let part = 0; part < 4; part++) {
      for (const vm of [lazy, whole]) await step(vm, 50_000);
      expect(lazy.statistics().instructions).toBe(whole.statistics().instructions);
    }
    expect(lazy.statistics().absentPages.demanded).toBeGreaterThan(0);
    expect(await lazy.stateHash()).toBe(await whole.stateHash());
    expect(absent(lazy)).toBe(0);
    expect(sum(lazy.statistics().absentPages)).toBe(total);
  });

  it("gives the host and devices every byte, and keeps what they write", async () => {
    const store = new MemorySnapshots();
    const { vm } = await startSteady();
    await vm.pause();
    const all = new Uint8Array(vm.memory.sizeBytes);
    vm.memory.read(0, all);
    await vm.snapshot({ store, name: "one" });
    await vm.stop();
    const copy = keep(await Vm.restore({ store, name: "one" }, { identity: "same", ...ON_DEMAND }));
    const before = absent(copy);
    // Across the border of two pages of the guest's code.
    const at = 0x10_0ffe;
    copy.memory.write(at, Uint8Array.of(1, 2, 3, 4));
    all.set([1, 2, 3, 4], at);
    expect(absent(copy)).toBeLessThan(before);
    const found = new Uint8Array(all.length);
    copy.memory.read(0, found);
    expect(Buffer.compare(found, all)).toBe(0);
    expect(absent(copy)).toBe(0);
  });

  it.each([false, true])("can be saved before it is whole (incremental: %s)", async (incremental) => {
    const store = new MemorySnapshots();
    await chainOf(await kernelConfig({}), store);
    const whole = keep(await Vm.restore({ store, name: "top" }, { identity: "same", track: true, lazy: false }));
    const lazy = keep(await Vm.restore({ store, name: "top" }, { identity: "same", track: true, ...ON_DEMAND }));
    for (const vm of [lazy, whole]) await step(vm, 20_000);
    expect(absent(lazy)).toBeGreaterThan(0);
    await lazy.snapshot({ store, name: "again", ...(incremental ? { parent: "top" } : {}) });
    // What changed since the parent is there already.
    expect(absent(lazy) > 0).toBe(incremental);
    const again = keep(await Vm.restore({ store, name: "again" }, { identity: "same" }));
    expect(await again.stateHash()).toBe(await whole.stateHash());
    for (const vm of [lazy, again, whole]) await step(vm, 100_000);
    const hash = await whole.stateHash();
    expect([await lazy.stateHash(), await again.stateHash()]).toEqual([hash, hash]);
  });

  it("becomes whole on the side while its guest runs, and may be looked at when it has ended", async () => {
    const store = new MemorySnapshots();
    const { vm } = await startSteady();
    await vm.snapshot({ store, name: "one" });
    await vm.stop();
    const runs = keep(await Vm.restore({ store, name: "one" }));
    const listener = new Listener(runs);
    runs.start();
    while (runs.state === "running" && (absent(runs) > 0 || listener.lines.length < 4)) await sleep(5);
    expect(listener.failed).toBeUndefined();
    expect(runs.state).toBe("running");
    const paused = keep(await Vm.restore({ store, name: "one" }, { identity: "same", lazy: false }));
    const ended = keep(await Vm.restore({ store, name: "one" }, { identity: "same", ...ON_DEMAND }));
    await ended.stop();
    expect(absent(ended)).toBeGreaterThan(0);
    expect(await ended.stateHash()).toBe(await paused.stateHash());
  });

  it("reads from a store that cannot be read at once", async () => {
    const store = new MemorySnapshots();
    await chainOf(await kernelConfig({}), store);
    const slow: SnapshotStore = {
      create: (name) => store.create(name),
      open: async (name) => {
        const { readNow: _readNow, ...source } = await store.open(name);
        return source;
      },
    };
    const hash = await keep(await Vm.restore({ store, name: "top" }, { identity: "same", lazy: false })).stateHash();
    const vm = keep(await Vm.restore({ store: slow, name: "top" }, { identity: "same", ...ON_DEMAND }));
    expect(absent(vm)).toBeGreaterThan(0);
    expect(await vm.stateHash()).toBe(hash);
  });
});

describe("a snapshot file that a VM still needs", () => {
  let folder: string;
  let store: SnapshotStore;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "paravane-lazy-"));
    store = await snapshotFolder(folder);
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  async function restored(name: string, config: Partial<VmConfig> = {}): Promise<{ vm: Vm; hash: string }> {
    const { vm } = await startSteady(config);
    await vm.pause();
    await vm.snapshot({ store, name });
    const hash = await vm.stateHash();
    await vm.stop();
    return { vm: keep(await Vm.restore({ store, name }, { identity: "same", ...ON_DEMAND })), hash };
  }

  it("may be removed, or another one put in its place", async () => {
    for (const replaced of [false, true]) {
      const { vm, hash } = await restored("gone");
      if (replaced) {
        await writeFile(join(folder, "other"), "something else");
        await rename(join(folder, "other"), join(folder, "gone"));
      } else await rm(join(folder, "gone"));
      expect(absent(vm)).toBeGreaterThan(0);
      expect(await vm.stateHash()).toBe(hash);
    }
  });

  it("and is overwritten in place ends the VM with one error that names it", async () => {
    const { vm } = await restored("overwritten");
    await sleep(20);
    const file = await openFile(join(folder, "overwritten"), "r+");
    const { size } = await file.stat();
    await file.write(new Uint8Array(size), 0, size, 0);
    await file.close();
    vm.start();
    expect(await vm.exited).toMatchObject({
      kind: "crashed",
      error: { code: "io", message: /overwritten was changed/ },
    });
    expect(vm.state).toBe("crashed");
    await expect(vm.stateHash()).rejects.toMatchObject({ code: "io" });
  });
});
