// The image `linux` from the command line, as the documents say: it finds the disks, CDs, directories and virtio devices that it
// was given, and what it was told is on a disk is there when its process is killed.
import { spawn, spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, it } from "vitest";
import { has, runTool, Scratch } from "../backends/block/tools.ts";
import { ensureImage } from "./linux-guest.ts";

const launcher = fileURLToPath(new URL("../../bin/paravane.js", import.meta.url));
const MINUTES = 60_000;
const SECTOR_BYTES = 4096;
/** Without the self-tests of ciphers, most of the kernel's boot. */
const QUICK = "quiet cryptomgr.notests";

beforeAll(() => ensureImage("linux"), 5 * MINUTES);

const argumentsFor = (command: string, devices: readonly string[]): string[] => [
  ...[launcher, "run", "linux", "--timeout", "3m", "--append", `${QUICK} paravane.run="${command}"`],
  ...devices,
];

describe("the image linux", () => {
  it.runIf(has("mke2fs") && has("xorriso"))(
    "has drivers for the disk, CD, directories and virtio devices that it is given",
    () => {
      using scratch = new Scratch();
      const disk = scratch.path("disk.img");
      const cd = scratch.path("cd.iso");
      const folder = scratch.path("folder");
      const shared = scratch.path("shared");
      mkdirSync(folder);
      mkdirSync(shared);
      writeFileSync(`${folder}/a file with a long name`, "of the host\n");
      runTool("xorriso", "-as", "mkisofs", "-quiet", "-R", "-o", cd, folder);
      writeFileSync(disk, "");
      truncateSync(disk, 8 << 20);
      runTool("mke2fs", "-q", "-t", "ext4", disk);
      const command = [
        "mount /dev/vda /mnt && echo kept >/mnt/word && umount /mnt && echo disk ok",
        "for d in sda1 sr0; do mount -o ro /dev/$d /mnt 2>/dev/null && cat /mnt/a* && umount /mnt && echo $d ok; done",
        "mount -t 9p -o trans=virtio,version=9p2000.L host /mnt && echo of the guest >/mnt/word && umount /mnt && echo share ok",
        "mount -t 9p -o trans=virtio,version=9p2000.L again /mnt && cat /mnt/word",
        "(echo more >>/mnt/word) 2>/dev/null || echo again cannot be written",
        "cat /sys/class/misc/hw_random/rng_current",
        "ls /sys/bus/virtio/drivers/virtio_balloon",
      ].join("; ");
      const { status, stdout, stderr } = spawnSync(
        process.execPath,
        argumentsFor(command, [
          ...["--drive", `file=${disk},if=virtio,snapshot=off`, "--hda", folder, "--cdrom", cd, "--rng", "--balloon"],
          ...["--share", shared, "--share", `${shared},tag=again,readonly=on`],
        ]),
        { encoding: "utf8" },
      );
      expect(status, stderr + stdout).toBe(0);
      for (const line of [
        "disk ok",
        "sda1 ok",
        "sr0 ok",
        "share ok",
        "of the guest",
        "again cannot be written",
        "virtio_rng.0",
      ])
        expect(stdout.replaceAll("\r", "")).toContain(`\n${line}\n`);
      expect(stdout.match(/of the host/g)).toHaveLength(2);
      expect(stdout).toMatch(/virtio\d+\b/);
      expect(runTool("debugfs", "-R", "cat word", disk)).toBe("kept\n");
      expect(readFileSync(join(shared, "word"), "utf8")).toBe("of the guest\n");
    },
    4 * MINUTES,
  );

  it.runIf(has("qemu-img"))(
    "loses nothing that it synchronised when the process is killed, on IDE and raw, on virtio and qcow2",
    async () => {
      using scratch = new Scratch();
      const [raw, qcow2] = [scratch.path("a.img"), scratch.path("b.qcow2")];
      writeFileSync(raw, "");
      truncateSync(raw, 8 << 20);
      runTool("qemu-img", "create", "-q", "-f", "qcow2", qcow2, "8M");
      const write = `printf %${SECTOR_BYTES}d $n | dd of=/dev/$d bs=${SECTOR_BYTES} seek=$n conv=fsync,notrunc 2>/dev/null`;
      const command = `n=0; while :; do for d in sda vda; do ${write} && echo done $d $n.; done; n=$((n+1)); done`;
      const drives = [`file=${raw},snapshot=off`, `file=${qcow2},if=virtio,snapshot=off`];
      const child = spawn(
        process.execPath,
        argumentsFor(
          command,
          drives.flatMap((drive) => ["--drive", drive]),
        ),
        { stdio: ["ignore", "pipe", "inherit"] },
      );
      let said = "";
      child.stdout.on("data", (bytes: Buffer) => {
        said += bytes.toString("latin1");
        if (said.includes("done vda 40.")) child.kill("SIGKILL");
      });
      expect(await new Promise((resolve) => child.on("close", (_code, signal) => resolve(signal))), said).toBe(
        "SIGKILL",
      );
      const flat = scratch.path("flat.img");
      runTool("qemu-img", "convert", "-f", "qcow2", "-O", "raw", qcow2, flat);
      expect(runTool("qemu-img", "check", qcow2)).toContain("No errors were found");
      for (const [name, bytes] of [
        ["sda", readFileSync(raw)],
        ["vda", readFileSync(flat)],
      ] as const) {
        const done = [...said.matchAll(new RegExp(`^done ${name} (\\d+)\\.`, "gm"))].map((match) => Number(match[1]));
        expect(done.length).toBeGreaterThan(40);
        for (const n of done)
          expect(bytes.toString("latin1", n * SECTOR_BYTES, (n + 1) * SECTOR_BYTES), `${name} ${n}`).toBe(
            String(n).padStart(SECTOR_BYTES),
          );
      }
    },
    4 * MINUTES,
  );
});
