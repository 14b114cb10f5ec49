// Serial and parallel ports to files, pipes and terminals of the host.
import { closeSync, openSync, writeSync } from "node:fs";
import type { Readable, Writable } from "node:stream";
import type { ByteBackend } from "../../vmm/device.ts";
import { VmError } from "../../vmm/error.ts";

/**
 * Appends what the guest sends to a file; written at once, so that a crash of the host loses nothing. What a full disk does not
 * take is dropped, and so is all that comes after: it must not end the guest.
 */
export function fileSink(path: string): ByteBackend & Disposable {
  let fd: number;
  let open = true;
  const close = (): void => {
    if (open) closeSync(fd);
    open = false;
  };
  try {
    fd = openSync(path, "w");
  } catch (cause) {
    throw new VmError("bad-config", `${path} cannot be opened for writing.`, { path }, { cause });
  }
  return {
    write: (bytes) => {
      if (!open) return;
      try {
        for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at);
      } catch {
        close();
      }
    },
    onInput: () => ({ dispose: () => {} }),
    [Symbol.dispose]: close,
  };
}

/** Bytes of a readable stream become input; what the guest sends goes nowhere. */
export function fileSource(input: Readable): ByteBackend & Disposable {
  return pipeBackend(input, undefined);
}

/** Both directions of a terminal, pipe or socket. */
export function pipeBackend(input: Readable | undefined, output: Writable | undefined): ByteBackend & Disposable {
  const open = new Set<() => void>();
  return {
    write: (bytes) => {
      output?.write(bytes.slice());
    },
    onInput: (listener) => {
      const onData = (chunk: Uint8Array | string): void =>
        listener(typeof chunk === "string" ? new TextEncoder().encode(chunk) : chunk);
      input?.on("data", onData);
      const dispose = (): void => {
        input?.off("data", onData);
        open.delete(dispose);
      };
      open.add(dispose);
      return { dispose };
    },
    [Symbol.dispose]: () => {
      for (const dispose of [...open]) dispose();
    },
  };
}
