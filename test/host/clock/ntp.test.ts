// NTP without a network: packets, four timestamps, the filter, and a client disciplined through a simulated line.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ClockDiscipline } from "../../../src/host/clock/discipline.ts";
import {
  answerNtp,
  ClockFilter,
  fromNtpTime,
  NTP_PACKET_BYTES,
  ntpRequest,
  ntpSample,
  readNtpAnswer,
  toNtpTime,
} from "../../../src/host/clock/ntp.ts";

const MS = 1e6;
/** 2026-01-01. */
const NOW = 1_767_225_600_000_000_000n;
const instant = fc.bigInt({ min: 0n, max: 8_000_000_000_000_000_000n });

describe("NTP timestamps", () => {
  it("come back to the nanosecond, also after the era ends in 2036", () => {
    fc.assert(
      fc.property(
        instant,
        fc.bigInt({ min: -2_000_000_000_000_000_000n, max: 2_000_000_000_000_000_000n }),
        (ns, off) => {
          expect(fromNtpTime(toNtpTime(ns), ns + off)).toBe(ns);
        },
      ),
    );
  });
  it("are those of RFC 5905's examples of dates", () => {
    // figure 4: first day UNIX, first day of era 1
    expect(toNtpTime(0n) >> 32n).toBe(2_208_988_800n);
    expect(toNtpTime(BigInt(Date.UTC(2036, 1, 7, 6, 28, 16)) * 1_000_000n)).toBe(0n);
  });
});

describe("the responder", () => {
  it("is understood by a client, which learns offset and delay", () => {
    fc.assert(
      fc.property(
        fc.bigInt({ min: -1_000_000_000_000n, max: 1_000_000_000_000n }),
        fc.bigInt({ min: 0n, max: 10n ** 9n }),
        fc.bigInt({ min: 0n, max: 10n ** 9n }),
        fc.bigInt({ min: 0n, max: 10n ** 8n }),
        (offset, there, back, serving) => {
          const received = NOW + there + offset;
          const answer = answerNtp(ntpRequest(NOW), received, received + serving);
          const sample = readNtpAnswer(answer ?? new Uint8Array(), NOW, NOW + there + serving + back);
          expect(sample?.delayNs).toBe(Number(there + back));
          // wrong by half of the asymmetry, never by more than half of the delay
          expect(Math.abs((sample?.offsetNs ?? 0) - Number(offset))).toBe(Math.abs(Number(there - back)) / 2);
        },
      ),
    );
  });
  it("answers nothing but client requests, whatever comes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (packet) => {
        const answer = answerNtp(packet, NOW, NOW);
        const version = ((packet[0] ?? 0) >> 3) & 7;
        const proper =
          packet.length >= NTP_PACKET_BYTES && ((packet[0] ?? 0) & 7) === 3 && version >= 1 && version <= 4;
        expect(answer !== undefined).toBe(proper);
        // never longer than what was asked: nobody can be flooded through it
        if (answer) expect(answer.length).toBe(NTP_PACKET_BYTES);
      }),
      { examples: [[Uint8Array.from({ length: 48 }, (_, i) => (i === 0 ? 0x1b : i))]] },
    );
  });
});

describe("the client", () => {
  it("believes no answer to another question, none of a server without time, and nothing malformed", () => {
    const good = answerNtp(ntpRequest(NOW), NOW, NOW) as Uint8Array;
    const changed = (at: number, value: number): Uint8Array => {
      const copy = good.slice();
      copy[at] = value;
      return copy;
    };
    expect(readNtpAnswer(good, NOW, NOW)).toBeDefined();
    expect(readNtpAnswer(good, NOW + 1n, NOW)).toBeUndefined();
    expect(readNtpAnswer(changed(0, 0x23), NOW, NOW)).toBeUndefined();
    expect(readNtpAnswer(changed(1, 0), NOW, NOW)).toBeUndefined();
    expect(readNtpAnswer(changed(1, 16), NOW, NOW)).toBeUndefined();
    expect(readNtpAnswer(good.subarray(0, 47), NOW, NOW)).toBeUndefined();
  });
  it("takes the sample with the least delay of the last eight, none twice, none older than one taken", () => {
    const filter = new ClockFilter();
    const add = (at: number, offsetNs: number, delayNs: number) => filter.add(at, { offsetNs, delayNs })?.offsetNs;
    expect(add(1, 100, 50)).toBe(100);
    expect(add(2, 200, 60)).toBeUndefined();
    expect(add(3, 300, 40)).toBe(300);
    for (let i = 4; i < 11; i++) expect(add(i, i, 1000)).toBeUndefined();
    // the ninth after it: the good one has fallen out
    expect(add(11, 500, 900)).toBe(500);
  });
  it("knows what it corrected since", () => {
    const filter = new ClockFilter();
    filter.add(1, { offsetNs: 100, delayNs: 50 });
    filter.corrected(100);
    expect(filter.add(2, { offsetNs: 5, delayNs: 10 })?.offsetNs).toBe(5);
  });

  it("comes within a millisecond of the server over a line of 0.2 to 40 ms, queues in one direction, and a drift", () => {
    fc.assert(
      fc.property(
        fc.double({ min: -100, max: 100, noNaN: true }),
        fc.double({ min: -400 * MS, max: 400 * MS, noNaN: true }),
        fc.infiniteStream(fc.double({ min: 0, max: 1, noNaN: true })),
        (driftPpm, startNs, random) => {
          const discipline = new ClockDiscipline({ maxSlewPpm: 500 * 100 });
          const filter = new ClockFilter();
          let raw = 0;
          let clock = -startNs;
          let server = 0;
          let order = { ratePpm: 0, forNs: 0 };
          const pass = (ns: number): void => {
            const slewing = Math.min(ns, order.forNs);
            const gain = (slewing * order.ratePpm + (ns - slewing) * discipline.driftPpm) / 1e6;
            order = { ...order, forNs: order.forNs - slewing };
            raw += ns;
            clock += ns + gain;
            server += ns * (1 + driftPpm / 1e6);
            filter.corrected(gain);
          };
          let worst = 0;
          for (let i = 0; i < 150; i++) {
            const at = (ns: number): bigint => NOW + BigInt(Math.round(ns));
            const clientSentNs = at(clock);
            // mostly quick, sometimes behind a queue
            pass(0.1 * MS + (random.next().value > 0.6 ? 40 * MS * random.next().value : 0));
            const serverReceivedNs = at(server);
            pass(0.1 * MS);
            const sample = ntpSample({
              clientSentNs,
              serverReceivedNs,
              serverSentNs: serverReceivedNs,
              clientReceivedNs: at(clock),
            });
            const chosen = filter.add(raw, sample);
            if (chosen !== undefined) {
              const correction = discipline.update(chosen);
              clock += correction.stepNs;
              filter.corrected(correction.stepNs);
              order = correction;
            }
            pass(1000 * MS);
            if (i > 100) worst = Math.max(worst, Math.abs(server - clock));
          }
          expect(worst).toBeLessThan(1 * MS);
        },
      ),
      { numRuns: 40 },
    );
  });
});
