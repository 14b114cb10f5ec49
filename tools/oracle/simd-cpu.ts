// Runs state records (simd-cases.ts) on this machine's CPU through simd.c. Needs gcc on x86.
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export class SimdCpu implements Disposable {
  readonly #directory = mkdtempSync(join(tmpdir(), "simd-oracle-"));
  readonly #program = join(this.#directory, "simd");

  constructor() {
    const source = fileURLToPath(new URL("simd.c", import.meta.url));
    const flags = ["-O1", "-static", "-no-pie", "-fno-pie"];
    execFileSync("gcc", [...flags, source, "-o", this.#program], { stdio: "inherit" });
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
