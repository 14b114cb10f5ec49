// The x86 "branch/call/jump" filter of .xz, undone: compressors store the operands of CALL and JMP as absolute
// addresses, which repeat, instead of relative ones (XZ File Format 1.2.0, section 5.3.2).

const CALL_REL32 = 0xe8;
const JMP_REL32 = 0xe9;
const INSTRUCTION_BYTES = 5;

/** A plausible 32-bit displacement of at most 16 MiB has a top byte that is all zeros or all ones. */
const isSignByte = (byte: number): boolean => byte === 0x00 || byte === 0xff;

/** Turns the absolute operands back into relative ones, in place. `code` begins at stream position 0. */
export function undoBcjX86(code: Uint8Array): void {
  const view = new DataView(code.buffer, code.byteOffset, code.byteLength);
  // Which of the last three bytes looked like an opcode and was left alone: bit 0 the last, bit 2 the third to last.
  // The encoder skips operands that such a neighbour makes ambiguous, so the decoder has to find the same ones.
  let pending = 0;
  for (let at = 0; at + INSTRUCTION_BYTES <= code.length; at++) {
    const opcode = code[at] as number;
    if (opcode !== CALL_REL32 && opcode !== JMP_REL32) {
      pending = (pending << 1) & 7;
      continue;
    }
    // Distance to the one pending opcode; 0 when there is none.
    const distance = pending === 0 ? 0 : 32 - Math.clz32(pending);
    const several = (pending & (pending - 1)) !== 0;
    const ambiguous = several || (distance > 0 && isSignByte(code[at + 4 - distance] as number));
    if (ambiguous || !isSignByte(code[at + 4] as number)) {
      pending = ((pending << 1) | 1) & 7;
      continue;
    }
    let absolute = view.getUint32(at + 1, true);
    let relative: number;
    for (;;) {
      relative = (absolute - (at + INSTRUCTION_BYTES)) >>> 0;
      if (distance === 0) break;
      // The encoder repeated its addition while the result could be mistaken for the pending opcode's operand.
      const overlapBits = 32 - distance * 8;
      if (!isSignByte((relative >>> (overlapBits - 8)) & 0xff)) break;
      absolute = (relative ^ (2 ** overlapBits - 1)) >>> 0;
    }
    // Bit 24 is the sign of the 25-bit displacement that the filter covers.
    const displacement = (relative << 7) >> 7;
    view.setInt32(at + 1, displacement, true);
    at += INSTRUCTION_BYTES - 1;
    pending = 0;
  }
}
