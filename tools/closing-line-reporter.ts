// Ends a test run with one plain line, "N passed, N failed" (", N skipped" where there are any), for programs that
// read logs. Files that could not even be loaded count as failed.
import type { Reporter, TestModule } from "vitest/node";

export default class ClosingLineReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly unknown[]): void {
    const count = { passed: 0, failed: 0, skipped: 0, pending: 0 };
    let unloadable = 0;
    for (const module of modules) {
      let failedHere = 0;
      for (const test of module.children.allTests()) {
        const { state } = test.result();
        count[state] += 1;
        if (state === "failed") failedHere += 1;
      }
      if (!module.ok() && failedHere === 0) unloadable += 1;
    }
    const failed = count.failed + count.pending + unloadable + (unhandledErrors.length > 0 ? 1 : 0);
    const line = `${count.passed} passed, ${failed} failed${count.skipped > 0 ? `, ${count.skipped} skipped` : ""}`;
    // After the other reporters, which write their summaries in the same event.
    process.once("exit", () => process.stdout.write(`\n${line}\n`));
  }
}
