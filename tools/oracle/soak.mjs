// `npm run oracle:soak -- [rounds = 10] [first seed]`: MMX, SSE and x87 against this machine's CPU with fresh operands.
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

for (const name of ["simd-soak.ts", "x87-soak.ts"]) {
  const script = fileURLToPath(new URL(name, import.meta.url));
  const { status } = spawnSync("npx", ["tsx", script, ...process.argv.slice(2)], { stdio: "inherit" });
  if (status !== 0) process.exitCode = 1;
}
