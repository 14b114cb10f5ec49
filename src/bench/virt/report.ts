// A comparison as rows that Markdown, HTML and the terminal show alike.
import { type Explanation, exitText, explain, round } from "./explain.ts";
import { FORM_DESCRIPTIONS } from "./forms.ts";
import { VIRT_FORMS } from "./measurement.ts";
import { PUBLISHED, type PublishedRow, type PublishedTable } from "./published.ts";
import type { FormName, OperationResult, Ratio } from "./result.ts";
import { grouped, titleOf } from "./titles.ts";

/** What a report is made of; the measurement of Linux guests gives the same. */
export interface Comparison {
  readonly title: string;
  readonly forms: readonly FormName[];
  /** What each form is; those of the three usual ones by default. */
  readonly descriptions?: Readonly<Record<FormName, string>>;
  readonly repeats: number;
  readonly operations: readonly OperationResult[];
  /** Lines of Markdown without formatting: date, host, versions, load. */
  readonly circumstances: readonly string[];
}

export interface ReportTable {
  readonly title: string;
  readonly header: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** One for each group: times, instructions and exits of every form, and the ratios. */
export function measurementTables({ operations, forms: all }: Comparison): ReportTable[] {
  const forms = mainForms(all);
  return grouped(operations).map(({ title, results }) => ({
    title,
    header: [
      "operation",
      ...forms.map((form) => `${form}, ns`),
      ...forms.map((form) => `${form}, exits`),
      "instructions",
      "ratio",
    ],
    rows: results.map((result) => [
      titleOf(result.operation),
      ...forms.map((form) => timeText(result, form)),
      ...forms.map((form) => {
        const exits = result.forms[form]?.exitTotal;
        return exits === undefined
          ? "-"
          : exits >= 100
            ? round(Math.round(exits))
            : exits.toFixed(exits > 0 && exits < 0.1 ? 3 : 2);
      }),
      instructionText(result, forms),
      proportion(result, forms),
    ]),
  }));
}

/** Without those that have only a switch changed. */
export function mainForms(forms: readonly FormName[]): FormName[] {
  return forms.filter((form) => (VIRT_FORMS as readonly string[]).includes(form));
}

/** For forms with a switch changed: their times by those of para. No rows: there are none. */
export function switchTable({ operations, forms }: Comparison): ReportTable {
  const changed = forms.filter((form) => !mainForms(forms).includes(form));
  const rows = operations.map((result) => [
    titleOf(result.operation),
    ...changed.map((form) => {
      const ratio = result.ratios.find(({ slower, faster }) => slower === form && faster === "para");
      return ratio === undefined ? "-" : `${ratioText(ratio)}${ratio.verdict === "unclear" ? " ?" : ""}`;
    }),
  ]);
  return {
    title: "One switch at a time: time by that of para (least to most; ? where the rounds do not agree)",
    header: ["operation", ...changed],
    rows: changed.length === 0 ? [] : rows.filter((row) => row.slice(1).some((cell) => cell !== "-")),
  };
}

/** "1,234 ±5%": median, and half of what the runs lie apart. */
function timeText(result: OperationResult, form: FormName): string {
  const ns = result.forms[form]?.ns;
  if (ns === undefined) return result.failures.some((failure) => failure.form === form) ? "failed" : "-";
  const apart = ns.median > 0 ? (ns.max - ns.min) / 2 / ns.median : 0;
  return `${round(ns.median)} ±${(apart * 100).toFixed(0)}%`;
}

/** One number where all forms retire the same. */
function instructionText(result: OperationResult, forms: readonly FormName[]): string {
  const values = forms.flatMap((form) => result.forms[form]?.instructions ?? []);
  const texts = values.map((value) => (value >= 1e7 ? `${round(value / 1e6)} M` : round(value)));
  return new Set(texts).size === 1 ? (texts[0] ?? "-") : texts.join(" / ");
}

/** "12 : 3.1 : 1": times by that of the last form measured. */
export function proportion(result: OperationResult, forms: readonly FormName[]): string {
  const present = forms.filter((form) => result.forms[form] !== undefined);
  const last = present.at(-1);
  const base = last === undefined ? undefined : result.forms[last]?.ns.median;
  if (present.length < 2 || base === undefined || base === 0) return "";
  return forms
    .map((form) => {
      const ns = result.forms[form]?.ns.median;
      return ns === undefined ? "-" : form === last ? "1" : Number((ns / base).toPrecision(2)).toString();
    })
    .join(" : ");
}

/** For each ratio the exits that explain it; full against para where there are both, else what there is. */
export function explanations({ operations }: Comparison): Explanation[] {
  return operations.flatMap((result) => {
    const ratio = mainRatio(result);
    return ratio === undefined ? [] : [explain(result, ratio)];
  });
}

function mainRatio({ ratios }: OperationResult): Ratio | undefined {
  return ratios.find(({ slower, faster }) => slower === "full" && faster === "para") ?? ratios.at(-1);
}

export function ratioText({ ratio }: Ratio): string {
  const digits = (value: number): string => Number(value.toPrecision(2)).toString();
  return `${digits(ratio.median)} (${digits(ratio.min)} to ${digits(ratio.max)})`;
}

/** How paravirtualization can fail to win, the worst first, as headings say it. */
export const NOT_WON: Readonly<Record<Exclude<Ratio["verdict"], "wins">, string>> = {
  loses: "slower than assisted",
  unclear: "not clearly faster than assisted: the rounds do not agree",
  same: "no faster than assisted",
};

export interface NotWon {
  readonly operation: string;
  readonly verdict: keyof typeof NOT_WON;
  readonly text: string;
}

/** Where paravirtualization does not win over the assisted form, the worst first; in the order of the operations otherwise. */
export function whereParaDoesNotWin({ operations }: Comparison): NotWon[] {
  const all = operations.flatMap((result): NotWon[] => {
    const ratio = result.ratios.find(({ slower, faster }) => slower === "assisted" && faster === "para");
    if (ratio === undefined || ratio.verdict === "wins") return [];
    const text = `assisted / para = ${ratioText(ratio)}. ${explain(result, ratio).why}`;
    return [{ operation: titleOf(result.operation), verdict: ratio.verdict, text }];
  });
  return notWonVerdicts().flatMap((verdict) => all.filter((one) => one.verdict === verdict));
}

export function notWonVerdicts(): (keyof typeof NOT_WON)[] {
  return Object.keys(NOT_WON) as (keyof typeof NOT_WON)[];
}

/** Exits for each operation, by reason; forms that have the same are one row. */
export function exitTable({ operations, forms }: Comparison): ReportTable {
  return {
    title: "Exits by reason, for one operation",
    header: ["operation", "form", "exits"],
    rows: operations.flatMap((result) => {
      const byText = new Map<string, FormName[]>();
      for (const form of forms) {
        const measured = result.forms[form];
        const text = measured === undefined ? (result.skipped[form] ?? "-") : exitText(measured);
        byText.set(text, [...(byText.get(text) ?? []), form]);
      }
      return [...byText].map(([text, same], i) => [i === 0 ? titleOf(result.operation) : "", same.join(", "), text]);
    }),
  };
}

export function formTable({ forms, descriptions = FORM_DESCRIPTIONS }: Comparison): ReportTable {
  return {
    title: "The forms",
    header: ["form", "what it is"],
    rows: forms.map((form) => [form, descriptions[form] ?? ""]),
  };
}

/** What the guest measured beside its times, by operation; no rows: nothing. */
export function extraTable({ operations, forms: all }: Comparison): ReportTable {
  const forms = mainForms(all);
  const rows = operations.flatMap((result) => {
    const names = new Set(forms.flatMap((form) => Object.keys(result.forms[form]?.extra ?? {})));
    return [...names].map((name) => [
      `${titleOf(result.operation)}: ${EXTRA_TITLES[name] ?? name}`,
      ...forms.map((form) => {
        const value = result.forms[form]?.extra[name];
        return value === undefined ? "-" : round(value);
      }),
    ]);
  });
  return { title: "Measured beside the time", header: ["operation", ...forms], rows };
}

const EXTRA_TITLES: Readonly<Record<string, string>> = {
  latencyNs: "ns from the timer to the instruction after HLT",
};

/** Published figures, each row with ours beside it, in the same unit where theirs is one of time. */
export function publishedTables({ operations, forms: all }: Comparison): ReportTable[] {
  const forms = mainForms(all);
  return PUBLISHED.map((table) => ({
    title: `${table.title} (${table.source})`,
    header: [...table.header, `ours, ${table.oursUnit} (${forms.join(" / ")})`],
    rows: table.rows.map((row) => [row.name, ...row.figures.map(round), oursText(table, row, operations, forms)]),
  }));
}

const UNIT_NS = { ns: 1, us: 1e3, s: 1e9 };

function oursText(
  { oursUnit }: PublishedTable,
  { ours }: PublishedRow,
  operations: readonly OperationResult[],
  forms: readonly FormName[],
): string {
  const result = operations.find(({ operation }) => ours?.operations.includes(operation));
  if (ours === undefined || result === undefined) return "-";
  const scale = (ours.times ?? 1) / UNIT_NS[oursUnit];
  return forms
    .map((form) => {
      const ns = result.forms[form]?.ns.median;
      return ns === undefined ? "-" : round(ns * scale);
    })
    .join(" / ");
}

export const PUBLISHED_NOTE =
  "Other hardware, other hypervisors, other guests: look at the proportions within a row, never across columns. Ours have no native column: the guest's processor is an interpreter or translator itself.";

export function failures({ operations }: Comparison): string[] {
  return operations.flatMap(({ operation, failures: list }) =>
    list.map(({ form, why }) => `${titleOf(operation)}, ${form}: ${why}`),
  );
}
