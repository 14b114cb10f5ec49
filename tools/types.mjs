// Writes dist/types: declarations of the public API for who installs the package. `npm pack` runs it.
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const out = join(root, "dist/types");

rmSync(out, { recursive: true, force: true });
const result = spawnSync(
  process.execPath,
  [join(root, "node_modules/typescript/bin/tsc"), ...["-p", join(root, "tools/types.tsconfig.json"), "--outDir", out]],
  { cwd: root, stdio: "inherit" },
);
if (result.status !== 0) process.exit(result.status ?? 1);
// The sources import each other as .ts files; beside declarations those are .js files.
for (const name of readdirSync(out, { recursive: true })) {
  const path = join(out, String(name));
  if (!path.endsWith(".d.ts")) continue;
  const text = readFileSync(path, "utf8");
  writeFileSync(path, text.replace(/((?:from|import\()\s*["']\.[^"']*)\.ts(["'])/g, "$1.js$2"));
}
