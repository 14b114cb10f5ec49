// `create` takes the machine options of `run`, and makes the same machine of them.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Command } from "commander";
import { afterAll, describe, expect, it } from "vitest";
import { machineSpec } from "../../src/cli/create-spec.ts";
import { machineConfig, resolveGuest } from "../../src/cli/guest.ts";
import type { RawMachineOptions } from "../../src/cli/machine-options.ts";
import { checkRunOptions } from "../../src/cli/options.ts";
import { addMachineOptions } from "../../src/cli/run-options.ts";
import { resolveVmSpec } from "../../src/cli/vm-spec.ts";
import type { HostedVmConfig } from "../../src/host/host.ts";
import { checkVmSpec } from "../../src/host/vm-spec.ts";
import { checkConfig } from "../../src/vmm/check-config.ts";
import { smallMultiboot } from "./small-kernel.ts";

const folder = mkdtempSync(join(tmpdir(), "paravane-create-"));
afterAll(() => rmSync(folder, { recursive: true }));
const file = (name: string, bytes: Uint8Array | string = new Uint8Array(512)): string => {
  const path = join(folder, name);
  writeFileSync(path, bytes);
  return path;
};
const kernel = file("kernel", smallMultiboot());
const flat = file("flat.bin", new Uint8Array([0xf4]));
const disk = file("a.img", new Uint8Array(65536));
const bios = file("bios.bin", new Uint8Array(65536));
const rom = file("card.rom", new Uint8Array([0x55, 0xaa, 1, ...new Uint8Array(509)]));
const progress = { show: () => {}, done: () => {} };

function parse(words: readonly string[]): { guest: string | undefined; raw: RawMachineOptions } {
  const command = addMachineOptions(new Command().argument("[guest]").exitOverride());
  command.parse([...words], { from: "user" });
  return { guest: command.args[0], raw: command.opts() };
}

/** Without what only one of the two says, or says by leaving it out. */
function comparable({ pinned: _pinned, ...config }: HostedVmConfig): unknown {
  const { name: _name, drives, ...rest } = checkConfig({ ...config, serialPorts: 1 });
  return { ...rest, drives: drives.map((drive) => ({ ...drive, backend: { snapshot: false, ...drive.backend } })) };
}

const GUESTS: Readonly<Record<string, readonly string[]>> = {
  "a multiboot kernel": ["--kernel", kernel, "--append", "a b", "--initrd", `${disk} x`, "--module", `${flat} y z`],
  "a flat binary": [flat, "--as", "flat", "--load", "0x7c00", "--entry", "0x7c00", "--mode", "real"],
  "firmware with disks": [
    ...["--bios", bios, "--drive", `file=${disk},if=virtio,id=root,bootindex=2,index=3,snapshot=off`],
    ...["--hda", disk, "--hdb", disk, "--hdc", disk, "--hdd", disk, "--fda", disk, "--fdb", disk, "--boot", "order=ca"],
  ],
  "a CD and cards": [
    ...["--bios", bios, "--cdrom", disk, "--nic", `user,bootindex=1,romfile=${rom},hostfwd=tcp::0-:22`],
    ...["--netdev", "user,id=n1,net=10.9.0.0/24", "--device", "rtl8139,netdev=n1,mac=02:00:00:00:00:09"],
    ...["--pcap", join(folder, "a.pcap"), "--vga", "std", "--vga-bios", rom],
  ],
  "another processor and clock": [
    ...["--kernel", kernel, "--memory", "48M", "--cpu", "pentium3", "--clock", "virtual", "--ns-per-instruction", "2"],
    ...["--wall", "86400", "--debug-exit", "off", "--post-port", "0x81", "--test-device", "--no-apic", "--no-acpi"],
    ...["--hpet", "--no-reboot", "--reboot-on-triple-fault", "--rng", "--balloon", "--vga", "none"],
  ],
  "another virtualization": [
    ...["--kernel", kernel, "--virt", "full", "--paging", "shadow", "--controls", "cr3,cpuid", "--pv", "clock,steal"],
    ...["--clock-sync", "follow"],
  ],
  "all of something": ["--kernel", kernel, "--controls", "all", "--pv", "all"],
  "none of something": ["--kernel", kernel, "--controls", "none", "--pv", "none"],
};
/** Debian's images are not on every machine. */
const NEED_IMAGES = ["overlay", "guestDecompress"];

describe("a machine of create", () => {
  it.each(Object.entries(GUESTS))("is that of run: %s", async (_name, words) => {
    const { guest, raw } = parse(words);
    const options = checkRunOptions(guest, raw);
    const ran = machineConfig(await resolveGuest(options.request, progress), options);
    const spec = checkVmSpec(JSON.parse(JSON.stringify(machineSpec(guest, raw))));
    expect(comparable(await resolveVmSpec(spec, progress))).toEqual(comparable(ran));
  });

  it("has every option of the table", () => {
    const given = new Set(Object.values(GUESTS).flatMap((words) => Object.keys(parse(words).raw)));
    const all = addMachineOptions(new Command()).options.map((option) => option.attributeName());
    expect(all.filter((name) => !given.has(name) && !NEED_IMAGES.includes(name))).toEqual([]);
    expect(machineSpec("debian", { overlay: "/x/kept.qcow2" })).toEqual({ guest: "debian", overlay: "/x/kept.qcow2" });
    expect(machineSpec("linux", { guestDecompress: true })).toEqual({ guest: "linux", guestDecompress: true });
  });

  it("names files from the root, as the host has a folder of its own", () => {
    const root = (name: string): string => join(process.cwd(), name);
    expect(machineSpec("package.json", { initrd: "a,b c" })).toEqual({
      guest: root("package.json"),
      initrd: `${root("a")},${root("b c")}`,
    });
    expect(machineSpec("hello", { hda: "x.img" })).toMatchObject({ guest: "hello", drives: [{ file: root("x.img") }] });
  });

  it.each<[Record<string, unknown>, string]>([
    [{ guest: "hello", kernel: "/k" }, 'the guest "hello" and kernel both say what to boot; give one of them'],
    [{ bios: "/b", append: "x" }, "append has no meaning with bios: firmware takes no command line"],
    [{ guest: "/f", as: "flat" }, "as flat needs loadAddress, the address where the binary goes"],
    [{ guest: "/f", mode: "real" }, "mode has a meaning only for flat binaries; give loadAddress too"],
    [
      { guest: "hello", guestDecompress: true },
      "guestDecompress has a meaning only for Linux kernels, and hello is none",
    ],
    [{ guest: "hello", overlay: "/o" }, "overlay keeps the writes to the disk of an image that is one"],
    [{ boot: "x" }, 'boot: "x" is not an order of a (floppy), c (disk), d (CD) and n (network), such as cd'],
    [{ nics: [{ romFile: "/no/rom" }] }, "nics[0]: cannot read romfile /no/rom"],
  ])("is refused in words of the specification: %j", async (fields, message) => {
    await expect(resolveVmSpec(checkVmSpec(fields), progress)).rejects.toThrow(message);
  });

  it.each<[Record<string, unknown>, string]>([
    [{ controls: ["cr4"] }, 'controls[0] is "cr4"; accepted: cr3'],
    [{ paravirt: 3 }, 'paravirt is 3; accepted: "all", "none", or an array of: clock'],
    [{ debugExitPort: true }, "debugExitPort is true; accepted: an integer from 0 to 65535"],
    [{ drives: [{ unit: 8 }] }, "drives[0].unit is 8; it takes a whole number from 0 to 7"],
  ])("has no field like %j", (fields, message) => {
    expect(() => checkVmSpec(fields)).toThrow(message);
  });
});
