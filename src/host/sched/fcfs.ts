// First come, first served: who became runnable first runs until it blocks.
import { KeyedContender, KeyedDiscipline } from "./discipline.ts";
import type { Ns, SchedParameters, VcpuId } from "./policy.ts";

export class FirstCome extends KeyedDiscipline<KeyedContender> {
  readonly name = "fcfs";

  constructor() {
    super(Infinity);
  }

  contender(vcpu: VcpuId, parameters: SchedParameters): KeyedContender {
    return new KeyedContender(vcpu, parameters);
  }

  override sliceOf(_contender: KeyedContender): Ns {
    return Infinity;
  }

  protected keyOf(): number {
    return 0;
  }
}
