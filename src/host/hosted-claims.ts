// What a VM of a host claims of it, and its share of the pCPUs: two sides of one thing, changed while the VM runs.
import type { PortableConfig } from "../vmm/config.ts";
import type { ResourcesInput } from "./resources/check-claims.ts";
import { CPU, claimOf, MEMORY, type ResourceClaim, type VmClaims } from "./resources/model.ts";
import { changedResources, checkRunClaims, cpuClaimOf, schedulingOf } from "./resources/run-claims.ts";
import { checkSchedParameters } from "./sched/parameters.ts";
import type { SchedParameters } from "./sched/policy.ts";

export interface ClaimsParts {
  readonly name: string;
  /** Guest RAM, bytes. */
  memoryBytes(): number;
  /** Throws VmError("admission") where the host cannot hold what these claims promise. */
  admit(claims: VmClaims): void;
  /** Tells the pCPU. Rejects with VmError("admission") where its policy has no room. */
  schedule(scheduling: SchedParameters): Promise<void>;
}

export class HostedClaims {
  constructor(
    private readonly parts: ClaimsParts,
    public scheduling: SchedParameters,
    public resources: VmClaims["resources"],
  ) {}

  /** For the pCPU: with what is held for it. */
  get share(): SchedParameters {
    return shareOf(this.parts.name, this.scheduling, this.resources);
  }

  get memory(): ResourceClaim {
    return claimOf({ name: this.parts.name, resources: this.resources }, MEMORY);
  }

  /** Throws VmError("bad-config" | "admission"). */
  async schedule(change: Partial<SchedParameters>): Promise<void> {
    const scheduling = checkSchedParameters({ ...this.scheduling, ...change });
    await this.#adopt(scheduling, { [CPU]: cpuClaimOf(scheduling, this.scheduling) });
  }

  /** Throws VmError("bad-config" | "admission"). */
  async setResources(change: ResourcesInput): Promise<void> {
    const cpu = this.#changed(change)[CPU];
    const scheduling =
      cpu === undefined || change[CPU] === undefined
        ? this.scheduling
        : checkSchedParameters({ ...this.scheduling, ...schedulingOf(cpu) });
    await this.#adopt(scheduling, change);
  }

  /** The claims of a machine that may have another RAM: it claims all of it. Throws VmError("admission"). */
  readmitted({ memoryBytes }: PortableConfig): VmClaims["resources"] {
    if (memoryBytes === undefined || memoryBytes === this.parts.memoryBytes()) return this.resources;
    const { [MEMORY]: _other, ...rest } = changedResources("resources", this.resources, {});
    const resources = checkRunClaims("resources", rest, { memoryBytes, scheduling: {} });
    this.parts.admit({ name: this.parts.name, resources });
    return resources;
  }

  #changed(change: ResourcesInput): VmClaims["resources"] {
    const resources = changedResources("resources", this.resources, change);
    return checkRunClaims("resources", resources, { memoryBytes: this.parts.memoryBytes(), scheduling: {} });
  }

  async #adopt(scheduling: SchedParameters, change: ResourcesInput): Promise<void> {
    const [before, resources] = [this.resources, this.#changed(change)];
    this.parts.admit({ name: this.parts.name, resources });
    // From here on others are admitted against the new claims.
    this.resources = resources;
    try {
      const share = shareOf(this.parts.name, scheduling, resources);
      const reserved = shareOf(this.parts.name, scheduling, before).reservation;
      if (scheduling !== this.scheduling || share.reservation !== reserved) await this.parts.schedule(share);
    } catch (error) {
      if (this.resources === resources) this.resources = before;
      throw error;
    }
    this.scheduling = scheduling;
  }
}

/** Scheduling parameters with the reservation of a claim on CPU. */
export function shareOf(name: string, scheduling: SchedParameters, resources: VmClaims["resources"]): SchedParameters {
  return { ...scheduling, reservation: claimOf({ name, resources }, CPU).reservation };
}
