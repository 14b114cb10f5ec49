// The comparison of full and para on the page: its table, its report, and that it can be stopped.
import { readFile } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import { BROWSER_HINT, BrowserTest, noBrowser, picture } from "./browser.ts";

/** Twelve runs of a second each, beside a machine's other work. */
const RUN_MS = 240_000;

describe.skipIf(noBrowser)(`full against para${BROWSER_HINT}`, () => {
  const browser = BrowserTest.suite();

  it(
    "is measured in a worker, shown as a table with bars, and saved as a report; it can be stopped",
    async () => {
      const page = await browser.open();
      await page.getByText("Full against para").click();
      await page.getByRole("button", { name: "Compare" }).click();
      await page.getByText(/Warming up: /).waitFor();
      await page.locator("#compare").getByRole("button", { name: "Stop" }).click();
      await page.getByText("Stopped.").waitFor();
      // A worker that was ended is told of a moment later.
      await expect.poll(() => page.workers().some((worker) => worker.url().includes("compare"))).toBe(false);
      await page.getByRole("button", { name: "Compare" }).click();
      await page.getByText(/\d+ operations, 3 rounds/).waitFor({ timeout: RUN_MS });
      const row = page.getByRole("row", { name: /^port-out / });
      // An access to a port is an exit in either form.
      const [, , , ...exits] = (await row.getByRole("cell").allTextContents()).slice(0, 6).map(Number);
      expect(exits).toHaveLength(3);
      for (const count of exits) expect(count).toBeGreaterThanOrEqual(1);
      // Shadow paging is what the first form has alone.
      const [full, assisted] = (
        await page
          .getByRole("row", { name: /^context-switch / })
          .getByRole("cell")
          .allTextContents()
      )
        .slice(3, 5)
        .map(Number);
      expect(full).toBeGreaterThan(assisted as number);
      expect(await page.locator("#compare-table svg rect").count()).toBeGreaterThan(10);
      await page.getByRole("row", { name: /^port-out / }).scrollIntoViewIfNeeded();
      await picture(page, "comparison");
      const coming = page.waitForEvent("download");
      await page.getByRole("button", { name: "Download the report" }).click();
      expect(await readFile(await (await coming).path(), "utf8")).toContain(
        "<h1>Full virtualization against paravirtualization</h1>",
      );
      expect(browser.complaints).toEqual([]);
      await page.close();
    },
    RUN_MS,
  );
});
