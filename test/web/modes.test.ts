// The same guests with shared memory, without it, and without workers; several at once; and the library by itself.
import { describe, expect, it } from "vitest";
import type * as Library from "../../src/index.ts";
import { BROWSER_HINT, BrowserTest, guest, noBrowser, picture, SLOW_MS, type, untilShown } from "./browser.ts";

describe.skipIf(noBrowser)(`ways to run${BROWSER_HINT}`, () => {
  const browser = BrowserTest.suite();

  it(
    "runs two guests side by side, each with its own terminal",
    async () => {
      const page = await browser.open("?rom=hello");
      await untilShown(guest(page, "hello"), /Type help/);
      await page.getByText("New guest").click();
      await page.getByRole("button", { name: "Start" }).click();
      await untilShown(guest(page, "hello-2"), /Type help/);
      await type(guest(page, "hello-2"), "ticks\r");
      await untilShown(guest(page, "hello-2"), /\d+ ticks/);
      await type(guest(page, "hello"), "mem\r");
      expect(await untilShown(guest(page, "hello"), /> mem\n[\s\S]*usable/)).not.toMatch(/ticks,/);
      await page.waitForTimeout(1200);
      await picture(page, "two-guests");
      expect(browser.complaints).toEqual([]);
      await page.close();
    },
    SLOW_MS,
  );

  it(
    "virtualizes memory as was chosen: shadow page tables under full, none under assisted",
    async () => {
      for (const [mode, shadows] of [
        ["full", true],
        ["assisted", false],
      ] as const) {
        const page = await browser.open(`?rom=kernel&mode=${mode}`);
        const panel = guest(page, "kernel");
        await untilShown(panel, /Paravane kernel/);
        await type(panel, "run primes\r");
        await panel.getByText("exits/s").click();
        await panel.getByRole("row", { name: /port/ }).first().waitFor();
        const shadow = panel.getByRole("row", { name: /^shadow-fill / });
        if (shadows) await shadow.waitFor();
        else expect(await shadow.count()).toBe(0);
        await page.close();
      }
    },
    SLOW_MS,
  );

  it(
    "runs without isolation: one worker, no shared memory, several guests",
    async () => {
      const url = await browser.serve({ isolated: false });
      const page = await browser.open(`${url}?rom=hello`);
      expect(await page.evaluate(() => [crossOriginIsolated, typeof SharedArrayBuffer])).toEqual([false, "undefined"]);
      await untilShown(guest(page, "hello"), /Type help/);
      await page.getByText("1 pCPU, not isolated").waitFor();
      expect(page.workers()).toHaveLength(1);
      await page.getByText("New guest").click();
      await page.getByRole("button", { name: "Start" }).click();
      await untilShown(guest(page, "hello-2"), /Type help/);
      await type(guest(page, "hello"), "ticks\r");
      await untilShown(guest(page, "hello"), /\d+ ticks/);
      await picture(page, "not-isolated");
      expect(browser.complaints).toEqual([]);
      await page.close();
    },
    SLOW_MS,
  );

  it(
    "runs without a worker",
    async () => {
      const page = await browser.open("?rom=hello&threads=in-process");
      await type(guest(page, "hello"), "ticks\r");
      await untilShown(guest(page, "hello"), /\d+ ticks/);
      expect(page.workers()).toHaveLength(0);
      await page.close();
    },
    SLOW_MS,
  );

  it(
    "is the library of Node: Vm and Host in a page, moves between workers, snapshots as bytes, screens",
    async () => {
      const page = await browser.open("embed.html?rom=hello");
      // As text: what this file says of imports is rewritten for Node.
      await page.evaluate(
        `import("${browser.url}paravane.js").then((library) => Object.assign(globalThis, { library }))`,
      );
      const found = await page.evaluate(async () => {
        const { Host, MemorySnapshots, Vm } = (globalThis as unknown as { library: typeof Library }).library;
        const kernel = new Uint8Array(await (await fetch("./roms/hello/hello.bin")).arrayBuffer());
        const config = { memoryBytes: 4 << 20, boot: { kind: "multiboot", kernel } } as const;
        const printed = (vm: Pick<Library.Vm, "on">, wanted: string): Promise<string> =>
          new Promise((resolve) => {
            let text = "";
            const decoder = new TextDecoder();
            vm.on("serial", ({ bytes }) => {
              text += decoder.decode(bytes, { stream: true });
              if (text.includes(wanted)) resolve(text);
            });
          });
        // Alone in the page's thread, on the virtual clock: the same run everywhere.
        const alone = await Vm.create({ ...config, clock: "virtual" });
        const greeted = printed(alone, "Type help");
        alone.start();
        await greeted;
        await alone.pause();
        const store = new MemorySnapshots();
        await alone.snapshot({ store, name: "alone" });
        const hash = await alone.stateHash();
        await alone.stop();
        const bytes = store.get("alone") as Uint8Array;
        // On workers, from its snapshot, moved while it runs.
        const host = await Host.create({ pcpus: 2 });
        const again = await host.restoreVm({ bytes }, { name: "again", identity: "same", pcpu: 0 });
        const sameHash = (await again.stateHash()) === hash;
        const answered = printed(again, "ticks,");
        await again.start();
        await host.move(again, 1);
        again.serial().write("ticks\r");
        await answered;
        const { pcpu } = again;
        const screenVm = await host.createVm({ ...config, display: "vga", name: "screen" });
        const screen = await screenVm.screen();
        const { width, height } = screen;
        await host.close();
        return { sameHash, pcpu, screen: [screen.kind, width, height, screen.rgba().length] };
      });
      expect(found).toEqual({ sameHash: true, pcpu: 1, screen: ["text", 720, 400, 720 * 400 * 4] });
      await page.close();
    },
    SLOW_MS,
  );

  it("plans in a page: the solver's module lies beside the library", async () => {
    const page = await browser.open("embed.html?rom=hello&autostart=off");
    await page.evaluate(
      `import("${browser.url}paravane.js").then((library) => Object.assign(globalThis, { library }))`,
    );
    const assigned = await page.evaluate(async () => {
      const { checkFleet, plan } = (globalThis as unknown as { library: typeof Library }).library;
      const vm = (name: string): object => ({ name, resources: { memory: { reservation: 2 * 2 ** 30 } } });
      const { problem } = checkFleet({
        hosts: [1, 2].map((n) => ({ name: `host-${n}`, capacity: { cpu: 4, memory: 3 * 2 ** 30 } })),
        vms: [vm("one"), vm("two")],
      });
      return JSON.stringify(await plan(problem, { strategy: "minimum" }));
    });
    expect(assigned).toContain("host-1");
    expect(assigned).toContain("host-2");
    await page.close();
  });
});
