// What a host does to a Linux guest on a worker thread while it runs: memory by its balloon, rate limits, disks and network
// cards that come and go, and a move to another pCPU in between.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Api } from "../../src/api/api.ts";
import { prometheusText } from "../../src/api/metrics.ts";
import { vmView } from "../../src/api/views.ts";
import { openImage } from "../../src/images/node/index.ts";
import { Host, type HostedVm } from "../../src/index.ts";
import { ensureImage, VIRTIO_IMAGE } from "./linux-guest.ts";

const MINUTES = 60_000;
const MIB = 2 ** 20;
const RAM = 128 * MIB;

let folder = "";
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "paravane-management-"));
  await ensureImage(VIRTIO_IMAGE);
}, 5 * MINUTES);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** The shell of a guest on its serial console. */
class Shell {
  #asked = 0;
  #text = "";
  constructor(private readonly vm: HostedVm) {
    vm.on("serial", ({ bytes }) => {
      this.#text += Buffer.from(bytes).toString("latin1").replaceAll("\r", "");
    });
  }
  async until(pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const found = pattern.exec(this.#text);
      if (found !== null) return found;
      if (this.vm.state !== "running") throw new Error(`the guest ended; it said: ${this.#text.slice(-2000)}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
  /** What a command prints. */
  async ask(command: string): Promise<string> {
    const n = ++this.#asked;
    // Split, so that the echo of what is typed is not taken for the answer.
    this.vm.serial().write(`echo "be""gin-${n}"; ${command}; echo "en""d-${n}"\r`);
    const [, answer = ""] = await this.until(new RegExp(`begin-${n}\n([^]*?)end-${n}\n`));
    return answer.trim();
  }
  async number(command: string): Promise<number> {
    return Number(await this.ask(command));
  }
}

describe("a Linux guest of a host", () => {
  it("gives memory and takes it, waits at its limits, and gets disks and loses them", {
    timeout: 5 * MINUTES,
  }, async () => {
    for (const name of ["root", "more"]) writeFileSync(join(folder, name), Buffer.alloc(8 * MIB, name));
    const { kernel, initrd = new Uint8Array(), append } = await openImage(VIRTIO_IMAGE);
    await using host = await Host.create({ pcpus: 2 });
    const vm = await host.createVm({
      boot: { kind: "linux", kernel, initrd, append: `${append} cryptomgr.notests` },
      memoryBytes: RAM,
      balloon: true,
      drives: [{ id: "root", bus: "virtio", backend: { path: join(folder, "root") } }],
    });
    const shell = new Shell(vm);
    await vm.start();
    await shell.until(/~ # /);
    await shell.ask("modprobe -a virtio_pci virtio_balloon virtio_blk");

    // ---- memory
    const free = (): Promise<number> => shell.number("awk '/^MemFree/ { print $2 }' /proc/meminfo");
    const before = await free();
    await vm.setMemory(RAM - 48 * MIB);
    await expect.poll(() => vm.balloon?.balloonBytes, { timeout: MINUTES }).toBe(48 * MIB);
    expect(before - (await free())).toBeGreaterThan(40_000);
    await expect.poll(() => vm.balloon?.usedBytes, { timeout: MINUTES }).toBeGreaterThan(MIB);
    expect(vmView(vm).balloon).toMatchObject({ targetMib: 48, balloonMib: 48 });
    expect(await prometheusText(host)).toContain(`paravane_vm_balloon_bytes{vm="${vm.name}"} ${48 * MIB}`);
    await vm.setMemory(RAM);
    await expect.poll(() => vm.balloon?.balloonBytes, { timeout: MINUTES }).toBe(0);
    expect(Math.abs(before - (await free()))).toBeLessThan(20_000);
    await expect(vm.setMemory(2 * RAM)).rejects.toThrow(/memory\.limit/);

    // ---- limits
    const read = async (): Promise<number> => {
      const times = "awk '{ print $1 }' /proc/uptime";
      const [from = 0, to = 0] = (
        await shell.ask(`${times}; dd if=/dev/vda of=/dev/null bs=64k count=64 iflag=direct 2>/dev/null; ${times}`)
      )
        .split("\n")
        .map(Number);
      return to - from;
    };
    await vm.setLimits({ disks: { bandwidth: { size: MIB, refillMs: 1000 } } });
    // 4 MiB, of which one is there at once.
    expect(await read()).toBeGreaterThan(2.5);
    expect((await vm.statistics()).devices["virtio-blk0"]?.["throttled"]).toBeGreaterThan(0);
    await vm.setLimits({ disks: null });
    expect(await read()).toBeLessThan(2);

    // ---- disks
    await vm.attach({ drive: { id: "more", bus: "virtio", backend: { path: join(folder, "more") } } });
    await expect.poll(() => shell.ask("dd if=/dev/vdb bs=4 count=1 2>/dev/null"), { timeout: MINUTES }).toBe("more");
    await host.move(vm, 1 - vm.pcpu);
    expect(await shell.ask("dd if=/dev/vdb bs=4 skip=1024 count=1 iflag=direct 2>/dev/null | cut -c1-4")).toMatch(
      /more|remo|orem|ermo/,
    );
    expect(vmView(vm).devices.drives).toEqual(["root", "more"]);
    await vm.detach("more");
    expect(await shell.ask("ls /dev/vdb 2>&1")).toContain("No such file");

    // ---- network cards, over the API
    const api = new Api({ host, version: "0", wallMs: () => 0, resolve: () => Promise.reject(new Error("no specs")) });
    const post = async (action: string, body: object): Promise<number> => {
      const request = {
        method: "POST",
        path: `/v1/vms/${vm.name}/${action}`,
        query: new URLSearchParams(),
        body: new TextEncoder().encode(JSON.stringify(body)),
        signal: new AbortController().signal,
      };
      return (await api.handle(request)).status;
    };
    await shell.ask("modprobe virtio_net");
    const mac = "02:70:76:00:99:01";
    expect(await post("attach", { nic: { id: "net0", mac, user: { net: "10.9.0.0/24" } } })).toBe(200);
    await expect.poll(() => shell.ask("ip link show eth0"), { timeout: MINUTES }).toContain(mac);
    await shell.ask("ip link set eth0 up; ip addr add 10.9.0.15/24 dev eth0");
    expect(await shell.ask("ping -c 1 -w 30 10.9.0.2")).toContain("1 packets received");
    expect(await post("detach", { id: "net0", timeoutMs: MINUTES })).toBe(200);
    expect(await shell.ask("ip link show eth0 2>&1")).toMatch(/can't find|does not exist/);
    await vm.stop({ timeoutMs: 100 });
    // A VM that does not run loses it from its configuration.
    await vm.detach("root");
    expect(vmView(vm).devices.drives).toEqual([]);
  });
});
