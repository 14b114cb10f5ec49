// Debian's installer, which speaks to people on a screen alone.
import { expect, it } from "vitest";
import { openImage, pullImage, readImageFile } from "../../src/images/node/index.ts";
import { Vm } from "../../src/index.ts";
import { ScreenGuest } from "./screen-guest.ts";

it("shows its first dialogue", async () => {
  for (const name of ["debian-installer", "seabios"]) await pullImage(name);
  const { kernel, initrd, append, memoryBytes, display } = await openImage("debian-installer");
  const vm = await Vm.create({
    boot: { kind: "linux", kernel, append: `${append} cryptomgr.notests`, ...(initrd === undefined ? {} : { initrd }) },
    ...(memoryBytes === undefined ? {} : { memoryBytes }),
    ...(display === undefined ? {} : { display }),
    vgaBios: await readImageFile("seabios", "vgabios"),
    clock: "virtual",
    timeoutMs: 800_000,
  });
  await using guest = new ScreenGuest(vm);
  await guest.shows(/Select a language/);
  expect(guest.text).toMatch(/English/);
});
