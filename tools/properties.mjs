// `npm run test:properties -- [--rounds N] [FILE...]`: the property tests with fresh cases, round after round; says which
// seeds failed, and ends with code 1 if one did. `PROPERTY_SEED=n npx vitest run FILE` repeats a round.
import { spawnSync } from "node:child_process";
import { randomInt } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";

const { values, positionals } = parseArgs({
  options: { rounds: { type: "string", default: "10" } },
  allowPositionals: true,
});
const rounds = Number(values.rounds);
if (!Number.isInteger(rounds) || rounds < 1) {
  console.error("--rounds takes a whole number from 1 on");
  process.exit(4);
}
const files =
  positionals.length > 0
    ? positionals
    : readdirSync("test", { recursive: true, encoding: "utf8" })
        .map((name) => join("test", name))
        .filter((file) => file.endsWith(".test.ts") && !file.includes(".quiet."))
        .filter((file) => readFileSync(file, "utf8").includes('"fast-check"'));

const failed = [];
for (let round = 1; round <= rounds; round++) {
  const seed = randomInt(2 ** 31);
  console.log(`round ${round} of ${rounds}: PROPERTY_SEED=${seed}`);
  const { status } = spawnSync("npx", ["vitest", "run", "--reporter=dot", ...files], {
    stdio: "inherit",
    env: { ...process.env, PROPERTY_SEED: String(seed) },
  });
  if (status !== 0) failed.push(seed);
}
console.log(failed.length === 0 ? `${rounds} rounds passed` : `failed with PROPERTY_SEED ${failed.join(", ")}`);
process.exitCode = failed.length === 0 ? 0 : 1;
