// What this process costs the machine in memory.
import { closeSync, openSync, readFileSync, readSync } from "node:fs";

const PAGE = 4096;

/**
 * Resident bytes, pages shared with other processes counted in part (PSS, proc(5)); where the host does not tell, all
 * resident bytes. Pages of guest memory that nobody touched are in neither.
 */
export function processMemoryBytes(): number {
  try {
    const kib = /^Pss:\s+(\d+) kB$/m.exec(readFileSync("/proc/self/smaps_rollup", "latin1"))?.[1];
    if (kib !== undefined) return Number(kib) * 1024;
  } catch {
    // Not Linux, or not allowed.
  }
  return process.memoryUsage.rss();
}

interface Mapping {
  readonly start: number;
  readonly end: number;
}

/** Writable anonymous mappings of this process (proc(5), maps); none where the host does not tell. */
export function writableMappings(): Mapping[] {
  let text: string;
  try {
    text = readFileSync("/proc/self/maps", "latin1");
  } catch {
    return [];
  }
  return [...text.matchAll(/^([0-9a-f]+)-([0-9a-f]+) rw.. 00000000 00:00 0\s*$/gm)].map(([, start = "", end = ""]) => ({
    start: Number.parseInt(start, 16),
    end: Number.parseInt(end, 16),
  }));
}

/** Resident bytes of a range of addresses (proc(5), pagemap: bit 63 is "present"). */
export function residentBytes({ start, end }: Mapping): number {
  const entries = Buffer.alloc(((end - start) / PAGE) * 8);
  const fd = openSync("/proc/self/pagemap", "r");
  try {
    readSync(fd, entries, 0, entries.length, (start / PAGE) * 8);
  } finally {
    closeSync(fd);
  }
  let pages = 0;
  for (let at = 7; at < entries.length; at += 8) if ((entries[at] as number) & 0x80) pages++;
  return pages * PAGE;
}
