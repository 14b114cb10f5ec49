// Writing a generated file, or with `--check` failing when it would change.
import { readFileSync, writeFileSync } from "node:fs";

export function writeGenerated(path: string, text: string): void {
  const url = new URL(`../${path}`, import.meta.url);
  let old = "";
  try {
    old = readFileSync(url, "utf8");
  } catch {
    // first generation
  }
  if (old === text) return;
  if (process.argv.includes("--check")) {
    console.error(`${path} is not what its generator writes: run npm run gen`);
    process.exitCode = 1;
    return;
  }
  writeFileSync(url, text);
  console.log(`wrote ${path}`);
}
