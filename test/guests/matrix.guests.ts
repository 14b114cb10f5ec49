// The basic script on every machine of setups.ts: interrupt controllers present and absent, older CPUs, PAE, little and much RAM.
import { describe, expect, it } from "vitest";
import { newWarnings } from "./kernel-log.ts";
import { ensureImage, expectPassed, runLinux } from "./linux-guest.ts";
import { SETUPS } from "./setups.ts";

/** What must be in the console for the setup to be what it is called. */
const SHOWS: Readonly<Record<string, RegExp>> = {
  noapic: /XT-PIC|SMP: APIC: .*(noapic|disabled)|Using PIC for interrupt routing/i,
  nolapic: /(Using PIC for interrupt routing|Local APIC (disabled|not detected))/i,
  "acpi=off": /MPTABLE: APIC at: 0xFEE00000[\s\S]*ACPI: Interpreter disabled/,
  nosmp: /SMP mode deactivated|nosmp/,
  "686-pae": /NX \(Execute Disable\) protection: active/,
};

describe.each(SETUPS)("Debian's kernel: $name", ({ name, image, append, config, end }) => {
  it("passes the basic script, warns of nothing new and ends", async () => {
    await ensureImage(image);
    const run = await runLinux({
      image,
      script: "basics.sh",
      ...(append === undefined ? {} : { append }),
      ...(config === undefined ? {} : { config }),
    });
    expectPassed(run, 40, end);
    if (SHOWS[name]) expect(run.console).toMatch(SHOWS[name]);
    expect(newWarnings(run.console, name)).toEqual([]);
  });
});
