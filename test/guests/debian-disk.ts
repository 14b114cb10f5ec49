// Debian on a disk, made by debootstrap, started by SeaBIOS and GRUB: to its login, and a few commands as root.
import { expect } from "vitest";
import { openDiskImage } from "../../src/images/node/index.ts";
import { FirmwareGuest } from "./firmware-guest.ts";

const PROMPT = "root@debian:~# ";
const COMMANDS: readonly (readonly [command: string, says: RegExp])[] = [
  // What the kernel says later does not come between.
  ["dmesg -n 1", /^/],
  ["systemctl is-system-running --wait", /^running/m],
  ["apt list --installed 2>/dev/null | grep -c /", /^1\d\d/m],
  // What the kernel says of disks that do not answer as they should.
  ["dmesg | grep -ciE 'ata[0-9.]+: .*(error|exception|failed|reset)|I/O error'", /^0/m],
  ["findmnt -no FSTYPE,TARGET /", /^ext4 +\//m],
  ["dd if=/dev/zero of=/root/file bs=1M count=8 conv=fsync && cmp -n 8M /root/file /dev/zero && echo same", /^same/m],
];

/** Where there is no image yet a guest of ours installs one: a quarter of an hour. */
export const PULL_MS = 3_000_000;
export const BOOT_MS = 1_200_000;

export async function bootDebian(bus: "ide" | "virtio"): Promise<void> {
  const { path, memoryBytes = 512 << 20 } = await openDiskImage("debian");
  const backend = { path, format: "qcow2", snapshot: true } as const;
  await using guest = await FirmwareGuest.start([{ id: "root", bus, backend }], {
    memoryBytes,
    clock: "real",
    timeoutMs: 1_100_000,
  });
  const answer = async (typed: string): Promise<string> => {
    const from = guest.said.length;
    guest.type(`${typed}\r`);
    await guest.until(new RegExp(`[\\s\\S]{${from}}[\\s\\S]*${PROMPT}`));
    return guest.said.slice(from).replaceAll(/\r|\x1b\[[?\d;]*[A-Za-z]/g, "");
  };
  await guest.until(/debian login: /);
  expect(guest.said).toMatch(/GRUB/);
  await answer("root");
  for (const [command, says] of COMMANDS) {
    const said = await answer(command);
    expect(said.replace(command, "").replace(PROMPT, ""), command).toMatch(says);
  }
  guest.vm.pressPowerButton();
  expect(await guest.vm.exited, guest.said.slice(-2000)).toEqual({ kind: "power-off" });
}
