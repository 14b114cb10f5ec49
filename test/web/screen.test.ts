// A guest's screen on the page: what firmware and a boot sector show, keys typed into it, a phone's keyboard.
import { describe, expect, it } from "vitest";
import { BROWSER_HINT, BrowserTest, guest, noBrowser, picture, SLOW_MS, untilOffered } from "./browser.ts";

/** Prints a line by INT 10h, then every key that INT 16h gives. */
// biome-ignore format: an instruction a line
const CODE = [
  0x31, 0xc0, // xor ax, ax
  0x8e, 0xd8, // mov ds, ax
  0xbe, 0x1c, 0x7c, // mov si, text
  0xac, // next: lodsb
  0x84, 0xc0, // test al, al
  0x74, 0x06, // jz key
  0xb4, 0x0e, // mov ah, 0Eh
  0xcd, 0x10, // int 10h
  0xeb, 0xf5, // jmp next
  0xb4, 0x00, // key: mov ah, 0
  0xcd, 0x16, // int 16h
  0xb4, 0x0e, // mov ah, 0Eh
  0xcd, 0x10, // int 10h
  0xeb, 0xf6, // jmp key
];

function floppy(): Buffer {
  const image = Buffer.alloc(1_474_560);
  Buffer.from(CODE).copy(image);
  image.write("Type here: \0", CODE.length, "latin1");
  image.writeUInt16LE(0xaa55, 510);
  return image;
}

describe.skipIf(noBrowser)(`a guest's screen${BROWSER_HINT}`, () => {
  const browser = BrowserTest.suite({ pull: ["seabios"] });

  it(
    "shows what SeaBIOS boots from a dropped floppy, and takes keys",
    async () => {
      const page = await browser.open();
      await untilOffered(page);
      await page.locator("#files").setInputFiles({ name: "disk.img", mimeType: "", buffer: floppy() });
      await page.getByText(/^floppy disk, /).waitFor();
      await page.locator("#memory").selectOption("16 MiB");
      await page.getByRole("button", { name: "Start" }).click();
      const panel = guest(page, "disk.img");
      const text = panel.locator(".screen-text");
      await expect.poll(() => text.textContent(), { timeout: SLOW_MS }).toMatch(/Type here:$/m);
      const canvas = panel.locator("canvas");
      await canvas.focus();
      await page.keyboard.press("Shift+KeyH");
      await page.keyboard.type("ello, screen");
      await expect.poll(() => text.textContent(), { timeout: SLOW_MS }).toContain("Type here: Hello, screen");
      await picture(page, "screen");
      // Not a black rectangle.
      const lit = await canvas.evaluate((element: HTMLCanvasElement) => {
        const context = element.getContext("2d") as CanvasRenderingContext2D;
        const { data } = context.getImageData(0, 0, element.width, element.height);
        return data.filter((value, i) => i % 4 !== 3 && value > 100).length;
      });
      expect(lit).toBeGreaterThan(500);
      await page.keyboard.press("Control+Alt+KeyG");
      expect(
        await panel.getByRole("button", { name: "Pause" }).evaluate((element) => element === document.activeElement),
      ).toBe(true);
      // The other view is there, too.
      await panel.getByRole("button", { name: "Terminal" }).click();
      await panel.locator(".xterm-rows").waitFor();
      await panel.getByRole("button", { name: "Screen" }).click();
      await canvas.waitFor();
      expect(browser.complaints).toEqual([]);
      await page.close();
    },
    2 * SLOW_MS,
  );
});
