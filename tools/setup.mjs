// Makes a checkout ready: installs packages when node_modules does not match the lock file, builds what is stale.
// With nothing to do it takes some tens of milliseconds. Plain JavaScript on Node alone: it runs before any package.
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const OLDEST_NODE = 20;

/** True when every package of the lock file is installed at the locked version (optional ones may be missing). */
export function installedMatchesLock(folder = root) {
  let locked;
  let installed;
  try {
    locked = JSON.parse(readFileSync(join(folder, "package-lock.json"), "utf8")).packages;
    installed = JSON.parse(readFileSync(join(folder, "node_modules/.package-lock.json"), "utf8")).packages;
  } catch {
    return false;
  }
  const inTree = (path) => path !== "";
  const present = Object.entries(locked)
    .filter(([path]) => inTree(path))
    .every(([path, entry]) =>
      path in installed ? installed[path].version === entry.version : Boolean(entry.optional),
    );
  return present && Object.keys(installed).every((path) => path in locked);
}

/** Installs if needed and builds if needed. Throws with one sentence on failure. */
export async function setUp() {
  const major = Number(process.versions.node.split(".")[0]);
  if (major < OLDEST_NODE) throw new Error(`Node ${OLDEST_NODE} or newer is needed; this is ${process.version}`);
  if (!installedMatchesLock()) {
    process.stderr.write("installing packages (npm ci)...\n");
    const result = spawnSync("npm", ["ci", "--no-audit", "--no-fund", "--loglevel=error"], {
      cwd: root,
      stdio: ["ignore", "ignore", "inherit"],
      shell: process.platform === "win32",
    });
    if (result.status !== 0) throw new Error("npm ci failed; its messages are above");
  }
  const { build } = await import("./build.mjs");
  await build();
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    await setUp();
  } catch (error) {
    process.stderr.write(`setup: ${error instanceof Error ? error.message : error}\n`);
    process.exitCode = 1;
  }
}
