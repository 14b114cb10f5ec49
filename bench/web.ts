// How long from navigation to the ROM's first console byte in a browser, and how much does a visitor download?
import { existsSync } from "node:fs";
import { type Browser, chromium } from "playwright-core";
import { pageFolder } from "../src/cli/web.ts";
import { servePage } from "../src/platform/node/page-server.ts";
import { VmError } from "../src/vmm/error.ts";
import { build } from "../tools/build.mjs";
import { recordCircumstances } from "./run/circumstances.ts";
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
}

const WAYS: readonly Way[] = [
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
  const close = await recordCircumstances(options.command, options.emulators);
  const browser = await chromium.launch({ executablePath: CHROMIUM, headless: true, args: FLAGS });
  const rows: Row[] = [];
  try {
    // The browser's own processes start with the first page.
    await (await browser.newPage()).close();
    for (const way of WAYS) {
      status(way.name);
      rows.push(await measure(browser, way, Math.max(5, options.repeats), options.timeoutSeconds));
    }
  } finally {
    await browser.close();
  }
  status("");
  const report = makeReport(rows, close());
  const out = await writeReport(report, options.out);
  process.stdout.write(options.json ? json(report) : markdown(report));
  if (process.stderr.isTTY) process.stderr.write(`bench: report in ${out}\n`);
});

async function measure(browser: Browser, way: Way, repeats: number, timeoutSeconds: number): Promise<Row> {
  await using server = await servePage({ folder: pageFolder(), port: 0, isolated: way.isolated });
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
    await page.goto(`${server.url}${way.path}`);
    const mark = await page.waitForFunction(
      () => performance.getEntriesByName("paravane-first-byte")[0]?.startTime,
      undefined,
      { timeout: timeoutSeconds * 1000 },
    );
    // A mark's time counts from the navigation.
    if (run >= 0) times.push((await mark.jsonValue()) as number);
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
  const worst = Math.max(...rows.filter(({ way }) => !way.warm).map(({ firstByteMs }) => firstByteMs.median));
  const verdict = worst < BAR_MS ? "held" : "missed";
  return {
    name: "web",
    title: "From navigation to a guest's first byte, in a browser",
    circumstances,
    body: `${body}\n\nHeadless Chromium, the page from a server on this machine, files compressed. The bar of ${BAR_MS} ms at a first visit is ${verdict} (${worst.toFixed(0)} ms).`,
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
