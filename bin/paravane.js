#!/usr/bin/env node
// Starts the compiled command line (dist/cli.js). In a fresh checkout, where it is not built yet, builds it first.
import { existsSync } from "node:fs";

const compiled = new URL("../dist/cli.js", import.meta.url);
const core = new URL("../build/paravane.wasm", import.meta.url);
const setup = new URL("../tools/setup.mjs", import.meta.url);

try {
  if (!(existsSync(compiled) && existsSync(core)) && existsSync(setup)) {
    const { setUp } = await import(setup.href);
    await setUp();
  }
  const { main } = await import(compiled.href);
  await main(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`paravane: cannot start: ${error instanceof Error ? error.message : error}\n`);
  process.exitCode = 12;
}
