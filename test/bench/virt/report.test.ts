// Reading the guest's protocol, and the report: shape, verdicts, and that nothing from outside gets out of its place.
import { describe, expect, it } from "vitest";
import { benchVirt } from "../../../src/bench/virt/bench-virt.ts";
import { MARK_BEGIN, MARK_END, MarkReader } from "../../../src/bench/virt/marks.ts";
import type { Measurement } from "../../../src/bench/virt/measurement.ts";
import {
  type Comparison,
  exitTable,
  explanations,
  measurementTables,
  whereParaDoesNotWin,
} from "../../../src/bench/virt/report.ts";
import { virtReportHtml } from "../../../src/bench/virt/report-html.ts";
import { virtReportMarkdown } from "../../../src/bench/virt/report-markdown.ts";
import { combine, type Round } from "../../../src/bench/virt/result.ts";
import { spreadOf } from "../../../src/bench/virt/spread.ts";
import type { VmStatistics } from "../../../src/index.ts";

const measured = (
  operation: string,
  ns: number,
  exits: Record<string, number> = {},
  more: Partial<Measurement> = {},
): Measurement => ({
  operation,
  count: 10,
  bytes: 0,
  by: "CPU",
  extra: {},
  cost: {
    ns: ns * 10,
    instructions: 50,
    exits: Object.fromEntries(Object.entries(exits).map(([k, v]) => [k, v * 10])),
    events: {},
  },
  ...more,
});

const rounds: Round[] = [
  {
    full: [measured("port-out", 900, { "port-out": 3 }), measured("clock", 10)],
    assisted: [measured("port-out", 300, { "port-out": 1 }), measured("clock", 10)],
    para: [measured("port-out", 30), measured("clock", 20)],
  },
  {
    full: [measured("port-out", 1000, { "port-out": 3 }), measured("clock", 10)],
    assisted: [measured("port-out", 310, { "port-out": 1 }), measured("clock", 10)],
    para: [measured("port-out", 25), measured("clock", 21)],
  },
];

const comparison = (changes: Partial<Comparison> = {}): Comparison => ({
  title: "A test",
  forms: ["full", "assisted", "para"],
  repeats: 2,
  operations: combine(["port-out", "clock"], rounds, {}),
  circumstances: ["today"],
  ...changes,
});

describe("the guest's protocol", () => {
  const statistics = (instructions: number, exits: Record<string, number>): VmStatistics =>
    ({ instructions, exits, core: { interrupts: 1 } }) as unknown as VmStatistics;

  it("gives what lies between the marks, less the end mark itself", () => {
    const states = [statistics(100, { "port-out": 5, hlt: 1 }), statistics(1101, { "port-out": 6, hlt: 3 })];
    const times = [7, 10, 5010, 9999];
    const reader = new MarkReader(
      () => states.shift() as VmStatistics,
      () => times.shift() as number,
    );
    reader.mark(MARK_BEGIN);
    reader.mark(MARK_END);
    reader.text(
      Buffer.from("@kernel version=1 irq=APIC, PV EOI disk=none\nnoise\n@begin a-b count=4 bytes=8 by=IDE, bus mas"),
    );
    reader.text(Buffer.from("ter\n@extra a-b latencyNs=5\n@end a-b ok\n@skip c no device: none = none\n"));
    expect(reader.result()).toEqual({
      guest: { version: "1", irq: "APIC, PV EOI", disk: "none" },
      operations: ["a-b", "c"],
      skipped: [{ operation: "c", why: "no device: none = none" }],
      measurements: [
        {
          operation: "a-b",
          count: 4,
          bytes: 8,
          by: "IDE, bus master",
          extra: { latencyNs: 5 },
          cost: { ns: 5000, instructions: 1000, exits: { hlt: 2 }, events: {} },
        },
      ],
    });
  });

  it("keeps failures with their reason, and takes marks without lines for nothing", () => {
    const reader = new MarkReader(
      () => statistics(0, {}),
      () => 0,
    );
    for (const code of [MARK_END, MARK_BEGIN, MARK_END, MARK_BEGIN, 0x55]) reader.mark(code);
    reader.text(
      Buffer.from("@begin x count=1 bytes=0 by=CPU\n@end x failed two were lost\n@end y ok\n@panic why not\n"),
    );
    const { measurements, panic } = reader.result();
    expect(measurements).toMatchObject([{ operation: "x", failed: "two were lost" }]);
    expect(panic).toBe("why not");
  });
});

