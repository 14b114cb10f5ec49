// Pinned: every vCPU stays on the pCPU where it was added and is never moved; alone there, it has the pCPU to itself.
// Several on one pCPU take long turns, or are refused when `exclusive` (then this is Xen's null scheduler).
import { VmError } from "../../vmm/error.ts";
import { KeyedContender, KeyedDiscipline } from "./discipline.ts";
import { sliceField } from "./parameters.ts";
import type { SchedParameters, VcpuId } from "./policy.ts";

export const PINNED_OPTIONS = {
  sliceNs: sliceField("turn where several share a pCPU, ns", 100_000_000),
  exclusive: { kind: "boolean", title: "one vCPU a pCPU; a second one is refused", default: false },
} as const;

export class Pinned extends KeyedDiscipline<KeyedContender> {
  readonly name = "pinned";
  override readonly migrates = false;
  readonly #exclusive: boolean;
  #owner: VcpuId | undefined;

  constructor(options: { readonly sliceNs: number; readonly exclusive: boolean }) {
    super(options.sliceNs);
    this.#exclusive = options.exclusive;
  }

  contender(vcpu: VcpuId, parameters: SchedParameters): KeyedContender {
    if (this.#exclusive && this.#owner !== undefined)
      throw new VmError(
        "admission",
        `vCPU ${vcpu} does not fit: this pCPU is vCPU ${this.#owner}'s alone; add a pCPU or turn "exclusive" off`,
        { vcpu, owner: this.#owner },
      );
    this.#owner ??= vcpu;
    return new KeyedContender(vcpu, parameters);
  }

  override dismiss(contender: KeyedContender): void {
    if (this.#owner === contender.vcpu) this.#owner = undefined;
  }

  protected keyOf(): number {
    return 0;
  }
}
