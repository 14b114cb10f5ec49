// Boots over the network: SeaBIOS runs iPXE from the card's ROM, which asks the gateway by DHCP and loads by TFTP what it names.
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { beforeAll, describe, expect, it } from "vitest";
import { openImage, pullImage, readImageFile } from "../../src/images/node/index.ts";
import { memoryDisk } from "../../src/index.ts";
import { has, Scratch } from "../backends/block/tools.ts";
import { bootDisk, FirmwareGuest, SEABIOS } from "./firmware-guest.ts";

const SCRIPT = `#!ipxe
echo booted by \${net0/mac}, \${net0/ip}
kernel vmlinuz console=ttyS0 paravane.run="echo from the network"
initrd initrd
boot
`;

describe.skipIf(!existsSync(SEABIOS))("booting over the network", () => {
  beforeAll(async () => {
    for (const name of ["linux-tiny", "ipxe"]) await pullImage(name);
  }, 600_000);

  it.each(["virtio", "rtl8139"] as const)(
    "a %s card fetches a script, a kernel and an initrd, and the kernel runs",
    async (model) => {
      using scratch = new Scratch();
      const { kernel, initrd = new Uint8Array() } = await openImage("linux-tiny");
      mkdirSync(scratch.path("tftp"));
      writeFileSync(scratch.path("tftp/boot.ipxe"), SCRIPT);
      writeFileSync(scratch.path("tftp/vmlinuz"), kernel);
      writeFileSync(scratch.path("tftp/initrd"), initrd);
      // iPXE waits for other servers by the clock; a virtual one stands nearly still while it polls the card.
      await using guest = await FirmwareGuest.start([], {
        clock: "real",
        timeoutMs: 250_000,
        bootOrder: ["network"],
        nics: [
          {
            id: "net",
            model,
            backend: { kind: "user", tftp: scratch.path("tftp"), bootFile: "boot.ipxe", restrict: true },
            bootRom: await readImageFile("ipxe", model),
          },
        ],
      });
      expect((await guest.vm.exited).kind, guest.said).toBe("power-off");
      expect(guest.said).toContain("booted by 02:70:76:00:00:01, 10.0.2.15");
      expect(guest.said).toMatch(/from the network[\s\S]*paravane: exit 0/);
    },
    300_000,
  );

  it.skipIf(!has("nasm"))(
    "a card's place in the boot order comes before a disk's, which is next",
    async () => {
      await using guest = await FirmwareGuest.start(
        [{ id: "hd", bus: "ide", bootIndex: 1, backend: memoryDisk(bootDisk(16 << 20, { 1: "from the disk" })) }],
        {
          clock: "real",
          timeoutMs: 250_000,
          nics: [
            {
              id: "net",
              model: "virtio",
              // Nobody answers there.
              backend: { kind: "none" },
              bootIndex: 0,
              bootRom: await readImageFile("ipxe", "virtio"),
            },
          ],
        },
      );
      await guest.until(/from the disk/);
      expect(guest.said).toMatch(/iPXE[\s\S]*starting execution[\s\S]*from the disk/);
    },
    300_000,
  );
});
