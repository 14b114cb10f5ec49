import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { CPU_MODELS, FEATURE_BITS, PARAVIRT_SWITCHES } from "../../spec/cpuid.ts";
import { Feature } from "../../spec/features.ts";
import { buildCpuid, type CpuidLeaf, type CpuModel } from "../../src/vcpu/cpu-model.ts";
import { VmError } from "../../src/vmm/error.ts";

const leaf = (m: CpuModel, n: number, sub = 0): CpuidLeaf => {
  const found = m.leaves.find((l) => l.leaf === n && (!l.subleafMatters || l.subleaf === sub));
  if (found === undefined) throw new Error(`no leaf ${n.toString(16)}`);
  return found;
};
const has = (m: CpuModel, f: Feature): boolean => (((m.features[f >> 5] ?? 0) >>> (f & 31)) & 1) === 1;

describe("CPU models", () => {
  it("sign as the processors they are named after", () => {
    const p3 = buildCpuid("pentium3");
    expect(leaf(p3, 1).eax).toBe(0x686);
    expect(leaf(p3, 1).edx).toBe(0x383fbff); // a Coppermine's, without the serial number
    expect(p3.leaves.some((l) => l.leaf >= 0x80000000)).toBe(false);
    expect(leaf(buildCpuid("core2"), 1).eax).toBe(0x6fb);
    const words = [leaf(p3, 0).ebx, leaf(p3, 0).edx, leaf(p3, 0).ecx];
    expect(Buffer.from(new Uint32Array(words).buffer).toString("latin1")).toBe("GenuineIntel");
  });

  it("say in CPUID exactly what the feature words hold", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...CPU_MODELS.map((m) => m.name)),
        fc.array(fc.tuple(fc.constantFrom("+", "-"), fc.constantFrom(...FEATURE_BITS.map((b) => b.name))), {
          maxLength: 6,
        }),
        (name, changes) => {
          const m = buildCpuid([name, ...changes.map((c) => c.join(""))].join(","));
          for (const b of FEATURE_BITS) {
            const row = m.leaves.find((l) => l.leaf === b.leaf);
            const said = row === undefined ? 0 : (row[b.register] >>> b.bit) & 1;
            expect(said, b.name).toBe(has(m, b.feature) ? 1 : 0);
            // nothing is on without what it needs
            if (has(m, b.feature))
              for (const n of b.needs ?? []) expect(m.featureNames, `${b.name} needs ${n}`).toContain(n);
          }
        },
      ),
    );
  });

  it("switches features with what they need and what needs them", () => {
    expect(buildCpuid("pentium3,+sse3").featureNames).toEqual(expect.arrayContaining(["sse2", "sse3"]));
    const bare = buildCpuid("core2,-sse");
    expect(["sse", "sse2", "sse3", "ssse3"].filter((n) => bare.featureNames.includes(n))).toEqual([]);
    expect(has(buildCpuid("max"), Feature.Hypervisor)).toBe(false);
    expect(leaf(buildCpuid("max,+hypervisor"), 0x40000000).ebx).toBe(0x4b4d564b);
    expect(has(buildCpuid("max", { apic: false }), Feature.TscDeadline)).toBe(false);
  });

  it("offer the parts of KVM's interface that are switched on, and no hypervisor without one", () => {
    const kvm = (m: CpuModel) => leaf(m, 0x40000001).eax;
    const all = PARAVIRT_SWITCHES.map(({ name }) => name);
    expect(kvm(buildCpuid("pentium3", { paravirt: all }))).toBe(0x0100407b);
    expect(kvm(buildCpuid("max", { paravirt: ["clock"] }))).toBe(0x01000009);
    expect(kvm(buildCpuid("max", { paravirt: ["no-io-delay"] }))).toBe(2);
    expect(kvm(buildCpuid("max", { paravirt: ["steal"] }))).toBe(0x20);
    expect(kvm(buildCpuid("max,-apic", { paravirt: all }))).toBe(0x0100002b);
    for (const m of [buildCpuid("max", { paravirt: [] }), buildCpuid("max,-hypervisor", { paravirt: all })]) {
      expect(m.leaves.some((l) => l.leaf >= 0x40000000 && l.leaf < 0x50000000)).toBe(false);
      expect(m.featureNames.filter((name) => name.startsWith("kvm"))).toEqual([]);
    }
  });

  it("counts no hypervisor leaf among the basic ones", () => {
    const m = buildCpuid("max", { paravirt: PARAVIRT_SWITCHES.map(({ name }) => name) });
    expect(m.leaves.some((l) => l.leaf === 0x40000001)).toBe(true);
    expect(leaf(m, 0).eax).toBe(0x16);
  });

  it("gives leaf 15h the ratio of the TSC to the 1 GHz crystal", () => {
    const m = buildCpuid("max", { tscKhz: 2_500_000 });
    const l = leaf(m, 0x15);
    expect([l.eax, l.ebx, l.ecx]).toEqual([2, 5, 1_000_000_000]);
    expect(leaf(m, 0x16).eax).toBe(2500);
  });

  it("refuses what it does not know with the list of what it does", () => {
    for (const [config, word] of [
      ["486", "pentium3"],
      ["max,+sse41", "ssse3"],
      ["max,sse", "+feature"],
      ["", "max"],
    ] as const) {
      try {
        buildCpuid(config);
        expect.unreachable(config);
      } catch (e) {
        expect(e).toBeInstanceOf(VmError);
        expect((e as VmError).code).toBe("bad-config");
        expect((e as VmError).details.field).toBe("cpu");
        expect((e as VmError).message).toContain(word);
      }
    }
    expect(() => buildCpuid("max,+apic", { apic: false })).toThrow(VmError);
  });
});
