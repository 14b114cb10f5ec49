// `paravane serve` and its clients as processes, as people run them.
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const CLI = "bin/paravane.js";
/** What a client gets on a busy machine. */
const CLIENT_MS = 60_000;

export interface Result {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** A folder of its own with a socket in it, servers, and clients that know the socket. */
export class ServedHost {
  readonly folder = mkdtempSync(join(tmpdir(), "paravane-serve-"));
  readonly socket = join(this.folder, "host.sock");
  readonly #running: ChildProcess[] = [];

  /** Resolves with what the server prints when it is there. */
  start(args: readonly string[]): Promise<{ child: ChildProcess; line: string }> {
    const child = spawn(process.execPath, [CLI, "serve", ...args], {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, XDG_RUNTIME_DIR: this.folder },
    });
    this.#running.push(child);
    return new Promise((resolve, reject) => {
      let text = "";
      child.stdout?.on("data", (bytes: Buffer) => {
        text += bytes;
        if (text.includes("\n")) resolve({ child, line: text.trim() });
      });
      child.stderr?.on("data", (bytes: Buffer) => reject(new Error(String(bytes))));
      child.on("exit", (code) => reject(new Error(`the server ended with ${code}`)));
    });
  }

  stop(child: ChildProcess): Promise<number | null> {
    return new Promise((resolve) => {
      child.removeAllListeners("exit");
      child.on("exit", (code) => resolve(code));
      child.kill("SIGTERM");
    });
  }

  /** One client, to its end. */
  paravane(args: readonly string[], input = "", at = this.socket): Result {
    const env = { ...process.env, PARAVANE_HOST: at, XDG_RUNTIME_DIR: this.folder };
    const { status, stdout, stderr } = spawnSync(process.execPath, [CLI, ...args], {
      input,
      env,
      encoding: "utf8",
      timeout: CLIENT_MS,
    });
    return { code: status, out: stdout, err: stderr };
  }

  /** A client that stays. */
  client(args: readonly string[]): ChildProcess {
    const child = spawn(process.execPath, [CLI, ...args], {
      env: { ...process.env, PARAVANE_HOST: this.socket },
      stdio: ["pipe", "pipe", "pipe"],
    });
    this.#running.push(child);
    return child;
  }

  close(): void {
    for (const child of this.#running) child.kill("SIGKILL");
    rmSync(this.folder, { recursive: true, force: true });
  }
}
