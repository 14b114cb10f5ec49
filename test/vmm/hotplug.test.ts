// Cards that come and go, seen from the host: what is refused and why, what configuration and devices are afterwards.
import { describe, expect, it } from "vitest";
import { Vm, type VmConfig, type VmError } from "../../src/index.ts";
import { MemoryDisk } from "../devices/virtio/memory-disk.ts";

const SPIN = { kind: "flat", image: Uint8Array.of(0xeb, 0xfe), address: 0x7c00, mode: "real" } as const;
const disk = (): MemoryDisk => new MemoryDisk(new Uint8Array(1 << 20));

async function make(config: Partial<VmConfig> = {}): Promise<Vm> {
  return await Vm.create({ boot: SPIN, memoryBytes: 1 << 20, ...config });
}
async function running(config: Partial<VmConfig> = {}): Promise<Vm> {
  const vm = await make(config);
  vm.start();
  while (vm.vcpu().retired === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  return vm;
}
const code = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => "done",
    (error) => (error as VmError).code,
  );

describe("attaching", () => {
  it("puts a disk into a machine that has not begun as if it had been there", async () => {
    await using vm = await make();
    await vm.attachDrive({ id: "a", bus: "virtio", backend: disk() });
    expect([...vm.virtio.drives.keys()]).toEqual(["a"]);
    expect(vm.portableConfig.drives).toMatchObject([{ id: "a", unit: 0 }]);
    expect(vm.statistics().devices["pci-hotplug"]).toMatchObject({ insertions: 0 });
    await vm.detachDevice("a");
    expect(vm.portableConfig.drives).toEqual([]);
  });

  it("tells a guest that runs, and gives each disk a place of its own", async () => {
    await using vm = await running();
    for (const id of ["a", "b", "c", "d"]) await vm.attachDrive({ id, bus: "virtio", backend: disk() });
    expect(vm.statistics().devices["pci-hotplug"]).toMatchObject({ insertions: 4 });
    expect(await code(vm.attachDrive({ id: "e", bus: "virtio", backend: disk() }))).toBe("bad-state");
    await vm.detachDevice("b", { force: true });
    await vm.attachDrive({ id: "f", bus: "virtio", backend: disk() });
    expect(vm.portableConfig.drives?.map(({ id, unit }) => `${id}${unit}`)).toEqual(["a0", "c2", "d3", "f1"]);
  });

  it("refuses by name what cannot be", async () => {
    await using vm = await running();
    await vm.attachDrive({ id: "a", bus: "virtio", backend: disk() });
    await expect(vm.attachDrive({ id: "a", bus: "virtio", backend: disk() })).rejects.toThrow(/drives\[1\]\.id/);
    await expect(vm.attachDrive({ id: "b", bus: "ide", backend: disk() })).rejects.toThrow(/bus virtio only/);
    await expect(vm.attachDrive({ id: "b", bus: "virtio", backend: { path: "/nowhere" } })).rejects.toThrow(/nowhere/);
    // Nothing is left of what was refused.
    expect(vm.portableConfig.drives).toHaveLength(1);
    await using old = await running({ acpi: false });
    await expect(old.attachDrive({ id: "a", bus: "virtio", backend: disk() })).rejects.toThrow(/without ACPI/);
    await vm.stop();
    expect(await code(vm.attachDrive({ id: "b", bus: "virtio", backend: disk() }))).toBe("bad-state");
  });
});

describe("detaching", () => {
  it("refuses what is not there, what cannot go, and a guest that does not listen", async () => {
    await using vm = await running({
      drives: [
        { id: "ide", bus: "ide", backend: disk() },
        { id: "v", bus: "virtio", backend: disk() },
      ],
    });
    await expect(vm.detachDevice("x")).rejects.toThrow(/there are: v/);
    await expect(vm.detachDevice("ide")).rejects.toThrow(/bus ide/);
    await expect(vm.detachDevice("v")).rejects.toThrow(/does not listen to ACPI/);
    const gone: string[] = [];
    vm.on("removed", ({ id }) => gone.push(id));
    await vm.detachDevice("v", { force: true });
    expect(gone).toEqual(["v"]);
    expect(vm.statistics().devices["virtio-blk0"]).toBeUndefined();
  });

  it("leaves a machine that goes on, is saved and restored", async () => {
    const { MemorySnapshots } = await import("../../src/index.ts");
    await using vm = await running({ drives: [{ id: "v", bus: "virtio", backend: disk() }] });
    await vm.detachDevice("v", { force: true });
    await vm.attachDrive({ id: "w", bus: "virtio", backend: disk(), unit: 2 });
    await vm.pause();
    const store = new MemorySnapshots();
    await vm.snapshot({ store, name: "s" });
    const drives = vm.portableConfig.drives ?? [];
    await using again = await Vm.restore({ store, name: "s" }, { identity: "same", config: { drives } });
    expect(await again.stateHash()).toBe(await vm.stateHash());
    vm.resume();
    const { retired } = vm.vcpu();
    await expect.poll(() => vm.vcpu().retired).toBeGreaterThan(retired);
  });
});
