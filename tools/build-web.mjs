// Builds dist/web: the page, the frame for other pages, the library for browsers, the worker's program, cores and ROMs.
// All of it lies in one folder that any file server can serve.
import { copyFileSync, cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import * as esbuild from "esbuild";

/** @param {string} root */
export async function buildWeb(root) {
  const out = join(root, "dist/web");
  rmSync(out, { recursive: true, force: true });
  mkdirSync(out, { recursive: true });
  // The library apart from the page: together, the page would get all that the library exports.
  await bundle(root, out, { paravane: join(root, "src/index.ts") });
  const { metafile } = await bundle(root, out, {
    "pcpu-worker": join(root, "src/platform/web/pcpu-worker.ts"),
    page: join(root, "web/page.ts"),
    embed: join(root, "web/embed.ts"),
    "compare-worker": join(root, "web/compare-worker.ts"),
  });
  for (const name of ["page.css", "icon.svg"]) copyFileSync(join(root, "web", name), join(out, name));
  for (const [html, script] of [
    ["index.html", "page.js"],
    ["embed.html", "embed.js"],
  ]) {
    const preloads = neededFiles(metafile, [script, "web/index.ts"]).map(
      (file) => `<link rel="modulepreload" href="${file}" />`,
    );
    const text = readFileSync(join(root, "web", html), "utf8").replace(
      "</title>",
      `</title>\n    ${preloads.join("\n    ")}`,
    );
    writeFileSync(join(out, html), text);
  }
  const css = readFileSync(join(root, "node_modules/@xterm/xterm/css/xterm.css"), "utf8");
  writeFileSync(join(out, "xterm.css"), esbuild.transformSync(css, { loader: "css", minify: true }).code);
  for (const name of ["paravane.wasm", "paravane.shared.wasm"])
    copyFileSync(join(root, "build", name), join(out, name));
  writeRoms(root, out);
}

function bundle(root, out, entryPoints) {
  return esbuild.build({
    entryPoints,
    metafile: true,
    outdir: out,
    absWorkingDir: root,
    bundle: true,
    splitting: true,
    // Beside the entries, so that what they look for beside themselves is there.
    chunkNames: "[name]-[hash]",
    format: "esm",
    platform: "browser",
    target: ["chrome111", "firefox121", "safari17"],
    minify: true,
    sourcemap: "linked",
    sourcesContent: false,
    legalComments: "none",
    logLevel: "warning",
    plugins: [withoutNode(root)],
  });
}

/**
 * Files of dist/web that a page is going to import, so that the browser need not find them one after the other. `names`: an
 * output, or the source that a chunk was made for.
 */
function neededFiles({ outputs }, names) {
  const found = new Set();
  const visit = (path) => {
    if (found.has(path)) return;
    found.add(path);
    for (const { path: imported, kind } of outputs[path]?.imports ?? [])
      if (kind === "import-statement") visit(imported);
  };
  for (const [path, { entryPoint }] of Object.entries(outputs))
    if (names.some((name) => path === `dist/web/${name}` || entryPoint?.endsWith(`platform/${name}`))) visit(path);
  return [...found].map((path) => path.replace("dist/web/", ""));
}

/** The half of the platform layer that is for Node has no place here; what asks for it never runs in a page. */
function withoutNode(root) {
  const node = join(root, "src/platform/node");
  return {
    name: "without-node",
    setup(build) {
      build.onLoad({ filter: /\.ts$/ }, ({ path }) => (path.startsWith(node) ? { contents: "export {};" } : undefined));
      build.onResolve({ filter: /^node:|^(fs|path|module|url|crypto)$/ }, ({ path }) => ({ path, namespace: "none" }));
      build.onLoad({ filter: /.*/, namespace: "none" }, () => ({ contents: "export {};" }));
    },
  };
}

function writeRoms(root, out) {
  const manifest = JSON.parse(readFileSync(join(root, "roms/manifest.json"), "utf8"));
  const rows = [];
  for (const rom of manifest.roms) {
    const { name, title, file, kind, address, entry, mode, needs = {}, append, tags = [] } = rom;
    // What needs more than the page can say is left out, what nobody can talk to, and what is not built on this machine.
    const mute = tags.includes("bench") && rom.input === undefined;
    if (mute || needs.testDevice || needs.apic === false) continue;
    if (!existsSync(join(root, "roms", file))) continue;
    mkdirSync(dirname(join(out, "roms", file)), { recursive: true });
    cpSync(join(root, "roms", file), join(out, "roms", file));
    const memoryBytes = needs.memory === undefined ? undefined : Number.parseInt(needs.memory, 10) * 2 ** 20;
    rows.push({
      name,
      title,
      file,
      kind,
      address,
      entry,
      mode,
      memoryBytes,
      cpu: needs.cpu,
      append,
      test: tags.includes("test") || undefined,
    });
  }
  writeFileSync(join(out, "roms.json"), JSON.stringify(rows));
}
