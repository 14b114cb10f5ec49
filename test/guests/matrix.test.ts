// The basic script on the machines that differ most from the stock one. matrix.guests.ts has all of them, and boots whole.
import { testSetups } from "./matrix.ts";
import { setupNamed } from "./setups.ts";

const NAMES = ["noapic", "nolapic", "nosmp", "pentium3", "686-pae", "64 MiB"];

// Two thirds of a boot are the ciphers' tests of themselves, which are the same on each of these machines.
testSetups(NAMES.map(setupNamed), 5 * 60_000, "cryptomgr.notests");
