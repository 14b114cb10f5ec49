// The disk of the benchmark: every word says where in its 128 KiB it lies (roms/kernel/bench/block.c checks it).
import { memoryDisk } from "../../backends/block/raw.ts";
import type { BlockBackend } from "../../vmm/block.ts";

/** What the guest uses of it. */
export const BENCH_DISK_BYTES = 8 << 20;
const PERIOD_BYTES = 128 << 10;
/** Knuth's multiplicative hash of the byte's number in its period. */
const MULTIPLIER = 2654435761;

export function benchDiskBytes(): Uint8Array {
  const words = new Uint32Array(BENCH_DISK_BYTES / 4);
  for (let i = 0; i < words.length; i++) words[i] = Math.imul((i * 4) % PERIOD_BYTES, MULTIPLIER) >>> 0;
  return new Uint8Array(words.buffer);
}

export function benchDisk(): BlockBackend {
  return memoryDisk(benchDiskBytes());
}
