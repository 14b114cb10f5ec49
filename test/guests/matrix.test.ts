// The basic script on the machines that differ most from the stock one. matrix.guests.ts has all of them, and boots whole.
import { describe, it } from "vitest";
import { runSetup } from "./matrix.ts";
import { setupNamed } from "./setups.ts";

const NAMES = ["noapic", "nolapic", "nosmp", "pentium3", "686-pae", "64 MiB"];
const MINUTES = 60_000;

describe("Debian's kernel passes the basic script, warns of nothing new and ends", () => {
  // Two thirds of a boot are the ciphers' tests of themselves, which are the same on each of these machines.
  it.each(NAMES)(
    "%s",
    async (name) => {
      await runSetup(setupNamed(name), "cryptomgr.notests");
    },
    5 * MINUTES,
  );
});
