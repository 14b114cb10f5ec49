// Kernel modules for an initramfs: which files a module needs, read from the modules themselves, so that neither
// depmod nor a running kernel of that version is needed.
import type { CpioEntry } from "./cpio.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder("latin1");

/** "drivers/virtio/virtio_pci.ko" and "virtio-pci" are both called virtio_pci. */
export const moduleName = (path: string): string =>
  (path.split("/").at(-1) ?? path).replace(/\.ko$/, "").replaceAll("-", "_");

/** The value of a module's `depends=` information string: the names of the modules it uses. */
export function moduleDependencies(module: Uint8Array): string[] {
  const text = decoder.decode(module);
  const match = /(?:^|\0)depends=([^\0]*)\0/.exec(text);
  return (match?.[1] ?? "").split(",").filter(Boolean).map(moduleName);
}

/**
 * Entries for the named modules, all that they depend on and a modules.dep, which busybox's modprobe reads.
 * `files` are the kernel package's; names that it has built in or has not at all are reported by `missing`.
 */
export function moduleEntries(
  files: Iterable<CpioEntry>,
  names: readonly string[],
): { readonly entries: CpioEntry[]; readonly missing: string[] } {
  const available = new Map<string, Extract<CpioEntry, { kind: "file" }>>();
  for (const entry of files) {
    if (entry.kind === "file" && entry.path.endsWith(".ko")) available.set(moduleName(entry.path), entry);
  }
  const dependencies = new Map<string, string[]>();
  const missing: string[] = [];
  const visit = (name: string): void => {
    if (dependencies.has(name)) return;
    const module = available.get(name);
    if (!module) {
      missing.push(name);
      return;
    }
    const direct = moduleDependencies(module.data);
    dependencies.set(name, direct);
    for (const dependency of direct) visit(dependency);
  };
  for (const name of names) visit(moduleName(name));

  const root = /^((?:usr\/)?lib\/modules\/[^/]+)\//;
  const entries: CpioEntry[] = [];
  const lines: string[] = [];
  let directory: string | undefined;
  for (const name of dependencies.keys()) {
    const module = available.get(name) as Extract<CpioEntry, { kind: "file" }>;
    entries.push(module);
    directory = root.exec(module.path)?.[1];
    const inside = (path: string): string => path.replace(root, "");
    // modprobe loads from right to left: what others need comes last.
    const needed = transitive(name, dependencies).map((other) => inside(available.get(other)?.path ?? ""));
    lines.push(`${inside(module.path)}: ${needed.join(" ")}`.trim());
  }
  if (directory !== undefined) {
    entries.push({ kind: "file", path: `${directory}/modules.dep`, data: encoder.encode(`${lines.join("\n")}\n`) });
  }
  return { entries, missing };
}

/** All that a module depends on, each before what it depends on itself (a depth-first walk's ends, reversed). */
function transitive(name: string, dependencies: ReadonlyMap<string, readonly string[]>): string[] {
  const seen = new Set([name]);
  const ended: string[] = [];
  const visit = (module: string): void => {
    for (const dependency of dependencies.get(module) ?? []) {
      if (seen.has(dependency)) continue;
      seen.add(dependency);
      visit(dependency);
      ended.push(dependency);
    }
  };
  visit(name);
  return ended.reverse();
}
