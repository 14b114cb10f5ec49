// What a client's numbers stand for: a path from the root each, and what is open under it.
import type { DeviceState } from "../../vmm/device.ts";
import { VmError } from "../../vmm/error.ts";
import type { FilePath, FileTree, OpenFile, OpenMode } from "../../vmm/file-tree.ts";
import { SavedState } from "../saved-state.ts";
import { ERRNO, P9Error } from "./errno.ts";
import { NO_FID } from "./numbers.ts";

const FIDS_MAX = 65_536;
const OPEN_MAX = 1024;
const DEPTH_MAX = 256;
export const NAME_BYTES_MAX = 255;

export interface Fid {
  path: FilePath;
  file: OpenFile | undefined;
  mode: OpenMode | undefined;
  /** What a directory held when its reading began. */
  entries: ReturnType<FileTree["list"]> | undefined;
  directory: boolean;
}

export class Fids {
  readonly #fids = new Map<number, Fid>();
  #opened = 0;

  get(number: number): Fid {
    const fid = this.#fids.get(number);
    if (fid === undefined) throw new P9Error(ERRNO.EBADF);
    return fid;
  }

  is(number: number, fid: Fid): boolean {
    return this.#fids.get(number) === fid;
  }

  bind(number: number, path: FilePath): Fid {
    if (number === NO_FID || this.#fids.has(number)) throw new P9Error(ERRNO.EBADF);
    if (this.#fids.size >= FIDS_MAX) throw new P9Error(ERRNO.ENFILE);
    const fid = { path, file: undefined, mode: undefined, entries: undefined, directory: false };
    this.#fids.set(number, fid);
    return fid;
  }

  open(fid: Fid, mode: OpenMode, open: () => OpenFile): void {
    if (this.#opened >= OPEN_MAX) throw new P9Error(ERRNO.EMFILE);
    fid.file = open();
    fid.mode = mode;
    this.#opened++;
  }

  clunk(number: number): void {
    const fid = this.get(number);
    this.#fids.delete(number);
    if (fid.file === undefined) return;
    this.#opened--;
    fid.file.close();
  }

  /** Fids below what was moved move along. */
  move(from: FilePath, to: FilePath): void {
    for (const fid of this.#fids.values()) {
      if (from.every((name, i) => name === fid.path[i])) fid.path = [...to, ...fid.path.slice(from.length)];
    }
  }

  reset(): void {
    for (const { file } of this.#fids.values()) {
      try {
        file?.close();
      } catch {
        // The client is gone; there is nobody to tell.
      }
    }
    this.#fids.clear();
    this.#opened = 0;
  }

  // ---- save and load

  save(): DeviceState {
    const rows = [...this.#fids].map(([number, { path, mode, directory }]) => {
      const open = mode === undefined ? null : { read: mode.read, write: mode.write, append: mode.append ?? false };
      return [String(number), { path: [...path], directory, mode: open }];
    });
    return Object.fromEntries(rows);
  }

  /** Files are opened again by their names; one that is gone answers EBADF, as a server that was restarted does. */
  load(device: string, rows: DeviceState, tree: FileTree): void {
    const all = new SavedState(device, rows);
    for (const number of Object.keys(rows)) {
      const row = new SavedState(device, all.nested(number));
      const names = row.nested("path");
      let fid: Fid;
      try {
        if (!/^\d+$/.test(number)) throw new P9Error(ERRNO.EBADF);
        let path: FilePath = [];
        for (const name of Array.isArray(names) ? names.map(String) : []) path = childOf(path, name);
        fid = this.bind(Number(number), path);
      } catch (cause) {
        const what = `fid ${number} has no path inside the shared directory`;
        throw new VmError("bad-snapshot", `${device}: ${what}.`, { device, number }, { cause });
      }
      fid.directory = row.flag("directory");
      if ((rows[number] as DeviceState).mode === null) continue;
      const saved = new SavedState(device, row.nested("mode"));
      const mode = { read: saved.flag("read"), write: saved.flag("write"), append: saved.flag("append") };
      try {
        this.open(fid, mode, () => tree.open(fid.path, mode));
      } catch {
        // It reads and writes as a fid that was never opened.
      }
    }
  }
}

/** A name in a directory: what cannot be one is refused before it reaches the tree. */
export function childOf(directory: FilePath, name: string): FilePath {
  if (name === "" || name === "." || name === ".." || /[/\0]/.test(name)) throw new P9Error(ERRNO.EINVAL);
  if (new TextEncoder().encode(name).length > NAME_BYTES_MAX || directory.length >= DEPTH_MAX) {
    throw new P9Error(ERRNO.ENAMETOOLONG);
  }
  return [...directory, name];
}
