// Guests in other people's pages: a frame, with and without an origin; ten lines of script; the library from elsewhere.
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { FrameLocator, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { BROWSER_HINT, BrowserTest, noBrowser, picture, SLOW_MS, untilShown } from "./browser.ts";

describe.skipIf(noBrowser)(`embedding${BROWSER_HINT}`, () => {
  const browser = BrowserTest.suite();
  let elsewhere: PlainServer;
  beforeAll(async () => {
    elsewhere = await PlainServer.start();
  });
  afterAll(async () => {
    await elsewhere?.[Symbol.asyncDispose]();
  });

  const frame = (attributes: string, parameters: string): string => `<!doctype html><title>A page</title>
    <p>Text before the guest.</p>
    <iframe ${attributes} src="${browser.url}embed.html?${parameters}" width="760" height="420"></iframe>`;

  const talks = async (page: Page): Promise<FrameLocator> => {
    const inside = page.frameLocator("iframe");
    await untilShown(inside.locator("article") as never, /Type help/);
    await inside.locator(".xterm-helper-textarea").focus();
    await page.keyboard.type("ticks\r");
    await untilShown(inside.locator("article") as never, /\d+ ticks/);
    return inside;
  };

  it(
    "is a frame in another origin's page",
    async () => {
      const page = await browser.open(elsewhere.page(frame("", "rom=hello&theme=dark")));
      const inside = await talks(page);
      await inside.getByRole("button", { name: "Pause" }).click();
      await inside.locator(".state", { hasText: "paused" }).waitFor();
      await picture(page, "frame");
      expect(browser.complaints).toEqual([]);
      await page.close();
    },
    SLOW_MS,
  );

  it(
    "is a frame without scripts of its own origin: sandboxed, with and without allow-same-origin",
    async () => {
      for (const sandbox of ["allow-scripts allow-same-origin", "allow-scripts"]) {
        const page = await browser.open(elsewhere.page(frame(`sandbox="${sandbox}"`, "rom=hello&controls=off")));
        const inside = await talks(page);
        expect(await inside.getByRole("button", { name: "Pause" }).count()).toBe(0);
        if (sandbox === "allow-scripts") {
          expect(await page.frames()[1]?.evaluate(() => globalThis.origin)).toBe("null");
          await picture(page, "sandboxed-frame");
        }
        expect(browser.complaints).toEqual([]);
        await page.close();
      }
    },
    SLOW_MS,
  );

  it(
    "is ten lines in a page beside it, as the documents have them",
    async () => {
      const [, html] = /```html\n(<pre[\s\S]*?)```/.exec(await readFile("docs/WEB.md", "utf8")) ?? [];
      expect(html).toBeDefined();
      const folder = await mkdtemp(join(tmpdir(), "paravane-page-"));
      try {
        const { cp } = await import("node:fs/promises");
        await cp("dist/web", folder, { recursive: true });
        await writeFile(join(folder, "mine.html"), `<!doctype html><title>Mine</title>${html}`);
        // A plain file server: no isolation, no policy.
        const plain = await PlainServer.start(folder);
        const page = await browser.open(`${plain.url}mine.html`);
        await page.locator("#out", { hasText: /\d+ ticks, / }).waitFor();
        await plain[Symbol.asyncDispose]();
        await page.close();
      } finally {
        await rm(folder, { recursive: true, force: true });
      }
      expect(browser.complaints).toEqual([]);
    },
    SLOW_MS,
  );

  it(
    "may be imported from another origin",
    async () => {
      const html = `<!doctype html><title>Mine</title><pre id="out"></pre><script type="module">
        import { Host } from "${browser.url}paravane.js";
        const host = await Host.create({ pcpus: 1 });
        const kernel = new Uint8Array(await (await fetch("${browser.url}roms/hello/hello.bin")).arrayBuffer());
        const vm = await host.createVm({ memoryBytes: 4 << 20, boot: { kind: "multiboot", kernel } });
        vm.on("serial", ({ bytes }) => document.getElementById("out").append(new TextDecoder().decode(bytes)));
        await vm.start();
      </script>`;
      const page = await browser.open(elsewhere.page(html));
      await page.locator("#out", { hasText: "Type help" }).waitFor();
      await page.close();
    },
    SLOW_MS,
  );
});

/** A server like any: of pages that tests write, or of a folder. */
class PlainServer implements AsyncDisposable {
  readonly #pages: string[] = [];

  private constructor(
    private readonly server: Server,
    readonly url: string,
    pages: string[],
  ) {
    this.#pages = pages;
  }

  static async start(folder?: string): Promise<PlainServer> {
    const pages: string[] = [];
    const server = createServer((request, response) => {
      const path = request.url ?? "/";
      const page = pages[Number(path.slice(1))];
      if (page !== undefined || folder === undefined) {
        response.setHeader("Content-Type", "text/html");
        response.statusCode = page === undefined ? 404 : 200;
        response.end(page);
        return;
      }
      const type = path.endsWith(".html") ? "text/html" : path.endsWith(".js") ? "text/javascript" : "";
      if (type !== "") response.setHeader("Content-Type", type);
      readFile(join(folder, path)).then(
        (bytes) => response.end(bytes),
        () => response.writeHead(404).end(),
      );
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    return new PlainServer(server, `http://localhost:${port}/`, pages);
  }

  /** The address of a page with this text. */
  page(html: string): string {
    return `${this.url}${this.#pages.push(html) - 1}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }
}
