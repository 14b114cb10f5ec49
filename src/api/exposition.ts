// Prometheus' text format (https://prometheus.io/docs/instrumenting/exposition_formats/), names and units after
// https://prometheus.io/docs/practices/naming/.

type Type = "counter" | "gauge" | "summary";

interface Family {
  readonly type: Type;
  readonly help: string;
  readonly samples: string[];
}

/** `suffix` is of a summary's "_sum" and "_count". */
export type AddSample = (
  type: Type,
  name: string,
  help: string,
  labels: Readonly<Record<string, string | number>>,
  value: number,
  suffix?: string,
) => void;

/** Collects samples in any order; in the text those of a family are together, as the format wants them. */
export class Exposition {
  readonly #families = new Map<string, Family>();

  constructor(private readonly prefix: string) {}

  readonly add: AddSample = (type, name, help, labels, value, suffix = "") => {
    const full = `${this.prefix}_${name}`;
    const family = this.#families.get(full) ?? { type, help, samples: [] };
    this.#families.set(full, family);
    const text = Object.entries(labels)
      .map(([key, label]) => `${key}="${escapeLabel(String(label))}"`)
      .join(",");
    family.samples.push(`${full}${suffix}${text === "" ? "" : `{${text}}`} ${value}`);
  };

  text(): string {
    return [...this.#families]
      .map(
        ([name, { type, help, samples }]) => `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${samples.join("\n")}\n`,
      )
      .join("");
  }
}

function escapeLabel(text: string): string {
  return text.replace(/[\\"\n]/g, (character) => (character === "\n" ? "\\n" : `\\${character}`));
}
