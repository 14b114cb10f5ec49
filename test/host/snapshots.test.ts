// Snapshots of hosted VMs: from one pCPU to another, into a VM that was stopped, as copies.
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { Host } from "../../src/index.ts";
import { hello, SPIN, untilPrinted } from "./guests.ts";

const MIB = 2 ** 20;
const folder = mkdtempSync(join(tmpdir(), "paravane-host-snapshots-"));
const open: Host[] = [];
afterEach(async () => {
  for (const host of open.splice(0)) await host.close();
  for (const file of readdirSync(folder)) rmSync(join(folder, file));
});

async function makeHost(pcpus: number): Promise<Host> {
  const host = await Host.create(pcpus === 0 ? { threads: "in-process" } : { pcpus, balance: false });
  open.push(host);
  return host;
}

async function makeGuest(host: Host) {
  const vm = await host.createVm({ name: "guest", memoryBytes: 4 * MIB, boot: await hello() });
  await vm.start();
  await untilPrinted(vm, "> ");
  return vm;
}

describe("a snapshot of a hosted VM", () => {
  it("goes on in another host with another number of pCPUs, also after a cold start", async () => {
    const first = await makeHost(2);
    const vm = await makeGuest(first);
    const info = await vm.snapshot({ folder, name: "one" });
    expect(info).toMatchObject({ name: "one", parent: undefined });
    expect(vm.state).toBe("running");
    await first.close();

    const second = await makeHost(0);
    const copy = await second.restoreVm({ folder, name: "one" });
    expect(copy.state).toBe("created");
    expect(copy.config).toMatchObject({ memoryBytes: 4 * MIB, boot: { kind: "multiboot" } });
    await copy.start();
    copy.serial().write("echo again\r");
    await untilPrinted(copy, "\nagain\r\n");
    expect(new TextDecoder().decode(copy.scrollback())).not.toContain("Paravane hello");
    await copy.stop();
    await copy.start();
    await untilPrinted(copy, "Paravane hello");
  });

  it("is the machine bit for bit", async () => {
    const host = await makeHost(2);
    const vm = await makeGuest(host);
    await vm.pause();
    const hash = await vm.stateHash();
    await vm.snapshot({ folder, name: "one" });
    expect(await vm.stateHash()).toBe(hash);
    const copy = await host.restoreVm({ folder, name: "one" }, { name: "copy", pcpu: 1, identity: "same" });
    expect(await copy.stateHash()).toBe(hash);
    await host.move(copy, 0);
    expect(await copy.stateHash()).toBe(hash);
  });

  it("becomes what a stopped VM is; a bad one changes nothing", async () => {
    const host = await makeHost(1);
    const vm = await makeGuest(host);
    await vm.snapshot({ folder, name: "one" });
    await expect(vm.restore({ folder, name: "one" })).rejects.toThrow("Cannot restore guest, which is running");
    await vm.stop();
    writeFileSync(join(folder, "bad"), "not a snapshot at all");
    await expect(vm.restore({ folder, name: "bad" })).rejects.toMatchObject({ code: "bad-snapshot" });
    await expect(vm.restore({ folder, name: "none" })).rejects.toMatchObject({ code: "not-found" });
    await vm.restore({ folder, name: "one" });
    expect(vm.state).toBe("created");
    await vm.start();
    vm.serial().write("echo restored\r");
    await untilPrinted(vm, "\nrestored\r\n");
  });

  it("has copies, all or none of them", async () => {
    const host = await makeHost(2);
    const vm = await makeGuest(host);
    await vm.snapshot({ folder, name: "one" });
    const copies = await host.cloneVms({ folder, name: "one" }, 4, { name: "copy" });
    expect(copies.map(({ name }) => name)).toEqual(["copy-1", "copy-2", "copy-3", "copy-4"]);
    for (const copy of copies) await copy.start();
    for (const copy of copies) {
      copy.serial().write(`echo ${copy.name}\r`);
      await untilPrinted(copy, `\n${copy.name}\r\n`);
    }
    await host.createVm({ name: "more-2", memoryBytes: MIB, boot: SPIN });
    await expect(host.cloneVms({ folder, name: "one" }, 3, { name: "more" })).rejects.toThrow('name "more-2" is taken');
    expect(host.vms.map(({ name }) => name)).not.toContain("more-1");
  });

  it("builds on another one", async () => {
    const host = await makeHost(1);
    const vm = await makeGuest(host);
    await vm.snapshot({ folder, name: "base" }, { track: true });
    vm.serial().write("echo between\r");
    await untilPrinted(vm, "\nbetween\r\n");
    const next = await vm.snapshot({ folder, name: "next" }, { parent: "base" });
    expect(next.parent).toBe("base");
    const copy = await host.restoreVm({ folder, name: "next" }, { name: "copy" });
    await copy.start();
    copy.serial().write("echo after\r");
    await untilPrinted(copy, "\nafter\r\n");
    expect(existsSync(join(folder, "base"))).toBe(true);
  });

  it("leaves nothing behind when it cannot be restored", async () => {
    const host = await makeHost(1);
    await expect(host.restoreVm({ folder, name: "none" }, { name: "a" })).rejects.toMatchObject({ code: "not-found" });
    expect(host.vms).toEqual([]);
    await host.createVm({ name: "a", memoryBytes: MIB, boot: SPIN });
  });
});
