// 256-bit vector sets of the local APIC: eight 32-bit registers, 16 bytes apart.

// @ts-ignore: decorator
@inline
function word(set: i32, vector: u32): i32 {
  return set + <i32>((vector >> 5) << 4);
}

export function vectorSet(set: i32, vector: u32): void {
  const w = word(set, vector);
  store<u32>(w, load<u32>(w) | (1 << (vector & 31)));
}

export function vectorClear(set: i32, vector: u32): void {
  const w = word(set, vector);
  store<u32>(w, load<u32>(w) & ~(1 << (vector & 31)));
}

export function vectorTest(set: i32, vector: u32): bool {
  return ((load<u32>(word(set, vector)) >> (vector & 31)) & 1) != 0;
}

/** Highest vector in the set, or -1. */
export function vectorHighest(set: i32): i32 {
  for (let i = 7; i >= 0; i--) {
    const bits = load<u32>(set + (i << 4));
    if (bits) return (i << 5) + 31 - <i32>clz(bits);
  }
  return -1;
}
