// Elements without a framework.

type Attributes = Readonly<Record<string, string | number | boolean | ((event: never) => void) | undefined>>;

/** `make("button", { type: "button", onclick: f }, "Go")`: functions become listeners, `true` an empty attribute. */
export function make<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: readonly (Node | string)[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name.slice(2), value as (event: Event) => void);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== undefined && value !== false) element.setAttribute(name, String(value));
  }
  element.append(...children);
  return element;
}

/** An element of the page's HTML. */
export function byId<T extends HTMLElement>(id: string): T {
  const element = document.getElementById(id);
  if (element === null) throw new Error(`the page has no element #${id}`);
  return element as T;
}

const SVG = "http://www.w3.org/2000/svg";

export function makeSvg(tag: string, attributes: Readonly<Record<string, string | number>>): SVGElement {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  return element;
}

/** Offers bytes as a file of the visitor's. */
export function download(content: Blob | Uint8Array<ArrayBuffer>, name: string): void {
  const url = URL.createObjectURL(content instanceof Blob ? content : new Blob([content]));
  make("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

export function formatBytes(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  if (bytes < 1024 * 1024) return `${(bytes / 1024).toFixed(0)} KiB`;
  const mib = bytes / (1024 * 1024);
  return mib < 1024 ? `${mib.toFixed(mib < 10 ? 1 : 0)} MiB` : `${(mib / 1024).toFixed(1)} GiB`;
}

/** 950, 12.3 k, 4.56 M. */
export function formatCount(count: number): string {
  if (count < 1000) return count < 10 && count % 1 !== 0 ? count.toFixed(1) : count.toFixed(0);
  const [value, unit] = count < 1e6 ? [count / 1e3, "k"] : count < 1e9 ? [count / 1e6, "M"] : [count / 1e9, "G"];
  return `${value.toPrecision(3)} ${unit}`;
}

export function errorText(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
