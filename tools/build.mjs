// Builds what is out of date and nothing else: generated sources, the Wasm core, the JavaScript in dist/.
// A step runs when the digest of its inputs differs from the one of its last success or when an output is missing,
// so a second `npm run build` costs some milliseconds. `--force` runs every step, `--check` only says what is stale.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { shareMemory } from "./share-memory.mjs";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const stampFile = join(root, "build", "stamps.json");

/** What the page has besides our own sources. */
const WEB_PACKAGES = ["@xterm/xterm", "@xterm/addon-fit", "esbuild"].map((name) => `node_modules/${name}/package.json`);

/** @typedef {{ name: string, title: string, inputs: string[], outputs: string[], ready?: () => boolean, run: () => void | Promise<void> }} Step */

const generators = readdirSync(join(root, "tools"))
  .filter((name) => /^gen-.*\.ts$/.test(name))
  // gen-opcodes first: the others import what it makes.
  .sort((a, b) => Number(b === "gen-opcodes.ts") - Number(a === "gen-opcodes.ts") || (a < b ? -1 : 1))
  .map((name) => `tools/${name}`);

/** @type {Step[]} */
const steps = [
  {
    name: "gen",
    title: "generated sources",
    inputs: ["spec", ...generators],
    outputs: [],
    run: () => {
      for (const generator of generators) tool("tsx", [generator]);
    },
  },
  {
    name: "core",
    title: "Wasm core",
    inputs: ["assembly", "spec", "asconfig.json", "tools/share-memory.mjs", "node_modules/assemblyscript/package.json"],
    outputs: ["build/paravane.wasm", "build/paravane.shared.wasm"],
    ready: () => existsSync(join(root, "assembly/index.ts")),
    run: buildCore,
  },
  {
    name: "js",
    title: "JavaScript",
    inputs: ["src", "spec", "tools/build.mjs", "node_modules/esbuild/package.json"],
    outputs: ["dist/cli.js", "dist/pcpu-worker.js"],
    run: bundle,
  },
  {
    name: "web",
    title: "page",
    inputs: [
      "src",
      "spec",
      "web",
      "roms",
      "build/paravane.wasm",
      "tools/build.mjs",
      "tools/build-web.mjs",
      ...WEB_PACKAGES,
    ],
    outputs: ["dist/web/index.html", "dist/web/page.js", "dist/web/paravane.js", "dist/web/pcpu-worker.js"],
    run: async () => await (await import("./build-web.mjs")).buildWeb(root),
  },
];

function buildCore() {
  tool("asc", ["--config", "asconfig.json", "--target", "release"]);
  const module = readFileSync(join(root, "build/paravane.wasm"));
  writeFileSync(join(root, "build/paravane.shared.wasm"), shareMemory(module));
}

/** Packages stay where npm put them, but commander: bundled it saves 15 ms of 80 at each start. */
const externalPackages = {
  name: "external-packages",
  setup(build) {
    build.onResolve({ filter: /^[^./]/ }, ({ path, kind }) =>
      kind === "entry-point" || path === "commander" ? undefined : { path, external: true },
    );
  },
};

async function bundle() {
  const esbuild = await import("esbuild");
  const entryPoints = {
    cli: join(root, "src/cli/main.ts"),
    "pcpu-worker": join(root, "src/platform/node/pcpu-worker.ts"),
  };
  if (existsSync(join(root, "src/index.ts"))) entryPoints.index = join(root, "src/index.ts");
  // Chunks have their digest in the name: old ones would stay for ever. The page has a step of its own.
  for (const name of existsSync(join(root, "dist")) ? readdirSync(join(root, "dist")) : [])
    if (name !== "web" && name !== "types") rmSync(join(root, "dist", name), { recursive: true, force: true });
  await esbuild.build({
    entryPoints,
    outdir: join(root, "dist"),
    absWorkingDir: root,
    bundle: true,
    splitting: true,
    chunkNames: "chunks/[name]-[hash]",
    format: "esm",
    platform: "node",
    target: "node20",
    sourcemap: true,
    logLevel: "warning",
    plugins: [externalPackages],
    // commander is CommonJS: inside an ES module its require("node:...") needs one.
    banner: {
      js: 'import { createRequire as __createRequire } from "node:module"; const require = __createRequire(import.meta.url);',
    },
  });
}

function tool(name, args) {
  const bin = join(root, "node_modules", ".bin", name);
  const result = spawnSync(bin, args, {
    cwd: root,
    stdio: ["ignore", "inherit", "inherit"],
    shell: process.platform === "win32",
  });
  if (result.error) throw result.error;
  if (result.status !== 0) throw new Error(`${name} ended with ${result.status ?? result.signal}`);
}

/** Digest of the names and contents of all files under `paths`; what does not exist counts as absent. */
function digest(paths) {
  const hash = createHash("sha256");
  const visit = (path) => {
    const full = join(root, path);
    if (!existsSync(full)) return;
    if (statSync(full).isDirectory()) {
      for (const entry of readdirSync(full).sort()) visit(`${path}/${entry}`);
    } else {
      hash.update(path).update("\0").update(readFileSync(full)).update("\0");
    }
  };
  for (const path of paths) visit(path);
  return hash.digest("hex");
}

function readStamps() {
  try {
    return JSON.parse(readFileSync(stampFile, "utf8"));
  } catch {
    return {};
  }
}

/** Runs the stale steps (or those in `only`); returns the names of those that ran. */
export async function build({ force = false, only, check = false, quiet = false } = {}) {
  const ran = [];
  for (const step of steps) {
    if (only && !only.includes(step.name)) continue;
    if (step.ready && !step.ready()) continue;
    const current = digest(step.inputs);
    const stale = readStamps()[step.name] !== current || step.outputs.some((path) => !existsSync(join(root, path)));
    if (!stale && !force) continue;
    ran.push(step.name);
    if (check) continue;
    const startedMs = performance.now();
    if (!quiet) process.stderr.write(`building ${step.title}...`);
    await step.run();
    mkdirSync(dirname(stampFile), { recursive: true });
    // Generated sources may lie among the inputs: the stamp is taken after the step.
    writeFileSync(stampFile, `${JSON.stringify({ ...readStamps(), [step.name]: digest(step.inputs) }, null, 2)}\n`);
    if (!quiet) process.stderr.write(` ${((performance.now() - startedMs) / 1000).toFixed(1)} s\n`);
  }
  return ran;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const args = process.argv.slice(2);
  const only = args.filter((arg) => !arg.startsWith("--"));
  const unknown = only.filter((name) => !steps.some((step) => step.name === name));
  if (unknown.length > 0) {
    process.stderr.write(
      `build: no step "${unknown[0]}"; the steps are ${steps.map((step) => step.name).join(", ")}\n`,
    );
    process.exit(2);
  }
  try {
    const stale = await build({
      force: args.includes("--force"),
      check: args.includes("--check"),
      only: only.length > 0 ? only : undefined,
    });
    if (args.includes("--check") && stale.length > 0) {
      process.stderr.write(`out of date: ${stale.join(", ")}; run npm run build\n`);
      process.exitCode = 1;
    }
  } catch (error) {
    process.stderr.write(`\nbuild: ${error instanceof Error ? error.message : error}\n`);
    process.exitCode = 1;
  }
}
