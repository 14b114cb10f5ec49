// `npm run test:guests`: the whole matrix of guests, minutes to half an hour; `npm test` runs test/guests/*.test.ts.
import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/guests/**/*.guests.ts"],
    globalSetup: ["tools/test-setup.ts"],
    reporters: ["verbose", "./tools/closing-line-reporter.ts"],
    testTimeout: 900_000,
    hookTimeout: 900_000,
    pool: "forks",
    // One guest at a time keeps a core busy; a second beside it would only make both slower to a timeout.
    fileParallelism: false,
  },
});
