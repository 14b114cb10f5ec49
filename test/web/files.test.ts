// Files that visitors drop: kernels, disks and CDs boot, anything else is named and refused.
import { readFile } from "node:fs/promises";
import type { Page } from "playwright-core";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { BROWSER_HINT, BrowserTest, guest, noBrowser, picture, SLOW_MS, untilOffered, untilShown } from "./browser.ts";

describe.skipIf(noBrowser)(`dropped files${BROWSER_HINT}`, () => {
  const browser = BrowserTest.suite();
  let page: Page;
  beforeEach(async () => {
    page = await browser.open();
    await untilOffered(page);
  });
  afterEach(async () => {
    await page.close();
  });

  /** As a drag from the desktop ends. */
  const drop = async (...files: { name: string; bytes: Uint8Array }[]): Promise<void> => {
    const plain = files.map(({ name, bytes }) => ({ name, bytes: [...bytes] }));
    const transfer = await page.evaluateHandle((list) => {
      const data = new DataTransfer();
      for (const { name, bytes } of list) data.items.add(new File([Uint8Array.from(bytes)], name));
      return data;
    }, plain);
    await page.dispatchEvent("body", "drop", { dataTransfer: transfer });
  };
  const start = (): Promise<void> => page.getByRole("button", { name: "Start" }).click();
  const alert = async (text: string | RegExp): Promise<void> =>
    await page.getByRole("alert").filter({ hasText: text }).waitFor();

  it(
    "boots a kernel with its command line",
    async () => {
      await drop({ name: "kernel.bin", bytes: await readFile("roms/hello/hello.bin") });
      await page.getByText(/^kernel, /).waitFor();
      await page.getByLabel("Kernel command line").fill("words of mine");
      await page.getByLabel("Full").check();
      await picture(page, "dropped");
      await start();
      await untilShown(guest(page, "kernel.bin"), /words of mine[\s\S]*Type help/);
    },
    SLOW_MS,
  );

  it(
    "names what is no guest, or not whole, and starts nothing",
    async () => {
      await drop({ name: "letter.txt", bytes: new TextEncoder().encode("Dear reader") });
      await alert("letter.txt is none of: kernel, initial RAM disk, BIOS, CD or disk image, saved guest.");
      await drop({ name: "empty.iso", bytes: new Uint8Array() });
      await alert("empty.iso is empty.");
      // The magic numbers of a bzImage, and nothing behind them.
      const broken = new Uint8Array(2048);
      broken.set([0x55, 0xaa], 0x1fe);
      broken.set(new TextEncoder().encode("HdrS"), 0x202);
      broken.set([0x0f, 0x02], 0x206);
      await drop({ name: "vmlinuz", bytes: broken });
      await start();
      await alert(/kernel|bzImage|setup/i);
      await picture(page, "corrupt");
      expect(await page.getByRole("article").count()).toBe(0);
      await page.getByRole("button", { name: "Remove vmlinuz" }).click();
      // And the page is none the worse.
      await page.getByLabel(/^hello/).check();
      await start();
      await untilShown(guest(page, "hello"), /Type help/);
    },
    SLOW_MS,
  );

  it("says what belongs together", async () => {
    await drop({ name: "initrd.gz", bytes: Uint8Array.of(0x1f, 0x8b, 8, 0) });
    await page.getByText(/^initial RAM disk, /).waitFor();
    await start();
    await alert("initrd.gz is an initial RAM disk; drop the kernel that it belongs to, too.");
  });
});
