// The package as others get it: packed, installed into an empty project without a network, booted from JavaScript and
// TypeScript, and bundled for a browser.
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const root = fileURLToPath(new URL("../../", import.meta.url));
const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
  readonly dependencies: Readonly<Record<string, string>>;
  readonly scripts: Readonly<Record<string, string>>;
  readonly version: string;
};
const SLOW_MS = 240_000;

interface Packed {
  readonly filename: string;
  readonly files: readonly { readonly path: string }[];
  readonly size: number;
}

function run(command: string, args: readonly string[], cwd: string): string {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd, encoding: "utf8", timeout: SLOW_MS });
  if (status !== 0) throw new Error(`${command} ${args.join(" ")} ended with ${status}:\n${stdout}${stderr}`);
  return stdout;
}

const BOOT = `
const kernel = await readFile(fileURLToPath(import.meta.resolve("paravane/roms/hello/hello.bin")));
const vm = await Vm.create({ memoryBytes: 4 << 20, boot: { kind: "multiboot", kernel } });
let text = "";
vm.on("serial", ({ bytes }) => { text += new TextDecoder().decode(bytes); });
vm.serial().write("ticks\\rexit 3\\r");
vm.start();
const status = await vm.exited;
console.log(JSON.stringify({ status, ticks: /\\d+ ticks/.test(text) }));
`;

describe("the npm package", () => {
  const folder = mkdtempSync(join(tmpdir(), "paravane-package-"));
  const project = join(folder, "project");
  let packed: Packed;

  beforeAll(() => {
    mkdirSync(project);
    const pack = (what: string, ...options: string[]): Packed =>
      (
        JSON.parse(run("npm", ["pack", what, "--json", "--pack-destination", folder, ...options], root)) as Packed[]
      )[0] as Packed;
    packed = pack(root);
    // What it depends on comes from this tree, so that no registry is asked.
    const others = Object.keys(manifest.dependencies).map(
      (name) => pack(join(root, "node_modules", name), "--ignore-scripts").filename,
    );
    writeFileSync(join(project, "package.json"), JSON.stringify({ name: "project", private: true, type: "module" }));
    const tarballs = [packed.filename, ...others].map((name) => join(folder, name));
    run("npm", ["install", "--offline", "--no-audit", "--no-fund", "--ignore-scripts=false", ...tarballs], project);
  }, SLOW_MS);
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it("has no install scripts, and in it are types, cores, ROMs and the page, not the sources", () => {
    const installed = JSON.parse(readFileSync(join(project, "node_modules/paravane/package.json"), "utf8")) as {
      scripts: Record<string, string>;
    };
    for (const script of ["preinstall", "install", "postinstall", "prepare"])
      expect(installed.scripts[script]).toBeUndefined();
    const paths = packed.files.map(({ path }) => path);
    for (const path of [
      "bin/paravane.js",
      "build/paravane.wasm",
      "build/paravane.shared.wasm",
      "dist/index.js",
      "dist/pcpu-worker.js",
      "dist/types/src/index.d.ts",
      "dist/web/paravane.js",
      "dist/web/paravane.wasm",
      "dist/web/index.html",
      "roms/hello/hello.bin",
      "roms/manifest.json",
      "README.md",
    ])
      expect(paths, path).toContain(path);
    expect(paths.filter((path) => /^(src|assembly|test|node_modules)\/|\.map$/.test(path))).toEqual([]);
  });

  it("boots a guest from JavaScript, alone and on a worker", { timeout: SLOW_MS }, () => {
    writeFileSync(
      join(project, "boot.js"),
      `import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { Host, Vm } from "paravane";
${BOOT}
const host = await Host.create({ pcpus: 1 });
const hosted = await host.createVm({ memoryBytes: 4 << 20, boot: { kind: "multiboot", kernel } });
hosted.serial().write("exit 4\\r");
const ended = hosted.ended();
await hosted.start();
console.log((await ended).code);
await host.close();
`,
    );
    const [alone = "", onWorker] = run(process.execPath, ["boot.js"], project).trim().split("\n");
    expect(JSON.parse(alone)).toEqual({ status: { kind: "guest-exit", code: 7 }, ticks: true });
    expect(onWorker).toBe("9");
    const version = run(process.execPath, ["node_modules/.bin/paravane", "version"], project);
    expect(version).toContain(manifest.version);
  });

  it("boots a guest from TypeScript, whose types fit", { timeout: SLOW_MS }, async () => {
    writeFileSync(
      join(project, "boot.ts"),
      `import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { type ExitStatus, Vm, type VmConfig, VmError } from "paravane";
import { Host } from "paravane/browser";
import * as forNode from "paravane/node";
const config: Partial<VmConfig> = { clock: "virtual" };
const host: typeof Host = forNode.Host;
// @ts-expect-error: no such clock
config satisfies { clock: "sundial" };
export const unused: [ExitStatus | undefined, typeof host, typeof VmError] = [undefined, host, VmError];
${BOOT}`,
    );
    const types = join(root, "node_modules/@types");
    const tsc = [join(root, "node_modules/typescript/bin/tsc"), "--noEmit", "--strict", "--target", "es2022"];
    for (const resolution of [
      ["--module", "nodenext"],
      ["--module", "esnext", "--moduleResolution", "bundler"],
    ])
      run(process.execPath, [...tsc, ...resolution, "--typeRoots", types, "--types", "node", "boot.ts"], project);
    await build({
      entryPoints: [join(project, "boot.ts")],
      outfile: join(project, "out.js"),
      format: "esm",
      bundle: true,
      packages: "external",
      platform: "node",
      target: "es2022",
    });
    expect(JSON.parse(run(process.execPath, ["out.js"], project).trim())).toMatchObject({ ticks: true });
  });

  it("is bundled for browsers without Node", async () => {
    writeFileSync(join(project, "page.js"), 'import { Host } from "paravane"; console.log(Host);');
    const { metafile } = await build({
      entryPoints: [join(project, "page.js")],
      absWorkingDir: project,
      bundle: true,
      format: "esm",
      platform: "browser",
      splitting: true,
      outdir: join(project, "bundle"),
      metafile: true,
      logLevel: "silent",
    });
    expect(Object.keys(metafile.inputs).some((path) => path.endsWith("dist/web/paravane.js"))).toBe(true);
    expect(Object.keys(metafile.inputs).some((path) => path.includes("dist/index.js"))).toBe(false);
  });
});
