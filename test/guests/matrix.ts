// The basic script on a machine of setups.ts, as a test.
import { describe, expect, it } from "vitest";
import { newWarnings } from "./kernel-log.ts";
import { ensureImage, expectPassed, runLinux } from "./linux-guest.ts";
import type { Setup } from "./setups.ts";

/** What must be in the console for the setup to be what it is called. */
const SHOWS: Readonly<Record<string, RegExp>> = {
  noapic: /XT-PIC|SMP: APIC: .*(noapic|disabled)|Using PIC for interrupt routing/i,
  nolapic: /(Using PIC for interrupt routing|Local APIC (disabled|not detected))/i,
  "acpi=off": /MPTABLE: APIC at: 0xFEE00000[\s\S]*ACPI: Interpreter disabled/,
  nosmp: /SMP mode deactivated|nosmp/,
  "686-pae": /NX \(Execute Disable\) protection: active/,
};

/** `words` are more kernel parameters, in every setup. */
export function testSetups(setups: readonly Setup[], timeoutMs: number, words = ""): void {
  describe.each(setups)("Debian's kernel: $name", ({ name, image, append, config, end }) => {
    it("passes the basic script, warns of nothing new and ends", { timeout: timeoutMs }, async () => {
      await ensureImage(image);
      const run = await runLinux({
        image,
        script: "basics.sh",
        append: [append, words].filter(Boolean).join(" "),
        ...(config === undefined ? {} : { config }),
      });
      expectPassed(run, 40, end);
      if (SHOWS[name]) expect(run.console).toMatch(SHOWS[name]);
      expect(newWarnings(run.console, name)).toEqual([]);
    });
  });
}
