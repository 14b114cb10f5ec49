// Do fixed pieces of guest work still retire as many instructions as the committed record says? `--update` records anew.

import { parseArgs } from "node:util";
import { VmError } from "../src/vmm/error.ts";
import { build } from "../tools/build.mjs";
import { benchMain } from "./run/command-line.ts";
import {
  COUNTS_FILE,
  type CountsFile,
  debianGuest,
  type GuestCounts,
  linuxGuests,
  readCounts,
  romGuest,
  UPDATE_COMMAND,
  writeCounts,
} from "./run/instruction-counts.ts";
import { table } from "./run/report.ts";
import { status } from "./run/status-line.ts";

const HELP = `npm run bench:counts -- [options]
  --update  record the counts in bench/instruction-counts.json
  --json    print JSON in place of a table
`;

await benchMain(async () => {
  const { update, json, help } = parseOptions();
  if (help) {
    process.stdout.write(HELP);
    return;
  }
  await build({ quiet: true });
  const counted: Record<string, GuestCounts> = {};
  for (const guest of [await romGuest(), await debianGuest(), ...(await linuxGuests())]) {
    status(`counting ${guest.name}`);
    counted[guest.name] = await guest.count();
  }
  status("");
  const recorded = previous();
  const rows = compare(recorded?.guests ?? {}, counted);
  if (json) process.stdout.write(`${JSON.stringify({ recorded, counted }, null, 2)}\n`);
  else
    process.stdout.write(
      `${table(
        ["", "recorded", "counted", "difference"],
        rows.map((row) => row.cells),
      )}\n`,
    );
  if (update) {
    writeCounts(counted);
    process.stdout.write(json ? "" : `recorded in ${COUNTS_FILE}\n`);
  } else if (rows.some((row) => row.differs)) {
    process.stderr.write(`bench: the counts differ; if that is meant, record them with ${UPDATE_COMMAND}\n`);
    process.exitCode = 1;
  }
});

function parseOptions(): { update: boolean; json: boolean; help: boolean } {
  const flag = { type: "boolean", default: false } as const;
  try {
    return parseArgs({ options: { update: flag, json: flag, help: flag } }).values;
  } catch (error) {
    throw new VmError("bad-config", `${(error as Error).message}; see --help.`);
  }
}

function previous(): CountsFile | undefined {
  try {
    return readCounts();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

function compare(
  recorded: CountsFile["guests"],
  counted: CountsFile["guests"],
): { readonly cells: readonly string[]; readonly differs: boolean }[] {
  return Object.entries(counted).flatMap(([guest, { made, instructions }]) => {
    const before = recorded[guest];
    const same = JSON.stringify(before?.made) === JSON.stringify(made);
    return Object.entries(instructions).map(([what, now]) => {
      const old = before?.instructions[what];
      const difference = !same ? "other guest" : old === undefined ? "new" : old === now ? "" : String(now - old);
      return {
        cells: [`${guest}: ${what}`, old?.toString() ?? "-", String(now), difference],
        differs: old !== now || !same,
      };
    });
  });
}
