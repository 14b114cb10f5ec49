// What the virtual network needs of Node: sockets, a directory, capture files.
import { closeSync, openSync, writeSync } from "node:fs";
import type { CaptureFile, NetworkHost } from "../../backends/network/network-host.ts";
import { VmError } from "../../vmm/error.ts";
import { NodeFileTree } from "./file-tree.ts";
import { nodeSockets } from "./sockets.ts";

export const nodeNetworkHost: NetworkHost = {
  sockets: nodeSockets,
  openTree: (directory) => new NodeFileTree(directory, { readOnly: true }),
  createCapture,
};

function createCapture(path: string): CaptureFile {
  let fd: number | undefined;
  try {
    fd = openSync(path, "w");
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new VmError("host", `The capture ${path} cannot be written: ${why}.`, { path }, { cause });
  }
  return {
    write: (bytes) => {
      if (fd === undefined) return;
      try {
        for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at);
      } catch {
        // A full disk must not end the guest: the capture ends.
        closeSync(fd);
        fd = undefined;
      }
    },
    close: () => {
      if (fd !== undefined) closeSync(fd);
      fd = undefined;
    },
  };
}
