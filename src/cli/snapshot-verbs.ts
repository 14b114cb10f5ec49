// `paravane snapshot`: what snapshot files are, whether they are whole, and one file out of a chain.
import { basename, dirname } from "node:path";
import type { Command } from "commander";
import type { SnapshotReport } from "../snapshot/inspect.ts";
import type { SnapshotName } from "../snapshot/restore.ts";
import { snapshotFolder } from "../snapshot/store.ts";
import { EXIT_OK } from "./exit-code.ts";
import type { CliIo } from "./machine.ts";
import { didYouMean, UsageError } from "./values.ts";

const MIB = 1024 * 1024;

export function addSnapshotVerbs(snapshot: Command, io: CliIo, setCode: (code: number) => void): void {
  snapshot.allowExcessArguments().action(() => {
    const [unknown] = snapshot.args;
    const names = snapshot.commands.map((command) => command.name());
    throw new UsageError(
      unknown === undefined
        ? `snapshot: say what to do: ${names.join(", ")}`
        : `snapshot: no verb "${unknown}"${didYouMean(unknown, names)}; there are ${names.join(", ")}`,
    );
  });
  const verb = (nameAndArgs: string, description: string): Command =>
    snapshot.command(nameAndArgs).description(description).exitOverride();
  verb("inspect <file>", "what VM it is of, when it was taken, what is in it")
    .option("--json", "one JSON object")
    .action(async (file: string, options: { json?: boolean }) => {
      const { inspectSnapshot } = await import("../snapshot/inspect.ts");
      const report = await inspectSnapshot(await snapshotFile(file));
      io.stdout.write(options.json ? `${JSON.stringify(report, null, 2)}\n` : describe(report));
      setCode(EXIT_OK);
    });
  verb("verify <file>", "read all of it and of its parents").action(async (file: string) => {
    const { verifySnapshot } = await import("../snapshot/inspect.ts");
    const { files } = await verifySnapshot(await snapshotFile(file));
    io.stdout.write(`${files.join(", ")}: whole\n`);
    setCode(EXIT_OK);
  });
  verb("flatten <file> <new-file>", "write one file that needs no parent")
    .option("--no-compress", "larger, and sometimes faster to restore")
    .action(async (file: string, newFile: string, options: { compress?: boolean }) => {
      const { flattenSnapshot } = await import("../snapshot/flatten.ts");
      const made = await flattenSnapshot(await snapshotFile(file), await snapshotFile(newFile), options);
      io.stdout.write(`${newFile}: ${mib(made.sizeBytes)} from ${made.files.join(", ")}\n`);
      setCode(EXIT_OK);
    });
}

/** A file of the command line as a snapshot of its folder, where its parents are. */
export async function snapshotFile(path: string): Promise<SnapshotName> {
  return { store: await snapshotFolder(dirname(path)), name: basename(path) };
}

function describe(report: SnapshotReport): string {
  const { config, parent, clock } = report;
  const rows: [string, string][] = [
    ["VM", String(config["name"])],
    ["taken", report.createdAt],
    ["id", report.id],
    ["parent", parent === null ? "none: a full snapshot" : `${parent.name} (${parent.id.slice(0, 12)}...)`],
    ["file", `${mib(report.sizeBytes)}, format ${report.formatVersion}`],
    ["memory", `${mib(report.memoryBytes)}, of it in this file ${mib(report.storedMemoryBytes)}`],
    ["clock", `${clock.kind}, ${clock.guestSeconds.toFixed(3)} s since power-on`],
    ["CPU", `${String(config["cpu"])} (${report.cpuFeatures.length} features)`],
    ["images", report.images.length === 0 ? "none" : report.images.map(({ sizeBytes }) => mib(sizeBytes)).join(", ")],
    ["devices", Object.keys(report.devices).join(", ")],
  ];
  for (const { drive, kind, savedBytes, sizeBytes } of report.disks) {
    const what = kind === "whole" ? "all of" : "what was written to";
    rows.push([`disk ${drive}`, `${what} ${mib(sizeBytes)}, ${mib(savedBytes)} before compression`]);
  }
  if (report.external.length > 0) rows.push(["to restore", `give again: ${report.external.join(", ")}`]);
  return rows.map(([name, value]) => `${name.padEnd(11)}${value}\n`).join("");
}

function mib(bytes: number): string {
  return `${(bytes / MIB).toFixed(1)} MiB`;
}
