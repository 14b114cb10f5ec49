// The oracle's cases reach what they claim to reach.
import { describe, expect, test } from "vitest";
import { Batch, CASE_CODE, CASE_CODE_LENGTH, CASE_SELECTORS } from "../../tools/oracle/format.ts";
import type { Form } from "../../tools/oracle/forms.ts";
import { FIXTURE_CASES, FIXTURE_SEED, fillBatch, integerForms, viewOf } from "../../tools/oracle/integer.ts";
import { CS, segmentOf } from "../../tools/oracle/world.ts";

const PREFIXES = new Set([0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x67, 0xf0, 0xf2, 0xf3]);

/** ModRM and SIB bytes of the cases of some forms, by address size. */
function addressing(forms: readonly Form[]) {
  const modrm16 = new Set<number>();
  const modrm32 = new Set<number>();
  const sib = new Set<number>();
  const prefixes = new Set<number>();
  const batch = new Batch();
  for (const form of forms) {
    const opcodeBytes = form.row.code.split(" ").length;
    const offsets = fillBatch(batch, form, FIXTURE_SEED, FIXTURE_CASES);
    const cases = viewOf(batch.cases);
    for (const at of offsets) {
      const byte = (i: number): number => cases.getUint8(at + CASE_CODE + i);
      const length = cases.getUint8(at + CASE_CODE_LENGTH);
      let address16 = !segmentOf(cases.getUint16(at + CASE_SELECTORS + CS * 2, true)).big;
      let i = 0;
      let toggled = false;
      for (; i < length && PREFIXES.has(byte(i)); i++) {
        prefixes.add(byte(i));
        if (byte(i) === 0x67) toggled = true;
      }
      if (toggled) address16 = !address16;
      i += opcodeBytes;
      if (i >= length) continue;
      // mod and rm only: reg belongs to the operation
      const shape = byte(i) & 0xc7;
      (address16 ? modrm16 : modrm32).add(shape);
      if (!address16 && (shape & 7) === 4 && i + 1 < length) sib.add(((shape >> 6) << 8) | byte(i + 1));
    }
  }
  return { modrm16, modrm32, sib, prefixes };
}

describe("the oracle's cases", () => {
  const forms = integerForms();

  test("cover 200 vectors of every form", () => {
    expect(FIXTURE_CASES).toBeGreaterThanOrEqual(200);
    expect(new Set(forms.map((f) => f.key)).size).toBe(forms.length);
  });

  test.each([
    ["arithmetic", /^(add|or|adc|sbb|and|sub|xor|cmp|test)$/, true],
    ["moves", /^(mov|movzx|movsx|lea|xchg|movbe)$/, false],
    ["shifts", /^(rol|ror|rcl|rcr|shl|shr|sar|shld|shrd)$/, true],
    ["one operand", /^(inc|dec|not|neg|mul|imul|div|idiv)$/, false],
    ["bits", /^(bt|bts|btr|btc|bsf|bsr|popcnt)$/, false],
    ["conditions", /^(set|cmov)/, true],
    ["exchanges", /^(xadd|cmpxchg|cmpxchg8b)$/, false],
    ["stack and near branches", /^(push|pop|call|jmp)$/, false],
    ["far pointers", /^(les|lds|lss|lfs|lgs|callf|jmpf|bound)$/, false],
    ["protection", /^(lar|lsl|verr|verw|arpl|lldt|ltr|lgdt|lidt|lmsw|invlpg)$/, false],
  ] as const)("use every addressing form of both address sizes: %s", (_, pattern, everySib) => {
    const chosen = forms.filter((f) => f.rm === "mem" && pattern.test(f.row.mnemonic));
    const { modrm16, modrm32, sib, prefixes } = addressing(chosen);
    expect(modrm16.size).toBe(24);
    expect(modrm32.size).toBe(24);
    // three values of mod, 256 of SIB each
    if (everySib) expect(sib.size).toBe(768);
    for (const p of [0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x67, 0xf0]) expect(prefixes).toContain(p);
  });
});
