// The system oracle: each ROM of roms/system passes under Paravane, and under QEMU but for the deviations that
// roms/manifest.json lists with their reasons.
import { describe, expect, it } from "vitest";
import { qemuVersion, readVerdicts, runUnderParavane, runUnderQemu, systemRoms } from "./roms.ts";

const roms = systemRoms();
const qemu = qemuVersion();

describe("verdicts of a ROM's console", () => {
  it("reads the three kinds of lines and nothing else", () => {
    const text =
      "noise\r\nPASS: a, b\nFAIL: c got 00000001 want 00000002 (value 3)\nFAIL: d got vector 0000000d error 0 eip 1\nSKIP: e\n";
    expect([...readVerdicts(text)]).toEqual([
      ["a, b", "PASS"],
      ["c", "FAIL"],
      ["d", "FAIL"],
      ["e", "SKIP"],
    ]);
  });

  it("refuses a check that reports twice", () => {
    expect(() => readVerdicts("PASS: a\nFAIL: a got 00000000 want 00000001 (value 1)\n")).toThrow("two verdicts");
  });
});

describe.each(roms)("$name", (rom) => {
  it("passes under Paravane", { timeout: 90_000 }, async () => {
    const run = await runUnderParavane(rom);
    expect(run.text.split("\n").filter((line) => /^(FAIL|SKIP)/.test(line))).toEqual([]);
    expect(run.status).toEqual(
      rom.exitCode === 6 ? expect.objectContaining({ kind: "triple-fault" }) : { kind: "guest-exit", code: 1 },
    );
    expect(run.verdicts.size).toBe(rom.checks);
  });

  it.skipIf(qemu === undefined)(
    "says the same under QEMU, but for the listed deviations",
    { timeout: 90_000 },
    async () => {
      const run = await runUnderQemu(rom);
      const known = rom.qemu.deviations;
      const differing = [...run.verdicts].filter(([, verdict]) => verdict !== "PASS").map(([name]) => name);
      expect(
        differing.filter((name) => !(name in known)),
        run.text,
      ).toEqual([]);
      expect(run.verdicts.size).toBe(rom.checks);
      // another version may have mended some of them
      if (qemu?.startsWith("7.2")) expect(differing.sort()).toEqual(Object.keys(known).sort());
      const failed = [...run.verdicts.values()].includes("FAIL");
      expect(run.status).toBe(rom.qemu.exitCode ?? (failed ? 3 : 1));
    },
  );
});
