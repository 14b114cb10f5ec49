// Where this package lies: the folder that holds bin/, roms/ and docs/. The same code runs from src/ and, bundled,
// from dist/, so the folder is found by its package.json and not by counting "..".
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

interface PackageFacts {
  readonly root: string;
  readonly version: string;
}

/** Throws when no package.json named "paravane" is found above this file: the installation is damaged. */
export function findPackage(from = fileURLToPath(import.meta.url)): PackageFacts {
  for (let folder = dirname(from); ; folder = dirname(folder)) {
    try {
      const { name, version } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as Record<
        string,
        string
      >;
      if (name === "paravane") return { root: folder, version: version ?? "0" };
    } catch {
      // No package.json here: look further up.
    }
    if (folder === dirname(folder))
      throw new Error(`no package.json of paravane above ${from}; install the package again`);
  }
}
