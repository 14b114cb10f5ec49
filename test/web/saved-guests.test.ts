// Saved guests: kept in the browser over a reload, downloaded and dropped again, and refused where they are damaged.
import { readFile } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import { has } from "../backends/block/tools.ts";
import { diskKernel } from "../snapshot/disk-guest.ts";
import {
  BROWSER_HINT,
  BrowserTest,
  guest,
  noBrowser,
  picture,
  SLOW_MS,
  type,
  untilOffered,
  untilShown,
} from "./browser.ts";

describe.skipIf(noBrowser)(`saved guests${BROWSER_HINT}`, () => {
  const browser = BrowserTest.suite();

  it(
    "goes on after a reload from what was kept in the browser, until it is deleted",
    async () => {
      const page = await browser.open("?rom=hello");
      await untilShown(guest(page, "hello"), /Type help/);
      await type(guest(page, "hello"), "ticks\r");
      const [, ticks] = /(\d+) ticks/.exec(await untilShown(guest(page, "hello"), /\d+ ticks/)) ?? [];
      await guest(page, "hello").getByText("Save", { exact: true }).click();
      await guest(page, "hello").getByRole("button", { name: "Keep in this browser" }).click();
      await guest(page, "hello").getByText("Saved in this browser").waitFor();
      await page.goto(browser.url);
      await page.getByRole("heading", { name: "Saved in this browser" }).waitFor();
      await picture(page, "kept");
      await page.getByRole("button", { name: "Restore hello" }).click();
      const panel = guest(page, "hello");
      await panel.locator(".state", { hasText: "running" }).waitFor();
      // It has no greeting to print: it was up already, and its clock goes on from there.
      await type(panel, "ticks\r");
      const text = await untilShown(panel, /\d+ ticks/);
      expect(text).not.toContain("Type help");
      expect(Number(/(\d+) ticks/.exec(text)?.[1])).toBeGreaterThanOrEqual(Number(ticks));
      await page.getByText("New guest").click();
      await page.getByRole("button", { name: "Delete hello" }).click();
      await page.getByRole("heading", { name: "Saved in this browser" }).waitFor({ state: "hidden" });
      await page.close();
    },
    SLOW_MS,
  );

  it(
    "is kept although the page's server has gone meanwhile",
    async () => {
      const page = await browser.open("?rom=hello");
      const loaded = page.context().waitForEvent("requestfinished", (request) => /snapshot-take/.test(request.url()));
      await untilShown(guest(page, "hello"), /Type help/);
      await loaded;
      await page.context().setOffline(true);
      try {
        await guest(page, "hello").getByText("Save", { exact: true }).click();
        await guest(page, "hello").getByRole("button", { name: "Keep in this browser" }).click();
        await guest(page, "hello").getByText("Saved in this browser").waitFor();
      } finally {
        await page.context().setOffline(false);
      }
      await page.close();
    },
    SLOW_MS,
  );

  it.skipIf(!has("nasm"))(
    "has the disk that was dropped, as the guest left it",
    async () => {
      const page = await browser.open();
      await untilOffered(page);
      const disk = Buffer.alloc(2 ** 20, "-");
      await page.locator("#files").setInputFiles([
        { name: "disk.img", mimeType: "", buffer: disk },
        { name: "asks.bin", mimeType: "", buffer: Buffer.from(diskKernel()) },
      ]);
      await page.getByText(/^hard disk, /).waitFor();
      await page.getByText(/^kernel, /).waitFor();
      await page.getByRole("radio", { name: "Full" }).check();
      await page.getByRole("button", { name: "Start" }).click();
      const panel = guest(page, "asks.bin");
      await untilShown(panel, /\+/);
      await type(panel, "sArsAwXsAr");
      await untilShown(panel, /=-\.=X/);
      await panel.getByText("Save", { exact: true }).click();
      await panel.getByRole("button", { name: "Keep in this browser" }).click();
      await panel.getByText("Saved in this browser").waitFor();
      await type(panel, "sAwYsAr");
      await untilShown(panel, /=Y/);
      await page.goto(browser.url);
      await page.getByRole("button", { name: "Restore asks.bin" }).click();
      const restored = guest(page, "asks.bin");
      await restored.locator(".state", { hasText: "running" }).waitFor();
      await type(restored, "sArsBr");
      await untilShown(restored, /=X=-/);
      // And once more, from where it is now.
      await type(restored, "sBwZ");
      await untilShown(restored, /\./);
      await restored.getByRole("button", { name: "Stop" }).click();
      await restored.locator(".state", { hasText: "stopped" }).waitFor();
      await restored.getByRole("button", { name: "Start" }).click();
      await untilShown(restored, /\+/);
      await type(restored, "sAr");
      await untilShown(restored, /=X/);
      await page.getByText("New guest").click();
      await page.getByRole("button", { name: "Delete asks.bin" }).click();
      await page.close();
    },
    SLOW_MS,
  );

  it(
    "is a file that can be dropped again; a damaged one is refused and says where",
    async () => {
      const page = await browser.open("?rom=hello");
      await untilShown(guest(page, "hello"), /Type help/);
      await guest(page, "hello").getByText("Save", { exact: true }).click();
      const coming = page.waitForEvent("download");
      await guest(page, "hello").getByRole("button", { name: "Download" }).click();
      const download = await coming;
      expect(download.suggestedFilename()).toMatch(/^hello-.*\.pvs$/);
      const bytes = await readFile(await download.path());
      await page.goto(browser.url);
      await untilOffered(page);
      const offer = (name: string, buffer: Buffer): Promise<void> =>
        page.locator("#files").setInputFiles({ name, mimeType: "application/octet-stream", buffer });
      const damaged = Buffer.from(bytes);
      damaged[damaged.length >> 1] = (damaged[damaged.length >> 1] ?? 0) ^ 0xff;
      await offer("damaged.pvs", damaged);
      await page.getByText("damaged.pvs").waitFor();
      await page.getByRole("button", { name: "Start" }).click();
      await page
        .getByRole("alert")
        .filter({ hasText: /damaged|digest/ })
        .waitFor();
      await picture(page, "damaged");
      expect(await page.getByRole("article").count()).toBe(0);
      await page.getByRole("button", { name: "Remove damaged.pvs" }).click();
      await offer("mine.pvs", bytes);
      await page.getByText("saved guest, ").waitFor();
      await page.getByRole("button", { name: "Start" }).click();
      const panel = guest(page, "mine");
      await panel.locator(".state", { hasText: "running" }).waitFor();
      await type(panel, "mem\r");
      await untilShown(panel, /KiB usable/);
      await page.close();
    },
    SLOW_MS,
  );
});
