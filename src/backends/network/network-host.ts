// What networks need of the host, beside a clock.
import type { FileTree } from "../../vmm/file-tree.ts";
import type { HostSockets } from "./user/host-sockets.ts";

export interface CaptureFile {
  /** In the file when the call returns. */
  write(bytes: Uint8Array): void;
  close(): void;
}

export interface NetworkHost {
  readonly sockets: HostSockets;
  /** A directory to read from. Throws VmError("not-found"). */
  openTree(directory: string): FileTree & Disposable;
  /** An empty file. Throws VmError("host"). */
  createCapture(path: string): CaptureFile;
}
