import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    globalSetup: ["tools/test-setup.ts"],
    reporters: ["default", "./tools/closing-line-reporter.ts"],
    // Guests and native oracles share two cores with the machine's other work: slow is not broken.
    testTimeout: 30_000,
    hookTimeout: 120_000,
    // Processes: a defect that hangs or aborts one file's runtime must not take the others with it.
    pool: "forks",
  },
});
