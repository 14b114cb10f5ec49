// A host keeps its promises: what its VMs reserve is admitted, refused, and changed while they run.
import { afterEach, describe, expect, it } from "vitest";
import { Host, type HostConfig } from "../../src/index.ts";
import { SPIN } from "./guests.ts";

const MIB = 2 ** 20;
const open: Host[] = [];
afterEach(async () => {
  for (const host of open.splice(0)) await host.close();
});

async function makeHost(config: HostConfig = {}): Promise<Host> {
  const host = await Host.create({ threads: "in-process", ...config });
  open.push(host);
  return host;
}

const claimed = (reservation: number, limit: number, shares = 256) => ({
  reservation,
  limit,
  shares,
  demand: undefined,
});

describe("a host admits", () => {
  it("by default as many VMs as three quarters of the machine's memory hold, their RAM reserved", async () => {
    const host = await makeHost();
    const { cpu, memory = 0 } = host.capacity.capacity;
    expect(cpu).toBe(1);
    expect(memory % 4096).toBe(0);
    expect(memory).toBeGreaterThan(64 * MIB);
    const vm = await host.createVm({ memoryBytes: 2 * MIB, boot: SPIN, scheduling: { weight: 7, capPercent: 50 } });
    expect(vm.resources).toEqual({ memory: claimed(2 * MIB, 2 * MIB), cpu: claimed(0, 0.5, 7) });
  });

  it("to the last page, and says what is missing for one more", async () => {
    const host = await makeHost({ capacity: { memory: "4M" } });
    const first = await host.createVm({ name: "first", memoryBytes: 3 * MIB, boot: SPIN });
    await host.createVm({ name: "second", memoryBytes: MIB, boot: SPIN });
    await expect(host.createVm({ name: "third", memoryBytes: MIB, boot: SPIN })).rejects.toMatchObject({
      code: "admission",
      message:
        "VM third does not fit on host localhost: memory lacks 1 MiB (1 MiB wanted, 0 B of 4 MiB can still be reserved).",
      details: { shortages: [{ resource: "memory", missing: MIB }] },
    });
    expect(host.vms).toHaveLength(2);
    await first.destroy();
    await host.createVm({ name: "third", memoryBytes: 3 * MIB, boot: SPIN });
  });

  it("VMs that are made at the same moment one after another", async () => {
    const host = await makeHost({ capacity: { memory: "2M" } });
    const results = await Promise.allSettled([1, 2, 3].map(() => host.createVm({ memoryBytes: MIB, boot: SPIN })));
    expect(results.map(({ status }) => status)).toEqual(["fulfilled", "fulfilled", "rejected"]);
  });

  it("not again what failed to be made", async () => {
    const host = await makeHost({ capacity: { memory: "1M" } });
    const broken = { kind: "elf", kernel: new Uint8Array([1, 2, 3]) } as const;
    for (let i = 0; i < 2; i++)
      await expect(host.createVm({ memoryBytes: MIB, boot: broken })).rejects.toMatchObject({ code: "bad-image" });
    await host.createVm({ memoryBytes: MIB, boot: SPIN });
  });

  it("limits as far as it overcommits, and reservations never", async () => {
    const host = await makeHost({ capacity: { memory: "2M" }, overcommit: { memory: 2 } });
    const resources = { memory: { reservation: 0 } };
    await host.createVm({ memoryBytes: 2 * MIB, boot: SPIN, resources });
    await host.createVm({ memoryBytes: 2 * MIB, boot: SPIN, resources });
    await expect(host.createVm({ memoryBytes: MIB, boot: SPIN, resources })).rejects.toThrow(
      "memory lacks 1 MiB (1 MiB wanted, 0 B of 4 MiB can still be allowed by limits, with overcommitment)",
    );
  });

  it("CPU and resources of any other name", async () => {
    const host = await makeHost({ capacity: { diskIops: 1000 } });
    const make = (cpu: number, diskIops: number) =>
      host.createVm({
        memoryBytes: MIB,
        boot: SPIN,
        resources: { cpu: { reservation: cpu }, diskIops: { reservation: diskIops } },
      });
    await make(0.75, 600);
    await expect(make(0.5, 500)).rejects.toThrow(/cpu lacks 0.25 .*; diskIops lacks 100 /);
    await expect(
      host.createVm({ memoryBytes: MIB, boot: SPIN, resources: { gpu: { reservation: 1 } } }),
    ).rejects.toThrow("gpu lacks 1");
  });
});

