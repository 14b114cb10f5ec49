// What this process costs the machine in memory.
import { readFileSync } from "node:fs";

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
