// Debian's kernel over a snapshot: the copy that is the same machine ends in the same state, and the copy with an
// identity of its own is told so and takes new random numbers.
import { beforeAll, describe, expect, it } from "vitest";
import { openImage } from "../../src/images/node/index.ts";
import { MemorySnapshots, Vm, type VmConfig } from "../../src/index.ts";
import { ensureImage } from "./linux-guest.ts";

const MINUTES = 60_000;
/**
 * Waits until the kernel's random numbers are ready (only then does it reseed them), works in its shell, then says
 * what the kernel said of a fork of the machine.
 */
const COMMAND =
  "head -c 1 /dev/random > /tmp/r; for i in 1 2 3 4 5 6 7 8 9; do echo tick $i; cat /proc/interrupts > /tmp/$i; done; date; dmesg | grep -i fork; echo end of it";

async function config(): Promise<VmConfig> {
  const { kernel, initrd, append } = await openImage("linux");
  const boot = { kind: "linux", kernel, initrd, append: `${append} paravane.run="${COMMAND}"` };
  return { memoryBytes: 96 << 20, clock: "virtual", timeoutMs: 4 * MINUTES, boot } as VmConfig;
}

function listen(vm: Vm): { text: string } {
  const heard = { text: "" };
  vm.on("serial", ({ bytes }) => {
    heard.text += new TextDecoder("latin1").decode(bytes);
  });
  return heard;
}

describe("Debian's kernel over a snapshot", () => {
  beforeAll(() => ensureImage("linux"), 6 * MINUTES);

  it("goes on as if nothing had been, and knows of it where it is a copy", { timeout: 6 * MINUTES }, async () => {
    const store = new MemorySnapshots();
    await using vm = await Vm.create(await config());
    const heard = listen(vm);
    const taken = new Promise<void>((resolve, reject) => {
      const listener = vm.on("serial", () => {
        if (!heard.text.includes("tick 2")) return;
        listener[Symbol.dispose]();
        vm.snapshot({ store, name: "linux" }).then(() => resolve(), reject);
      });
    });
    vm.start();
    await taken;
    expect(await vm.exited).toEqual({ kind: "power-off" });
    expect(heard.text).not.toContain("virtual machine fork");

    await using same = await Vm.restore({ store, name: "linux" }, { identity: "same" });
    const rest = listen(same);
    same.start();
    expect(await same.exited).toEqual({ kind: "power-off" });
    expect(heard.text.endsWith(rest.text.slice(rest.text.indexOf("\n") + 1))).toBe(true);
    expect(same.statistics().instructions).toBe(vm.statistics().instructions);
    expect(await same.stateHash()).toBe(await vm.stateHash());

    await using copy = await Vm.restore({ store, name: "linux" });
    const told = listen(copy);
    copy.start();
    expect(await copy.exited).toEqual({ kind: "power-off" });
    expect(told.text).toContain("crng reseeded due to virtual machine fork");
    expect(told.text).toContain("end of it");
  });
});
