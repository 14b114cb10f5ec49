// Kernel modules for an initramfs: which files a module needs, read from the modules themselves, so that neither
// depmod nor a running kernel of that version is needed.
import type { CpioEntry } from "./cpio.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder("latin1");

/** "drivers/virtio/virtio_pci.ko" and "virtio-pci" are both called virtio_pci. */
export const moduleName = (path: string): string =>
  (path.split("/").at(-1) ?? path).replace(/\.ko$/, "").replaceAll("-", "_");

interface ModuleInformation {
  /** Modules whose symbols it uses. */
  readonly depends: string[];
  /** What it wants loaded first although it uses no symbol of it: names or aliases, such as ext4's "crc32c". */
  readonly wants: string[];
  readonly aliases: string[];
}

/** Reads the NUL-ended `name=value` strings of a module's .modinfo section. */
export function moduleInformation(module: Uint8Array): ModuleInformation {
  const values = (name: string): string[] => {
    const found: string[] = [];
    for (const match of text.matchAll(new RegExp(`(?:^|\\0)${name}=([^\\0]*)`, "g"))) found.push(match[1] as string);
    return found;
  };
  const text = decoder.decode(module);
  const before = values("softdep").flatMap(
    (softdep) => /pre:((?: [^ :]+(?![^ ]*:))*)/.exec(softdep)?.[1]?.split(" ") ?? [],
  );
  return {
    depends: values("depends")
      .flatMap((list) => list.split(","))
      .filter(Boolean)
      .map(moduleName),
    wants: before.filter(Boolean).map(moduleName),
    aliases: values("alias").map(moduleName),
  };
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
  // Searched only for the few wishes that are no module's name: a kernel package has thousands of modules.
  const providers = (alias: string): string[] => {
    const names = [...available]
      .filter(([, module]) => moduleInformation(module.data).aliases.includes(alias))
      .map(([name]) => name);
    // Of several, the portable one: the others do not load on processors without their instructions.
    return [names.find((name) => name.endsWith("_generic")) ?? names[0] ?? []].flat();
  };
  const dependencies = new Map<string, string[]>();
  const missing: string[] = [];
  const visit = (name: string): void => {
    if (dependencies.has(name)) return;
    const module = available.get(name);
    if (!module) {
      missing.push(name);
      return;
    }
    const { depends, wants } = moduleInformation(module.data);
    // A wish that nothing here fulfils may be built in.
    const wanted = wants.flatMap((wish) => (available.has(wish) ? [wish] : providers(wish)));
    const direct = [...new Set([...depends, ...wanted])];
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
