// The basic script on every machine of setups.ts: interrupt controllers present and absent, older CPUs, PAE, little and much RAM.
import { testSetups } from "./matrix.ts";
import { SETUPS } from "./setups.ts";

testSetups(SETUPS, 15 * 60_000);
