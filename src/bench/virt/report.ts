// A comparison as rows that Markdown, HTML and the terminal show alike.
import { type Explanation, exitText, explain, round } from "./explain.ts";
import { FORM_DESCRIPTIONS } from "./forms.ts";
import { VIRT_FORMS } from "./measurement.ts";
import { COUNTERPARTS, PUBLISHED } from "./published.ts";
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
        return exits === undefined ? "-" : exits.toFixed(exits < 100 ? 2 : 0);
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
  const texts = values.map(round);
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

/** Where paravirtualization does not win: slower than the assisted form, or no faster. */
export function whereParaDoesNotWin({ operations }: Comparison): { operation: string; text: string }[] {
  return operations.flatMap((result) => {
    const ratio = result.ratios.find(({ slower, faster }) => slower === "assisted" && faster === "para");
    if (ratio === undefined || ratio.verdict === "wins") return [];
    const say = { loses: "slower", same: "no faster", unclear: "not clearly faster", wins: "" }[ratio.verdict];
    const { why } = explain(result, ratio);
    return [{ operation: titleOf(result.operation), text: `${say} than assisted, ${ratioText(ratio)}: ${why}` }];
  });
}

/** Exits of each form for each operation, by reason. */
export function exitTable({ operations, forms }: Comparison): ReportTable {
  return {
    title: "Exits by reason, for one operation",
    header: ["operation", ...forms],
    rows: operations.map((result) => [
      titleOf(result.operation),
      ...forms.map((form) => {
        const measured = result.forms[form];
        return measured === undefined ? (result.skipped[form] ?? "-") : exitText(form, measured).slice(form.length + 2);
      }),
    ]),
  };
}

export function formTable({ forms, descriptions = FORM_DESCRIPTIONS }: Comparison): ReportTable {
  return {
    title: "The forms",
    header: ["form", "what it is"],
    rows: forms.map((form) => [form, descriptions[form] ?? ""]),
  };
}

/** Published figures, each row with ours beside it. */
export function publishedTables({ operations, forms: all }: Comparison): ReportTable[] {
  const forms = mainForms(all);
  return PUBLISHED.map(({ title, source, header, rows }) => ({
    title: `${title} (${source})`,
    header: [...header, `ours, ns (${forms.join(" / ")})`],
    rows: rows.map((row) => {
      const ours = operations.find(({ operation }) => operation === COUNTERPARTS[String(row[0])]);
      const values = forms.map((form) => ours?.forms[form]?.ns.median);
      return [
        ...row.map(String),
        ours === undefined ? "-" : values.map((ns) => (ns === undefined ? "-" : round(ns))).join(" / "),
      ];
    }),
  }));
}

export const PUBLISHED_NOTE =
  "Other hardware, other hypervisors, other guests: look at the proportions within a row, never across columns. Ours have no native column: the guest's processor is an interpreter or translator itself.";

export function failures({ operations }: Comparison): string[] {
  return operations.flatMap(({ operation, failures: list }) =>
    list.map(({ form, why }) => `${titleOf(operation)}, ${form}: ${why}`),
  );
}
