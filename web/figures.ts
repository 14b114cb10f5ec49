// What a guest does, live: speed, load, exits by their reasons, memory.
import type { VmStatistics } from "../src/index.ts";
import { formatBytes, formatCount, make, makeSvg } from "./dom.ts";

const SAMPLES = 60;
const WIDTH = 160;
const HEIGHT = 32;
const REASONS_SHOWN = 8;

interface Sample {
  readonly atMs: number;
  readonly statistics: VmStatistics;
}

export class Figures {
  readonly element: HTMLElement;
  readonly #mips = make("b", {}, "0");
  readonly #load = make("b", {}, "0");
  readonly #exits = make("b", {}, "0");
  readonly #time = make("b", {}, "0");
  readonly #line = makeSvg("polyline", { class: "chart-line", points: "" });
  readonly #area = makeSvg("polygon", { class: "chart-area", points: "" });
  readonly #scale = make("span", { class: "chart-scale" });
  readonly #rows = make("tbody");
  readonly #history: number[] = [];
  #last: Sample | undefined;

  constructor(memoryBytes: number) {
    const chart = makeSvg("svg", {
      class: "chart",
      viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
      preserveAspectRatio: "none",
      role: "img",
      "aria-label": "Million instructions a second over the last minute",
    });
    chart.append(this.#area, this.#line);
    const figure = (value: HTMLElement, unit: string, title: string): HTMLElement =>
      make("span", { class: "figure", title }, value, ` ${unit}`);
    this.element = make(
      "details",
      { class: "figures" },
      make(
        "summary",
        {},
        figure(this.#mips, "MIPS", "Million guest instructions a second"),
        make("span", { class: "chart-box" }, chart, this.#scale),
        figure(this.#load, "% CPU", "Time of its processor that the guest uses"),
        figure(this.#exits, "exits/s", "VM exits a second; open for their reasons"),
        figure(make("b", {}, formatBytes(memoryBytes)), "RAM", "Guest RAM"),
        figure(this.#time, "s", "Guest time since power-on"),
      ),
      make(
        "table",
        { class: "exits" },
        make("caption", {}, "VM exits by reason"),
        make(
          "thead",
          {},
          make(
            "tr",
            {},
            make("th", { scope: "col" }, "Reason"),
            make("th", { scope: "col" }, "a second"),
            make("th", { scope: "col" }, "so far"),
          ),
        ),
        this.#rows,
      ),
    );
  }

  update(statistics: VmStatistics): void {
    const now: Sample = { atMs: performance.now(), statistics };
    const last = this.#last;
    // A machine that was reset or made anew counts from zero.
    this.#last = now;
    if (last === undefined || statistics.instructions < last.statistics.instructions) return;
    const seconds = (now.atMs - last.atMs) / 1000;
    if (seconds <= 0) return;
    const mips = (statistics.instructions - last.statistics.instructions) / seconds / 1e6;
    const load = (100 * (statistics.vcpuSeconds - last.statistics.vcpuSeconds)) / seconds;
    this.#mips.textContent = mips < 10 ? mips.toFixed(1) : mips.toFixed(0);
    this.#load.textContent = Math.max(0, Math.min(100, load)).toFixed(0);
    this.#exits.textContent = formatCount((statistics.exitTotal - last.statistics.exitTotal) / seconds);
    this.#time.textContent = statistics.guestSeconds.toFixed(statistics.guestSeconds < 10 ? 1 : 0);
    this.#history.push(mips);
    if (this.#history.length > SAMPLES) this.#history.shift();
    this.#drawChart();
    this.#listReasons(statistics, last.statistics, seconds);
  }

  #drawChart(): void {
    const most = Math.max(1, ...this.#history);
    const step = WIDTH / (SAMPLES - 1);
    const x0 = WIDTH - (this.#history.length - 1) * step;
    const points = this.#history.map(
      (mips, i) => `${(x0 + i * step).toFixed(1)},${(HEIGHT - 1 - (mips / most) * (HEIGHT - 3)).toFixed(1)}`,
    );
    this.#line.setAttribute("points", points.join(" "));
    this.#area.setAttribute("points", [`${x0.toFixed(1)},${HEIGHT}`, ...points, `${WIDTH},${HEIGHT}`].join(" "));
    this.#scale.textContent = most < 10 ? most.toFixed(1) : most.toFixed(0);
  }

  #listReasons(now: VmStatistics, before: VmStatistics, seconds: number): void {
    if (!(this.element as HTMLDetailsElement).open) return;
    const rows = Object.entries(now.exits)
      .filter(([, count]) => count > 0)
      .sort(([, a], [, b]) => b - a)
      .slice(0, REASONS_SHOWN)
      .map(([reason, count]) =>
        make(
          "tr",
          {},
          make("th", { scope: "row" }, reason),
          make("td", {}, formatCount((count - (before.exits[reason] ?? 0)) / seconds)),
          make("td", {}, formatCount(count)),
        ),
      );
    this.#rows.replaceChildren(...rows);
  }
}
