// Raw DEFLATE by the Compression Streams API, which has nothing for one who cannot wait.

export async function deflate(bytes: Uint8Array): Promise<Uint8Array> {
  return await through(new CompressionStream("deflate-raw"), bytes, Number.POSITIVE_INFINITY);
}

export async function inflate(bytes: Uint8Array, sizeBytes: number): Promise<Uint8Array> {
  return await through(new DecompressionStream("deflate-raw"), bytes, sizeBytes);
}

/** Rejects once more than `most` bytes have come out. */
async function through(
  stream: CompressionStream | DecompressionStream,
  bytes: Uint8Array,
  most: number,
): Promise<Uint8Array> {
  const writer = stream.writable.getWriter();
  // What goes wrong shows at the readable side.
  void writer.write(bytes.slice()).catch(() => {});
  void writer.close().catch(() => {});
  const reader = (stream.readable as ReadableStream<Uint8Array>).getReader();
  const parts: Uint8Array[] = [];
  let size = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    size += value.length;
    if (size > most) {
      await reader.cancel();
      throw new RangeError(`more than ${most} bytes`);
    }
    parts.push(value);
  }
  const all = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