describe("claims and the machine", () => {
  it("agree: the limit of memory is RAM where nothing else says, shares and limit of CPU are weight and cap", async () => {
    const host = await makeHost();
    const vm = await host.createVm({
      boot: SPIN,
      scheduling: { weight: 100, priority: 5 },
      resources: { memory: { reservation: "1M", limit: "8M" }, cpu: { shares: 512, limit: 0.25 } },
    });
    expect(vm.memoryBytes).toBe(8 * MIB);
    expect(vm.scheduling).toMatchObject({ weight: 512, capPercent: 25, priority: 5 });
  });

  it("a real-time budget is a reservation", async () => {
    const host = await makeHost({ policy: "edf" });
    const realtime = { periodNs: 10e6, budgetNs: 4e6 };
    const vm = await host.createVm({ memoryBytes: MIB, boot: SPIN, scheduling: { realtime } });
    expect(vm.resources.cpu?.reservation).toBe(0.4);
    await vm.schedule({ realtime: { ...realtime, budgetNs: 6e6 } });
    expect(vm.resources.cpu?.reservation).toBe(0.6);
  });

  it.each([
    [{ memory: { limit: "2M" } }, "resources.memory.limit is 2097152; accepted: at most the guest's RAM, 1048576"],
    [{ memory: { reservation: "2M" } }, "resources.memory.limit is 1048576; accepted: at least the reservation"],
    [{ cpu: { reservation: 2 } }, "resources.cpu.reservation is 2; accepted: at most 1 pCPU"],
    [{ cpu: { limit: 0 } }, "resources.cpu.limit is 0; accepted: at least 0.001 pCPUs"],
    [{ cpu: { shares: 0 } }, "resources.cpu.shares is 0"],
    [{ memory: 5 }, "resources.memory is 5; accepted: an object"],
    [{ memory: { reserve: 5 } }, "resources.memory.reserve is not a field that is known"],
  ])("%j is refused by naming the field", async (resources, message) => {
    const host = await makeHost();
    await expect(host.createVm({ memoryBytes: MIB, boot: SPIN, resources: resources as never })).rejects.toThrow(
      message,
    );
  });

  it("capacities that make no sense are refused before there is a host", async () => {
    await expect(Host.create({ capacity: { memory: "much" } })).rejects.toThrow("capacity.memory is");
    await expect(Host.create({ overcommit: { memory: 0.5 } })).rejects.toThrow("overcommit.memory is 0.5");
    await expect(Host.create({ overcommit: { tapes: 2 } })).rejects.toThrow('overcommit names "tapes"');
  });
});

describe("while a VM runs", () => {
  it("its claims change as far as the host can hold them, and nothing changes otherwise", async () => {
    const host = await makeHost({ capacity: { memory: "4M" } });
    const resources = { memory: { reservation: "1M" } };
    const [a, b] = [
      await host.createVm({ name: "a", memoryBytes: 4 * MIB, boot: SPIN, resources }),
      await host.createVm({ name: "b", memoryBytes: 4 * MIB, boot: SPIN, resources }),
    ];
    await a.start();
    await a.setResources({ memory: { reservation: "3M", shares: 7 } });
    expect(a.resources.memory).toEqual(claimed(3 * MIB, 4 * MIB, 7));
    await expect(b.setResources({ memory: { reservation: "2M" } })).rejects.toMatchObject({ code: "admission" });
    expect(b.resources.memory).toEqual(claimed(MIB, 4 * MIB));
    await a.setResources({ memory: { reservation: 0 } });
    await b.setResources({ memory: { reservation: "4M" } });
    await expect(b.setResources({ memory: { limit: "8M" } })).rejects.toThrow("at most the guest's RAM");
  });

  it("weight and cap are one thing with shares and limit of CPU", async () => {
    const host = await makeHost({ overcommit: { cpu: 1.5 } });
    const vm = await host.createVm({ memoryBytes: MIB, boot: SPIN });
    await vm.start();
    await vm.schedule({ weight: 100, capPercent: 20 });
    expect(vm.resources.cpu).toEqual(claimed(0, 0.2, 100));
    await vm.setResources({ cpu: { limit: 0.07 } });
    expect(vm.scheduling).toMatchObject({ weight: 100, capPercent: 7 });
    await vm.setResources({ cpu: { shares: 9 } });
    expect(vm.scheduling).toMatchObject({ weight: 9, capPercent: 7 });
    await vm.setResources({ cpu: { reservation: 0.05 } });
    await expect(vm.schedule({ capPercent: 4 })).rejects.toThrow("resources.cpu.limit is 0.04");
    expect(vm.scheduling.capPercent).toBe(7);
    await host.createVm({ memoryBytes: MIB, boot: SPIN });
    // 1 + 0.6 pCPUs of limits are more than 1.5.
    await expect(vm.schedule({ capPercent: 60 })).rejects.toMatchObject({ code: "admission" });
    expect(vm.scheduling.capPercent).toBe(7);
  });

  it("what its scheduler refuses leaves its claims as they were", async () => {
    // The host believes in more than its one pCPU has.
    const host = await makeHost({ policy: "edf", capacity: { cpu: 4 } });
    const realtime = (budgetMs: number) => ({ periodNs: 10e6, budgetNs: budgetMs * 1e6 });
    const make = () => host.createVm({ memoryBytes: MIB, boot: SPIN, scheduling: { realtime: realtime(5) } });
    const [vm] = [await make(), await make().catch(() => undefined)];
    await expect(vm.schedule({ realtime: realtime(9) })).rejects.toMatchObject({ code: "admission" });
    expect(vm.resources.cpu?.reservation).toBe(0.5);
    expect(vm.scheduling.realtime?.budgetNs).toBe(5e6);
  });
});
