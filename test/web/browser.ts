// A headless Chromium, the served page, and what tests do with both.
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Browser, type BrowserContext, chromium, type Locator, type Page } from "playwright-core";
import { afterAll, beforeAll } from "vitest";
import { cachedImages } from "../../src/cli/web.ts";
import { pullImage } from "../../src/images/node/index.ts";
import { type PageServer, type PageServerOptions, servePage } from "../../src/platform/node/page-server.ts";

const CHROMIUM = process.env["CHROMIUM"] ?? "/usr/bin/chromium";
/** Tests that need a browser say so where there is none. */
export const noBrowser = !existsSync(CHROMIUM);
export const BROWSER_HINT = noBrowser ? ` (skipped: no ${CHROMIUM}; apt-get install chromium)` : "";

const root = fileURLToPath(new URL("../../", import.meta.url));
const PAGE_FOLDER = join(root, "dist/web");
/** Pictures of the page's main states, for people: CI keeps them. */
const PICTURES = join(root, ".ci/artefacts/web");
/** Slow machines are not broken ones. */
export const SLOW_MS = 60_000;
/** A boot of Debian's Linux takes seconds alone, and a minute beside a machine's other work. */
export const BOOT_MS = 240_000;
const PULL_MS = 240_000;
const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

export interface SuiteOptions extends Partial<PageServerOptions> {
  /** Images that its guests boot, pulled before the first test. */
  readonly pull?: readonly string[];
}

/** A browser with a profile of its own, and one server; what pages complain of is collected. */
export class BrowserTest implements AsyncDisposable {
  readonly complaints: string[] = [];

  private constructor(
    private browser: Browser | undefined,
    private profile: BrowserContext | undefined,
    private readonly servers: PageServer[],
  ) {}

  /** For all tests of a `describe`: there before the first of them, gone after the last. */
  static suite({ pull = [], ...options }: SuiteOptions = {}): BrowserTest {
    const suite = new BrowserTest(undefined, undefined, []);
    beforeAll(async () => {
      for (const name of pull) await pullImage(name);
      await suite.#start(options);
    }, PULL_MS);
    afterAll(() => suite[Symbol.asyncDispose]());
    return suite;
  }

  async #start(options: Partial<PageServerOptions>): Promise<void> {
    this.servers.push(await serve(options));
    this.browser = await chromium.launch({ executablePath: CHROMIUM, headless: true, args: FLAGS });
    this.profile = await this.browser.newContext({ viewport: { width: 1280, height: 860 }, colorScheme: "light" });
    this.profile.setDefaultTimeout(SLOW_MS);
  }

  get context(): BrowserContext {
    if (this.profile === undefined) throw new Error("the browser is started before the first test");
    return this.profile;
  }

  get url(): string {
    return this.servers[0]?.url ?? "";
  }

  /** Another server, and so another origin. */
  async serve(options: Partial<PageServerOptions>): Promise<string> {
    const server = await serve(options);
    this.servers.push(server);
    return server.url;
  }

  async open(path = ""): Promise<Page> {
    const page = await this.context.newPage();
    page.on("console", (message) => {
      const ours = !message.location().url.endsWith("/favicon.ico");
      if (ours && (message.type() === "error" || message.type() === "warning")) this.complaints.push(message.text());
    });
    page.on("pageerror", (error) => this.complaints.push(String(error)));
    await page.goto(new URL(path, this.url).href);
    return page;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.browser?.close();
    for (const server of this.servers) await server[Symbol.asyncDispose]();
  }
}

function serve(options: Partial<PageServerOptions>): Promise<PageServer> {
  return servePage({ folder: PAGE_FOLDER, port: 0, images: cachedImages(), ...options });
}

export async function picture(page: Page, name: string): Promise<void> {
  mkdirSync(PICTURES, { recursive: true });
  await page.screenshot({ path: join(PICTURES, `${name}.png`) });
}

/** The panel of a guest. */
export function guest(page: Page, name: string): Locator {
  return page.getByRole("article", { name: `Guest ${name}`, exact: true });
}

/** What a terminal shows. */
export async function terminalText(panel: Locator): Promise<string> {
  return (await panel.locator(".xterm-rows").innerText()).replaceAll("\u00a0", " ");
}

export async function untilShown(panel: Locator, wanted: RegExp, timeoutMs = SLOW_MS): Promise<string> {
  const end = Date.now() + timeoutMs;
  let text = "";
  while (Date.now() < end) {
    text = await terminalText(panel).catch(() => "");
    if (wanted.test(text)) return text;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`the terminal does not show ${wanted}; it shows:\n${text}`);
}

/** Types into the terminal as a visitor does. */
export async function type(panel: Locator, text: string): Promise<void> {
  await panel.locator(".xterm-helper-textarea").focus();
  await panel.page().keyboard.type(text);
}

/** Until the page knows what can boot. */
export async function untilOffered(page: Page): Promise<void> {
  await page.locator("input[name=preset][value=hello]").waitFor({ state: "attached" });
}
