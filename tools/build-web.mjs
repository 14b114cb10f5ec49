// Builds dist/web: the page, the frame for other pages, the library for browsers, the worker's program, cores and ROMs.
// All of it lies in one folder that any file server can serve.
import { copyFileSync, cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import * as esbuild from "esbuild";

/**
 * What only some guests need, by its name; the page and the worker import them when somebody does. Each is one file, as the
 * entries are, with copies of the little that they share: every file more costs a start some milliseconds.
 */
const PARTS = {
  "pcpu-agent": "src/host/pcpu-agent.ts",
  "board-ide": "src/vmm/board-ide.ts",
  "board-nics": "src/vmm/board-nics.ts",
  "board-vga": "src/vmm/board-vga.ts",
  "board-virtio": "src/vmm/board-virtio.ts",
  "boot-elf": "src/boot/elf-program.ts",
  "boot-linux": "src/boot/linux.ts",
  "boot-multiboot": "src/boot/multiboot.ts",
  networks: "src/backends/network/open.ts",
  "snapshot-restore": "src/snapshot/restore.ts",
  "snapshot-store": "src/snapshot/store.ts",
  "snapshot-take": "src/snapshot/take.ts",
  "http-file": "src/platform/web/http-file.ts",
  "open-read-only": "src/backends/block/open-read-only.ts",
  "user-network": "src/backends/network/user/user-network.ts",
  xz: "src/boot/xz.ts",
  lzma1: "src/boot/lzma1.js",
  zstd: "src/boot/zstd.ts",
  "inflate-now": "src/platform/web/inflate-now.ts",
  xterm: "web/xterm.ts",
};
const ENTRIES = {
  page: "web/page.ts",
  embed: "web/embed.ts",
  "pcpu-worker": "src/platform/web/pcpu-worker.ts",
  "compare-worker": "web/compare-worker.ts",
};

/** A module runs when the page has been read; this one must not wait: it stands in the page itself, and so it has no import.meta. */
function classic(roms) {
  return {
    format: "iife",
    banner: { js: "(()=>{const scriptUrl=document.baseURI;" },
    footer: { js: "})()" },
    define: {
      "import.meta.url": "scriptUrl",
      ROM_FILES: JSON.stringify(Object.fromEntries(roms.map(({ name, file }) => [name, file]))),
    },
  };
}

/** @param {string} root */
export async function buildWeb(root) {
  const out = join(root, "dist/web");
  rmSync(out, { recursive: true, force: true });
  mkdirSync(out, { recursive: true });
  const roms = romRows(root);
  const bundle = (entryPoints, options) => esbuild.build({ ...common(root, out), entryPoints, ...options });
  await Promise.all([
    bundle({ page: "web/page.css" }, { loader: {}, sourcemap: false }),
    bundle({ paravane: "src/index.ts" }, { splitting: true }),
    bundle({ start: "web/start.ts" }, classic(roms)),
    ...Object.entries({ ...ENTRIES, ...PARTS }).map(([name, path]) =>
      bundle({ [name]: path }, { plugins: [withoutNode(root), partsApart(root)] }),
    ),
  ]);
  const start = readFileSync(join(out, "start.js"), "utf8");
  for (const name of ["index.html", "embed.html"])
    writeFileSync(join(out, name), withScript(readFileSync(join(root, "web", name), "utf8"), start));
  copyFileSync(join(root, "web/icon.svg"), join(out, "icon.svg"));
  // The solver of plan(), which looks for it beside itself.
  copyFileSync(join(root, "node_modules/highs/build/highs.wasm"), join(out, "highs.wasm"));
  for (const name of ["paravane.wasm", "paravane.shared.wasm"])
    copyFileSync(join(root, "build", name), join(out, name));
  for (const { file } of roms) {
    mkdirSync(dirname(join(out, "roms", file)), { recursive: true });
    cpSync(join(root, "roms", file), join(out, "roms", file));
  }
  // A server with a relay answers otherwise.
  writeFileSync(join(out, "relay.json"), "{}");
  writeFileSync(join(out, "roms.json"), JSON.stringify(roms));
}

/** The page with its first script in it: a file of its own would come some 50 ms later, and the worker with it. */
function withScript(html, script) {
  const parts = html.split('<script src="start.js"></script>');
  if (parts.length !== 2) throw new Error("the page does not begin with start.js");
  return parts.join(`<script>${script}</script>`);
}

function common(root, out) {
  return {
    outdir: out,
    absWorkingDir: root,
    bundle: true,
    // Beside the entries, so that what they look for beside themselves is there.
    chunkNames: "[name]-[hash]",
    format: "esm",
    platform: "browser",
    target: ["chrome111", "firefox121", "safari17"],
    minify: true,
    sourcemap: "linked",
    sourcesContent: false,
    legalComments: "none",
    // The terminal's own style sheet comes with it.
    loader: { ".css": "text" },
    logLevel: "warning",
    plugins: [withoutNode(root)],
  };
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

/** What the entries import when it is needed is the file that was made of that part. */
function partsApart(root) {
  const names = new Map(Object.entries(PARTS).map(([name, path]) => [join(root, path), name]));
  return {
    name: "parts-apart",
    setup(build) {
      build.onResolve({ filter: /^\./ }, ({ kind, resolveDir, path }) => {
        const name = kind === "dynamic-import" ? names.get(join(resolveDir, path)) : undefined;
        return name && { path: `./${name}.js`, external: true };
      });
    },
  };
}

/** What the page says of each ROM: roms.json. */
function romRows(root) {
  const manifest = JSON.parse(readFileSync(join(root, "roms/manifest.json"), "utf8"));
  const rows = [];
  for (const rom of manifest.roms) {
    const { name, title, file, kind, address, entry, mode, needs = {}, append, tags = [] } = rom;
    // What needs more than the page can say is left out, what nobody can talk to, and what is not built on this machine.
    const mute = tags.includes("bench") && rom.input === undefined;
    if (mute || needs.testDevice || needs.apic === false) continue;
    if (!existsSync(join(root, "roms", file))) continue;
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
  return rows;
}
