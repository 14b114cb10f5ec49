// The page as a visitor uses it: boots our ROM, types, reads, and every button.
import { describe, expect, it } from "vitest";
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

describe.skipIf(noBrowser)(`the page${BROWSER_HINT}`, () => {
  const browser = BrowserTest.suite();

  it(
    "boots the ROM that is chosen, takes what is typed and shows the answer; no rule of its policy is broken",
    async () => {
      const page = await browser.open();
      await page.getByRole("button", { name: "Start" }).waitFor();
      await untilOffered(page);
      await picture(page, "start");
      await page.getByRole("button", { name: "Start" }).click();
      const panel = guest(page, "hello");
      await untilShown(panel, /Type help for the commands/);
      await type(panel, "mem\r");
      expect(await untilShown(panel, /> mem\n[\s\S]*>/)).toContain("usable");
      await page.locator(".figures .figure", { hasText: "exits/s" }).waitFor();
      await panel.getByText("exits/s").click();
      await panel.getByRole("row", { name: /hlt/i }).waitFor();
      await picture(page, "running");
      expect(await page.evaluate(() => crossOriginIsolated)).toBe(true);
      expect(browser.complaints).toEqual([]);
      await page.close();
    },
    SLOW_MS,
  );

  it(
    "pauses, resumes, resets, stops and starts again",
    async () => {
      const page = await browser.open("?rom=hello&cpu=core2&memory=8");
      const panel = guest(page, "hello");
      const press = (name: string): Promise<void> => panel.getByRole("button", { name, exact: true }).click();
      const state = (wanted: string): Promise<void> => panel.locator(".state", { hasText: wanted }).waitFor();
      await untilShown(panel, /Type help/);
      await press("Pause");
      await state("paused");
      await picture(page, "paused");
      await type(panel, "ticks\r");
      await press("Resume");
      await state("running");
      // What was typed meanwhile waited.
      await untilShown(panel, /\d+ ticks/);
      await press("Reset");
      await panel.getByText("The guest was reset.").waitFor();
      await untilShown(panel, /ticks, [\s\S]*Type help/);
      await press("Stop");
      await state("stopped");
      await panel.getByText("The guest was stopped.").waitFor();
      await press("Start");
      await state("running");
      await untilShown(panel, /Type help/);
      await type(panel, "exit 3\r");
      await panel.getByText("The guest ended with code 7.").waitFor();
      await press("Close hello");
      await panel.waitFor({ state: "detached" });
      await page.close();
    },
    SLOW_MS,
  );

  it(
    "is used by keyboard alone",
    async () => {
      const page = await browser.open();
      await untilOffered(page);
      const focused = (): Promise<string> =>
        page.evaluate(() => {
          const { activeElement } = document;
          const labels = (activeElement as HTMLInputElement | null)?.labels?.[0]?.textContent;
          return activeElement?.getAttribute("aria-label") ?? labels ?? activeElement?.textContent ?? "";
        });
      const tabTo = async (name: RegExp): Promise<void> => {
        for (let i = 0; i < 40; i++) {
          if (name.test(await focused())) return;
          await page.keyboard.press("Tab");
        }
        throw new Error(`Tab never comes to ${name}`);
      };
      await tabTo(/^hello/);
      // The next guest of the group, by an arrow key, and back.
      await page.keyboard.press("ArrowRight");
      expect(await focused()).not.toMatch(/^hello/);
      await page.keyboard.press("ArrowLeft");
      await tabTo(/^Start$/);
      await page.keyboard.press("Enter");
      const panel = guest(page, "hello");
      await untilShown(panel, /Type help/);
      expect(await focused()).toMatch(/Terminal of the guest/);
      // Tab is the guest's, as every key is, until it is given back.
      await page.keyboard.press("Tab");
      expect(await focused()).toMatch(/Terminal of the guest/);
      await page.keyboard.press("Control+Alt+KeyG");
      expect(await focused()).toBe("Pause");
      await page.keyboard.press("Enter");
      await panel.locator(".state", { hasText: "paused" }).waitFor();
      await tabTo(/^Save$/);
      await page.keyboard.press("Enter");
      await panel.getByRole("button", { name: "Keep in this browser" }).waitFor();
      await picture(page, "save-menu");
      await page.keyboard.press("Escape");
      await panel.getByRole("button", { name: "Keep in this browser" }).waitFor({ state: "hidden" });
      await page.close();
    },
    SLOW_MS,
  );

  it(
    "is light or dark as the visitor wants, also the next time, and fits a phone",
    async () => {
      const page = await browser.open("?rom=hello");
      const ground = (): Promise<string> => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
      const light = await ground();
      await untilShown(guest(page, "hello"), /Type help/);
      await page.getByRole("button", { name: "Dark" }).click();
      expect(await ground()).not.toBe(light);
      await picture(page, "dark");
      await page.reload();
      expect(await ground()).not.toBe(light);
      await page.getByRole("button", { name: "Light" }).click();
      await page.setViewportSize({ width: 390, height: 780 });
      await untilShown(guest(page, "hello"), /Type help/);
      await page.waitForTimeout(300);
      await picture(page, "phone");
      expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(390);
      await page.close();
    },
    SLOW_MS,
  );

  it("names what an address says wrongly", async () => {
    const page = await browser.open("?rom=hello&memory=lots");
    await page.getByText("The address says memory=lots; accepted: MiB, an integer from 1 to 3072.").waitFor();
    await page.goto(new URL("?rom=windows", browser.url).href);
    await page.getByText('There is no guest "windows" beside this page').waitFor();
    await page.close();
  });

  it(
    "says what could not be loaded when the server does not answer any more, and does when it does",
    async () => {
      const page = await browser.open();
      await untilOffered(page);
      await page.locator("#network").selectOption("on");
      await page.context().route("**/board-virtio.js", (route) => route.abort());
      try {
        await page.getByRole("button", { name: "Start" }).click();
        await page.getByRole("alert").filter({ hasText: "virtio devices could not be loaded" }).waitFor();
      } finally {
        await page.context().unroute("**/board-virtio.js");
      }
      await page.getByRole("button", { name: "Start" }).click();
      await page.locator(".state", { hasText: "running" }).waitFor();
      await page.close();
    },
    SLOW_MS,
  );
});
