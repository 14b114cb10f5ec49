// The comparison of full, assisted and para virtualization: a button, and its table with a chart in it.
import { type OperationResult, VIRT_FORMS, type VirtBenchResult, type VirtForm } from "../src/index.ts";
import type { CompareAnswer, CompareRequest } from "./compare-worker.ts";
import { byId, download, errorText, make, makeSvg } from "./dom.ts";
import { fetchBytes } from "./fetch.ts";

const ROM = "./roms/kernel/kernel.bin";
const TITLES: Readonly<Record<VirtForm, string>> = { full: "Full", assisted: "Assisted", para: "Para" };
const REPEATS = 3;
/** Of each operation's usual count: seconds, not minutes. */
const PERCENT = 20;
/** The chart's ends: 1/8 and 64 times. */
const LOG_LEAST = -3;
const LOG_MOST = 6;
const BAR_WIDTH = 180;
const BAR_HEIGHT = 12;

export class ComparisonPanel {
  readonly #run = byId<HTMLButtonElement>("compare-run");
  readonly #report = byId<HTMLButtonElement>("compare-report");
  readonly #progress = byId<HTMLProgressElement>("compare-progress");
  readonly #status = byId("compare-status");
  readonly #table = byId("compare-table");
  #worker: Worker | undefined;
  #html = "";

  constructor() {
    this.#run.addEventListener("click", () => {
      if (this.#worker === undefined) void this.#start();
      else this.#end("Stopped.");
    });
    this.#report.addEventListener("click", () =>
      download(new Blob([this.#html], { type: "text/html" }), "full-against-para.html"),
    );
  }

  async #start(): Promise<void> {
    this.#worker = new Worker(new URL("./compare-worker.js", import.meta.url), { type: "module", name: "comparison" });
    this.#worker.onmessage = ({ data }: MessageEvent<CompareAnswer>) => this.#receive(data);
    this.#worker.onerror = (event) => {
      event.preventDefault();
      this.#end(event.message || "The comparison's worker could not be loaded.");
    };
    this.#run.textContent = "Stop";
    this.#report.hidden = true;
    this.#progress.hidden = false;
    this.#progress.removeAttribute("value");
    this.#status.textContent = "Starting…";
    try {
      const rom = await fetchBytes(new URL(ROM, import.meta.url).href);
      const options = { rom, forms: VIRT_FORMS, repeats: REPEATS, percent: PERCENT };
      const circumstances = [navigator.userAgent, new Date().toISOString()];
      this.#worker?.postMessage({ options, circumstances } satisfies CompareRequest);
    } catch (error) {
      this.#end(errorText(error));
    }
  }

  #receive(answer: CompareAnswer): void {
    if (answer.kind === "progress") {
      const { done, runs, form, round } = answer.progress;
      this.#progress.value = done / runs;
      this.#status.textContent = round === 0 ? `Warming up: ${form}` : `Round ${round} of ${REPEATS}: ${form}`;
    } else if (answer.kind === "error") this.#end(answer.message);
    else {
      this.#html = answer.html;
      this.#report.hidden = false;
      this.#show(answer.result);
      const { length } = answer.result.operations;
      this.#end(
        `${length} operations, ${REPEATS} rounds. Above 1 paravirtualization is faster; a ? means that the rounds disagree.`,
      );
    }
  }

  #end(why: string): void {
    this.#worker?.terminate();
    this.#worker = undefined;
    this.#run.textContent = "Compare";
    this.#progress.hidden = true;
    this.#status.textContent = why;
  }

  #show({ operations }: VirtBenchResult): void {
    const columns = (unit: string): string[] => VIRT_FORMS.map((form) => `${TITLES[form]}, ${unit}`);
    const head = ["Operation", ...columns("ns"), ...columns("exits"), "Full / para"];
    this.#table.replaceChildren(
      make(
        "table",
        { class: "comparison" },
        make("caption", { class: "visually-hidden" }, "Full virtualization against paravirtualization"),
        make(
          "thead",
          {},
          make(
            "tr",
            {},
            ...head.map((text) => make("th", { scope: "col" }, text)),
            make("th", { "aria-hidden": "true" }, axis()),
          ),
        ),
        make("tbody", {}, ...operations.filter(({ forms }) => VIRT_FORMS.some((form) => forms[form])).map(row)),
      ),
    );
  }
}

function row(result: OperationResult): HTMLElement {
  const { operation, forms, ratios } = result;
  const ratio = ratios.find(({ slower, faster }) => slower === "full" && faster === "para");
  const number = (value: number | undefined, digits: (value: number) => string): HTMLElement =>
    make("td", {}, value === undefined ? "–" : digits(value));
  const exits = (value: number): string => value.toFixed(value < 100 ? 2 : 0);
  return make(
    "tr",
    {},
    make("th", { scope: "row" }, operation),
    ...VIRT_FORMS.map((form) => number(forms[form]?.ns.median, nanoseconds)),
    ...VIRT_FORMS.map((form) => number(forms[form]?.exitTotal, exits)),
    make(
      "td",
      {},
      ratio === undefined ? "–" : `${ratio.ratio.median.toFixed(2)}${ratio.verdict === "unclear" ? " ?" : ""}`,
    ),
    make("td", { class: "bar" }, ...(ratio === undefined ? [] : [bar(ratio.ratio.median)])),
  );
}

function nanoseconds(value: number): string {
  return value < 10 ? value.toFixed(1) : Math.round(value).toLocaleString("en");
}

const place = (ratio: number): number =>
  ((Math.min(LOG_MOST, Math.max(LOG_LEAST, Math.log2(ratio))) - LOG_LEAST) / (LOG_MOST - LOG_LEAST)) * BAR_WIDTH;

/** From 1 to the ratio, on a logarithmic scale. */
function bar(ratio: number): SVGElement {
  const [one, end] = [place(1), place(ratio)];
  const svg = makeSvg("svg", { width: BAR_WIDTH, height: BAR_HEIGHT, "aria-hidden": "true" });
  const side = ratio >= 1 ? "para" : "full";
  svg.append(
    makeSvg("rect", {
      class: `bar-${side}`,
      x: Math.min(one, end),
      y: 1,
      width: Math.max(1, Math.abs(end - one)),
      height: BAR_HEIGHT - 2,
    }),
    makeSvg("line", { class: "bar-one", x1: one, x2: one, y1: 0, y2: BAR_HEIGHT }),
  );
  return svg;
}

function axis(): SVGElement {
  const svg = makeSvg("svg", { width: BAR_WIDTH, height: 16 });
  for (const ratio of [0.125, 1, 8, 64]) {
    const anchor = ratio === 0.125 ? "start" : ratio === 64 ? "end" : "middle";
    const label = makeSvg("text", { class: "chart-scale", x: place(ratio), y: 12, "text-anchor": anchor });
    label.textContent = ratio < 1 ? "1/8" : String(ratio);
    svg.append(label);
  }
  return svg;
}
