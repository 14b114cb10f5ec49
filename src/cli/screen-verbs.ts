// The verbs about the screen and the keyboard of a VM on a running host.
import { writeFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import type { Command } from "commander";
import type { ScreenView } from "../api/views.ts";
import { VmError } from "../vmm/error.ts";
import { errorText } from "./chardev.ts";
import { ApiClient, vmPath } from "./client.ts";
import { unescapeText } from "./display-options.ts";
import { chooseEndpoint } from "./endpoint.ts";
import { EXIT_NO_MATCH, EXIT_OK } from "./exit-code.ts";
import type { CliIo } from "./machine.ts";
import { parseDuration, parsePattern, UsageError } from "./values.ts";

interface HostOption {
  host?: string;
}

/** How often a screen that is waited for is looked at. */
const LOOK_MS = 100;

export function addScreenVerbs(
  makeVerb: (nameAndArgs: string, description: string) => Command,
  io: CliIo,
  done: (code: number) => void,
): void {
  const verb = (nameAndArgs: string, description: string): Command =>
    makeVerb(nameAndArgs, description).option("--host <address>", "socket or loopback port of the host");
  const client = (options: HostOption): ApiClient => new ApiClient(chooseEndpoint(options.host));

  verb("screen <vm>", "what the screen of a VM shows, as text")
    .option("--wait <regex>", "first wait until a line matches")
    .option("--timeout <time>", "how long to wait, then end with code 10 (30s)", "30s")
    .option("--json", "as JSON, with size and cursor")
    .action(async (vm: string, options: HostOption & { wait?: string; timeout: string; json?: boolean }) => {
      const pattern = options.wait === undefined ? undefined : parsePattern(options.wait, "--wait");
      const deadline = performance.now() + parseDuration(options.timeout, "--timeout");
      const api = client(options);
      const look = async (): Promise<ScreenView> => (await api.json("GET", vmPath(vm, "/screen"))) as ScreenView;
      let view = await look();
      while (pattern !== undefined && !shows(view, pattern) && performance.now() < deadline) {
        await sleep(LOOK_MS);
        view = await look();
      }
      if (options.json) io.stdout.write(`${JSON.stringify(view)}\n`);
      else if (view.kind === "text") io.stdout.write(`${view.lines.join("\n").trimEnd()}\n`);
      else io.stdout.write(`a picture of ${view.width} by ${view.height} pixels; see paravane screenshot\n`);
      done(pattern === undefined || shows(view, pattern) ? EXIT_OK : EXIT_NO_MATCH);
    });

  verb("screenshot <vm>", "save what the screen of a VM shows as a PNG file")
    .option("-o, --output <file>", 'file (default: VM.png); "-" is stdout')
    .action(async (vm: string, options: HostOption & { output?: string }) => {
      const bytes = await client(options).bytes("GET", vmPath(vm, "/screenshot"));
      const path = options.output ?? `${vm}.png`;
      if (path === "-") io.stdout.write(bytes);
      else {
        try {
          await writeFile(path, bytes);
        } catch (cause) {
          throw new VmError("host", `cannot write ${path}: ${errorText(cause)}`, { path }, { cause });
        }
      }
      done(EXIT_OK);
    });

  verb("type <vm> [text]", "type on the keyboard of a VM, with \\n for Enter")
    .option("--keys <keys>", 'press these instead, such as "ctrl-alt-delete" or "down down ret"')
    .action(async (vm: string, text: string | undefined, options: HostOption & { keys?: string }) => {
      if ((text === undefined) === (options.keys === undefined))
        throw new UsageError("type: give a text or --keys, one of them");
      const body = text === undefined ? { keys: options.keys } : { text: unescapeText(text, "type") };
      await client(options).json("POST", vmPath(vm, "/keys"), body);
      done(EXIT_OK);
    });
}

function shows(view: ScreenView, pattern: RegExp): boolean {
  return view.kind === "text" && (view.lines.some((line) => pattern.test(line)) || pattern.test(view.lines.join("\n")));
}
