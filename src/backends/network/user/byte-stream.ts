// Bytes that wait, in pieces as they came: put in at the end, looked at anywhere, taken from the front.

export class ByteStream {
  readonly #pieces: Uint8Array[] = [];
  /** How much of the first piece is gone. */
  #taken = 0;
  length = 0;

  /** Keeps the bytes. */
  push(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.#pieces.push(bytes);
    this.length += bytes.length;
  }

  drop(count: number): void {
    let left = Math.min(count, this.length);
    this.length -= left;
    while (left > 0) {
      const first = this.#pieces[0] as Uint8Array;
      const here = first.length - this.#taken;
      if (left < here) {
        this.#taken += left;
        return;
      }
      left -= here;
      this.#pieces.shift();
      this.#taken = 0;
    }
  }

  /** `count` bytes from `offset` on, a copy; fewer where there are not so many. */
  copy(offset: number, count: number): Uint8Array {
    const out = new Uint8Array(Math.max(0, Math.min(count, this.length - offset)));
    let skip = offset + this.#taken;
    let at = 0;
    for (const piece of this.#pieces) {
      if (at === out.length) break;
      if (skip >= piece.length) {
        skip -= piece.length;
        continue;
      }
      const part = piece.subarray(skip, skip + out.length - at);
      out.set(part, at);
      at += part.length;
      skip = 0;
    }
    return out;
  }
}
