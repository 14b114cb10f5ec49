// Round robin: each in turn for at most a slice. Weights mean nothing here; slices do.
import { KeyedContender, KeyedDiscipline } from "./discipline.ts";
import { sliceField } from "./parameters.ts";
import type { SchedParameters, VcpuId } from "./policy.ts";

export const ROUND_ROBIN_OPTIONS = { sliceNs: sliceField("turn, ns", 10_000_000) } as const;

export class RoundRobin extends KeyedDiscipline<KeyedContender> {
  readonly name = "rr";

  constructor(options: { readonly sliceNs: number }) {
    super(options.sliceNs);
  }

  contender(vcpu: VcpuId, parameters: SchedParameters): KeyedContender {
    return new KeyedContender(vcpu, parameters);
  }

  protected keyOf(): number {
    return 0;
  }
}
