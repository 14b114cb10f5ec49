// Debian's programs that check themselves or have known answers, on its stock kernel.
import { beforeAll, describe, it } from "vitest";
import { ensureImage, expectPassed, PROGRAMS_IMAGE, runLinux } from "./linux-guest.ts";

beforeAll(() => ensureImage(PROGRAMS_IMAGE));

describe("Debian's programs", () => {
  it.each([
    ["stress.sh", 45],
    ["openssl.sh", 20],
    ["7zip.sh", 9],
    ["perl.sh", 23],
    ["python.sh", 30],
  ])("%s", async (script, checks) => {
    const run = await runLinux({ image: PROGRAMS_IMAGE, script, append: "quiet", config: { timeoutMs: 800_000 } });
    expectPassed(run, checks);
  });

  it("python.sh without SSE, on a Pentium III with x87 alone", async () => {
    const run = await runLinux({
      image: PROGRAMS_IMAGE,
      script: "python.sh",
      append: "quiet",
      config: { cpu: "pentium3,-sse", timeoutMs: 800_000 },
    });
    expectPassed(run, 30);
  });
});
