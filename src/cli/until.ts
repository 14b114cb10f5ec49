// Watches what a guest prints for a line that matches --until.

/** A guest that prints without ever ending a line costs at most so many characters. */
const LINE_MAX = 64 * 1024;
/** An unfinished line (a prompt) is looked at once the guest has been silent for so long. */
const QUIET_MS = 50;
const ESCAPE_SEQUENCES = /\u001b(?:\[[0-?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\)|[@-Z\\-_])/g;

/** One watcher reads one console. Colours and carriage returns are not part of a line. */
export class LineWatcher {
  readonly #decoder = new TextDecoder();
  #partial = "";
  #quiet: NodeJS.Timeout | undefined;
  #done = false;

  /** Calls `onMatch` once, with the line. */
  constructor(
    private readonly pattern: RegExp,
    private readonly onMatch: (line: string) => void,
  ) {
    // A pattern with the g or y flag would remember where it stopped.
    if (pattern.global || pattern.sticky) throw new RangeError("the pattern of a LineWatcher has neither g nor y");
  }

  push(bytes: Uint8Array): void {
    if (this.#done) return;
    clearTimeout(this.#quiet);
    const lines = (this.#partial + this.#decoder.decode(bytes, { stream: true })).split("\n");
    this.#partial = (lines.pop() ?? "").slice(-LINE_MAX);
    for (const line of lines) if (this.#test(line)) return;
    if (this.#partial !== "") {
      this.#quiet = setTimeout(() => this.#test(this.#partial), QUIET_MS);
      this.#quiet.unref();
    }
  }

  /** The guest has ended: an unfinished last line counts. Returns whether the pattern has matched. */
  finish(): boolean {
    clearTimeout(this.#quiet);
    if (!this.#done && this.#partial !== "") this.#test(this.#partial);
    this.#done = true;
    return this.matched;
  }

  matched = false;

  #test(text: string): boolean {
    const line = text.replace(ESCAPE_SEQUENCES, "").replace(/\r/g, "");
    if (!this.pattern.test(line)) return false;
    this.#done = true;
    this.matched = true;
    this.onMatch(line);
    return true;
  }
}
