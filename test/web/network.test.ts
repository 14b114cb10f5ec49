// Two Linux guests side by side, on the switch of the page: they ping each other, across workers and in one.
import { describe, it } from "vitest";
import { BOOT_MS, BROWSER_HINT, BrowserTest, guest, noBrowser, picture, SLOW_MS, type, untilShown } from "./browser.ts";

describe.skipIf(noBrowser)(`guests on the page's network${BROWSER_HINT}`, () => {
  const browser = BrowserTest.suite({ pull: ["linux"] });

  it(
    "reach each other by its switch",
    async () => {
      const page = await browser.open("?image=linux&network=on&memory=128");
      const [one, two] = [guest(page, "linux"), guest(page, "linux-2")];
      await page.getByText("New guest").click();
      await page.locator("input[name=preset][value=linux]").check({ force: true });
      await page.locator("#network").selectOption("on");
      await page.getByRole("button", { name: "Start", exact: true }).click();
      for (const [panel, address] of [
        [one, "10.0.0.1"],
        [two, "10.0.0.2"],
      ] as const) {
        await untilShown(panel, /~ #\s*$/, BOOT_MS);
        await type(panel, `ip addr add ${address}/24 dev eth0; ip link set eth0 up; echo ready $?\r`);
        await untilShown(panel, /\nready 0\n/, SLOW_MS);
      }
      await type(two, "ping -c 3 10.0.0.1\r");
      await untilShown(two, /3 packets transmitted, 3 packets received, 0% packet loss/, SLOW_MS);
      await page.waitForTimeout(600);
      await picture(page, "network");
      await page.close();
    },
    3 * BOOT_MS,
  );
});
