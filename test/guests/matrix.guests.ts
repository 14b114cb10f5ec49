// The basic script on every machine of setups.ts: interrupt controllers present and absent, older CPUs, PAE, little and much RAM.
import { describe, it } from "vitest";
import { runSetup } from "./matrix.ts";
import { SETUPS } from "./setups.ts";

describe("Debian's kernel passes the basic script, warns of nothing new and ends", () => {
  it.each(SETUPS)("$name", async (setup) => await runSetup(setup));
});
