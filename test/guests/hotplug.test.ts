// Hot-plug under Linux's own drivers: disks and network cards that appear and go, asked for by host and guest.
import { beforeAll, describe, expect, it } from "vitest";
import { EchoHost } from "../devices/virtio/echo-host.ts";
import { MemoryDisk } from "../devices/virtio/memory-disk.ts";
import { ensureImage, expectPassed, runLinux, VIRTIO_IMAGE } from "./linux-guest.ts";

const MINUTES = 60_000;
const MIB = 1024 * 1024;

beforeAll(() => ensureImage(VIRTIO_IMAGE), 5 * MINUTES);

describe("Linux's ACPI hot-plug", () => {
  it("sees virtio disks and network cards come, uses them, and lets them go", { timeout: 4 * MINUTES }, async () => {
    const disk = new MemoryDisk(new Uint8Array(MIB).fill(0x41));
    const gone: string[] = [];
    const problems: unknown[] = [];
    const run = await runLinux({
      image: VIRTIO_IMAGE,
      script: "hotplug.sh",
      append: "cryptomgr.notests",
      config: { clock: "real" },
      during: async (vm) => {
        vm.on("removed", ({ kind, id }) => gone.push(`${kind} ${id}`));
        const parts: Readonly<Record<string, () => Promise<void>>> = {
          "attach disk": () => vm.attachDrive({ id: "extra", bus: "virtio", backend: disk }),
          "attach second disk": () =>
            vm.attachDrive({ id: "second", bus: "virtio", backend: new MemoryDisk(new Uint8Array(MIB)) }),
          "detach disk": () => vm.detachDevice("extra"),
          "attach card": () => vm.attachNic({ id: "lan", model: "virtio", backend: new EchoHost() }),
          "detach card": () => vm.detachDevice("lan"),
          end: async () => {},
        };
        let seen = "";
        const done = new Set<string>();
        vm.on("serial", ({ bytes }) => {
          seen += Buffer.from(bytes).toString("latin1");
          for (const [, part = ""] of seen.matchAll(/^host: (.*?)\r?\n/gm)) {
            if (done.has(part)) continue;
            done.add(part);
            (parts[part]?.() ?? Promise.reject(new Error(`no part ${part}`)))
              .catch((error: unknown) => problems.push(error))
              .finally(() => vm.serial(0).write("go on\r"));
          }
        });
      },
    });
    expect(problems).toEqual([]);
    expectPassed(run, 14);
    expect(run.console).toContain("AAAAA\n");
    expect(gone).toEqual(["drive extra", "nic lan", "drive second"]);
    expect(disk.bytes.subarray(4096, 8192).every((byte) => byte === 0)).toBe(true);
    expect(run.statistics.devices["pci-hotplug"]).toMatchObject({ insertions: 3, removalRequests: 2, ejections: 3 });
    expect(run.statistics.devices["virtio-blk0"]).toBeUndefined();
  });
});
