// EFLAGS bits that the SDM leaves undefined, for each case. Everything not named here is compared.
export const CF = 0x1;
export const PF = 0x4;
export const AF = 0x10;
export const ZF = 0x40;
export const SF = 0x80;
export const OF = 0x800;
const LETTERS: Record<string, number> = { o: OF, s: SF, z: ZF, a: AF, p: PF, c: CF };

/** EFLAGS bits for letters of "oszapc". */
export function flagBits(letters: string | undefined): number {
  let bits = 0;
  for (const l of letters ?? "") bits |= LETTERS[l] ?? 0;
  return bits;
}

/**
 * Shifts and rotates, where the count decides (SDM 2B, SAL/SAR/SHL/SHR and RCL/RCR/ROL/ROR; SHLD, SHRD).
 * `count` is the count operand as given, `bits` the operand size.
 */
export function undefinedAfterShift(mnemonic: string, count: number, bits: number): number {
  const n = count & 31;
  if (n === 0) return 0;
  switch (mnemonic) {
    case "rol":
    case "ror":
    case "rcl":
    case "rcr":
      return n === 1 ? 0 : OF;
    case "shl":
    case "sal":
    case "shr":
      // CF is undefined from a count of the operand size on; SHL and SHR only (a SAR shifts in the sign for ever).
      return AF | (n === 1 ? 0 : OF) | (n >= bits && bits < 32 ? CF : 0);
    case "sar":
      return AF | (n === 1 ? 0 : OF);
    case "shld":
    case "shrd":
      return n > bits ? OF | SF | ZF | AF | PF | CF : AF | (n === 1 ? 0 : OF);
    default:
      throw new Error(`${mnemonic} is not a shift`);
  }
}
