// Instruction counts by the virtual clock are exact: the committed ones must come out again.
import { beforeAll, describe, expect, test } from "vitest";
import {
  type CountedGuest,
  debianGuest,
  type GuestCounts,
  linuxGuests,
  linuxMissing,
  readCounts,
  romGuest,
  UPDATE_COMMAND,
} from "../../bench/run/instruction-counts.ts";
import { VmError } from "../../src/vmm/error.ts";

const recorded = readCounts();

/** Another compiler, or a newer package, makes other bytes; their counts say nothing about ours. */
function skipOtherBytes(guest: CountedGuest, record: GuestCounts | undefined, skip: (reason: string) => void): void {
  for (const [part, digest] of Object.entries(guest.made)) {
    if (record?.made[part] === digest) continue;
    skip(
      `the ${part} here is ${digest.slice(0, 12)}, counted was ${record?.made[part]?.slice(0, 12)}; record it with ${UPDATE_COMMAND}`,
    );
  }
}

describe("instruction counts", () => {
  test("the ROM hello retires as many instructions as recorded", { timeout: 60_000 }, async () => {
    const guest = await romGuest();
    expect(guest.made, `the ROM is another one; record it with ${UPDATE_COMMAND}`).toEqual(recorded.guests.hello?.made);
    expect(await guest.count()).toEqual(recorded.guests.hello);
  });

  test("the ROM hello retires the same number twice", { timeout: 60_000 }, async () => {
    const guest = await romGuest();
    expect(await guest.count()).toEqual(await guest.count());
  });

  // CI boots this kernel anyway, so here it is fetched where it is missing.
  test("Debian's stock kernel retires as many as recorded", { timeout: 300_000 }, async ({ skip }) => {
    const guest = await debianGuest();
    const record = recorded.guests.linux;
    skipOtherBytes(guest, record, skip);
    expect(await guest.count()).toEqual(record);
  });

  describe("linux-tiny", () => {
    let missing: string | undefined;
    let guests: CountedGuest[] = [];

    beforeAll(async () => {
      missing = await linuxMissing();
      if (missing !== undefined) return;
      try {
        guests = await linuxGuests();
      } catch (error) {
        // A host without a 32-bit compiler cannot make the programs; anything else is a defect.
        if (!(error instanceof VmError && error.code === "host")) throw error;
        missing = error.message;
      }
    });

    for (const [name, about] of [
      ["linux-tiny", "boot to init and power-off"],
      ["programs", "the benchmark programs"],
    ] as const) {
      test(`${about}: as many instructions as recorded`, { timeout: 180_000 }, async ({ skip }) => {
        if (missing !== undefined) skip(missing);
        const guest = guests.find((candidate) => candidate.name === name);
        const record = recorded.guests[name];
        if (guest !== undefined) skipOtherBytes(guest, record, skip);
        expect(await guest?.count()).toEqual(record);
      });
    }
  });
});
