// The basic script on a machine of setups.ts, and what must hold of it.
import { expect } from "vitest";
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

/** The script passes, the kernel warns of nothing new, the machine ends as it should. `words` are more kernel parameters. */
export async function runSetup({ name, image, append, config, end }: Setup, words = ""): Promise<void> {
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
}
