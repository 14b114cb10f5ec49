// How long from navigation to the ROM's first console byte in a browser, and how much does a visitor download?
import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type Browser, type CDPSession, chromium } from "playwright-core";
import { pageFolder } from "../src/cli/web.ts";
import { servePage } from "../src/platform/node/page-server.ts";
import { VmError } from "../src/vmm/error.ts";
import { build } from "../tools/build.mjs";
import { descendantCpuSeconds, recordCircumstances } from "./run/circumstances.ts";
import { benchMain, parseBenchOptions } from "./run/command-line.ts";
import { json, markdown, type Report, table, writeReport } from "./run/report.ts";
import { type Sample, summarize } from "./run/sample.ts";
import { status } from "./run/status-line.ts";

const CHROMIUM = process.env["CHROMIUM"] ?? "/usr/bin/chromium";
const FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"];
/** What the issue promises, cold cache. */
const BAR_MS = 500;

interface Way {
  readonly name: string;
  readonly path: string;
  readonly isolated: boolean;
  /** The browser's cache has the files. */
  readonly warm: boolean;
  /** What no page that starts a worker and a module can be below. */
  readonly floor?: boolean;
}

/** The least page that does the same: a worker, a module of no functions, and a message back. */
const FLOOR_FILES: Readonly<Record<string, string | Uint8Array>> = {
  "index.html":
    '<!doctype html><meta charset="utf-8" /><title>floor</title><script type="module" src="page.js"></script>',
  "page.js": `const worker = new Worker("./worker.js", { type: "module" });
worker.onmessage = () => performance.mark("paravane-first-byte");
worker.postMessage(await WebAssembly.compileStreaming(fetch("./module.wasm")));`,
  "worker.js": "onmessage = async ({ data }) => { await WebAssembly.instantiate(data, {}); postMessage(0); };",
  "module.wasm": Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0),
};
/** A new window has pages of the browser's own to load, which no visitor waits for. */
const SETTLE_MS = 1500;
const LOOK_MS = 20;

const WAYS: readonly Way[] = [
  { name: "an empty page with a worker and an empty module", path: "", isolated: true, warm: false, floor: true },
  { name: "page, first visit", path: "?rom=hello", isolated: true, warm: false },
  { name: "page, again", path: "?rom=hello", isolated: true, warm: true },
  { name: "page without isolation, first visit", path: "?rom=hello", isolated: false, warm: false },
  { name: "frame, first visit", path: "embed.html?rom=hello&controls=off", isolated: true, warm: false },
  { name: "frame, again", path: "embed.html?rom=hello&controls=off", isolated: true, warm: true },
];

interface Row {
  readonly way: Way;
  readonly firstByteMs: Sample;
  readonly downloadBytes: number;
}

await benchMain(async () => {
  const options = parseBenchOptions({ name: "web", emulators: ["paravane"], timeoutSeconds: 60, own: [] });
  if (!existsSync(CHROMIUM))
    throw new VmError("host", `There is no ${CHROMIUM}; install Debian's chromium, or name another by CHROMIUM=PATH.`);
  await build({ quiet: true });
  const close = await recordCircumstances(options.command, options.emulators, browserCpuSeconds);
  const floor = await mkdtemp(join(tmpdir(), "paravane-floor-"));
  for (const [name, content] of Object.entries(FLOOR_FILES)) await writeFile(join(floor, name), content);
  const browser = await chromium.launch({ executablePath: CHROMIUM, headless: true, args: FLAGS });
  const rows: Row[] = [];
  let circumstances: Report["circumstances"];
  try {
    // The browser's own processes start with the first page.
    await (await browser.newPage()).close();
    for (const way of WAYS) {
      status(way.name);
      const folder = way.floor ? floor : pageFolder();
      rows.push(await measure(browser, folder, way, Math.max(5, options.repeats), options.timeoutSeconds));
    }
    circumstances = close();
  } finally {
    await browser.close();
    await rm(floor, { recursive: true, force: true });
  }
  status("");
  const report = makeReport(rows, circumstances);
  const out = await writeReport(report, options.out);
  process.stdout.write(options.json ? json(report) : markdown(report));
  if (process.stderr.isTTY) process.stderr.write(`bench: report in ${out}\n`);
});

