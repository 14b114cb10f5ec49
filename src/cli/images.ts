// `paravane images`: the cache of guests that are fetched or built once.
import { EXIT_OK } from "./exit-code.ts";
import type { CliIo } from "./machine.ts";
import { createProgress } from "./progress.ts";
import { didYouMean, UsageError } from "./values.ts";

export async function listImagesVerb(json: boolean, io: CliIo): Promise<number> {
  const { knownImages, listImages } = await import("../images/node/index.ts");
  const present = await listImages();
  if (json) {
    io.stdout.write(`${JSON.stringify(present, null, 2)}\n`);
    return EXIT_OK;
  }
  const rows = knownImages.map(({ name, title }) => {
    const entry = present.find((image) => image.name === name);
    return [name, entry ? formatSize(entry.sizeBytes) : "-", entry ? entry.digest.slice(0, 12) : "not pulled", title];
  });
  const widths = [0, 1, 2].map((column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  for (const row of rows)
    io.stdout.write(`${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  ")}\n`);
  return EXIT_OK;
}

export async function pullImageVerb(
  name: string,
  options: { mirror?: string; force?: boolean },
  io: CliIo,
): Promise<number> {
  const { pullImage } = await import("../images/node/index.ts");
  await checkName(name);
  const progress = createProgress(io.stderr);
  try {
    const entry = await pullImage(name, { ...options, onProgress: (step) => progress.show(step) });
    progress.done();
    io.stdout.write(`${entry.name}  ${formatSize(entry.sizeBytes)}  ${entry.digest}\n`);
  } finally {
    progress.done();
  }
  return EXIT_OK;
}

export async function removeImagesVerb(names: readonly string[], io: CliIo): Promise<number> {
  const { removeImage } = await import("../images/node/index.ts");
  for (const name of names) {
    await checkName(name);
    io.stdout.write((await removeImage(name)) ? `removed ${name}\n` : `${name} was not in the cache\n`);
  }
  return EXIT_OK;
}

async function checkName(name: string): Promise<void> {
  const { knownImages } = await import("../images/node/index.ts");
  const names = knownImages.map((image) => image.name);
  if (!names.includes(name))
    throw new UsageError(`no image is called "${name}"${didYouMean(name, names)}; there are ${names.join(", ")}`);
}

function formatSize(bytes: number): string {
  return bytes < 1024 * 1024 ? `${(bytes / 1024).toFixed(0)} KiB` : `${(bytes / 1024 / 1024).toFixed(1)} MiB`;
}
