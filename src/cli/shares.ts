// Directories of the host for the guest to mount: --share, by virtio and 9P.
import type { ShareConfig } from "../vmm/device-config.ts";
import { didYouMean, parseChoice, UsageError } from "./values.ts";

export interface ShareRequest {
  readonly path: string;
  /** What the guest mounts. */
  readonly tag: string;
  readonly readOnly: boolean;
}

const KEYS = ["tag", "readonly"] as const;
const DEFAULT_TAG = "host";

/** "DIRECTORY,tag=NAME,readonly=on"; a comma within a value is doubled, as in --drive. Throws UsageError. */
export function parseShares(specs: readonly string[]): ShareRequest[] {
  return specs.map((spec, i) => {
    const option = `--share ${spec}`;
    const [path = "", ...properties] = spec
      .replaceAll(",,", "\0")
      .split(",")
      .map((part) => part.replaceAll("\0", ","));
    if (path === "") throw new UsageError(`${option}: no directory; it is DIRECTORY,tag=NAME,readonly=on`);
    const values = new Map<string, string>();
    for (const property of properties) {
      const [key = "", ...rest] = property.split("=");
      if (!KEYS.includes(key as (typeof KEYS)[number]) || rest.length === 0)
        throw new UsageError(`${option}: no property "${key}"${didYouMean(key, KEYS)}; there are ${KEYS.join(", ")}`);
      values.set(key, rest.join("="));
    }
    return {
      path,
      tag: values.get("tag") ?? `${DEFAULT_TAG}${i === 0 ? "" : i}`,
      readOnly: parseChoice(values.get("readonly") ?? "off", `${option}: readonly`, ["on", "off"]) === "on",
    };
  });
}

export interface OpenShares extends Disposable {
  /** For the configuration; empty where there are none. */
  readonly config: { readonly shares?: readonly ShareConfig[] };
}

/** To be closed after the machine. Throws VmError("not-found") for what is no directory. */
export async function openShares(requests: readonly ShareRequest[]): Promise<OpenShares> {
  if (requests.length === 0) return { config: {}, [Symbol.dispose]: () => {} };
  const { NodeFileTree } = await import("../platform/node/file-tree.ts");
  const shares: { tag: string; tree: InstanceType<typeof NodeFileTree> }[] = [];
  const close = (): void => {
    for (const { tree } of shares) tree[Symbol.dispose]();
  };
  try {
    for (const { path, tag, readOnly } of requests) shares.push({ tag, tree: new NodeFileTree(path, { readOnly }) });
  } catch (error) {
    close();
    throw error;
  }
  return { config: { shares }, [Symbol.dispose]: close };
}
