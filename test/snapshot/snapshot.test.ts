// Snapshots of whole VMs through the public API: what was saved is what comes back, and runs on.
import { afterEach, describe, expect, it } from "vitest";
import { MemorySnapshots, Vm } from "../../src/index.ts";
import { Listener, sleep, startSteady, steadyConfig } from "./steady.ts";

const open: Vm[] = [];
afterEach(async () => {
  for (const vm of open.splice(0)) await vm.stop();
});
const keep = <T extends Vm>(vm: T): T => {
  open.push(vm);
  return vm;
};

/** Runs a VM on for so many instructions and tells what became of it. */
async function runOn(vm: Vm, instructions: number): Promise<string> {
  const end = vm.statistics().instructions + instructions;
  while (vm.statistics().instructions < end) await vm.step(Math.min(20_000, end - vm.statistics().instructions));
  return await vm.stateHash();
}

describe("a restored VM", () => {
  it.each(["created", "paused", "running"])("is the same when it was saved while %s", async (when) => {
    const store = new MemorySnapshots();
    const config = await steadyConfig({ clock: "virtual" });
    const vm = keep(await Vm.create(config));
    if (when !== "created") {
      vm.start();
      await sleep(50);
    }
    if (when === "paused") await vm.pause();
    const info = await vm.snapshot({ store, name: "one" });
    expect(info.sizeBytes).toBe(store.get("one")?.length);
    expect(vm.state).toBe(when);
    const restored = keep(await Vm.restore({ store, name: "one" }, { identity: "same" }));
    expect(restored.state).toBe("created");
    if (when === "running") {
      // The original has run on; a second copy stands for it.
      const other = keep(await Vm.restore({ store, name: "one" }, { identity: "same" }));
      expect(await restored.stateHash()).toBe(await other.stateHash());
    } else {
      expect(await restored.stateHash()).toBe(await vm.stateHash());
      expect(await runOn(restored, 200_000)).toBe(await runOn(vm, 200_000));
    }
    const listener = new Listener(restored);
    if (restored.state === "paused") restored.resume();
    else restored.start();
    while (listener.lines.length < 5 && restored.state === "running") await sleep(5);
    expect(listener.failed).toBeUndefined();
    expect(listener.lines.length).toBeGreaterThan(4);
  });

  it("may be one of several at once, and a snapshot of itself", async () => {
    const store = new MemorySnapshots();
    const { vm } = await startSteady();
    keep(vm);
    await vm.snapshot({ store, name: "base" });
    const copies = (await Vm.clone({ store, name: "base" }, 3, (copy) => ({ config: { name: `copy${copy}` } }))).map(
      keep,
    );
    expect(copies.map(({ name }) => name)).toEqual(["copy0", "copy1", "copy2"]);
    const ids = new Set(copies.map((copy) => generationOf(copy)));
    ids.add(generationOf(vm));
    expect(ids.size).toBe(4);
    for (const copy of copies) copy.start();
    await sleep(50);
    await copies[1]?.snapshot({ store, name: "second" });
    const second = keep(await Vm.restore({ store, name: "second" }));
    const listener = new Listener(second);
    second.start();
    while (listener.lines.length < 4 && second.state === "running") await sleep(5);
    expect(listener.failed).toBeUndefined();
  });

  it("can be reset: its boot images are in the snapshot", async () => {
    const store = new MemorySnapshots();
    const { vm } = await startSteady();
    keep(vm);
    await vm.snapshot({ store, name: "base" });
    await vm.stop();
    const restored = keep(await Vm.restore({ store, name: "base" }));
    await restored.reset();
    const listener = new Listener(restored);
    restored.start();
    while (listener.lines.length < 2 && restored.state === "running") await sleep(5);
    expect(listener.text).toMatch(/^steady 00000040\nsteady 00000080/);
  });
});

describe("time over a restore", () => {
  const wall = 1_700_000_000;
  it.each(["real", "virtual"] as const)(
    "goes on from the snapshot, or jumps to the present (%s clock)",
    async (clock) => {
      const store = new MemorySnapshots();
      const { vm } = await startSteady({ clock, wallSeconds: wall });
      keep(vm);
      await vm.pause();
      await vm.snapshot({ store, name: "base" });
      const saved = vm.statistics().guestSeconds;
      await sleep(300);
      const resumed = keep(await Vm.restore({ store, name: "base" }, { clock: "resume" }));
      expect(resumed.statistics().guestSeconds).toBeCloseTo(saved, 6);
      const now = keep(await Vm.restore({ store, name: "base" }, { clock: "now" }));
      const jumped = now.statistics().guestSeconds - saved;
      expect(jumped).toBeGreaterThan(0.29);
      expect(jumped).toBeLessThan(10);
      for (const each of [resumed, now]) {
        const listener = new Listener(each);
        each.start();
        while (listener.lines.length < 4 && each.state === "running") await sleep(5);
        expect(listener.failed).toBeUndefined();
      }
    },
  );
});

