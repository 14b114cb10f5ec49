// Bytes that a device's driver might put at the head of a request: valid ones with random fields.
import { bytesOf } from "../../devices/virtio/driver.ts";
import type { Random } from "./case.ts";
import type { Kind } from "./devices.ts";

/** Behind the rings of all queues that the tests' driver sets up. */
export const BUFFERS_AT = 0x24000;

const P9_REQUESTS = [8, 12, 14, 16, 18, 20, 22, 24, 26, 40, 50, 70, 72, 74, 76, 100, 104, 110, 116, 118, 120, 122];
const NAMES = ["a", "b", "dir", "..", ".", "link", "a/b"];

export function seeds(kind: Kind, r: Random): Uint8Array {
  const small = (): number => r.pick([0, 1, 2, 3, 6, 7, 8, 64, 127, 128, 4096, r.below(65536), r.u32()]);
  switch (kind) {
    case "blk":
      return bytesOf(
        [32, r.pick([0, 1, 4, 8, 11, 13, 2])],
        [32, 0],
        [64, r.below(140)],
        [64, r.below(140)],
        [32, small()],
        [32, r.below(3)],
      );
    case "balloon":
      return r.chance(4)
        ? bytesOf([16, r.below(12)], [64, small()])
        : bytesOf(...Array.from({ length: 16 }, () => [32, r.chance(20) ? r.u32() : 0x30 + r.below(16)] as const));
    case "console":
      return bytesOf([32, r.below(3)], [16, r.below(9)], [16, r.below(2)]);
    case "net":
      return r.chance(3)
        ? bytesOf([8, r.below(5)], [8, r.below(8)], [32, small()], [32, small()])
        : bytesOf(
            [8, r.below(3)],
            [8, r.pick([0, 1, 3, 4, 0x81])],
            [16, 54],
            [16, r.pick([0, 100, 1460])],
            [16, 34],
            [16, 16],
            [16, 0],
            ...[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 9, 8, 0, 0x45, 0, 5, 0, 0, 0, 0, 0, 64, 6].map(
              (byte) => [8, byte] as const,
            ),
          );
    case "p9": {
      const name = r.pick(NAMES);
      const text = [[16, name.length] as const, ...[...name].map((c) => [8, c.charCodeAt(0)] as const)];
      const fields = [
        [32, r.below(6)] as const,
        ...(r.chance(2) ? [[32, r.below(6)] as const] : []),
        ...(r.chance(3) ? [[16, 1] as const] : []),
      ];
      const tail = [
        [32, r.pick([0, 1, 2, 0o1102, small()])],
        [32, 0o700],
        [64, r.below(9000)],
        [32, r.below(9000)],
      ] as const;
      const body = bytesOf(...fields, ...text, ...tail, ...text);
      return Uint8Array.of(
        ...bytesOf([32, r.chance(20) ? small() : 7 + body.length], [8, r.pick(P9_REQUESTS)], [16, 1]),
        ...body,
      );
    }
    case "vsock":
      return bytesOf(
        [64, r.chance(20) ? small() : 3],
        [64, r.chance(20) ? small() : 2],
        [32, r.below(4)],
        [32, r.below(6)],
        [32, r.chance(4) ? small() : 0],
        [16, r.chance(20) ? r.below(4) : 1],
        [16, r.below(9)],
        [32, r.below(4)],
        [32, small()],
        [32, small()],
      );
    case "input":
      return bytesOf([16, r.pick([0x11, 1])], [16, r.below(5)], [32, r.below(2)]);
    case "rng":
      return bytesOf([32, r.u32()]);
  }
}