describe("rounds put together", () => {
  it("gives medians and ratios of the same round, with a verdict", () => {
    expect(spreadOf([3, 1, 2])).toEqual({ median: 2, min: 1, max: 3 });
    expect(spreadOf([4, 1])).toEqual({ median: 2.5, min: 1, max: 4 });
    expect(spreadOf([])).toBeUndefined();
    const [port, clock] = comparison().operations;
    expect(port?.forms.full).toMatchObject({
      runs: 2,
      ns: { median: 950, min: 900, max: 1000 },
      exitTotal: 3,
      instructions: 5,
    });
    expect(port?.ratios.map(({ slower, faster, verdict }) => `${slower}/${faster} ${verdict}`)).toEqual([
      "full/assisted wins",
      "assisted/para wins",
      "full/para wins",
    ]);
    expect(port?.ratios[2]?.ratio).toEqual({ median: 35, min: 30, max: 40 });
    expect(clock?.ratios.map(({ verdict }) => verdict)).toEqual(["same", "loses", "loses"]);
  });

  it("says which forms failed or could not, and makes no time of those", () => {
    const bad = [{ full: [measured("a", 5, {}, { failed: "wrong" })], para: [measured("a", 5)] }];
    const [a, b] = combine(["a", "b"], bad, { full: new Map([["b", "no disk"]]) });
    expect(a).toMatchObject({ failures: [{ form: "full", why: "wrong" }], ratios: [] });
    expect(a?.forms.full).toBeUndefined();
    expect(b).toMatchObject({ forms: {}, skipped: { full: "no disk" } });
  });
});

