// A relay of the page's server: guests of different pages on one switch, with an address from the host's user network.
import { connect } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openRelay, type Relay } from "../../src/platform/node/relay.ts";
import { BOOT_MS, BROWSER_HINT, BrowserTest, guest, noBrowser, picture, SLOW_MS, type, untilShown } from "./browser.ts";

describe.skipIf(noBrowser)(`the relay${BROWSER_HINT}`, () => {
  const browser = BrowserTest.suite({ pull: ["linux"] });
  let relay: Relay;
  let url: string;
  beforeAll(async () => {
    relay = await openRelay({ gateway: { restrict: true } });
    url = await browser.serve({ relay });
  });
  afterAll(() => relay[Symbol.dispose]());

  it(
    "joins pages that ask for it, and carries frames as they are",
    async () => {
      const [one, two] = [await browser.open(url), await browser.open(url)];
      // By hand, as any client of the convention: a binary message is a frame.
      const open = (): Promise<void> =>
        new Promise((resolve, reject) => {
          const socket = new WebSocket(new URL("relay", location.href.replace(/^http/, "ws")));
          socket.binaryType = "arraybuffer";
          const frames: number[][] = [];
          socket.onmessage = ({ data }) => frames.push([...new Uint8Array(data as ArrayBuffer)]);
          socket.onopen = () => resolve();
          socket.onerror = () => reject(new Error("refused"));
          Object.assign(globalThis, { socket, frames });
        });
      expect(relay.clients).toBe(0);
      await one.evaluate(open);
      await two.evaluate(open);
      expect(relay.clients).toBe(2);
      await one.evaluate(() => {
        const frame = new Uint8Array(1514).fill(0x5a);
        frame.fill(0xff, 0, 6);
        frame.set([2, 0, 0, 0, 0, 1, 0x88, 0xb5], 6);
        const { socket } = globalThis as unknown as { socket: WebSocket };
        // A runt goes nowhere.
        socket.send(frame.subarray(0, 13));
        socket.send(frame);
      });
      const lengths = (): Promise<number[]> =>
        two.evaluate(() => (globalThis as unknown as { frames: number[][] }).frames.map(({ length }) => length));
      await expect.poll(lengths).toEqual([1514]);
      await one.close();
      await expect.poll(() => relay.clients).toBe(1);
      await two.close();
      await expect.poll(() => relay.clients).toBe(0);
      expect(browser.complaints).toEqual([]);
    },
    SLOW_MS,
  );

  it("is for the pages of its server alone", async () => {
    const { host, port } = new URL(url);
    const answer = (headers: readonly string[], after = new Uint8Array(0)): Promise<string> =>
      new Promise((resolve, reject) => {
        const socket = connect(Number(port), "127.0.0.1", () => {
          socket.write(`GET /relay HTTP/1.1\r\nHost: ${host}\r\n${headers.join("\r\n")}\r\n\r\n`);
          socket.write(after);
        });
        let text = "";
        socket.setEncoding("latin1");
        socket.on("data", (data: string) => {
          text += data;
        });
        socket.on("close", () => resolve(text));
        socket.on("error", reject);
      });
    const handshake = ["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13"];
    // The example of RFC 6455 section 1.3.
    const key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
    expect(await answer([...handshake, key, "Origin: http://elsewhere.example"])).toMatch(/^HTTP\/1\.1 403 /);
    expect(await answer(handshake)).toMatch(/^HTTP\/1\.1 400 /);
    // What a client may not send ends the connection with the reason: unmasked, text, reserved bits, a giant.
    for (const [frame, code] of [
      [[0x82, 0x01, 0x00], 1002],
      [[0x81, 0x80, 0, 0, 0, 0], 1003],
      [[0xc2, 0x80, 0, 0, 0, 0], 1002],
      [[0x80, 0x80, 0, 0, 0, 0], 1002],
      [[0x02, 0x80, 0, 0, 0, 0], 1002],
      [[0x82, 0xff, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0], 1009],
    ] as const) {
      const text = await answer([...handshake, key, `Origin: http://${host}`], Uint8Array.from(frame));
      expect(text).toContain("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
      const end = Buffer.from(text.slice(text.indexOf("\r\n\r\n") + 4), "latin1");
      expect([...end]).toEqual([0x88, 2, code >> 8, code & 0xff]);
    }
    await expect.poll(() => relay.clients).toBe(0);
  });

  it(
    "gives a page's guest an address",
    async () => {
      const page = await browser.open(`${url}?image=linux&network=relay`);
      const panel = guest(page, "linux");
      await untilShown(panel, /~ #\s*$/, BOOT_MS);
      await type(panel, "ip link set eth0 up; udhcpc -i eth0 -n -q -f -s /bin/true; echo leased $?\r");
      const text = await untilShown(panel, /\nleased \d/, SLOW_MS);
      expect(text).toMatch(/lease of 10\.0\.2\.15 obtained[\s\S]*\nleased 0/);
      await picture(page, "relay");
      await page.close();
    },
    2 * BOOT_MS,
  );

  it("is not there where the server has none, and the page says so", async () => {
    const page = await browser.open("?rom=hello&network=relay");
    await page.getByRole("alert").filter({ hasText: "This page's server has no relay" }).waitFor();
    expect(await page.locator("#network option").allTextContents()).toEqual(["None", "Other guests here"]);
    await page.close();
  });
});