describe("an incremental snapshot", () => {
  it.each([true, false])("with its parents is what a full one is (dirty log: %s)", async (track) => {
    const store = new MemorySnapshots();
    const { vm } = await startSteady();
    keep(vm);
    await vm.snapshot({ store, name: "0", track });
    const full = store.get("0")?.length ?? 0;
    for (let n = 1; n <= 4; n++) {
      await sleep(10);
      await vm.pause();
      const info = await vm.snapshot({ store, name: String(n), parent: String(n - 1), track });
      expect(info.parent).toBe(String(n - 1));
      await vm.snapshot({ store, name: `full${n}` });
      const hashes = [];
      for (const name of [String(n), `full${n}`]) {
        const copy = await Vm.restore({ store, name }, { identity: "same" });
        hashes.push(await copy.stateHash());
        await copy.stop();
      }
      expect(hashes).toEqual([await vm.stateHash(), await vm.stateHash()]);
      vm.resume();
    }
    expect(full).toBeGreaterThan(1 << 20);
  });

  it("has little more in it than what the guest has changed", async () => {
    const store = new MemorySnapshots();
    const { vm } = await startSteady();
    keep(vm);
    await vm.pause();
    const base = await vm.snapshot({ store, name: "base", track: true });
    const same = await vm.snapshot({ store, name: "same", parent: "base" });
    expect(base.memoryBytes).toBeGreaterThan(1 << 20);
    // Nothing was written in between.
    expect(same.memoryBytes).toBe(0);
    vm.memory.write(0x30_0000, new Uint8Array(8192));
    vm.memory.write(0x20_0000, Uint8Array.of(1));
    const little = await vm.snapshot({ store, name: "little", parent: "same" });
    expect(little.memoryBytes).toBe(4096);
    // Restored and tracked: what a restored VM writes is known from the start.
    const restored = keep(await Vm.restore({ store, name: "little" }, { track: true, identity: "same" }));
    restored.memory.write(0x30_0fff, Uint8Array.of(1, 2));
    const next = await restored.snapshot({ store, name: "next", parent: "little" });
    expect(next.memoryBytes).toBe(8192);
  });
});

describe("objects of the host", () => {
  const sector = new Uint8Array(4096).fill(7);
  const disk = () => ({
    sizeBytes: sector.length,
    readOnly: false,
    read: (offset: number, into: Uint8Array) => into.set(sector.subarray(offset, offset + into.length)),
    write: () => {},
    flush: () => {},
    close: () => {},
  });
  const wire = () => ({ send: () => {}, onReceive: () => ({ dispose: () => {} }) });
  const devices = (mac: string) => ({
    drives: [{ id: "disk0", bus: "virtio", backend: disk() } as const],
    nics: [{ id: "net0", model: "virtio", backend: wire(), mac } as const],
  });

  it("are given again, or named when they are not; each copy may have its own", async () => {
    const store = new MemorySnapshots();
    const { vm } = await startSteady({ ...devices("02:00:00:00:00:01"), rng: true, balloon: true });
    keep(vm);
    await vm.pause();
    await vm.snapshot({ store, name: "one" });
    await expect(Vm.restore({ store, name: "one" })).rejects.toMatchObject({
      code: "bad-snapshot",
      details: { field: "drives.0.backend" },
    });
    const { drives } = devices("");
    await expect(Vm.restore({ store, name: "one" }, { config: { drives } })).rejects.toMatchObject({
      details: { field: "nics.0.backend" },
    });
    const same = keep(
      await Vm.restore({ store, name: "one" }, { identity: "same", config: devices("02:00:00:00:00:01") }),
    );
    expect(await same.stateHash()).toBe(await vm.stateHash());
    const copies = await Vm.clone({ store, name: "one" }, 2, (n) => ({ config: devices(`02:00:00:00:01:0${n}`) }));
    for (const copy of copies.map(keep)) {
      const listener = new Listener(copy);
      copy.start();
      while (listener.lines.length < 3 && copy.state === "running") await sleep(5);
      expect(listener.failed).toBeUndefined();
    }
  });
});

function generationOf(vm: Vm): string {
  const id = new Uint8Array(16);
  vm.memory.read(0xef000, id);
  return id.join();
}
