// Debian's kernel and asynchronous page faults: a restored guest lets others run while a page of a program is unpacked.
import { beforeAll, describe, expect, it } from "vitest";
import { openImage, pullImage } from "../../src/images/node/index.ts";
import { MemorySnapshots, Vm, type VmConfig } from "../../src/index.ts";

const COMMAND =
  "for i in 1 2 3 4 5 6; do echo tick $i; md5sum /bin/busybox; done; grep HYP /proc/interrupts; echo end of it";

async function run(vm: Vm, during?: (said: string) => void): Promise<string> {
  let said = "";
  vm.on("serial", ({ bytes }) => {
    said += new TextDecoder().decode(bytes);
    during?.(said);
  });
  vm.start();
  await vm.exited;
  return said;
}

describe("Linux with asynchronous page faults", { timeout: 240_000 }, () => {
  const store = new MemorySnapshots();
  let whole: string;

  beforeAll(async () => {
    await pullImage("linux");
    const { kernel, initrd, append, memoryBytes } = await openImage("linux");
    await using vm = await Vm.create({
      boot: { kind: "linux", kernel, initrd, append: `${append} paravane.run="${COMMAND}"` },
      memoryBytes,
      paravirt: ["clock", "steal", "eoi", "async-pf"],
      timeoutMs: 200_000,
    } as VmConfig);
    let taken: Promise<unknown> | undefined;
    whole = await run(vm, (said) => {
      if (said.includes("tick 3")) taken ??= vm.snapshot({ store, name: "middle" });
    });
    await taken;
  }, 300_000);

  it("has none where all of its memory is there", () => {
    expect(whole).toMatch(/HYP: +0 /);
  });

  it.each([true, false])("is told of pages that come later, asynchronously: %s", async (asynchronous) => {
    await using vm = await Vm.restore({ store, name: "middle" }, { lazy: { background: false, asynchronous } });
    const said = await run(vm);
    const told = Number(/HYP: +(\d+) /.exec(said)?.[1]);
    expect(said).toContain("end of it");
    expect(told > 0).toBe(asynchronous);
    expect(vm.statistics().absentPages.asynchronous > 0).toBe(asynchronous);
    // It computes what it would have computed.
    const sums = (text: string): string[] => text.match(/[0-9a-f]{32} {2}\/bin\/busybox/g) ?? [];
    expect(new Set([...sums(whole), ...sums(said)]).size).toBe(1);
  });
});
