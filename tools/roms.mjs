// Builds the ROMs of roms/manifest.json by the command that each one names. `--check` builds into a temporary
// folder and fails when a committed binary differs from its source.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const folder = join(dirname(dirname(fileURLToPath(import.meta.url))), "roms");
const check = process.argv.includes("--check");
const names = process.argv.slice(2).filter((arg) => !arg.startsWith("--"));
const { roms, programs } = JSON.parse(readFileSync(join(folder, "manifest.json"), "utf8"));
const scratch = check ? mkdtempSync(join(tmpdir(), "paravane-roms-")) : undefined;
let wrong = 0;

for (const rom of [...roms, ...programs]) {
  if (names.length > 0 && !names.includes(rom.name)) continue;
  const target = scratch ? join(scratch, basename(rom.file)) : rom.file;
  const other = check ? otherCompiler(rom.compiler) : undefined;
  if (other !== undefined) {
    process.stdout.write(`roms: ${rom.name}: not compared: ${rom.compiler} makes it, and here is ${other}\n`);
    continue;
  }
  const command = rom.build.replaceAll("{file}", target).replaceAll("{source}", rom.source);
  const result = spawnSync(command, { cwd: folder, shell: true, stdio: ["ignore", "inherit", "inherit"] });
  if (result.status !== 0) {
    process.stderr.write(`roms: ${rom.name}: "${command}" ended with ${result.status}\n`);
    wrong += 1;
  } else if (check && !readFileSync(target).equals(readOrEmpty(join(folder, rom.file)))) {
    process.stderr.write(
      `roms: ${rom.name}: roms/${rom.file} is not what roms/${rom.source} makes; run npm run build:roms\n`,
    );
    wrong += 1;
  }
}
if (scratch) rmSync(scratch, { recursive: true });
process.stdout.write(wrong > 0 ? `roms: ${wrong} wrong\n` : `roms: ${check ? "all as committed" : "built"}\n`);
process.exitCode = wrong > 0 ? 1 : 0;

/** A ROM in C has the same bytes wherever the same compiler makes it: what is here in its place, or undefined. */
function otherCompiler(wanted) {
  if (wanted === undefined) return undefined;
  const [name, major] = wanted.split(" ");
  const version = spawnSync(name, ["-dumpfullversion"], { encoding: "utf8" }).stdout?.trim();
  if (!version) return `no ${name}`;
  return version.split(".")[0] === major ? undefined : `${name} ${version}`;
}

function readOrEmpty(path) {
  try {
    return readFileSync(path);
  } catch {
    return Buffer.alloc(0);
  }
}
