// Network cards of --nic as the API takes them.
import { resolve } from "node:path";
import { parseNicFiles, type RawNicOptions } from "./nics.ts";
import { UsageError } from "./values.ts";

/** A switch is a network of the host; files are named from the root, as the server has a folder of its own. */
export function nicSpecs(raw: RawNicOptions): Record<string, unknown>[] {
  return parseNicFiles(raw).map(({ backend, capture, romFile, ...rest }) => {
    if (!("kind" in backend) || backend.kind === "none") throw new UsageError("--nic: give user or switch=NETWORK");
    const card = {
      ...rest,
      ...(capture === undefined ? {} : { capture: resolve(capture) }),
      ...(romFile === undefined ? {} : { romFile: resolve(romFile) }),
    };
    if (backend.kind === "switch") return { ...card, network: backend.name, link: backend.link };
    const { kind: _kind, tftp, ...user } = backend;
    return { ...card, user: { ...user, ...(tftp === undefined ? {} : { tftp: resolve(tftp) }) } };
  });
}
