// Snapshots of a guest whose page tables the monitor shadows, or knows: what it derived of them is not in the file, and is
// made again.
import { beforeAll, describe, expect, it } from "vitest";
import { openImage, pullImage } from "../../src/images/node/index.ts";
import { MemorySnapshots, Vm, type VmConfig } from "../../src/index.ts";

const COMMAND = "for i in 1 2 3 4 5 6; do echo tick $i; (ls -R /sys/kernel | gzip >/tmp/$i); done; echo end of it";

describe("Linux over a snapshot", () => {
  beforeAll(() => pullImage("linux-tiny"), 600_000);

  it.each(["shadow", "para"] as const)(
    "under %s paging goes on as if nothing had been",
    { timeout: 240_000 },
    async (paging) => {
      const { kernel, initrd, append, memoryBytes } = await openImage("linux-tiny");
      const boot = { kind: "linux", kernel, initrd, append: `${append} paravane.run="${COMMAND}"` };
      await using vm = await Vm.create({ boot, memoryBytes, paging, clock: "virtual", timeoutMs: 200_000 } as VmConfig);
      const store = new MemorySnapshots();
      let said = "";
      const taken = new Promise<void>((resolve, reject) => {
        const listener = vm.on("serial", ({ bytes }) => {
          said += new TextDecoder().decode(bytes);
          if (!said.includes("tick 3")) return;
          listener[Symbol.dispose]();
          vm.snapshot({ store, name: "middle" }).then(() => resolve(), reject);
        });
      });
      vm.start();
      await taken;
      expect(await vm.exited).toEqual({ kind: "power-off" });

      await using same = await Vm.restore({ store, name: "middle" }, { identity: "same" });
      let rest = "";
      same.on("serial", ({ bytes }) => {
        rest += new TextDecoder().decode(bytes);
      });
      same.start();
      expect(await same.exited).toEqual({ kind: "power-off" });
      expect(rest).toContain("end of it");
      expect(same.statistics().instructions).toBe(vm.statistics().instructions);
      expect(await same.stateHash()).toBe(await vm.stateHash());
    },
  );
});
