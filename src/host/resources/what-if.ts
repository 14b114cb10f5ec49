// Changes to a fleet before it is planned: edits of the file's own form, so that what they make is checked as a file is.
import { refuse } from "../../vmm/check-values.ts";
import { list, record } from "./check-claims.ts";
import { PLAN_VM_FIELDS } from "./fleet.ts";

export type Edit =
  /** "vm" or "host", its name, whose fields it starts with, and fields to set. */
  | {
      readonly kind: "with";
      readonly what: "vms" | "hosts";
      readonly name: string;
      readonly like?: string;
      readonly set: readonly Assignment[];
    }
  | { readonly kind: "without"; readonly name: string }
  | { readonly kind: "hosts"; readonly count: number }
  | { readonly kind: "set"; readonly assignment: Assignment };

/** `path`: name of a VM or host, then fields; `resources` and `capacity` may be left out ("web.memory.limit", "h1.cpu"). */
export interface Assignment {
  readonly path: readonly string[];
  readonly value: unknown;
}

type Entry = Record<string, unknown>;
/** Fields of an entry; a longer path that begins otherwise is of a resource. */
const VM_FIELDS = ["count", "scheduling", ...PLAN_VM_FIELDS];
const HOST_FIELDS = ["capacity", "overcommit", "cost"];
/** Names that would reach an object's prototype. */
const FORBIDDEN = new Set(["__proto__", "constructor", "prototype"]);

/** A changed copy of `fleet`. Throws VmError("bad-config") for a name that is not there; the result is not checked. */
export function applyEdits(fleet: unknown, edits: readonly Edit[]): unknown {
  const copy = structuredClone(record("the fleet", fleet)) as Entry;
  const entries = (what: "vms" | "hosts"): Entry[] => {
    const all = list(what, copy[what]).map((entry, i) => record(`${what}[${i}]`, entry) as Entry);
    copy[what] = all;
    return all;
  };
  for (const edit of edits) apply(edit, copy, entries);
  forgetHosts(entries("vms"), entries("hosts"));
  return copy;
}

/** What it costs to be on a host that is not there any more is of no interest. Being pinned there is, and is refused later. */
function forgetHosts(vms: readonly Entry[], hosts: readonly Entry[]): void {
  for (const vm of vms) {
    if (vm.placementCost === undefined) continue;
    const costs = Object.entries(record(`${vm.name}.placementCost`, vm.placementCost));
    vm.placementCost = Object.fromEntries(costs.filter(([name]) => hosts.some((host) => host.name === name)));
  }
}

function apply(edit: Edit, fleet: Entry, entries: (what: "vms" | "hosts") => Entry[]): void {
  switch (edit.kind) {
    case "with": {
      const like = edit.like === undefined ? {} : structuredClone(find([entries(edit.what)], edit.like));
      if (edit.like !== undefined) delete like.count;
      const entry: Entry = { ...like, name: edit.name };
      for (const assignment of edit.set) assign(entry, edit.what, assignment);
      entries(edit.what).push(entry);
      return;
    }
    case "without": {
      const found = find([entries("vms"), entries("hosts")], edit.name);
      for (const what of ["vms", "hosts"] as const) fleet[what] = entries(what).filter((entry) => entry !== found);
      // Groups without it; a group of one binds nobody.
      for (const groups of ["affinity", "antiAffinity"]) {
        if (fleet[groups] === undefined) continue;
        fleet[groups] = list(groups, fleet[groups]).map((group, i) =>
          list(`${groups}[${i}]`, group).filter((member) => member !== edit.name),
        );
      }
      return;
    }
    case "hosts": {
      const hosts = entries("hosts");
      const last = hosts.at(-1);
      if (last === undefined) return;
      fleet.hosts = hosts.slice(0, edit.count);
      for (let i = hosts.length; i < edit.count; i++) {
        entries("hosts").push({ ...structuredClone(last), name: `${last.name}-copy${i - hosts.length + 1}` });
      }
      return;
    }
    case "set": {
      const [name = "", ...path] = edit.assignment.path;
      const [vms, hosts] = [entries("vms"), entries("hosts")];
      const entry = find([vms, hosts], name);
      assign(entry, vms.includes(entry) ? "vms" : "hosts", { ...edit.assignment, path });
      return;
    }
  }
}

function assign(entry: Entry, what: "vms" | "hosts", { path, value }: Assignment): void {
  const [first = ""] = path;
  const short = what === "vms" ? path.length > 1 && !VM_FIELDS.includes(first) : !HOST_FIELDS.includes(first);
  const full = short ? [what === "vms" ? "resources" : "capacity", ...path] : [...path];
  const leaf = full.pop() ?? "";
  let at = entry;
  for (const key of full) {
    if (FORBIDDEN.has(key)) refuse(key, undefined, "a field of the entry", "cannot be set");
    const below = Object.hasOwn(at, key) ? at[key] : {};
    if (typeof below !== "object" || below === null) {
      refuse(
        `${entry.name}.${path.join(".")}`,
        undefined,
        "a field of a VM or host",
        `leads through ${key}, which is a value`,
      );
    }
    at[key] = below;
    at = below as Entry;
  }
  if (FORBIDDEN.has(leaf)) refuse(leaf, undefined, "a field of the entry", "cannot be set");
  at[leaf] = value;
}

function find(lists: readonly (readonly Entry[])[], name: string): Entry {
  const all = lists.flat();
  const found = all.find((entry) => entry.name === name);
  const names = all.map((entry) => String(entry.name)).join(", ");
  return (
    found ??
    refuse(
      JSON.stringify(name),
      undefined,
      names === "" ? "nothing, as there is none" : names,
      "is neither VM nor host of the fleet",
    )
  );
}
