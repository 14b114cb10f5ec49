// A whole Debian on an IDE disk, made by debootstrap (which needs root): it boots to a login prompt on the screen, and a
// person logs in.
import { execFileSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { defaultCacheRoot, openImage, pullGuestImage, pullImage, readImageFile } from "../../src/images/node/index.ts";
import { isInstalled } from "../../src/images/node/process.ts";
import { Vm } from "../../src/index.ts";
import { Scratch } from "../backends/block/tools.ts";
import { ScreenGuest } from "./screen-guest.ts";

const SUITE = "bookworm";
const MODULES = ["ata_piix", "sd_mod", "ext4"];
const DISK = join(defaultCacheRoot(), "guests", `debian-${SUITE}-sysvinit.ext4`);
const DISK_SIZE = "700M";

/** The mirror of the machine's own apt configuration. */
function mirror(): string {
  const targets = execFileSync("apt-get", ["indextargets", "--format", "$(SITE) $(RELEASE)", "Created-By: Packages"]);
  const row = targets
    .toString()
    .split("\n")
    .find((line) => line.endsWith(` ${SUITE}`));
  return row?.split(" ")[0] ?? "http://deb.debian.org/debian";
}

/** Made once, and kept in the cache. */
function makeDisk(): void {
  if (existsSync(DISK)) return;
  using scratch = new Scratch();
  const root = scratch.path("root");
  const packages = "--include=sysvinit-core,util-linux";
  const without = "--exclude=systemd,systemd-sysv";
  execFileSync("debootstrap", ["--arch=i386", "--variant=minbase", packages, without, SUITE, root, mirror()], {
    stdio: "pipe",
  });
  const shadow = join(root, "etc/shadow");
  // root without a password.
  writeFileSync(shadow, readFileSync(shadow, "utf8").replace(/^root:[^:]*:/m, "root::"));
  writeFileSync(join(root, "etc/hostname"), "paravane\n");
  writeFileSync(join(root, "etc/fstab"), "/dev/sda / ext4 defaults 0 1\n");
  const image = scratch.path("disk");
  execFileSync("mke2fs", ["-q", "-t", "ext4", "-d", root, image, DISK_SIZE]);
  rmSync(root, { recursive: true });
  mkdirSync(join(DISK, ".."), { recursive: true });
  copyFileSync(image, `${DISK}.part`);
  renameSync(`${DISK}.part`, DISK);
}

const able = process.getuid?.() === 0 && (await isInstalled("debootstrap")) && (await isInstalled("mke2fs"));

describe.skipIf(!able)("Debian, made by debootstrap, on an IDE disk", () => {
  it("boots to a login prompt on the screen, lets one in, and powers off", async () => {
    makeDisk();
    await pullGuestImage("guest-ide", { modules: MODULES });
    await pullImage("seabios");
    const { kernel, initrd, memoryBytes } = await openImage("guest-ide");
    const append = `console=tty0 quiet cryptomgr.notests paravane.modules=${MODULES.join()} paravane.root=/dev/sda`;
    const vm = await Vm.create({
      boot: { kind: "linux", kernel, append, ...(initrd === undefined ? {} : { initrd }) },
      ...(memoryBytes === undefined ? {} : { memoryBytes }),
      drives: [{ id: "root", bus: "ide", backend: { path: DISK, format: "raw", snapshot: true } }],
      display: "vga",
      vgaBios: await readImageFile("seabios", "vgabios"),
      clock: "virtual",
      timeoutMs: 600_000,
    });
    await using guest = new ScreenGuest(vm);
    await guest.shows(/^paravane login:/);
    vm.type("root\n");
    await guest.shows(/^root@paravane:~#$/);
    vm.type("echo $(cat /etc/debian_version) on $(uname -m), $(dpkg -l | grep -c ^ii) packages\n");
    await guest.shows(/^12\.\d+ on i686, \d\d+ packages$/);
    vm.type("poweroff\n");
    expect(await vm.exited).toEqual({ kind: "power-off" });
  });
});
