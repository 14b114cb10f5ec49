// Debian's kernel, served beside the page, to a shell that answers; full and para.
import { describe, expect, it } from "vitest";
import { BOOT_MS, BROWSER_HINT, BrowserTest, guest, noBrowser, picture, SLOW_MS, type, untilShown } from "./browser.ts";

describe.skipIf(noBrowser)(`Linux in the page${BROWSER_HINT}`, () => {
  const browser = BrowserTest.suite({ pull: ["linux"] });

  it(
    "boots to a shell, is paused, saved, and goes on after a reload",
    async () => {
      const page = await browser.open("?image=linux");
      const panel = guest(page, "linux");
      await untilShown(panel, /~ #\s*$/, BOOT_MS);
      await type(panel, "uname -s -m; dmesg | grep -c kvm-clock\r");
      await untilShown(panel, /Linux i686\n[1-9]/, SLOW_MS);
      await type(panel, "echo remember > /tmp/this\r");
      await page.waitForTimeout(1500);
      await picture(page, "linux");
      await panel.getByText("Save", { exact: true }).click();
      await panel.getByRole("button", { name: "Keep in this browser" }).click();
      await panel.getByText("Saved in this browser").waitFor();
      await page.goto(browser.url);
      await page.getByRole("button", { name: "Restore linux" }).click();
      await type(guest(page, "linux"), "cat /tmp/this\r");
      await untilShown(guest(page, "linux"), /\nremember\n/, SLOW_MS);
      await page.close();
    },
    2 * BOOT_MS,
  );

  it(
    "finds no paravirtual interface under full virtualization",
    async () => {
      const page = await browser.open("?image=linux&mode=full");
      const panel = guest(page, "linux");
      await untilShown(panel, /~ #\s*$/, BOOT_MS);
      await type(panel, "echo found $(dmesg | grep -c kvm-clock)\r");
      await untilShown(panel, /\nfound 0\n/, SLOW_MS);
      expect(browser.complaints).toEqual([]);
      await page.close();
    },
    2 * BOOT_MS,
  );
});
