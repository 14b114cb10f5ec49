// Debian's installer, which speaks to people on a screen alone.
import { beforeAll, expect, it } from "vitest";
import { openImage, pullImage, readImageFile } from "../../src/images/node/index.ts";
import { Vm } from "../../src/index.ts";
import { ScreenGuest } from "./screen-guest.ts";

const MINUTES = 60_000;

beforeAll(async () => {
  for (const name of ["debian-installer", "seabios"]) await pullImage(name);
}, 10 * MINUTES);

it("shows its first dialogue", { timeout: 8 * MINUTES }, async () => {
  const { kernel, initrd, append, memoryBytes, display } = await openImage("debian-installer");
  const vm = await Vm.create({
    boot: { kind: "linux", kernel, append: `${append} cryptomgr.notests`, ...(initrd === undefined ? {} : { initrd }) },
    ...(memoryBytes === undefined ? {} : { memoryBytes }),
    ...(display === undefined ? {} : { display }),
    vgaBios: await readImageFile("seabios", "vgabios"),
    clock: "virtual",
    timeoutMs: 7 * MINUTES,
  });
  await using guest = new ScreenGuest(vm);
  await guest.shows(/Select a language/);
  expect(guest.text).toMatch(/English/);
});
