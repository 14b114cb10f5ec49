// Runs state records (simd-cases.ts) on this machine's CPU through simd.c. Needs gcc with 32-bit libraries.
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { requireRuns } from "./runs-here.ts";

export class SimdCpu implements Disposable {
  readonly #directory = mkdtempSync(join(tmpdir(), "simd-oracle-"));
  readonly #program = join(this.#directory, "simd");

  constructor() {
    const source = fileURLToPath(new URL("simd.c", import.meta.url));
    const flags = ["-m32", "-O1", "-no-pie", "-fno-pie", "-msse3", "-mssse3"];
    execFileSync("gcc", [...flags, source, "-o", this.#program], { stdio: "inherit" });
    requireRuns(this.#program);
  }

  /** The states after the instructions, in the layout of the states before. */
  run(input: Buffer): Buffer {
    const output = execFileSync(this.#program, { input, maxBuffer: input.length + 1024 });
    if (output.length !== input.length) throw new Error(`the CPU answered ${output.length} of ${input.length} bytes`);
    return output;
  }

  [Symbol.dispose](): void {
    rmSync(this.#directory, { recursive: true });
  }
}
