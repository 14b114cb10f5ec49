// Guests that show what they do on a VGA, and are typed to.
import { beforeAll, describe, expect, it } from "vitest";
import { openImage, pullImage, readImageFile } from "../../src/images/node/index.ts";
import { Vm, type VmConfig } from "../../src/index.ts";
import { ScreenGuest } from "./screen-guest.ts";

beforeAll(async () => {
  for (const name of ["linux", "memtest86+", "seabios"]) await pullImage(name);
}, 600_000);

async function boot(image: string, config: Partial<VmConfig>, append = ""): Promise<ScreenGuest> {
  const { kernel, initrd, memoryBytes } = await openImage(image);
  const vm = await Vm.create({
    boot: { kind: "linux", kernel, append, ...(initrd === undefined ? {} : { initrd }) },
    ...(memoryBytes === undefined ? {} : { memoryBytes }),
    clock: "virtual",
    display: "vga",
    vgaBios: await readImageFile("seabios", "vgabios"),
    timeoutMs: 350_000,
    ...config,
  });
  return new ScreenGuest(vm);
}

describe("memtest86+", () => {
  // Guest time that passes quickly: it waits a few seconds for keys, and calibrates its clocks.
  const machine = { memoryBytes: 8 << 20, nsPerInstruction: 20 } as const;

  it("passes its first tests on the screen, and takes keys", { timeout: 360_000 }, async () => {
    await using guest = await boot("memtest86+", machine);
    await guest.shows(/Memtest86\+ v\d/);
    await guest.shows(/Test #4 /);
    expect(guest.text).toMatch(/Errors: 0/);
    expect(guest.text).toMatch(/Paravane virtual processor/);
    guest.vm.keyboard.send("f1");
    await guest.shows(/<F1> {2}Test selection/);
    guest.vm.keyboard.send("f10");
    await guest.shows(/Status: Testing/);
  });
});

/** The self-tests of its ciphers are most of its boot. */
const LINUX = "console=tty0 quiet cryptomgr.notests clocksource=hpet nolapic_timer";

describe("Linux with its console on the VGA, and timed by the HPET", () => {
  it("shows its shell, takes what is typed, and writes text without an exit", { timeout: 360_000 }, async () => {
    await using guest = await boot("linux", { hpet: true }, LINUX);
    await guest.shows(/^~ #$/);
    const { vm } = guest;
    vm.type("cat /sys/devices/system/clocksource/*/current*; dmesg | grep hpet0; echo Th'e 'End\n");
    await guest.shows(/^The End$/);
    expect(guest.text).toMatch(/^hpet$/m);
    expect(guest.text).toMatch(/hpet0: 3 comparators, 64-bit 100.000000 MHz counter/);
    // Scrolled text is still right.
    vm.type("for i in $(seq 60); do echo line $i; done; cat /proc/bus/input/devices | grep -c AT.Translated\n");
    await guest.shows(/line 60\n1$/m);
    expect(guest.text).toContain("line 40\nline 41\n");
    const { vga, hpet } = vm.statistics().devices;
    expect(vga).toMatchObject({ windowReads: 0, windowWrites: 0 });
    expect(hpet?.interrupts).toBeGreaterThan(100);
  });
});
