// What is being done right now, in one line on stderr, for people only.

/** Shows `text` in place of what was shown before; an empty one clears the line. */
export function status(text: string): void {
  if (!process.stderr.isTTY) return;
  const width = (process.stderr.columns ?? 80) - 1;
  process.stderr.write(`\r\x1b[K${text.slice(0, width)}`);
}
