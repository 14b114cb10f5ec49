// Steal time and the other MSRs of KVM's interface: what the guest sees of the host's account, and what does not exist.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import * as L from "../../spec/layout.ts";
import * as M from "../../spec/msrs.ts";
import * as P from "../../spec/paravirt.ts";
import type { Machine } from "../cpu/machine.ts";
import { ALL_PV, execute, GP, pvMachine, RAM_BYTES, r64, ramBesideCode, rdmsr, wrmsr } from "./machine.ts";

const AREA = 0x9040;
const area = (m: Machine) => ({
  steal: r64(m, AREA + P.STEAL_TIME_STEAL),
  version: m.r32(AREA + P.STEAL_TIME_VERSION),
  flags: m.r32(AREA + P.STEAL_TIME_FLAGS),
  preempted: m.r8(AREA + P.STEAL_TIME_PREEMPTED),
});

describe("steal time", () => {
  it("is the whole account, from before the guest asked, too", async () => {
    const m = await pvMachine();
    m.core.addStealNs(m.vcpu, 5n);
    expect(wrmsr(m, M.MSR_KVM_STEAL_TIME, BigInt(AREA | 1))).toBeUndefined();
    expect(area(m)).toEqual({ steal: 5n, version: 2, flags: 0, preempted: 0 });
    m.core.addStealNs(m.vcpu, 2n ** 40n);
    expect(area(m)).toEqual({ steal: 5n + 2n ** 40n, version: 4, flags: 0, preempted: 0 });
    m.core.addStealNs(m.vcpu, -7n);
    m.core.addStealNs(m.vcpu, 0n);
    expect(area(m).version).toBe(4);
    m.core.setPreempted(m.vcpu, 1);
    expect(area(m)).toMatchObject({ version: 4, preempted: P.PREEMPTED });
    m.core.setPreempted(m.vcpu, 0);
    expect(area(m)).toMatchObject({ version: 4, preempted: 0 });
  });

  it("cannot be falsified by what the guest writes there", async () => {
    const m = await pvMachine();
    wrmsr(m, M.MSR_KVM_STEAL_TIME, BigInt(AREA | 1));
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 64, maxLength: 64 }),
        fc.bigInt({ min: 1n, max: 1n << 30n }),
        (junk, ns) => {
          junk.forEach((byte, i) => m.w8(AREA + i, byte));
          const before = m.view.getBigUint64(m.vcpu + L.LAPIC_PRIVATE + 0x40, true);
          m.core.addStealNs(m.vcpu, ns);
          expect(area(m)).toMatchObject({ steal: before + ns, flags: 0 });
          expect(area(m).version % 2).toBe(0);
        },
      ),
    );
  });

  it("refuses reserved bits and ignores what is not RAM", async () => {
    const m = await pvMachine();
    for (const bit of [2, 4, 8, 16, 32]) expect(wrmsr(m, M.MSR_KVM_STEAL_TIME, BigInt(AREA | 1 | bit))).toBe(GP);
    fc.assert(
      fc.property(
        fc.oneof(
          fc.bigInt({ min: BigInt(RAM_BYTES) >> 6n, max: (1n << 58n) - 1n }),
          fc.constant((BigInt(RAM_BYTES) >> 6n) - 1n),
        ),
        fc.boolean(),
        (line, on) => {
          const before = ramBesideCode(m);
          expect(wrmsr(m, M.MSR_KVM_STEAL_TIME, (line << 6n) | (on ? 1n : 0n))).toBeUndefined();
          m.core.addStealNs(m.vcpu, 1n);
          m.core.setPreempted(m.vcpu, 1);
          const gpa = line << 6n;
          const same = Buffer.compare(before, ramBesideCode(m)) === 0;
          expect(same).toBe(!(on && gpa + 64n <= BigInt(RAM_BYTES)));
        },
      ),
    );
  });

  it("begins anew after a reset", async () => {
    const m = await pvMachine();
    wrmsr(m, M.MSR_KVM_STEAL_TIME, BigInt(AREA | 1));
    m.core.addStealNs(m.vcpu, 1000n);
    m.core.resetVcpu(m.vcpu);
    const before = m.r32(AREA + 8);
    m.core.addStealNs(m.vcpu, 1000n);
    expect(m.r32(AREA + 8)).toBe(before);
    m.protect(0);
    wrmsr(m, M.MSR_KVM_STEAL_TIME, BigInt(AREA | 1));
    expect(area(m).steal).toBe(1000n);
  });
});

