// Drives of --drive and its short forms as the API takes them.
import { resolve } from "node:path";
import { parseDrives, type RawDriveOptions } from "./drives.ts";

/** Files are named from the root, as the server has a folder of its own. */
export function driveSpecs(raw: RawDriveOptions): Record<string, unknown>[] {
  return parseDrives(raw).map(({ backend, ...drive }) => {
    if (backend === undefined || !("path" in backend)) return drive;
    const { path, overlay, ...source } = backend;
    return {
      ...drive,
      file: resolve(path),
      ...source,
      ...(overlay === undefined ? {} : { overlay: resolve(overlay) }),
    };
  });
}
