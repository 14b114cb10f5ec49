// Where the bytes of a serial port, the parallel port or the debug console go, as one names it on the command line.
import { closeSync, constants, existsSync, fstatSync, openSync, writeSync } from "node:fs";
import { Socket } from "node:net";
import { didYouMean, UsageError } from "./values.ts";

export type CharDevice =
  | { readonly kind: "terminal" }
  | { readonly kind: "stderr" }
  | { readonly kind: "none" }
  | { readonly kind: "file"; readonly path: string; readonly append: boolean }
  | { readonly kind: "pipe"; readonly path: string };

const KINDS = ["terminal", "stdio", "stderr", "none", "null", "file:PATH", "append:PATH", "pipe:PATH"];

/** "terminal" ("stdio", "mon:stdio"), "stderr", "none" ("null"), "file:PATH", "append:PATH", "pipe:PATH". */
export function parseCharDevice(text: string, option: string): CharDevice {
  const colon = text.indexOf(":");
  const kind = colon < 0 ? text : text.slice(0, colon);
  const path = colon < 0 ? "" : text.slice(colon + 1);
  if (text === "terminal" || text === "stdio" || text === "mon:stdio") return { kind: "terminal" };
  if (text === "stderr") return { kind: "stderr" };
  if (text === "none" || text === "null") return { kind: "none" };
  if (kind === "file" || kind === "append" || kind === "pipe") {
    if (path === "") throw new UsageError(`${option}: "${text}" names no file; give ${kind}:PATH`);
    return kind === "pipe" ? { kind, path } : { kind: "file", path, append: kind === "append" };
  }
  throw new UsageError(`${option}: "${text}" is not one of ${KINDS.join(", ")}${didYouMean(text, KINDS)}`);
}

/** An open character device: a sink for the guest's bytes and, for a pipe, a source for the guest. */
export interface OpenCharDevice {
  write(bytes: Uint8Array): void;
  /** Flushes what is buffered and closes. */
  close(): Promise<void>;
}

/** Opens a device other than the terminal. Throws UsageError when a file cannot be opened. */
export function openCharDevice(
  device: CharDevice,
  option: string,
  onInput: (bytes: Uint8Array) => void,
): OpenCharDevice {
  switch (device.kind) {
    case "none":
    case "terminal":
      return { write: () => {}, close: async () => {} };
    case "stderr":
      return { write: (bytes) => void process.stderr.write(bytes), close: async () => {} };
    case "file":
      return openFile(device.path, device.append, option);
    case "pipe":
      return openPipe(device.path, option, onInput);
  }
}

function openFile(path: string, append: boolean, option: string): OpenCharDevice {
  const fd = open(path, append ? "a" : "w", option);
  let isOpen = true;
  const close = (): void => {
    if (isOpen) closeSync(fd);
    isOpen = false;
  };
  return {
    // Synchronous, so that the file holds every byte whatever becomes of this process.
    write: (bytes) => {
      if (!isOpen) return;
      try {
        writeAll(fd, bytes);
      } catch (error) {
        // A full disk must not end the guest.
        close();
        process.stderr.write(
          `paravane: ${option}: cannot write ${path}: ${errorText(error)}; what comes now is dropped\n`,
        );
      }
    },
    close: async () => close(),
  };
}

/** Output for a pipe that nobody reads is dropped beyond this many bytes, so that it cannot fill the memory. */
const PIPE_BACKLOG_BYTES = 1024 * 1024;

/** QEMU's pipes: PATH.in and PATH.out where they exist (both directions), else the FIFO at PATH for output alone. */
function openPipe(path: string, option: string, onInput: (bytes: Uint8Array) => void): OpenCharDevice {
  const both = existsSync(`${path}.in`) && existsSync(`${path}.out`);
  // Read and write: opening a FIFO so does not wait for the other end, and it survives the other end's leaving.
  const mode = constants.O_RDWR | constants.O_NONBLOCK;
  const outPath = both ? `${path}.out` : path;
  const output = new Socket({ fd: openFifo(outPath, mode, option), readable: false, writable: true });
  const input = both
    ? new Socket({ fd: openFifo(`${path}.in`, mode, option), readable: true, writable: false })
    : undefined;
  input?.on("data", onInput);
  for (const socket of [input, output]) {
    socket?.on("error", () => {});
    socket?.unref();
  }
  return {
    write: (bytes) => {
      if (output.writableLength < PIPE_BACKLOG_BYTES) output.write(Uint8Array.from(bytes));
    },
    close: async () => {
      // The kernel has what was written at once; what it had no room for waits for a reader that may never come.
      output.destroy();
      input?.destroy();
    },
  };
}

function openFifo(path: string, mode: number, option: string): number {
  const fd = open(path, mode, option);
  if (fstatSync(fd).isFIFO()) return fd;
  closeSync(fd);
  throw new UsageError(`${option}: ${path} is not a FIFO; make one with mkfifo, or use file:${path}`);
}

function open(path: string, flags: string | number, option: string): number {
  try {
    return openSync(path, flags);
  } catch (error) {
    throw new UsageError(`${option}: cannot open ${path}: ${errorText(error)}`);
  }
}

function writeAll(fd: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length; ) done += writeSync(fd, bytes, done);
}

/** The system's words for an I/O error, without the call's name and path that we say ourselves. */
export function errorText(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.replace(/^E[A-Z]+: /, "").replace(/, \w+( '.*')?$/s, "");
}
