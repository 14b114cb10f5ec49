// Attaches this terminal to a console of a VM on a running host: raw while attached, restored in every case.
import { RawTerminal } from "../platform/node/terminal.ts";
import { type ApiClient, vmPath } from "./client.ts";
import { EscapeFilter } from "./escape.ts";
import { EXIT_OK } from "./exit-code.ts";
import type { CliIo } from "./machine.ts";

export interface ConsoleView {
  readonly port: number;
  readonly scrollback: boolean;
  readonly readOnly: boolean;
}

const ATTACH_HELP =
  "Ctrl-A x detaches, Ctrl-A r resets, Ctrl-A p presses the power button, Ctrl-A Ctrl-A passes one through";

/** Until Ctrl-A x, the end of the VM, or that of piped input's reader. Returns the exit code. */
export async function attachConsole(client: ApiClient, vm: string, view: ConsoleView, io: CliIo): Promise<number> {
  const leave = new AbortController();
  const path = vmPath(vm, `/console?port=${view.port}`);
  const output = await client.stream(`${path}&follow=true${view.scrollback ? "" : "&skip=true"}`, leave.signal);
  const sender = new InputSender(client, path, (error) => {
    io.stderr.write(`\r\nparavane: ${error.message}\r\n`);
    leave.abort();
  });
  const release = view.readOnly ? () => {} : readInput(io, sender, client, vm, leave);
  const onSignal = (): void => leave.abort();
  process.once("SIGTERM", onSignal);
  process.once("SIGHUP", onSignal);
  if (view.readOnly) process.once("SIGINT", onSignal);
  let gone = false;
  try {
    for await (const chunk of output) io.stdout.write(chunk);
    gone = !leave.signal.aborted;
  } catch (error) {
    if (!leave.signal.aborted) throw error;
  } finally {
    for (const signal of ["SIGTERM", "SIGHUP", "SIGINT"] as const) process.off(signal, onSignal);
    release();
  }
  if (gone) io.stderr.write(`paravane: ${vm} is gone\n`);
  return EXIT_OK;
}

/** Sends what is typed in order, one request at a time; what comes meanwhile goes with the next. */
class InputSender {
  #waiting: Uint8Array[] = [];
  #sending = false;

  constructor(
    private readonly client: ApiClient,
    private readonly path: string,
    private readonly onError: (error: Error) => void,
  ) {}

  push(bytes: Uint8Array): void {
    this.#waiting.push(Uint8Array.from(bytes));
    if (!this.#sending) void this.#send();
  }

  async #send(): Promise<void> {
    this.#sending = true;
    try {
      while (this.#waiting.length > 0) {
        const chunk = Buffer.concat(this.#waiting);
        this.#waiting = [];
        await this.client.bytes("POST", this.path, chunk);
      }
    } catch (error) {
      this.onError(error as Error);
    } finally {
      this.#sending = false;
    }
  }
}

function readInput(io: CliIo, sender: InputSender, client: ApiClient, vm: string, leave: AbortController): () => void {
  const { stdin, stdout } = io;
  if (!stdin.isTTY) {
    const onData = (bytes: Buffer): void => sender.push(bytes);
    stdin.on("data", onData);
    return () => {
      stdin.off("data", onData);
      stdin.pause();
      stdin.unref?.();
    };
  }
  const filter = new EscapeFilter();
  const terminal = new RawTerminal({
    stdin,
    stdout,
    onInput: (typed) => {
      const bytes = filter.push(typed, (action) => {
        if (action === "help") io.stderr.write(`\r\n${ATTACH_HELP}\r\n`);
        else if (action === "quit") leave.abort();
        else if (action === "reset") void client.json("POST", vmPath(vm, "/reset")).catch(() => {});
        else if (action === "power") void client.json("POST", vmPath(vm, "/power-button")).catch(() => {});
      });
      if (bytes.length > 0) sender.push(bytes);
    },
  });
  return () => {
    terminal.dispose();
    io.stderr.write("\n");
  };
}
