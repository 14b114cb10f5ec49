// Shortest job first. The job is the CPU burst between a wake and a block; its length is predicted by an exponential
// average of those before: p' = alpha * burst + (1 - alpha) * p. A burst that outgrows its prediction is predicted to be
// as long as it already is, so a vCPU that never blocks drifts to the end of the order, and starves there while short
// bursts keep coming. That is what shortest-job-first does; it minimises mean delay and promises nothing else.
import { KeyedContender, KeyedDiscipline, type Leaving, type Standing } from "./discipline.ts";
import { sliceField } from "./parameters.ts";
import type { Ns, SchedParameters, VcpuId } from "./policy.ts";

export const SHORTEST_JOB_OPTIONS = {
  sliceNs: sliceField("longest run before predictions are compared again, ns", 10_000_000),
  alpha: { kind: "number", title: "weight of the newest burst in the prediction", min: 0, max: 1, default: 0.5 },
  initialBurstNs: { kind: "number", title: "prediction before any burst, ns", min: 1, max: 1e12, default: 10_000_000 },
} as const;

class BurstContender extends KeyedContender {
  burstNs = 0;
  constructor(
    vcpu: VcpuId,
    parameters: SchedParameters,
    public predictedNs: Ns,
  ) {
    super(vcpu, parameters);
  }
}

export class ShortestJob extends KeyedDiscipline<BurstContender> {
  readonly name = "sjf";
  protected override readonly moves = true;
  readonly #alpha: number;
  readonly #initialBurstNs: Ns;

  constructor(options: { readonly sliceNs: number; readonly alpha: number; readonly initialBurstNs: number }) {
    super(options.sliceNs);
    this.#alpha = options.alpha;
    this.#initialBurstNs = options.initialBurstNs;
  }

  contender(vcpu: VcpuId, parameters: SchedParameters, _now: Ns, standing?: Standing): BurstContender {
    return new BurstContender(vcpu, parameters, standing?.burstNs ?? this.#initialBurstNs);
  }

  override charge(contender: BurstContender, ranNs: Ns): void {
    contender.burstNs += ranNs;
    contender.key = this.keyOf(contender);
  }

  override leave(contender: BurstContender, why: Leaving, now: Ns): void {
    super.leave(contender, why, now);
    if (why !== "block" || contender.burstNs === 0) return;
    contender.predictedNs = this.#alpha * contender.burstNs + (1 - this.#alpha) * contender.predictedNs;
    contender.burstNs = 0;
  }

  override standing(contender: BurstContender): Standing {
    return { lagNs: 0, burstNs: Math.max(contender.predictedNs, contender.burstNs) };
  }

  protected keyOf(contender: BurstContender): number {
    return Math.max(contender.predictedNs, contender.burstNs);
  }
}
