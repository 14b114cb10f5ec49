import { availableParallelism } from "node:os";
import { defineConfig } from "vitest/config";
import { LongestFirst } from "./tools/test-sequencer.ts";

export default defineConfig({
  test: {
    globalSetup: ["tools/test-setup.ts"],
    setupFiles: ["tools/property-seed.ts"],
    // Both processors of a small machine: most tests use one, and wait for it.
    maxWorkers: Math.max(2, availableParallelism() - 1),
    sequence: { sequencer: LongestFirst },
    reporters: ["default", "./tools/closing-line-reporter.ts"],
    projects: [
      {
        extends: true,
        test: {
          name: "tests",
          include: ["test/**/*.test.ts"],
          exclude: ["test/**/*.quiet.test.ts"],
          // Guests and native oracles share two cores with the machine's other work: slow is not broken.
          testTimeout: 30_000,
          hookTimeout: 120_000,
          // Processes: a defect that hangs or aborts one file's runtime must not take the others with it.
          pool: "forks",
        },
      },
      {
        extends: true,
        test: {
          // What is about time on the host's processors: one file at a time, after all others.
          name: "quiet",
          include: ["test/**/*.quiet.test.ts"],
          testTimeout: 120_000,
          hookTimeout: 120_000,
          // Whatever else the machine does takes part in what these measure; what is wrong with us is so every time.
          retry: 2,
          pool: "forks",
          fileParallelism: false,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
