import { describe, expect, test } from "vitest";
import { parseBenchOptions } from "../../bench/run/command-line.ts";
import { programTimes } from "../../bench/run/program-times.ts";
import { table } from "../../bench/run/report.ts";
import { geometricMean, summarize } from "../../bench/run/sample.ts";
import { barChart } from "../../src/chart/bars.ts";

describe("samples", () => {
  test("the median of an even count lies between the middle two", () => {
    expect(summarize([4, 1, 3, 2])).toEqual({ min: 1, median: 2.5, max: 4, count: 4 });
    expect(summarize([9])).toEqual({ min: 9, median: 9, max: 9, count: 1 });
    expect(summarize([])).toBeUndefined();
  });

  test("twice as fast and half as fast are even in the geometric mean", () => {
    expect(geometricMean([2, 0.5])).toBeCloseTo(1, 12);
    expect(geometricMean([])).toBeUndefined();
  });
});

describe("the console of the benchmark's guest", () => {
  const at = (text: string, atSeconds: number) => ({ text, atSeconds });

  test("gives guest time, host time and result of each program that ended", () => {
    const lines = [
      at("[    0.5] random noise of the kernel", 0.9),
      at("bench: begin sieve", 1),
      at("bench: end sieve 1.250000000 0000beef", 2.5),
      at("bench: begin forks", 3),
      at("bench: failed forks b", 4),
    ];
    expect(programTimes(lines)).toEqual([
      { name: "sieve", guestSeconds: 1.25, hostSeconds: 1.5, checksum: "0000beef" },
    ]);
  });

  test("an end without its begin counts for nothing", () => {
    expect(programTimes([at("bench: begin copy", 1), at("bench: end sieve 1.0 00000000", 2)])).toEqual([]);
  });
});

describe("reports", () => {
  test("a table is aligned and keeps empty cells", () => {
    expect(
      table(
        ["", "s"],
        [
          ["long name", "1.5"],
          ["b", ""],
        ],
      ),
    ).toBe("|           |   s |\n|-----------|----:|\n| long name | 1.5 |\n| b         |     |");
  });

  test("a chart has a bar for every value and none for a missing one; its longest bar fills the room", () => {
    const chart = (logarithmic: boolean) =>
      barChart({
        title: "a < b",
        unit: "s",
        series: ["x", "y"],
        groups: [
          { label: "g", values: [1, undefined] },
          { label: "h", values: [4, 2] },
        ],
        logarithmic,
      });
    for (const svg of [chart(false), chart(true)]) {
      const widths = [...svg.matchAll(/<rect x="190" y="\d+" width="([\d.]+)" height="11"/g)].map((m) => Number(m[1]));
      // Two of the legend's squares are 11 wide; the first shares the bars' left edge but not their height of a bar.
      const bars = widths.filter((width) => width !== 11);
      expect(bars).toHaveLength(3);
      expect(Math.max(...bars)).toBe(600);
      expect(svg).toContain("a &lt; b");
    }
  });
});

describe("options", () => {
  const usage = { name: "boot", emulators: ["paravane", "v86"], timeoutSeconds: 60, own: [] } as const;

  test("are repeats, emulators and where the report goes", () => {
    const options = parseBenchOptions(usage, ["--repeats", "5", "--only", "v86", "--out", "x", "--json"]);
    expect(options).toMatchObject({ repeats: 5, out: "x", json: true, timeoutSeconds: 60 });
    expect(options.emulators.map(({ id }) => id)).toEqual(["v86"]);
    expect(options.command).toBe("npm run bench:boot -- --repeats 5 --only v86 --out x --json");
  });

  test.each([
    ["--repeats", "0"],
    ["--repeats", "1.5"],
    ["--only", "qemu"],
    ["--only", ""],
    ["--what", "1"],
  ])("%s %s is refused as a bad configuration", (option, value) => {
    expect(() => parseBenchOptions(usage, [option, value])).toThrow(expect.objectContaining({ code: "bad-config" }));
  });
});
