// Our virtio devices under Linux's own drivers: Debian's stock kernel with its modules, and what the host sees of it.
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { MemoryBackend, MemorySnapshots, Vm } from "../../src/index.ts";
import { NodeFileTree } from "../../src/platform/node/file-tree.ts";
import type { NetworkBackend } from "../../src/vmm/network.ts";
import type { VsockEvents } from "../../src/vmm/vsock.ts";
import { EchoHost } from "../devices/virtio/echo-host.ts";
import { MemoryDisk } from "../devices/virtio/memory-disk.ts";
import { ensureImage, expectPassed, linuxBoot, runLinux, VIRTIO_IMAGE } from "./linux-guest.ts";

const MINUTES = 60_000;
const MIB = 1024 * 1024;

let directory = "";
beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "paravane-virtio-"));
  await ensureImage(VIRTIO_IMAGE);
}, 5 * MINUTES);
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const tool = (name: string): boolean => {
  try {
    execFileSync("sh", ["-c", `command -v ${name}`], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
};
const digest = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

/** Calls back, with the VM, when a line appears on the serial console. */
function onLine(vm: Vm, answers: Readonly<Record<string, () => void>>): void {
  let seen = "";
  const waiting = new Map(Object.entries(answers));
  vm.on("serial", ({ bytes }) => {
    seen += Buffer.from(bytes).toString("latin1");
    for (const [line, answer] of waiting) {
      if (!seen.includes(line)) continue;
      waiting.delete(line);
      answer();
    }
  });
}

describe("Linux's virtio drivers", () => {
  it.runIf(tool("/sbin/mke2fs"))(
    "read entropy, mount and write disks, and give memory to the host and back",
    async () => {
      const files = join(directory, "files");
      mkdirSync(files);
      const words = "some words\n".repeat(100_000);
      writeFileSync(join(files, "words"), words);
      writeFileSync(join(files, "sums"), `${digest(Buffer.from(words))}  words\n`);
      const image = join(directory, "disk");
      writeFileSync(image, new Uint8Array(32 * MIB));
      execFileSync("/sbin/mke2fs", ["-q", "-t", "ext4", "-d", files, image]);
      // The first disk answers late, from the event loop; the second at once.
      const disk = new MemoryDisk(new Uint8Array(readFileSync(image)), false, true);
      const other = new MemoryDisk(new Uint8Array(MIB), true);
      let held = 0;
      const run = await runLinux({
        image: VIRTIO_IMAGE,
        script: "virtio.sh",
        config: {
          clock: "real",
          rng: true,
          balloon: { statisticsIntervalMs: 100 },
          drives: [
            { id: "root-disk", backend: disk, bus: "virtio" },
            { id: "ro", backend: other, bus: "virtio" },
          ],
        },
        during: async (vm) => {
          const { balloon } = vm.virtio;
          onLine(vm, {
            "balloon: ready": () => {
              balloon?.setTarget(64 * MIB);
              vm.serial(0).write("go on\r");
            },
            "balloon: inflated": () => {
              held = balloon?.balloonBytes ?? 0;
              expect(balloon?.statistics.totalBytes).toBeGreaterThan(100 * MIB);
              balloon?.setTarget(0);
              vm.serial(0).write("go on\r");
            },
          });
        },
      });
      expectPassed(run, 14);
      expect(held).toBe(64 * MIB);
      const written = join(directory, "written");
      writeFileSync(written, disk.bytes);
      execFileSync("/sbin/e2fsck", ["-fn", written], { stdio: "pipe" });
      const sum = /^disk: big ([0-9a-f]{64})$/m.exec(run.console)?.[1];
      const dumped = execFileSync("/sbin/debugfs", ["-R", "cat big", written], { maxBuffer: 64 * MIB, stdio: "pipe" });
      expect(digest(dumped)).toBe(sum);
      expect(other.bytes.every((byte) => byte === 0)).toBe(true);
      expect(run.statistics.devices["virtio-blk0"]).toMatchObject({ errors: 0, faults: 0 });
      expect(run.statistics.devices["virtio-balloon"]).toMatchObject({ balloonBytes: 0, refusedPages: 0, faults: 0 });
      expect(run.statistics.devices["virtio-balloon"]?.reportedBytes).toBeGreaterThan(0);
    },
    4 * MINUTES,
  );

  it.runIf(tool("gcc"))(
    "type on a console, share a directory, ping, connect by socket and read input, with INTx alone",
    async () => {
      const share = join(directory, "share");
      mkdirSync(share);
      const large = Buffer.alloc(3_000_001, "0123456789abc");
      const stream = Buffer.alloc(200_000, "stream of bytes ");
      writeFileSync(join(directory, "secret"), "secret");
      writeFileSync(join(share, "hello"), "from the host\n");
      writeFileSync(join(share, "large"), large);
      writeFileSync(join(share, "large.sum"), digest(large).slice(0, 16));
      for (let i = 0; i < 302; i++) writeFileSync(join(share, `file-${i}`), "");
      symlinkSync("..", join(share, "outside"));
      const program = join(directory, "vsock");
      const source = fileURLToPath(new URL("programs/vsock.c", import.meta.url));
      execFileSync("gcc", ["-m32", "-static", "-O1", "-o", program, source]);

      const terminal = new MemoryBackend();
      const port = new MemoryBackend();
      const network = new EchoHost();
      const counting: VsockEvents[] = [];
      let echoed = 0;
      using tree = new NodeFileTree(share);
      const run = await runLinux({
        image: VIRTIO_IMAGE,
        script: "virtio-io.sh",
        append: "pci=nomsi",
        entries: [
          { kind: "file", path: "tests/vsock", data: readFileSync(program), permissions: 0o755 },
          { kind: "file", path: "tests/stream.sum", data: Buffer.from(digest(stream).slice(0, 16)) },
        ],
        config: {
          consoles: [
            { backend: answering(terminal, "hello from hvc0", "hello guest\r") },
            { backend: answering(port, "ready", stream), kind: "stream", name: "org.paravane.test" },
          ],
          shares: [{ tag: "share", tree }],
          nics: [{ id: "net", backend: network, model: "virtio" }],
          vsock: {
            backend: {
              connect: (caller) => {
                if (caller.hostPort !== 1234) return undefined;
                let count = 0;
                const events: VsockEvents = {
                  data: (bytes) => {
                    count += bytes.length;
                  },
                  end: () => {
                    caller.write(Buffer.from(`${count} bytes`));
                    caller.end();
                  },
                };
                counting.push(events);
                return events;
              },
            },
          },
          inputs: ["keyboard", "mouse", "tablet"],
        },
        during: async (vm) => {
          const { console, nics, vsock, inputs } = vm.virtio;
          console?.resize(0, 111, 33);
          onLine(vm, {
            "net: link down please": () => nics.get("net")?.setLink(false),
            "vsock: listening": () => {
              const stream = vsock?.connect(777, {
                open: () => {
                  stream?.write(Buffer.alloc(1_000_000, "q"));
                  stream?.end();
                },
                data: (bytes) => {
                  echoed += bytes.length;
                },
              });
            },
            "input: keyboard": () => {
              inputs.get("keyboard")?.key(30, true);
              inputs.get("keyboard")?.key(30, false);
            },
            "input: mouse": () => inputs.get("mouse")?.move(5, -7),
            "input: tablet": () => inputs.get("tablet")?.point(1000, 2000),
          });
        },
      });
      expectPassed(run, 34);
      expect(terminal.text()).toContain("hello from hvc0");
      expect(echoed).toBe(1_000_000);
      expect(counting.length).toBe(1);
      expect(network).toMatchObject({ echoes: 8, wrong: [] });
      expect(readFileSync(join(share, "shallow/er/moved"), "utf8")).toBe("one\ntwo\n");
      expect(readFileSync(join(directory, "secret"), "utf8")).toBe("secret");
      for (const [name, metrics] of Object.entries(run.statistics.devices)) {
        if (name.startsWith("virtio")) expect(metrics, name).toMatchObject({ faults: 0 });
      }
    },
    4 * MINUTES,
  );

  it(
    "go on in another VM after a snapshot in the middle of their work",
    async () => {
      const share = join(directory, "kept");
      mkdirSync(share);
      using tree = new NodeFileTree(share);
      const disk = new MemoryDisk(new Uint8Array(4 * MIB));
      const network = new EchoHost();
      const objects = {
        drives: [{ id: "disk", backend: disk, bus: "virtio" }],
        shares: [{ tag: "share", tree }],
        nics: [{ id: "net", backend: network, model: "virtio" }],
      } as const;
      const { memoryBytes, boot } = await linuxBoot({ image: VIRTIO_IMAGE, script: "virtio-resume.sh" });
      const config = { memoryBytes: memoryBytes ?? 256 * MIB, boot, timeoutMs: 3 * MINUTES, clock: "virtual" } as const;
      const store = new MemorySnapshots();
      await using first = await Vm.create({ ...config, ...objects, rng: true, balloon: true });
      const ready = new Promise<void>((resolve) => onLine(first, { "resume: ready": resolve }));
      first.start();
      await ready;
      await first.pause();
      await first.snapshot({ store, name: "middle" });
      await first.stop();
      await using second = await Vm.restore(
        { store, name: "middle" },
        { config: { ...objects, timeoutMs: 3 * MINUTES } },
      );
      let console = "";
      second.on("serial", ({ bytes }) => {
        console += Buffer.from(bytes).toString();
      });
      second.start();
      second.serial(0).write("go on\r");
      const status = await second.exited;
      expectPassed({ status, console: console.replaceAll("\r", ""), statistics: second.statistics() }, 5);
      expect(network.wrong).toEqual([]);
    },
    4 * MINUTES,
  );

  it(
    "carry a TCP stream from guest to guest, in segments of the sender's driver that our card cuts",
    async () => {
      const [left, right] = cable();
      const end = (role: string, backend: NetworkBackend, mac: string) =>
        runLinux({
          image: VIRTIO_IMAGE,
          script: "virtio-peer.sh",
          append: `quiet paravane.peer=${role}`,
          config: { clock: "real", nics: [{ id: "net", backend, model: "virtio", mac }] },
        });
      const [server, client] = await Promise.all([
        end("server", left, "02:70:76:00:00:01"),
        end("client", right, "02:70:76:00:00:02"),
      ]);
      expectPassed(server, 1);
      expectPassed(client, 2);
      expect(server.statistics.devices["virtio-net0"]?.segmented).toBeGreaterThan(10);
      expect(client.statistics.devices["virtio-net0"]).toMatchObject({ malformed: 0, faults: 0 });
    },
    6 * MINUTES,
  );
});

/** A backend that sends something the first time that some text comes. */
function answering(backend: MemoryBackend, text: string, answer: string | Uint8Array) {
  let answered = false;
  return {
    write: (bytes: Uint8Array) => {
      backend.write(bytes);
      if (answered || !backend.text().includes(text)) return;
      answered = true;
      backend.send(typeof answer === "string" ? Buffer.from(answer) : answer);
    },
    onInput: (listener: (bytes: Uint8Array) => void) => backend.onInput(listener),
  };
}

/** Two ends: what one sends, the other receives on a later turn of the event loop. */
function cable(): [NetworkBackend, NetworkBackend] {
  const listeners: [Set<(frame: Uint8Array) => void>, Set<(frame: Uint8Array) => void>] = [new Set(), new Set()];
  const end = (own: 0 | 1): NetworkBackend => ({
    send: (frame) => {
      const copy = frame.slice();
      setImmediate(() => {
        for (const listener of listeners[1 - own] ?? []) listener(copy);
      });
    },
    onReceive: (listener) => {
      listeners[own].add(listener);
      return { dispose: () => void listeners[own].delete(listener) };
    },
  });
  return [end(0), end(1)];
}
