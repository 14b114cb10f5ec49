// Formats and lints every file that Biome can parse: `node tools/lint.mjs` checks, `--write` fixes. AssemblyScript
// files with top-level decorators (@inline function...) are no TypeScript; asc alone checks those.
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const TOP_LEVEL_DECORATOR = /^@(inline|unmanaged|global|lazy|external|final|operator|unsafe)\b/m;
const EXTENSIONS = /\.(ts|mts|js|mjs|json|css|html)$/;

const listed = spawnSync("git", ["ls-files", "--cached", "--others", "--exclude-standard"], {
  cwd: root,
  encoding: "utf8",
});
const files = listed.stdout.split("\n").filter((path) => EXTENSIONS.test(path) && parses(path));
const write = process.argv.includes("--write");
// Paths that the configuration leaves out are passed over in silence.
const args = [
  "check",
  "--no-errors-on-unmatched",
  "--diagnostic-level=warn",
  "--error-on-warnings",
  "--max-diagnostics=50",
];
const result = spawnSync(join(root, "node_modules/.bin/biome"), [...args, ...(write ? ["--write"] : []), ...files], {
  cwd: root,
  stdio: "inherit",
});
process.exitCode = result.status ?? 1;

function parses(path) {
  if (!path.endsWith(".ts")) return true;
  try {
    return !TOP_LEVEL_DECORATOR.test(readFileSync(join(root, path), "utf8"));
  } catch {
    // Deleted in the work tree, not yet in the index.
    return false;
  }
}
