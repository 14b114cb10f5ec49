// Saved guests: kept in the browser over a reload, downloaded and dropped again, and refused where they are damaged.
import { readFile } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import { BROWSER_HINT, BrowserTest, guest, noBrowser, picture, SLOW_MS, type, untilShown } from "./browser.ts";

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
