// Debian's installer over the network: SeaBIOS, iPXE, DHCP, then everything by HTTP from this host.
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, it } from "vitest";
import { openImage, pullImage, readImageFile } from "../../src/images/node/index.ts";
import { Vm } from "../../src/index.ts";
import { ScreenGuest } from "./screen-guest.ts";

it("iPXE fetches Debian's installer by HTTP, which shows its first dialogue", { timeout: 1_200_000 }, async () => {
  for (const name of ["debian-installer", "seabios", "ipxe"]) await pullImage(name);
  const { kernel, initrd = new Uint8Array(), append, memoryBytes = 512 << 20 } = await openImage("debian-installer");
  const files = new Map<string, Uint8Array>([
    ["/linux", kernel],
    ["/initrd.gz", initrd],
    [
      "/boot.ipxe",
      new TextEncoder().encode(`#!ipxe\nkernel linux ${append} cryptomgr.notests\ninitrd initrd.gz\nboot\n`),
    ],
  ]);
  const asked: string[] = [];
  const server = createServer(({ url = "" }, response) => {
    asked.push(url);
    const bytes = files.get(url);
    response.writeHead(bytes === undefined ? 404 : 200, { "content-length": bytes?.length ?? 0 });
    response.end(bytes);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    const { port } = server.address() as AddressInfo;
    const vm = await Vm.create({
      boot: { kind: "firmware", image: (await openImage("seabios")).kernel },
      vgaBios: await readImageFile("seabios", "vgabios"),
      memoryBytes,
      timeoutMs: 1_100_000,
      bootOrder: ["network"],
      nics: [
        {
          id: "net",
          model: "virtio",
          // 10.0.2.2 is this host's loopback.
          backend: { kind: "user", bootFile: `http://10.0.2.2:${port}/boot.ipxe`, allow: [`host:${port}`] },
          bootRom: await readImageFile("ipxe", "virtio"),
        },
      ],
    });
    await using guest = new ScreenGuest(vm);
    await guest.shows(/Select a language/);
    expect(guest.text).toMatch(/English/);
    expect(asked).toEqual(["/boot.ipxe", "/linux", "/initrd.gz"]);
  } finally {
    server.closeAllConnections();
    server.close();
  }
});