async function measure(
  browser: Browser,
  folder: string,
  way: Way,
  repeats: number,
  timeoutSeconds: number,
): Promise<Row> {
  await using server = await servePage({ folder, port: 0, isolated: way.isolated });
  const times: number[] = [];
  let downloadBytes = 0;
  // A context is a profile of its own, cache included.
  let context = await browser.newContext();
  for (let run = way.warm ? -1 : 0; run < repeats; run++) {
    if (!way.warm) {
      await context.close();
      context = await browser.newContext();
    }
    const page = await context.newPage();
    const devtools = await context.newCDPSession(page);
    await sleep(SETTLE_MS);
    await devtools.send("Page.navigate", { url: `${server.url}${way.path}` });
    const firstByteMs = await firstByte(devtools, timeoutSeconds);
    if (run >= 0) times.push(firstByteMs);
    downloadBytes = await page.evaluate(() =>
      [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")]
        .filter(({ name }) => !name.includes("/roms/"))
        .reduce((sum, entry) => sum + (entry as PerformanceResourceTiming).encodedBodySize, 0),
    );
    await page.close();
  }
  await context.close();
  return { way, firstByteMs: summarize(times) as Sample, downloadBytes };
}

/** From the navigation, ms: a mark's time counts from there. Asked over and over, without a script in the page. */
async function firstByte(devtools: CDPSession, timeoutSeconds: number): Promise<number> {
  const expression = 'performance.getEntriesByName("paravane-first-byte")[0]?.startTime';
  for (const end = Date.now() + timeoutSeconds * 1000; Date.now() < end; await sleep(LOOK_MS)) {
    const { result } = await devtools.send("Runtime.evaluate", { expression });
    if (typeof result.value === "number") return result.value;
  }
  throw new VmError("timeout", `No guest of the page printed anything within ${timeoutSeconds} s.`, {});
}

/** CPU time of the browser's processes, which are not waited for before the end; undefined where the host does not tell. */
function browserCpuSeconds(): number | undefined {
  return descendantCpuSeconds(process.pid);
}

function makeReport(rows: readonly Row[], circumstances: Report["circumstances"]): Report {
  const body = table(
    ["", "first byte, ms", "least", "most", "files, KiB"],
    rows.map(({ way, firstByteMs, downloadBytes }) => [
      way.name,
      firstByteMs.median.toFixed(0),
      firstByteMs.min.toFixed(0),
      firstByteMs.max.toFixed(0),
      (downloadBytes / 1024).toFixed(0),
    ]),
  );
  const worst = Math.max(
    ...rows.filter(({ way }) => !way.warm && !way.floor).map(({ firstByteMs }) => firstByteMs.median),
  );
  const verdict = worst < BAR_MS ? "held" : "missed";
  return {
    name: "web",
    title: "From navigation to a guest's first byte, in a browser",
    circumstances,
    body: `${body}\n\nHeadless Chromium, the page from a server on this machine, files compressed; the window had been open for a moment. The bar of ${BAR_MS} ms at a first visit is ${verdict} (${worst.toFixed(0)} ms).`,
    chart: {
      title: "From navigation to the first byte",
      unit: "milliseconds",
      series: ["median"],
      groups: rows.map(({ way, firstByteMs }) => ({ label: way.name, values: [firstByteMs.median] })),
    },
    data: {
      barMs: BAR_MS,
      rows: rows.map(({ way, firstByteMs, downloadBytes }) => ({ ...way, firstByteMs, downloadBytes })),
    },
  };
}
