// Whether this machine runs the 32-bit programs that the oracles compile.
import { spawnSync } from "node:child_process";

/**
 * Throws where the kernel refuses a compiled 32-bit program. Given nothing to do, the oracles' own programs say nothing,
 * or a line that begins with "oracle"; a refused file is handed to the shell, which complains of its bytes.
 */
export function requireRuns(program: string): void {
  const { error, stderr } = spawnSync(program, [], { input: "", encoding: "utf8" });
  const said = error?.message ?? stderr;
  if (said !== "" && !said.startsWith("oracle"))
    throw new Error(
      "this machine's kernel runs no 32-bit programs, which recording and comparing with the CPU needs; boot one with ia32_emulation=on",
    );
}