describe("PV EOI's MSR", () => {
  it("takes 4-byte aligned RAM only, or anything that does not enable it", async () => {
    const m = await pvMachine();
    expect(wrmsr(m, M.MSR_KVM_PV_EOI_EN, 0x9001n)).toBeUndefined();
    expect(rdmsr(m, M.MSR_KVM_PV_EOI_EN)).toBe(0x9001n);
    for (const value of [0x9003n, 0x9002n, BigInt(RAM_BYTES | 1), 0x1_0000_9001n, 0xffff_ffff_ffff_fffdn])
      expect(wrmsr(m, M.MSR_KVM_PV_EOI_EN, value), value.toString(16)).toBe(GP);
    expect(rdmsr(m, M.MSR_KVM_PV_EOI_EN)).toBe(0x9001n);
    expect(wrmsr(m, M.MSR_KVM_PV_EOI_EN, 0n)).toBeUndefined();
  });
});

describe("switched off", () => {
  const rows: readonly (readonly [string, readonly number[]])[] = [
    ["kvmclock-old", [M.MSR_KVM_WALL_CLOCK_OLD, M.MSR_KVM_SYSTEM_TIME_OLD]],
    ["kvmclock", [M.MSR_KVM_WALL_CLOCK, M.MSR_KVM_SYSTEM_TIME]],
    ["kvm-steal-time", [M.MSR_KVM_STEAL_TIME]],
    ["kvm-pv-eoi", [M.MSR_KVM_PV_EOI_EN]],
  ];
  it.each(rows)("%s leaves no MSR behind", async (feature) => {
    const m = await pvMachine(`${ALL_PV},-${feature}`);
    for (const [name, numbers] of rows) {
      for (const nr of numbers) {
        const there = name !== feature;
        expect(wrmsr(m, nr, 0n), `${name} ${nr.toString(16)}`).toBe(there ? undefined : "msr-exit");
        expect(rdmsr(m, nr)).toBe(there ? 0n : "msr-exit");
      }
    }
  });

  it("nothing of asynchronous page faults, poll control or migration control exists", async () => {
    const m = await pvMachine();
    for (const nr of [0x4b564d02, 0x4b564d05, 0x4b564d06, 0x4b564d07, 0x4b564d08, 0x4b564dff])
      expect(wrmsr(m, nr, 0n), nr.toString(16)).toBe("msr-exit");
  });
});

describe("hypercalls that need no host", () => {
  const vmcall = [0x0f, 0x01, 0xc1];
  it("VAPIC_POLL_IRQ is 0", async () => {
    const m = await pvMachine();
    m.setReg("eax", P.KVM_HC_VAPIC_POLL_IRQ);
    expect(execute(m, vmcall)).toBeUndefined();
    expect(m.reg("eax")).toBe(0);
  });
  it("any from user space is -EPERM", async () => {
    const m = (await pvMachine()).protect(3);
    for (const nr of [P.KVM_HC_VAPIC_POLL_IRQ, 5, 0xffffffff]) {
      m.code([...vmcall, 0xeb, 0xfe]);
      m.setField(L.EIP, 0x8000);
      m.setReg("eax", nr);
      m.sync();
      m.run(2);
      expect(m.reg("eax")).toBe(0xffffffff);
    }
  });
});