describe("the report", () => {
  it("has a row for each operation, and the reason of each ratio", () => {
    const tables = measurementTables(comparison());
    expect(tables.map(({ title, rows }) => [title, rows.length])).toEqual([
      ["Processor and hypercalls", 1],
      ["Clocks", 1],
    ]);
    for (const { header, rows } of tables) for (const row of rows) expect(row.length).toBe(header.length);
    expect(tables[0]?.rows[0]).toEqual([
      "port out",
      "950 ±5%",
      "305 ±2%",
      "27.5 ±9%",
      "3.00",
      "1.00",
      "0.00",
      "5",
      "35 : 11 : 1",
    ]);
    expect(explanations(comparison()).map(({ why }) => why)).toEqual([
      "full: 3 port-out; para: no exits; 308 ns for each exit saved",
      "full: no exits; para: no exits; para loses",
    ]);
    expect(exitTable(comparison()).rows.slice(0, 3)).toEqual([
      ["port out", "full", "3 port-out"],
      ["", "assisted", "1 port-out"],
      ["", "para", "no exits"],
    ]);
  });

  it("names where paravirtualization does not win, in every format", () => {
    expect(whereParaDoesNotWin(comparison()).map(({ operation }) => operation)).toEqual(["the kernel's clock"]);
    expect(virtReportMarkdown(comparison())).toContain(
      "## Where paravirtualization does not win\n\nPara is slower than assisted:\n\n- the kernel's clock: assisted / para = 0.49 (0.48 to 0.5)",
    );
    expect(virtReportHtml(comparison())).toContain("<h2>Where paravirtualization does not win</h2>");
  });

  it("has the published figures, labelled as others'", () => {
    const text = virtReportMarkdown(comparison());
    expect(text).toContain("Other hardware");
    expect(text).toContain("| page fault | 1,093 | 3,927 | 11,242 | - |");
  });

  it("puts ours beside what asks the same question, in the unit of the row", () => {
    const round = { full: [measured("fork-wait", 330_000)], para: [measured("fork-wait", 200_000)] };
    const port = { full: [measured("port-in", 210)], para: [measured("port-in", 220)] };
    const text = virtReportMarkdown(
      comparison({
        operations: [...combine(["fork-wait"], [round], {}), ...combine(["port-in"], [port], {})],
        forms: ["full", "para"],
      }),
    );
    expect(text).toContain("| forkwait, 40,000 times | 6 | 36.9 | 106 | 13.2 / 8 |");
    expect(text).toContain("| port in (IN from port 80h) | 3,209 | 214 | 15,826 | 210 / 220 |");
  });

  it("says of what comes once in many operations how many, and what was measured beside the time", () => {
    const round = {
      assisted: [measured("hlt-wakeup", 30, {}, { extra: { latencyNs: 1234 } })],
      para: [measured("hlt-wakeup", 10, { hypercall: 1 / 64, "mmio-write": 0.001 }, { extra: { latencyNs: 77 } })],
    };
    const result = comparison({ operations: combine(["hlt-wakeup"], [round, round], {}), forms: ["assisted", "para"] });
    expect(exitTable(result).rows[1]).toEqual(["", "para", "1 hypercall in 64"]);
    expect(measurementTables(result)[0]?.rows[0]?.slice(3, 5)).toEqual(["0.00", "0.017"]);
    expect(virtReportHtml(result)).toMatch(/ns from the timer[^<]*<\/td><td>1,234<\/td><td>77<\/td>/);
    expect(virtReportMarkdown(result)).toContain("| 1,234 | 77 |");
  });

  it("writes long times and counts short", () => {
    const cost = { ns: 10e9, instructions: 4.0068e9, exits: {}, events: {} };
    const round = { full: [measured("linux-boot", 0, {}, { count: 1, cost })] };
    const result = comparison({ operations: combine(["linux-boot"], [round], {}), forms: ["full"] });
    expect(virtReportHtml(result)).toContain(">10 s</text>");
    expect(measurementTables(result)[0]?.rows[0]).toContain("4,007 M");
  });

  it("draws how far the runs lie apart", () => {
    expect(virtReportHtml(comparison()).match(/<path d="M[\d.]+ [\d.]+H/g)).toHaveLength(4);
  });

  it("is one file that loads nothing, with a chart a group", () => {
    const html = virtReportHtml(comparison());
    expect(html.match(/<svg /g)).toHaveLength(2);
    expect(html).not.toMatch(/<script|<link|<img|src=|href=/);
    expect(html.replace(/xmlns="[^"]*"/g, "")).not.toContain("http://");
    for (const tag of ["table", "tr", "td", "ul", "li", "svg", "h2"])
      expect(html.match(new RegExp(`<${tag}[ >]`, "g"))?.length, tag).toBe(
        html.match(new RegExp(`</${tag}>`, "g"))?.length,
      );
  });

  it("escapes names, devices, reasons and circumstances", () => {
    const evil = `<img src=x onerror=alert(1)>"&|[a](b)`;
    const result = comparison({
      title: evil,
      circumstances: [`${evil}\n# heading`],
      operations: combine(
        [evil],
        [
          {
            full: [measured(evil, 1, { [evil]: 1 }, { by: evil, failed: evil })],
            para: [measured(evil, 1, { [evil]: 2 }, { by: evil })],
          },
        ],
        { assisted: new Map([[evil, evil]]) },
      ),
    });
    expect(virtReportHtml(result)).not.toContain("<img");
    const text = virtReportMarkdown(result);
    expect(text).not.toContain("<img");
    expect(text).not.toContain("[a](b)");
    expect(text).not.toMatch(/^# heading/m);
  });
});

describe("wrong options", () => {
  const rom = new Uint8Array(0);
  it.each([
    [{ repeats: 0 }, "repeats is 0"],
    [{ percent: 1.5 }, "percent is 1.5"],
    [{ only: ["pte; exit 9"] }, 'only: "pte; exit 9" is no name'],
  ])("%j", async (options, message) => {
    await expect(benchVirt({ rom, ...options })).rejects.toThrow(message);
  });
});
