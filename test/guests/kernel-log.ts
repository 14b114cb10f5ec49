// What a kernel complained of, in a form that two machines can be compared by.
import recorded from "./qemu-warnings.json" with { type: "json" };

/** Kernel log levels 0 (emergency) to 4 (warning). */
const WARNING = 4;
/** basics.sh prints the log between these lines, as `dmesg -r` gives it. */
const SECTION = /^KERNEL LOG\n([\s\S]*?)^END OF KERNEL LOG$/m;

/**
 * The distinct warnings and worse of a console, timestamps left out and every number as "#": what differs then is what the
 * kernel complains of, not at which address or how fast.
 */
export function warnings(console: string): string[] {
  const log = SECTION.exec(console)?.[1];
  if (log === undefined) throw new Error("the console has no kernel log");
  const lines = log.split("\n").flatMap((line) => {
    const match = /^<(\d+)>\[ *\d+\.\d+\] (.*)$/.exec(line);
    // The facility is in the bits above the level.
    if (!match || (Number(match[1]) & 7) > WARNING) return [];
    return [(match[2] as string).replace(/\b(?:0x)?[0-9a-f]*\d[0-9a-f]*\b/gi, "#").trim()];
  });
  return [...new Set(lines)].sort();
}

/** Warnings that QEMU's boot of the same kernel lacks. `setup` is a key of qemu-warnings.json. */
export function newWarnings(console: string, setup: string): string[] {
  const known: readonly string[] | undefined = (recorded.setups as Record<string, string[]>)[setup];
  if (!known) throw new Error(`qemu-warnings.json has no "${setup}"; run: npx tsx test/guests/record-qemu-warnings.ts`);
  return warnings(console).filter((line) => !known.includes(line));
}
