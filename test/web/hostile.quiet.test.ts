// A guest that does its worst keeps its worker busy and not the page: clicks are answered within 100 ms.
import type { Page } from "playwright-core";
import { describe, expect, it } from "vitest";
import { BROWSER_HINT, BrowserTest, guest, noBrowser, picture, SLOW_MS, untilOffered } from "./browser.ts";

const CLICKS = 20;
const IDLE_CLICKS = 5;
const ANSWER_MS = 100;
/** A busy machine makes single answers late, of an idle page too; of a page that a guest holds up most are. */
const LATE_PART = 0.1;
/** Times the bar: nothing may be as late as that. */
const LATEST = 4;

/** A 32-bit ELF file of some code, at 1 MiB. */
function elf(code: readonly number[]): Buffer {
  const file = Buffer.alloc(84 + code.length);
  Buffer.from([0x7f, 0x45, 0x4c, 0x46, 1, 1, 1]).copy(file);
  const word = (offset: number, value: number): void => void file.writeUInt32LE(value, offset);
  file.writeUInt16LE(2, 16); // executable
  file.writeUInt16LE(3, 18); // 386
  word(20, 1);
  word(24, 0x100054); // entry
  word(28, 52); // program headers
  file.writeUInt16LE(52, 40);
  file.writeUInt16LE(32, 42);
  file.writeUInt16LE(1, 44);
  word(52, 1); // PT_LOAD
  word(60, 0x100000);
  word(64, 0x100000);
  word(68, file.length);
  word(72, file.length);
  word(76, 7);
  word(80, 4096);
  Buffer.from(code).copy(file, 84);
  return file;
}

// biome-ignore format: an instruction a line
const GUESTS: Readonly<Record<string, readonly number[]>> = {
  spins: [
    0x40, // again: inc eax
    0xeb, 0xfd, // jmp again
  ],
  "floods its console": [
    0x66, 0xba, 0xf8, 0x03, // mov dx, 3F8h
    0xb0, 0x61, // mov al, 'a'
    0xee, // again: out dx, al
    0x04, 0x01, // add al, 1
    0x24, 0x7f, // and al, 7Fh
    0xeb, 0xf9, // jmp again
  ],
  "floods its console with empty lines": [
    0x66, 0xba, 0xf8, 0x03, // mov dx, 3F8h
    0xb0, 0x0a, // mov al, 10
    0xee, // again: out dx, al
    0xeb, 0xfd, // jmp again
  ],
  "storms a port": [
    0x66, 0xba, 0x00, 0x03, // mov dx, 300h
    0xec, // again: in al, dx
    0xee, // out dx, al
    0xeb, 0xfc, // jmp again
  ],
  "storms device memory": [
    0xa1, 0x00, 0x00, 0x00, 0xe0, // again: mov eax, [0E0000000h]
    0xa3, 0x00, 0x00, 0x00, 0xe0, // mov [0E0000000h], eax
    0xeb, 0xf4, // jmp again
  ],
  "resets itself": [
    0xb0, 0xfe, // mov al, 0FEh
    0xe6, 0x64, // out 64h, al
    0xeb, 0xfc, // jmp again
  ],
};

/** From the press of the mouse, as the browser's own clock has it, to the page having answered. */
async function answerTimes(page: Page, clicks: number): Promise<number[]> {
  await page.evaluate(() => {
    const times: number[] = [];
    const add = (event: MouseEvent): void => void times.push(performance.now() - event.timeStamp);
    Object.assign(globalThis, { answerTimes: times });
    document.addEventListener("click", add);
  });
  for (let i = 0; i < clicks; i++) {
    await page.getByRole("button", { name: /^(Dark|Light)$/ }).click();
    await page.waitForTimeout(100);
  }
  return await page.evaluate(() => (globalThis as unknown as { answerTimes: number[] }).answerTimes);
}

describe.skipIf(noBrowser)(`beside a guest that${BROWSER_HINT}`, () => {
  const browser = BrowserTest.suite();

  it.each(Object.entries(GUESTS))(
    "%s the page answers",
    async (what, code) => {
      const page = await browser.open();
      await untilOffered(page);
      // A machine with other work is late by itself.
      const alone = Math.max(...(await answerTimes(page, IDLE_CLICKS)));
      await page.locator("#files").setInputFiles({ name: "bad.elf", mimeType: "", buffer: elf(code) });
      await page.getByText(/^kernel, /).waitFor();
      await page.getByRole("button", { name: "Start" }).click();
      const panel = guest(page, "bad.elf");
      await panel.locator(".state", { hasText: "running" }).waitFor();
      await page.waitForTimeout(1000);
      const times = await answerTimes(page, CLICKS);
      expect(times).toHaveLength(CLICKS);
      const barMs = Math.max(ANSWER_MS, 4 * alone);
      const late = times.filter((time) => time >= barMs);
      expect(late.length, `answers in ms: ${times.map(Math.round).join(" ")}`).toBeLessThanOrEqual(LATE_PART * CLICKS);
      expect(Math.max(...times)).toBeLessThan(LATEST * barMs);
      if (what === "floods its console") await picture(page, "flood");
      // And the guest is stopped at once.
      await panel.getByRole("button", { name: "Stop" }).click();
      await panel.locator(".state", { hasText: "stopped" }).waitFor();
      await page.close();
    },
    2 * SLOW_MS,
  );
});
