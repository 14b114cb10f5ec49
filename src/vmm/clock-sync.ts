// How a VM's real clock follows the host's: what happens to the time that passed while the guest could not see it, because
// the VM was paused, restored, or waited for a processor. docs/CLOCKS.md has the modes.
import { KVM_SYSTEM_TIME } from "../../spec/layout.ts";
import { KVM_MSR_ENABLED } from "../../spec/paravirt.ts";
import { ClockDiscipline } from "../host/clock/discipline.ts";
import type { Vcpu } from "../vcpu/vcpu.ts";
import type { CheckedClockSync } from "./check-config.ts";
import type { VmClock } from "./clock.ts";
import type { ClockSyncMode, ResumeTime } from "./config.ts";
import type { Core } from "./core.ts";

/** Reading the two clocks one after the other is that exact. */
const READING_ERROR_NS = 1000;

export class ClockSync {
  readonly #discipline: ClockDiscipline;
  /** The clock stands because the vCPU lost its processor. */
  #held = false;
  #slewing = false;

  constructor(
    private readonly clock: VmClock,
    private readonly core: Core,
    private readonly vcpu: Vcpu,
    private readonly settings: CheckedClockSync,
  ) {
    const { maxSlewPpm, stepThresholdNs } = settings;
    // Clock and reference count the same nanoseconds of the host: there is no drift to be found.
    this.#discipline = new ClockDiscipline({ maxSlewPpm, stepThresholdNs, maxDriftPpm: 0 });
  }

  /** What is done now; "auto" depends on what the guest uses. */
  get #mode(): Exclude<ClockSyncMode, "auto" | "ntp"> {
    const { mode } = this.settings;
    // The guest keeps its own date right, by asking its gateway: what it counts with must run evenly.
    if (mode === "ntp") return "hide-pauses";
    if (mode !== "auto") return mode;
    return (this.vcpu.getU32(KVM_SYSTEM_TIME) & KVM_MSR_ENABLED) !== 0 ? "follow" : "slew";
  }

  /** The VM begins to run, or goes on. `time` is what was asked for; by default the mode says. */
  start(time?: ResumeTime): void {
    const { clock } = this;
    this.#held = false;
    clock.start();
    if (clock.kind !== "real") return;
    this.settle(time ?? (this.#mode === "follow" ? "now" : undefined));
  }

  /** Where the time of a paused or restored VM goes on, if anything was said about it. */
  settle(time: ResumeTime | undefined): void {
    const { clock } = this;
    if (time === "now") {
      if (clock.skip(clock.lagNs) > 0) this.core.clockStopped(this.vcpu.address);
    } else if (time === "snapshot" && this.#mode !== "hide-pauses") clock.forgiveLag();
  }

  /** A turn of the vCPU begins. */
  turnBegins(): void {
    const { clock } = this;
    if (clock.kind !== "real") return;
    const mode = this.#mode;
    // It goes on where the vCPU lost its processor, or where it should have been woken: no tick falls into the gap.
    if (this.#held) clock.start();
    else if (mode === "ticks") clock.holdBack(this.#nextDeadlineNs());
    this.#held = false;
    if (mode === "slew" || mode === "ticks") this.#correct();
  }

  /** It ended, and the vCPU could have run on. */
  turnEnds(): void {
    if (this.clock.kind !== "real" || this.#mode !== "ticks") return;
    this.#held = true;
    this.clock.stop();
  }

  #nextDeadlineNs(): number {
    return Math.min(Number(this.core.nextDeadlineNs(this.vcpu.address)), this.clock.nextDeadlineNs());
  }

  #correct(): void {
    const { clock } = this;
    const { stepNs, ratePpm, forNs } = this.#discipline.update({
      atNs: clock.hostNs(),
      offsetNs: clock.lagNs,
      errorNs: READING_ERROR_NS,
    });
    if (stepNs > 0) clock.skip(stepNs);
    if (forNs > 0) clock.slew(ratePpm, forNs);
    else if (this.#slewing) clock.slew(0, 0);
    this.#slewing = forNs > 0;
  }
}
