// Writes test/boot/fixtures/payload.bin: bytes that are hard on the x86 filter of .xz (CALL and JMP opcodes everywhere,
// operands that look like opcodes) and still compress. Deterministic.
import { writeFileSync } from "node:fs";

let seed = 0x2545f491;
const random = (below: number): number => {
  seed ^= seed << 13;
  seed ^= seed >>> 17;
  seed ^= seed << 5;
  return (seed >>> 0) % below;
};
const COMMON = [0xe8, 0xe8, 0xe9, 0x00, 0x00, 0xff, 0xff, 0x01, 0x90, 0xc3];
const payload = new Uint8Array(24_000);
for (let at = 0; at < payload.length; ) {
  const kind = random(8);
  if (kind < 5) payload[at++] = COMMON[random(COMMON.length)] as number;
  else if (kind === 5) payload[at++] = random(256);
  else if (kind === 6) for (let run = random(40); run > 0 && at < payload.length; run--) payload[at++] = 0x55;
  else
    for (let run = 5 + random(30), from = random(at + 1); run > 0 && at < payload.length; run--)
      payload[at++] = payload[from++] as number;
}
writeFileSync(new URL("../../test/boot/fixtures/payload.bin", import.meta.url), payload);
