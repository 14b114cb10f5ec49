import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { admit, shortages } from "../../../src/host/resources/admission.ts";
import { checkCapacity, checkResources } from "../../../src/host/resources/check-claims.ts";
import type { HostCapacity, VmClaims } from "../../../src/host/resources/model.ts";
import { VmError } from "../../../src/vmm/error.ts";

const host = (capacity: Record<string, unknown>, overcommit: Record<string, unknown> = {}): HostCapacity => ({
  name: "h1",
  ...checkCapacity("", { capacity, overcommit }),
});
const vm = (name: string, resources: Record<string, unknown>): VmClaims => ({
  name,
  resources: checkResources("resources", resources),
});
const refusal = (act: () => void): VmError => {
  try {
    act();
  } catch (error) {
    expect(error).toBeInstanceOf(VmError);
    return error as VmError;
  }
  return expect.unreachable("it was admitted");
};

describe("admission", () => {
  const big = host({ cpu: 4, memory: "4G" });

  it("takes what reservations hold, to the last byte, and refuses a page more", () => {
    const there = [vm("a", { memory: { reservation: "3G" } })];
    admit(big, there, vm("b", { memory: { reservation: "1G" } }));
    const error = refusal(() => admit(big, there, vm("b", { memory: { reservation: 2 ** 30 + 4096 } })));
    expect(error.code).toBe("admission");
    expect(error.details).toMatchObject({
      host: "h1",
      vm: "b",
      shortages: [
        {
          resource: "memory",
          of: "reservation",
          capacity: 2 ** 32,
          committed: 3 * 2 ** 30,
          wanted: 2 ** 30 + 4096,
          missing: 4096,
        },
      ],
    });
    expect(error.message).toBe(
      "VM b does not fit on host h1: memory lacks 4 KiB (1 GiB wanted, 1 GiB of 4 GiB can still be reserved).",
    );
  });

  it("names every resource that lacks, also one that the host does not have", () => {
    const error = refusal(() =>
      admit(big, [], vm("a", { cpu: { reservation: 5, limit: 5 }, memory: {}, gpu: { reservation: 1 } })),
    );
    expect(error.message).toMatch(/cpu lacks 1 .*; gpu lacks 1 \(1 wanted, 0 of 0 can still be reserved\)\.$/);
  });

  it("adds fractions of a pCPU as people do", () => {
    const there = [0.1, 0.2].map((reservation, i) => vm(`v${i}`, { cpu: { reservation } }));
    expect(shortages(host({ cpu: 0.3 }), [], there[0]!)).toEqual([]);
    expect(shortages(host({ cpu: 0.3 }), [there[0]!], there[1]!)).toEqual([]);
    expect(shortages(host({ cpu: 0.2999 }), [there[0]!], there[1]!)).toHaveLength(1);
  });

  it("lets limits exceed the capacity, as far as the host says", () => {
    const wish = (name: string): VmClaims => vm(name, { memory: { limit: "3G" } });
    admit(big, [wish("a"), wish("b"), wish("c")], wish("d"));
    const strict = host({ cpu: 4, memory: "4G" }, { memory: 1.5 });
    admit(strict, [wish("a")], wish("b"));
    const error = refusal(() => admit(strict, [wish("a"), wish("b")], wish("c")));
    expect(error.details.shortages).toMatchObject([{ resource: "memory", of: "limit", missing: 3 * 2 ** 30 }]);
    expect(error.message).toMatch(/memory lacks 3 GiB \(3 GiB wanted, 0 B of 6 GiB can still be allowed by limits/);
  });

  it("counts a VM without a limit as large as the host", () => {
    const strict = host({ cpu: 4, memory: "4G" }, { memory: 1 });
    admit(strict, [], vm("a", { memory: {} }));
    expect(shortages(strict, [vm("a", { memory: {} })], vm("b", { memory: { limit: "1M" } }))).toHaveLength(1);
  });

  it("judges changed claims of a VM that is there by the same call", () => {
    const old = vm("a", { memory: { reservation: "3G" } });
    admit(big, [old], vm("a", { memory: { reservation: "4G" } }));
    expect(refusal(() => admit(big, [old], vm("a", { memory: { reservation: "5G" } }))).code).toBe("admission");
  });

  it("whatever was admitted one after the other, reservations never exceed the capacity", () => {
    const pages = fc.array(fc.tuple(fc.nat(600), fc.nat(600)), { maxLength: 12 });
    fc.assert(
      fc.property(pages, fc.nat(2000), fc.double({ min: 1, max: 3, noNaN: true }), (claims, capacity, factor) => {
        const small = host({ cpu: 100, memory: capacity * 4096 }, { memory: factor });
        const there: VmClaims[] = [];
        claims.forEach(([reservation, more], i) => {
          const one = vm(`v${i}`, {
            memory: { reservation: reservation * 4096, limit: (reservation + more) * 4096 },
          });
          const found = shortages(small, there, one);
          if (found.length === 0) there.push(one);
          else for (const { missing } of found) expect(missing).toBeGreaterThan(0);
        });
        const sum = (of: "reservation" | "limit"): number =>
          there.reduce((total, { resources }) => total + Math.min(resources.memory![of], capacity * 4096), 0);
        expect(sum("reservation")).toBeLessThanOrEqual(capacity * 4096);
        expect(sum("limit")).toBeLessThanOrEqual(capacity * 4096 * factor);
      }),
    );
  });
});

describe("claims are checked before anything is admitted", () => {
  it.each<[Record<string, unknown>, RegExp]>([
    [
      { memory: { reservation: -1 } },
      /^resources\.memory\.reservation is -1; accepted: bytes or a size such as "512M"/,
    ],
    [{ memory: { reservation: 100 } }, /^resources\.memory\.reservation is 100; .*whole pages of 4096/],
    [{ memory: { limit: "lots" } }, /^resources\.memory\.limit is "lots"; accepted/],
    [
      { memory: { reservation: "2M", limit: "1M" } },
      /^resources\.memory\.limit is "1M"; accepted: at least the reservation/,
    ],
    [{ cpu: { shares: 0 } }, /^resources\.cpu\.shares is 0; accepted: a number from 1 to 65535/],
    [{ cpu: { shares: 1.5 } }, /^resources\.cpu\.shares is 1\.5; accepted: a whole number/],
    [{ cpu: { reservation: Number.NaN } }, /^resources\.cpu\.reservation is NaN/],
    [{ cpu: { weight: 3 } }, /^resources\.cpu\.weight is not a field .*accepted: reservation, limit, shares, demand/],
    [{ cpu: 3 }, /^resources\.cpu is 3; accepted: an object/],
    [{ "disk iops": {} }, /^resources names a resource "disk iops"; accepted: names of letters/],
    [JSON.parse('{"__proto__":{}}'), /^resources names a resource "__proto__"/],
  ])("%j", (resources, message) => {
    const error = refusal(() => checkResources("resources", resources));
    expect(error.code).toBe("bad-config");
    expect(error.message).toMatch(message);
    expect(error.message.match(/\. ?/g)?.at(-1)).toBe(".");
  });

  it("fills in what is not said", () => {
    expect(checkResources("r", { memory: { reservation: "1.5MiB" } })).toEqual({
      memory: { reservation: 1.5 * 2 ** 20, limit: Infinity, shares: 256, demand: undefined },
      cpu: { reservation: 0, limit: 1, shares: 256, demand: undefined },
    });
  });

  it.each<[Record<string, unknown>, RegExp]>([
    [{ capacity: { memory: "1.0001K" } }, /^hosts\[0\]\.capacity\.memory is/],
    [{}, /^hosts\[0\]\.capacity is undefined; accepted: an object/],
    [
      { capacity: { cpu: 1 }, overcommit: { cpu: 0.5 } },
      /^hosts\[0\]\.overcommit\.cpu is 0\.5; accepted: a number from 1/,
    ],
    [{ capacity: { cpu: 1 }, overcommit: { memory: 2 } }, /^hosts\[0\]\.overcommit names "memory"; accepted: cpu/],
  ])("host %j", (value, message) => {
    expect(refusal(() => checkCapacity("hosts[0]", value)).message).toMatch(message);
  });
});
