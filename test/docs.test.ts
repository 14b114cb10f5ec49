// The documents do not go stale unnoticed: what they name is there.
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

const root = fileURLToPath(new URL("../", import.meta.url));
const read = (path: string): string => readFileSync(join(root, path), "utf8");
const documents = [
  "README.md",
  ...readdirSync(join(root, "docs"))
    .filter((name) => name.endsWith(".md"))
    .map((name) => `docs/${name}`),
];
const folders = ["assembly", "bench", "bin", "docs", "roms", "spec", "src", "test", "tools", "web"];

/** Text without fenced blocks: those hold commands, sessions and pictures. */
const prose = (text: string): string => text.replace(/^```[\s\S]*?^```/gm, "");

/** Repository paths in the text: anything that begins with a top-level folder. `*` stands for any name. */
function pathsIn(text: string): string[] {
  const pattern = new RegExp(`(?<![\\w./:-])(?:${folders.join("|")})/[\\w./*-]*`, "g");
  return [...new Set([...text.matchAll(pattern)].map(([path]) => path.replace(/[.-]+$/, "")))];
}

function isThere(path: string): boolean {
  if (!path.includes("*")) return existsSync(join(root, path));
  const folder = join(root, dirname(path));
  const name = new RegExp(
    `^${path
      .slice(dirname(path).length + 1)
      .replaceAll(".", "\\.")
      .replaceAll("*", ".*")}$`,
  );
  return existsSync(folder) && readdirSync(folder).some((entry) => name.test(entry));
}

/** What is made and not committed, so it may be missing. */
const ignored = read(".gitignore")
  .split("\n")
  .map((line) => line.replace(/\/$/, ""))
  .filter((line) => /^[\w./-]+$/.test(line));
const isIgnored = (path: string): boolean => ignored.some((prefix) => `${path}/`.startsWith(`${prefix}/`));

/** GitHub's anchor of a heading. */
const anchorOf = (heading: string): string =>
  heading
    .toLowerCase()
    .replace(/[^\w\- ]/g, "")
    .trim()
    .replaceAll(" ", "-");

describe.each(documents)("%s", (name) => {
  const text = read(name);

  it("names only files and folders that are there", () => {
    expect(pathsIn(prose(text)).filter((path) => !isIgnored(path) && !isThere(path))).toEqual([]);
  });

  it("links only to files and headings that are there", () => {
    const broken: string[] = [];
    for (const [, target = ""] of text.matchAll(/\]\((?!https?:)([^)\s]+)\)/g)) {
      const [file = "", anchor] = target.split("#");
      const path = file === "" ? name : relative(root, join(root, dirname(name), file));
      if (!existsSync(join(root, path))) broken.push(target);
      else if (anchor !== undefined) {
        const headings = [...read(path).matchAll(/^#+ (.*)$/gm)].map(([, heading = ""]) => anchorOf(heading));
        if (!headings.includes(anchor)) broken.push(target);
      }
    }
    expect(broken).toEqual([]);
  });

  it("names only npm scripts that exist", () => {
    const scripts = (JSON.parse(read("package.json")) as { scripts: Record<string, string> }).scripts;
    const named = [...text.matchAll(/npm run (?:--silent )?([\w:-]+)/g)].map(([, script = ""]) => script);
    expect(named.filter((script) => !(script in scripts))).toEqual([]);
  });

  it("names no path of one machine", () => {
    expect(text.match(/(?<![\w.~-])\/(?:work|home|tmp|root|usr)\/\S*/g)).toBeNull();
  });
});

it("docs/ARCHITECTURE.md knows every folder of the hardware and the hypervisor", () => {
  const text = read("docs/ARCHITECTURE.md");
  const unknown = ["assembly", "src"].flatMap((top) =>
    readdirSync(join(root, top))
      .filter((entry) => statSync(join(root, top, entry)).isDirectory())
      .filter((entry) => !new RegExp(`(?<!\\w)${entry}/`).test(text))
      .map((entry) => `${top}/${entry}`),
  );
  expect(unknown).toEqual([]);
});

it("docs/SPECIFICATION.md names a test for each promise, and only files that hold tests", () => {
  const [held = ""] = read("docs/SPECIFICATION.md").split("## Held by measurement");
  const rows = held.split("\n").filter((line) => /^\| (?!promise)[^-]/.test(line));
  expect(rows.length).toBeGreaterThan(40);
  for (const row of rows) {
    const cells = row.split("|").map((cell) => cell.trim());
    expect(cells, row).toHaveLength(5);
    const tests = (cells[3] ?? "").split(", ");
    for (const path of tests) {
      expect(path, row).toMatch(/^test\/.*\.(?:test|guests)\.ts$/);
      expect(read(path), path).toMatch(/\b(?:it|test)\b/);
    }
  }
});

// Names with a capital letter: functions, constants, classes. Plain words may be anything.
describe("names of the code", () => {
  const source = ["assembly", "spec", "src", "tools", "package.json"].flatMap(filesIn).map(read).join("\n");

  it.each(["ARCHITECTURE", "RATIONALE", "SPECIFICATION", "STATUS"])("in docs/%s.md are still in the code", (name) => {
    const named = [...prose(read(`docs/${name}.md`)).matchAll(/`(\w*[A-Z]\w*)`/g)].map(([, word = ""]) => word);
    expect(named.filter((word) => !new RegExp(`\\b${word}\\b`).test(source))).toEqual([]);
  });

  it("of whole groups have members", () => {
    const groups = [...prose(read("docs/ARCHITECTURE.md")).matchAll(/`([A-Z]\w*_)\*`/g)].map(
      ([, prefix = ""]) => prefix,
    );
    expect(groups.length).toBeGreaterThan(3);
    expect(groups.filter((prefix) => !new RegExp(`\\bconst ${prefix}\\w+`).test(source))).toEqual([]);
  });
});

/** Source files under a path. */
function filesIn(path: string): string[] {
  if (!statSync(join(root, path)).isDirectory()) return [path];
  return readdirSync(join(root, path), { recursive: true, encoding: "utf8" })
    .filter((name) => /\.(?:ts|mjs|js|c)$/.test(name))
    .map((name) => join(path, name));
}
