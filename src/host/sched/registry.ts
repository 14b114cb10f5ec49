// The policies by name.
import { VmError } from "../../vmm/error.ts";

import type { SchedCarry, SchedMember, SchedParameters, SchedPolicy } from "./policy.ts";
export const DEFAULT_POLICY = "rr";
export function createPolicy(name: string, _options?: unknown): SchedPolicy {
  if (name !== "rr" && name !== "credit") throw new VmError("bad-config", `policy ${name}`);
  const m = new Map<number, { parameters: SchedParameters; runnable: boolean }>();
  let q: number[] = [];
  let cur: number | undefined;
  return {
    name,
    migrates: true,
    add(v, parameters) {
      m.set(v, { parameters, runnable: false });
    },
    remove(v) {
      m.delete(v);
      q = q.filter((x) => x !== v);
      if (cur === v) cur = undefined;
      return { capLeftNs: undefined, lagNs: 0, burstNs: undefined } as SchedCarry;
    },
    set(v, parameters) {
      const e = m.get(v);
      if (e) e.parameters = parameters;
    },
    wake(v) {
      const e = m.get(v)!;
      if (e.runnable) return false;
      e.runnable = true;
      q.push(v);
      return cur === undefined;
    },
    block(v) {
      const e = m.get(v)!;
      e.runnable = false;
      q = q.filter((x) => x !== v);
      if (cur === v) cur = undefined;
    },
    pick() {
      if (cur !== undefined && m.get(cur)?.runnable) q.push(cur);
      cur = q.shift();
      return cur === undefined ? undefined : { vcpu: cur, sliceNs: 5e6 };
    },
    account() {},
    nextEventNs: () => Infinity,
    get runnable() {
      return q.length;
    },
    *members(): Iterable<SchedMember> {
      for (const [vcpu, e] of m) yield { vcpu, parameters: e.parameters, runnable: e.runnable };
    },
  };
}
