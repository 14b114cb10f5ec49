// One writer for each image of a disk: what two write at once is lost, whatever its format.
//
// The lock is a socket in Linux's abstract namespace, named by device and inode: it goes with its process, however that ends,
// and leaves no file behind. Where there is no such namespace, nothing is locked.
import { type BigIntStats, fstatSync } from "node:fs";
import { createServer } from "node:net";
import { VmError } from "../../vmm/error.ts";

/** A VM that ends, or goes to another thread, lets go of its images a little later. */
const PATIENCE_MS = 1000;
const RETRY_MS = 20;

/** Disposed of, somebody else may write. Throws VmError("bad-state") while somebody does. */
export async function lockImage(fd: number, path: string): Promise<Disposable> {
  const name = nameOf(fstatSync(fd, { bigint: true }));
  const patient = performance.now() + PATIENCE_MS;
  for (;;) {
    const lock = process.platform === "linux" ? await listen(name) : NOTHING;
    if (lock !== undefined) return lock;
    if (performance.now() > patient) break;
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
  }
  throw new VmError(
    "bad-state",
    `${path} is being written by another VM; let what is written go elsewhere: overlay=FILE keeps it, snapshot=on drops it.`,
    { path },
  );
}

const NOTHING: Disposable = { [Symbol.dispose]: () => {} };

function nameOf({ dev, ino }: BigIntStats): string {
  return `\0paravane-image-${dev}-${ino}`;
}

/** Undefined while somebody has the name. */
function listen(name: string): Promise<Disposable | undefined> {
  return new Promise((resolve) => {
    const server = createServer((connection) => connection.destroy());
    server.once("error", ({ code }: NodeJS.ErrnoException) => resolve(code === "EADDRINUSE" ? undefined : NOTHING));
    server.listen(name, () => {
      server.unref();
      resolve({ [Symbol.dispose]: () => void server.close() });
    });
  });
}
