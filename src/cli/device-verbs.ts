// The verbs that put devices into a VM of a running host, and take them out.
import { resolve } from "node:path";
import type { Command } from "commander";
import { ApiClient, vmPath } from "./client.ts";
import { driveSpecs } from "./drive-spec.ts";
import { chooseEndpoint } from "./endpoint.ts";
import { EXIT_OK } from "./exit-code.ts";
import { nicSpecs } from "./nic-spec.ts";
import { parseDuration, UsageError } from "./values.ts";

interface HostOption {
  host?: string;
}

/** Adds the verbs; `done` takes each one's exit code. */
export function addDeviceVerbs(
  makeVerb: (nameAndArgs: string, description: string) => Command,
  done: (code: number) => void,
): void {
  const verb = (nameAndArgs: string, description: string): Command =>
    makeVerb(nameAndArgs, description).option("--host <address>", "socket or loopback port of the host");
  const post = async (vm: string, action: string, body: object, options: HostOption): Promise<void> => {
    await new ApiClient(chooseEndpoint(options.host)).json("POST", vmPath(vm, `/${action}`), body);
    done(EXIT_OK);
  };

  verb("attach <vm>", "put a disk or a network card into a VM; a guest that runs hears of it by ACPI")
    .option("--drive <spec>", "id=NAME,file=FILE,if=virtio,...")
    .option("--nic <spec>", "user,id=NAME,... or switch=NETWORK,id=NAME,... of the host")
    .action(async (vm: string, { drive, nic, ...options }: HostOption & { drive?: string; nic?: string }) => {
      if ((drive === undefined) === (nic === undefined))
        throw new UsageError("attach: give --drive or --nic, one of them");
      const body = drive === undefined ? { nic: nicSpec(nic ?? "") } : { drive: driveSpec(drive) };
      await post(vm, "attach", body, options);
    });

  verb("detach <vm> <id>", "ask the guest for a disk or network card, and take it")
    .option("--force", "without asking, as if somebody pulled it out")
    .option("--timeout <time>", "what the guest gets to let go of it (10s)")
    .action(async (vm: string, id: string, options: HostOption & { force?: boolean; timeout?: string }) => {
      const body = {
        id,
        ...(options.force ? { force: true } : {}),
        ...(options.timeout === undefined ? {} : { timeoutMs: parseDuration(options.timeout, "--timeout") }),
      };
      await post(vm, "detach", body, options);
    });

  verb("insert <vm> <drive> <file>", "put another disc or floppy into a drive")
    .option("--force", "also where the guest has locked the drive")
    .action(async (vm: string, drive: string, file: string, options: HostOption & { force?: boolean }) => {
      await post(vm, "medium", { drive, file: resolve(file), force: options.force ?? false }, options);
    });

  verb("eject <vm> <drive>", "take the disc or floppy out of a drive")
    .option("--force", "also where the guest has locked the drive")
    .action(async (vm: string, drive: string, options: HostOption & { force?: boolean }) => {
      await post(vm, "medium", { drive, force: options.force ?? false }, options);
    });
}

function requireName(option: string, text: string): void {
  if (!/(^|,)id=./.test(text)) throw new UsageError(`${option} ${text}: give it a name, id=NAME, to detach it by`);
}

function nicSpec(text: string): Record<string, unknown> {
  const [nic] = nicSpecs({ nic: [text] });
  if (nic === undefined) throw new UsageError("--nic: give user or switch=NETWORK");
  requireName("--nic", text);
  return nic;
}

function driveSpec(text: string): Record<string, unknown> {
  const [drive] = driveSpecs({ drive: [text] });
  if (drive === undefined) throw new UsageError("--drive: give id=NAME,file=FILE");
  requireName("--drive", text);
  return drive;
}
