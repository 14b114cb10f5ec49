// Takes the terminal as a guest would, then ends in the way that its argument names. Started by terminal.test.ts.
import type { ReadStream, WriteStream } from "node:tty";
import { RawTerminal } from "../../src/platform/node/terminal.ts";

const ending = process.argv[2];
const terminal = new RawTerminal({
  stdin: process.stdin as ReadStream,
  stdout: process.stdout as WriteStream,
  onInput: (bytes) => {
    process.stdout.write(`<${Buffer.from(bytes).toString("hex")}>`);
    if (ending === "dispose") terminal.dispose();
    if (ending === "exit") process.exit(0);
    if (ending === "throw") throw new Error("as asked");
    if (ending === "SIGKILL" || ending === "SIGABRT") process.kill(process.pid, ending);
    if (ending === "abort") process.abort();
  },
});
process.stdout.write(`[${terminal.columns}x${terminal.rows}]\nraw ready`);
