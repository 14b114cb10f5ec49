// The verbs of `paravane disk` as the parser and --help see them; disk.ts does the work.
import type { Command } from "commander";
import type { CliIo } from "./machine.ts";

export function addDiskVerbs(disk: Command, io: CliIo, setCode: (code: number) => void): void {
  const diskVerb = (nameAndArgs: string, description: string): Command =>
    disk.command(nameAndArgs).description(description).exitOverride();
  diskVerb("create <file> [size]", "make an empty image; the size is that of the backing file unless given")
    .option("-f, --format <format>", "qcow2 or raw (default: by the name; qcow2 where there is a backing file)")
    .option("-b, --backing <file>", "what reads where nothing was written yet")
    .option("-F, --backing-format <format>", "raw or qcow2")
    .action(async (file: string, size: string | undefined, options) =>
      setCode(await (await import("./disk.ts")).createVerb(file, size, options)),
    );
  diskVerb("info <file>", "format, sizes, backing file, snapshots")
    .option("-f, --format <format>", "what it is, where its name does not say")
    .option("--json", "one JSON object")
    .action(async (file: string, options) => setCode(await (await import("./disk.ts")).infoVerb(file, options, io)));
  diskVerb("convert <from> <to>", "copy an image, or a directory as a FAT disk, into a new image")
    .option("-f, --from <format>", "raw, qcow2 or dir")
    .option("-O, --to <format>", "raw or qcow2 (default: by the name)")
    .action(async (from: string, to: string, options) =>
      setCode(await (await import("./disk.ts")).convertVerb(from, to, options)),
    );
  diskVerb("check <file>", "is a qcow2 image sound?")
    .option("-f, --format <format>", "qcow2, where its name does not say")
    .option("--json", "one JSON object")
    .action(async (file: string, options) => setCode(await (await import("./disk.ts")).checkVerb(file, options, io)));
  diskVerb("commit <file>", "write what an overlay has into its backing file").action(async (file: string) =>
    setCode(await (await import("./disk.ts")).commitVerb(file, io)),
  );
}
