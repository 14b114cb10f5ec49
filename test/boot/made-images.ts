// Small images with every header field in the test's hand.

export interface MadeSegment {
  readonly vaddr: number;
  readonly paddr: number;
  readonly data: Uint8Array;
  readonly memoryBytes: number;
  readonly flags?: number;
}

const EHDR_BYTES = 52;
const PHDR_BYTES = 32;

/** A 32-bit x86 ELF executable (gABI, chapters 4 and 5). */
export function makeElf(elf: { entry: number; segments: readonly MadeSegment[] }): Uint8Array {
  const headers = EHDR_BYTES + elf.segments.length * PHDR_BYTES;
  const bytes = new Uint8Array(headers + elf.segments.reduce((sum, segment) => sum + segment.data.length, 0));
  const view = new DataView(bytes.buffer);
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 1, 1, 1]);
  view.setUint16(16, 2, true);
  view.setUint16(18, 3, true);
  view.setUint32(20, 1, true);
  view.setUint32(24, elf.entry, true);
  view.setUint32(28, EHDR_BYTES, true);
  view.setUint16(40, EHDR_BYTES, true);
  view.setUint16(42, PHDR_BYTES, true);
  view.setUint16(44, elf.segments.length, true);
  let offset = headers;
  elf.segments.forEach((segment, index) => {
    const at = EHDR_BYTES + index * PHDR_BYTES;
    const fields = [
      1,
      offset,
      segment.vaddr,
      segment.paddr,
      segment.data.length,
      segment.memoryBytes,
      segment.flags ?? 5,
      4096,
    ];
    fields.forEach((value, field) => {
      view.setUint32(at + field * 4, value, true);
    });
    bytes.set(segment.data, offset);
    offset += segment.data.length;
  });
  return bytes;
}

export interface BzImageFields {
  readonly magic?: number;
  readonly version?: number;
  readonly loadflags?: number;
  readonly xloadflags?: number;
  readonly setupSects?: number;
  readonly syssize?: number;
  readonly payloadOffset?: number;
  readonly initSize?: number;
  readonly initrdAddrMax?: number;
}

/** A bzImage of protocol 2.15 with one setup sector and the payload behind 64 bytes of "decompressor". */
export function makeBzImage(payload: Uint8Array, fields: BzImageFields = {}): Uint8Array {
  const setupBytes = 1024;
  const payloadOffset = 64;
  const codeBytes = Math.ceil((payloadOffset + payload.length) / 16) * 16;
  const bytes = new Uint8Array(setupBytes + codeBytes);
  const view = new DataView(bytes.buffer);
  bytes[0x1f1] = fields.setupSects ?? 1;
  view.setUint32(0x1f4, fields.syssize ?? codeBytes / 16, true);
  view.setUint16(0x1fe, 0xaa55, true);
  bytes.set([0xeb, 0x6a], 0x200);
  view.setUint32(0x202, fields.magic ?? 0x53726448, true);
  view.setUint16(0x206, fields.version ?? 0x020f, true);
  bytes[0x211] = fields.loadflags ?? 1;
  view.setUint32(0x214, 0x100000, true);
  view.setUint32(0x22c, fields.initrdAddrMax ?? 0x7fffffff, true);
  view.setUint32(0x230, 0x1000000, true);
  bytes[0x234] = 1;
  view.setUint16(0x236, fields.xloadflags ?? 0, true);
  view.setUint32(0x238, 2047, true);
  view.setUint32(0x248, fields.payloadOffset ?? payloadOffset, true);
  view.setUint32(0x24c, payload.length, true);
  view.setUint32(0x258, 0x1000000, true);
  view.setUint32(0x260, fields.initSize ?? 0x100000, true);
  bytes.fill(0x90, setupBytes, setupBytes + payloadOffset);
  bytes.set(payload, setupBytes + payloadOffset);
  return bytes;
}
