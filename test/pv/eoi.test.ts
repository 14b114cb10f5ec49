// PV EOI beside the local APIC's own: a guest that clears the bit where it may must see what one that always writes to the
// APIC sees. The oracle is the local APIC, which other tests hold against QEMU's.
import fc from "fast-check";
import { beforeEach, describe, expect, test } from "vitest";
import * as C from "../../spec/chipset.ts";
import * as L from "../../spec/layout.ts";
import { Chipset } from "../irq/machine.ts";

/** A page of RAM at guest-physical 0, and the word that the guest lends. */
const RAM = 0xe0000;
const PAGE_FLAGS = 0xd0000;
const WORD = 0x10;
const LEVEL = 0x8000;

class Guest extends Chipset {
  constructor(readonly paravirtual: boolean) {
    super();
    this.setVm(L.VM_SLOT_COUNT, 1);
    this.setVm(L.VM_PAGE_FLAGS, PAGE_FLAGS);
    this.view.setUint32(L.SLOTS_BASE + L.SLOT_SIZE, 0x1000, true);
    this.view.setUint32(L.SLOTS_BASE + L.SLOT_HOST, RAM, true);
    this.setApic(C.APIC_SVR, 0x1ff);
    this.setApic(C.APIC_LVT_LINT0, 0x10000);
    if (paravirtual) this.set(0, L.KVM_PV_EOI_EN, WORD | 1);
  }
  get offered(): boolean {
    return (this.view.getUint8(RAM + WORD) & 1) !== 0;
  }
  /** As Linux's kvm_guest_apic_eoi_write. */
  eoi(): void {
    const word = this.view.getUint8(RAM + WORD);
    if (word & 1) this.view.setUint8(RAM + WORD, word & ~1);
    else this.setApic(C.APIC_EOI, 0);
  }
  /** An edge-triggered interrupt. */
  send(vector: number): void {
    this.core.deliverMsi!(0xfee00000 | 0, vector);
  }
}

let g: Guest;
beforeEach(() => {
  g = new Guest(true);
});

describe("PV EOI", () => {
  test("is offered for a lone edge, and taking it ends the interrupt without a write", () => {
    g.send(0x50);
    expect(g.offered).toBe(false);
    expect(g.ack()).toBe(0x50);
    expect(g.offered).toBe(true);
    g.eoi();
    expect(g.apic(C.APIC_ISR + 0x20)).toBe(0);
    g.send(0x50);
    expect([g.ack(), g.ack()]).toEqual([0x50, -1]);
  });
  test("keeps the guest's other bits of the word", () => {
    g.view.setUint8(RAM + WORD, 0xfe);
    g.send(0x50);
    g.ack();
    expect(g.view.getUint8(RAM + WORD)).toBe(0xff);
    g.apic(C.APIC_TPR);
    expect(g.view.getUint8(RAM + WORD)).toBe(0xfe);
  });
  test("is not offered for a level, which the I/O APIC must hear of", () => {
    g.redirect(20, LEVEL | 0x50);
    g.irq(20, 1);
    expect(g.ack()).toBe(0x50);
    expect(g.offered).toBe(false);
    g.eoi();
    expect(g.ack()).toBe(0x50);
  });
  test("is not offered while another waits, nor for a nested one", () => {
    g.send(0x50);
    g.send(0x41);
    expect([g.ack(), g.offered]).toEqual([0x50, false]);
    g.eoi();
    expect([g.ack(), g.offered]).toEqual([0x41, true]);
    g.send(0x60);
    // the offer is taken back: the end of 41h must be told, since 60h may be in service then
    expect([g.offered, g.ack(), g.offered]).toEqual([false, 0x60, false]);
    g.eoi();
    expect(g.apic(C.APIC_ISR + 0x20)).toBe(2);
    g.eoi();
    expect(g.apic(C.APIC_ISR + 0x20)).toBe(0);
  });
  test("taken before a lower request comes, lets that one through", () => {
    g.send(0x60);
    g.ack();
    g.eoi();
    g.send(0x41);
    expect([g.pending(), g.ack()]).toEqual([true, 0x41]);
  });
  test("ends with the APIC's state, or with the word's memory", () => {
    g.send(0x50);
    g.ack();
    g.core.lapicReset!(g.vcpu(0));
    expect(g.get(0, L.LAPIC_PRIVATE + C.PV_FLAGS)).toBe(0);
    g.setApic(C.APIC_SVR, 0x1ff);
    g.send(0x50);
    g.ack();
    g.setVm(L.VM_SLOT_COUNT, 0);
    expect(g.apic(C.APIC_ISR + 0x20)).toBe(1 << 16);
    g.setApic(C.APIC_EOI, 0);
    expect(g.apic(C.APIC_ISR + 0x20)).toBe(0);
  });

  test("whatever happens, the guest sees what it sees without it", () => {
    const vector = fc.integer({ min: 0x10, max: 0xff });
    const step = fc.oneof(
      { weight: 4, arbitrary: fc.tuple(fc.constant("send"), vector) },
      { weight: 4, arbitrary: fc.tuple(fc.constant("ack"), fc.constant(0)) },
      { weight: 4, arbitrary: fc.tuple(fc.constant("eoi"), fc.constant(0)) },
      { weight: 1, arbitrary: fc.tuple(fc.constant("line"), fc.integer({ min: 0, max: 1 })) },
      { weight: 1, arbitrary: fc.tuple(fc.constant("tpr"), fc.integer({ min: 0, max: 255 })) },
      {
        weight: 1,
        arbitrary: fc.tuple(
          fc.constant("read"),
          fc.integer({ min: 8, max: 40 }).map((n) => n * 16),
        ),
      },
    );
    let offers = 0;
    fc.assert(
      fc.property(fc.array(step, { minLength: 10, maxLength: 120 }), (steps) => {
        const pair = [new Guest(true), new Guest(false)] as const;
        for (const guest of pair) guest.redirect(20, LEVEL | 0x77);
        for (const [what, value] of steps) {
          const seen = pair.map((guest) => {
            if (what === "send") guest.send(value);
            else if (what === "ack") return guest.ack();
            else if (what === "eoi") guest.eoi();
            else if (what === "line") guest.irq(20, value);
            else if (what === "tpr") guest.setApic(C.APIC_TPR, value);
            else return guest.apic(value);
            return guest.pending();
          });
          expect(seen[0], what).toEqual(seen[1]);
          if (pair[0].offered) offers++;
        }
      }),
      { numRuns: 400 },
    );
    // or it would have compared nothing
    expect(offers).toBeGreaterThan(100);
  });
});
