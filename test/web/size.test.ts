// What a visitor downloads before choosing a guest.
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { servePage } from "../../src/platform/node/page-server.ts";

const FOLDER = "dist/web";
const BAR_KIB = 400;

/** Files that `name` imports as it is loaded, and so on. What is imported later belongs to what asks for it: an xz kernel, a solver. */
function closure(name: string, found = new Set<string>()): Set<string> {
  if (found.has(name) || !existsSync(join(FOLDER, name))) return found;
  found.add(name);
  const text = readFileSync(join(FOLDER, name), "utf8");
  for (const [, imported] of text.matchAll(/(?:from|import)\s*["']\.\/([^"']+\.js)["']/g))
    if (imported !== undefined) closure(imported, found);
  return found;
}

describe("the built page", () => {
  it("is at most 400 KiB compressed, worker and core included, guests not", () => {
    const files = new Set(["index.html", "page.css", "icon.svg", "roms.json", "paravane.shared.wasm"]);
    for (const entry of ["start.js", "page.js", "pcpu-worker.js", "xterm.js"]) closure(entry, files);
    expect(files.size).toBeGreaterThan(8);
    const sizes = [...files].map((name) => gzipSync(readFileSync(join(FOLDER, name))).length);
    expect(sizes.reduce((sum, size) => sum + size, 0) / 1024).toBeLessThan(BAR_KIB);
  });

  it("begins with a file each for the page and its worker: every other costs a start some milliseconds", () => {
    for (const entry of ["start.js", "page.js", "embed.js", "pcpu-worker.js"])
      expect([...closure(entry)]).toEqual([entry]);
    // The terminal comes after the guest has been started.
    expect(readFileSync(join(FOLDER, "page.js"), "utf8").length).toBeLessThan(
      readFileSync(join(FOLDER, "xterm.js"), "utf8").length,
    );
  });

  it("has what only some guests need in a file each, which come when they are asked for", () => {
    const worker = readFileSync(join(FOLDER, "pcpu-worker.js"), "utf8");
    const parts = new Set(Array.from(worker.matchAll(/import\("\.\/([^"]+)"\)/g), ([, name = ""]) => name));
    expect([...parts]).toEqual(expect.arrayContaining(["board-virtio.js", "board-ide.js", "boot-linux.js"]));
    for (const name of parts) expect([...closure(name)], name).toEqual([name]);
    expect(worker.length / 1024).toBeLessThan(240);
  });

  it("has its first script in it, of which the server tells browsers the digest", async () => {
    const start = readFileSync(join(FOLDER, "start.js"), "utf8");
    await using server = await servePage({ folder: FOLDER, port: 0 });
    for (const name of ["index.html", "embed.html"]) {
      const response = await fetch(server.url + name);
      expect(await response.text()).toContain(`<script>${start}</script>`);
      const digest = createHash("sha256").update(start).digest("base64");
      expect(response.headers.get("content-security-policy")).toContain(`'sha256-${digest}'`);
    }
  });

  it("knows nothing of Node", () => {
    for (const name of readdirSync(FOLDER).filter((file) => file.endsWith(".js")))
      expect(readFileSync(join(FOLDER, name), "utf8"), name).not.toMatch(/from\s*["']node:|import\(["']node:/);
  });
});
