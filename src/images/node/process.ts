// Running the host's own tools.
import { spawn } from "node:child_process";
import { access, constants } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { VmError } from "../../vmm/error.ts";

export interface RunOptions {
  readonly cwd?: string;
  /** Laid over this process's environment. */
  readonly env?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
  /** Each line of standard output and standard error, as it comes. */
  readonly onLine?: (line: string) => void;
}

export interface RunResult {
  readonly status: number;
  readonly stdout: Uint8Array;
  readonly stderr: string;
}

/** Runs a program to its end. A status other than 0 is a result and no error. Throws VmError("host"). */
export async function run(program: string, args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  options.signal?.throwIfAborted();
  return await new Promise<RunResult>((resolve, reject) => {
    const child = spawn(program, args, {
      cwd: options.cwd,
      env: { ...process.env, LC_ALL: "C", ...options.env },
      stdio: ["ignore", "pipe", "pipe"],
      // A group of its own, so that stopping make stops its compilers.
      detached: true,
    });
    const output: Buffer[] = [];
    const errors: Buffer[] = [];
    const stop = (): void => {
      if (child.pid !== undefined) process.kill(-child.pid, "SIGTERM");
    };
    options.signal?.addEventListener("abort", stop, { once: true });
    const lines = options.onLine && lineSplitter(options.onLine);
    child.stdout.on("data", (chunk: Buffer) => {
      output.push(chunk);
      lines?.(chunk);
    });
    child.stderr.on("data", (chunk: Buffer) => {
      errors.push(chunk);
      lines?.(chunk);
    });
    child.on("error", (cause) => {
      reject(
        new VmError("host", `${program} cannot be run: ${cause.message}; is it installed?`, { program }, { cause }),
      );
    });
    child.on("close", (status, killedBy) => {
      options.signal?.removeEventListener("abort", stop);
      if (options.signal?.aborted) {
        reject(options.signal.reason);
        return;
      }
      const stderr = Buffer.concat(errors).toString();
      resolve({ status: killedBy ? 128 : (status ?? 128), stdout: Buffer.concat(output), stderr });
    });
  });
}

function lineSplitter(onLine: (line: string) => void): (chunk: Buffer) => void {
  let rest = "";
  return (chunk) => {
    const lines = (rest + chunk.toString()).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) onLine(line);
  };
}

/** Whether a program of this name is on the path. */
export async function isInstalled(program: string): Promise<boolean> {
  for (const directory of (process.env.PATH ?? "").split(delimiter)) {
    try {
      await access(join(directory, program), constants.X_OK);
      return true;
    } catch {
      // Not in this directory.
    }
  }
  return false;
}

/** The last lines of a program's complaints, for a message. */
export const lastLines = (text: string, count = 3): string => text.trim().split("\n").slice(-count).join(" / ");
