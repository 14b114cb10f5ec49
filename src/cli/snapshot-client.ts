// Snapshots of VMs on a running host: taken, restored, cloned.
import { basename, dirname, resolve } from "node:path";
import type { Command } from "commander";
import type { VmView } from "../api/views.ts";
import type { SnapshotInfo } from "../snapshot/take.ts";
import { ApiClient, vmPath } from "./client.ts";
import { chooseEndpoint } from "./endpoint.ts";
import { EXIT_OK } from "./exit-code.ts";
import { LAZY_HELP, parseLazy } from "./lazy-value.ts";
import type { CliIo } from "./machine.ts";
import { parseChoice, parseInteger } from "./values.ts";

interface TakeOptions {
  host?: string;
  parent?: string;
  track?: boolean;
  compress?: boolean;
  json?: boolean;
}

interface RestoreOptions {
  host?: string;
  name?: string;
  into?: string;
  clock?: string;
  identity?: string;
  track?: boolean;
  lazy?: string;
  start?: boolean;
}

const CLOCKS = ["resume", "now"] as const;
const IDENTITIES = ["new", "same"] as const;

/** `paravane snapshot take`, beside the verbs about files. */
export function addSnapshotTake(snapshot: Command, io: CliIo, done: (code: number) => void): void {
  snapshot
    .command("take <vm> <file>")
    .description("write a snapshot of a VM on a running host; it runs on meanwhile")
    .exitOverride()
    .option("--host <address>", "socket or loopback port of the host")
    .option("--parent <name>", "snapshot in the same folder: only what differs from it is written")
    .option("--track", "log writes from here on, so that the next one with this as its parent is quick")
    .option("--no-compress", "larger, and faster to write")
    .option("--json", "as JSON")
    .action(async (vm: string, file: string, options: TakeOptions) => {
      const client = new ApiClient(chooseEndpoint(options.host));
      const info = (await client.json("POST", vmPath(vm, "/snapshot"), {
        ...fileOf(file),
        ...(options.parent === undefined ? {} : { parent: options.parent }),
        ...(options.track ? { track: true } : {}),
        compress: options.compress ?? true,
      })) as SnapshotInfo;
      const mib = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MiB`;
      io.stdout.write(
        options.json
          ? `${JSON.stringify(info)}\n`
          : `${file}: ${mib(info.sizeBytes)} of ${mib(info.memoryBytes)} guest memory, the guest stood still for ${info.pausedMs.toFixed(1)} ms\n`,
      );
      done(EXIT_OK);
    });
}

/** `paravane restore` and `paravane clone`. */
export function addRestoreVerbs(
  makeVerb: (nameAndArgs: string, description: string) => Command,
  io: CliIo,
  done: (code: number) => void,
): void {
  const verb = (nameAndArgs: string, description: string): Command =>
    makeVerb(nameAndArgs, description)
      .option("--host <address>", "socket or loopback port of the host")
      .option("--clock <how>", "guest time goes on (resume) or jumps to now (now)", "resume")
      .option("--track", "log writes from here on, for a quick next snapshot")
      .option("--lazy <how>", LAZY_HELP)
      .option("--start", "and start");
  const print = (vms: readonly VmView[]): void => void io.stdout.write(`${vms.map(({ name }) => name).join("\n")}\n`);

  verb("restore <file>", "make a VM of a snapshot on a running host; prints its name")
    .option("--name <name>", "name of the new VM")
    .option("--into <vm>", "a VM that does not run becomes it, in place of a new one")
    .option("--identity <which>", "another generation ID (new), or the same machine moved (same)", "new")
    .action(async (file: string, options: RestoreOptions) => {
      const client = new ApiClient(chooseEndpoint(options.host));
      const body = { ...fileOf(file), ...restoreBody(options) };
      if (options.into !== undefined) {
        const vm = (await client.json("POST", vmPath(options.into, "/restore"), body)) as VmView;
        if (options.start) await client.json("POST", vmPath(vm.name, "/start"));
        print([vm]);
      } else {
        const name = options.name === undefined ? {} : { name: options.name };
        print(
          (await client.json("POST", "/v1/restore", { ...body, ...name, start: options.start ?? false })) as VmView[],
        );
      }
      done(EXIT_OK);
    });

  verb("clone <file> <count>", "make several VMs of one snapshot, each with its own identity; prints their names")
    .option("--name <name>", "they are called NAME-1, NAME-2... (default: the file's name)")
    .action(async (file: string, count: string, options: RestoreOptions) => {
      const client = new ApiClient(chooseEndpoint(options.host));
      const body = {
        ...fileOf(file),
        ...restoreBody({ ...options, identity: "new" }),
        name: options.name ?? basename(file).replace(/\.\w+$/, ""),
        count: parseInteger(count, "count", 2, 1000),
        start: options.start ?? false,
      };
      print((await client.json("POST", "/v1/restore", body)) as VmView[]);
      done(EXIT_OK);
    });
}

function restoreBody(options: RestoreOptions): Record<string, unknown> {
  return {
    clock: parseChoice(options.clock ?? "resume", "--clock", CLOCKS),
    identity: parseChoice(options.identity ?? "new", "--identity", IDENTITIES),
    ...(options.track ? { track: true } : {}),
    ...(options.lazy === undefined ? {} : { lazy: parseLazy(options.lazy, "--lazy") }),
  };
}

/** The server has a folder of its own: files are named from the root. */
function fileOf(path: string): { folder: string; file: string } {
  return { folder: resolve(dirname(path)), file: basename(path) };
}
