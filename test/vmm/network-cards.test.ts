// A new machine has the cards that its configuration relies on; one that starts again may have lost them.
import { describe, expect, it } from "vitest";
import { Host } from "../../src/host/host.ts";
import type { VmConfig } from "../../src/vmm/config.ts";
import { Vm } from "../../src/vmm/vm.ts";

/** jmp $ */
const boot = { kind: "flat", image: Uint8Array.of(0xeb, 0xfe), address: 0x7c00, mode: "real" } as const;
const config: VmConfig = { boot, memoryBytes: 1 << 20, bootOrder: ["network", "disk"] };
const card = { id: "lan", model: "virtio", backend: { kind: "user" } } as const;
const message = /^bootOrder has "network" \(n\), and the machine has no network card to boot from; give it one in nics/;

describe("booting over the network without a card", () => {
  it("is refused in one sentence, by a machine of its own and by a host", async () => {
    await expect(Vm.create(config)).rejects.toThrow(message);
    await using host = await Host.create({ pcpus: 1 });
    await expect(host.createVm(config)).rejects.toThrow(message);
    expect(host.vms).toEqual([]);
  });

  it("is nothing to a machine that says no order, or has a card", async () => {
    const { bootOrder: _order, ...silent } = config;
    await using _silent = await Vm.create(silent);
    await using _connected = await Vm.create({ ...config, nics: [card] });
  });

  it("does not keep a VM of a host from starting again after its card has gone", async () => {
    await using host = await Host.create({ pcpus: 1 });
    const vm = await host.createVm({ ...config, nics: [card] });
    await vm.detach("lan");
    await vm.start();
    await vm.stop({ force: true });
    await vm.start();
    expect(vm.state).toBe("running");
  });
});
