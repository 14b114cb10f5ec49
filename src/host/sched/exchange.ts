// Another policy for a run queue while its vCPUs run.
import type { Ns, SchedPolicy } from "./policy.ts";

/**
 * Moves everybody from `from` to `to`, which is empty: parameters, state, caps used so far, lag and predictions where both
 * keep them. What runs now is accounted for first; it stays runnable and `pick` of the new policy is due.
 * Throws VmError("admission") when `to` does not admit a reservation; then `from` is as it was and `to` is to be dropped.
 */
export function exchangePolicy(from: SchedPolicy, to: SchedPolicy, now: Ns): void {
  const members = [...from.members()];
  // All at once: a lag is one among those who are here, and changes for the others with each that leaves.
  for (const { vcpu, parameters } of members) to.add(vcpu, parameters, now, from.carry(vcpu, now));
  for (const { vcpu, runnable } of members) {
    from.remove(vcpu, now);
    if (runnable) to.wake(vcpu, now);
  }
}
