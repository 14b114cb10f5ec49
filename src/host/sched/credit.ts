// Credit: CPU time as money. Running costs a nanosecond of credit a nanosecond, exactly, whenever it runs. When nobody
// runnable has credit left, `refillNs` of it are shared out by weight. The runnable vCPU with most credit for its weight
// runs next. One that wakes with credit left is boosted: it runs at once, for at most `boostNs` and while it has credit, still paying.
//
// From Xen's credit scheduler: weights, caps, boost. From credit2: nanoseconds instead of sampled ticks, refill on
// exhaustion. Sampled ticks let a guest that sleeps over each tick run for nothing; here there is no tick to sleep over.
// A sleeper earns what it would have been given awake, at most one refill's share, and nothing more.
import { REST_NS } from "./cap.ts";
import { type Cause, KeyedContender, KeyedDiscipline, type Leaving, type Standing } from "./discipline.ts";
import { sliceField } from "./parameters.ts";
import type { Ns, SchedParameters, VcpuId } from "./policy.ts";

export const CREDIT_OPTIONS = {
  sliceNs: sliceField("longest run before credits are compared again, ns", 5_000_000),
  refillNs: {
    kind: "number",
    title: "credit shared out at a refill, ns",
    min: 1_000_000,
    max: 1e9,
    default: 30_000_000,
  },
  boostNs: { kind: "number", title: "longest run of a boost, ns; 0 for none", min: 0, max: 1e9, default: 10_000_000 },
} as const;

class Account extends KeyedContender {
  /** Credit = weight * (level + what all were given a unit of weight): a refill raises all accounts by one addition. */
  level = 0;
  /** Credit while it does not compete, and what had been given when it stopped. */
  savedNs = 0;
  givenThen = 0;
  boostLeftNs = 0;
  competes = false;
}

/** Where all credit is: granted = spent + forfeited + held. */
export interface CreditLedger {
  readonly grantedNs: Ns;
  readonly spentNs: Ns;
  /** Of vCPUs that left with credit (or debt: negative). */
  readonly forfeitedNs: Ns;
}

export class Credit extends KeyedDiscipline<Account> {
  readonly name = "credit";
  readonly #refillNs: Ns;
  readonly #boostNs: Ns;
  /** Given so far for each unit of weight. */
  #given = 0;
  #weight = 0;
  #grantedNs = 0;
  #spentNs = 0;
  #forfeitedNs = 0;

  constructor(options: { readonly sliceNs: number; readonly refillNs: number; readonly boostNs: number }) {
    super(options.sliceNs);
    this.#refillNs = options.refillNs;
    this.#boostNs = options.boostNs;
  }

  get ledger(): CreditLedger {
    return { grantedNs: this.#grantedNs, spentNs: this.#spentNs, forfeitedNs: this.#forfeitedNs };
  }

  contender(vcpu: VcpuId, parameters: SchedParameters, _now: Ns, standing?: Standing): Account {
    const account = new Account(vcpu, parameters);
    account.savedNs = Math.max(-this.#refillNs, Math.min(this.#refillNs, standing?.lagNs ?? 0));
    account.givenThen = this.#given;
    this.#grantedNs += account.savedNs;
    return account;
  }

  override dismiss(account: Account): void {
    this.#forfeitedNs += account.savedNs;
  }

  override insert(account: Account, cause: Cause, now: Ns): void {
    if (!account.competes) this.#open(account, cause);
    super.insert(account, cause, now);
  }

  override leave(account: Account, why: Leaving, now: Ns): void {
    super.leave(account, why, now);
    account.savedNs = this.creditNs(account);
    account.givenThen = this.#given;
    account.boostLeftNs = 0;
    account.competes = false;
    this.#weight -= account.parameters.weight;
  }

  override best(now: Ns): Account | undefined {
    const first = super.best(now);
    if (!first || first.boostLeftNs > 0) return first;
    // By its place, which within a slice is that of the slice's start: what it runs in its turn is no reason to refill.
    // An overrun may need several refills; the order among the runnable stays, as all rise together.
    const share = this.#refillNs / this.#weight;
    const level = this.#given - first.key;
    if (level > 0) return first;
    const refills = Math.floor(-level / share) + 1;
    this.#given += refills * share;
    this.#grantedNs += refills * this.#refillNs;
    return first;
  }

  override charge(account: Account, ranNs: Ns): void {
    account.level -= ranNs / account.parameters.weight;
    this.#spentNs += ranNs;
    if (account.boostLeftNs === 0) return;
    const leftNs = account.boostLeftNs - ranNs;
    account.boostLeftNs = leftNs >= REST_NS && this.creditNs(account) > 0 ? leftNs : 0;
    account.key = this.keyOf(account);
  }

  override limitNs(account: Account): Ns {
    return account.boostLeftNs > 0 ? account.boostLeftNs : Infinity;
  }

  /** Only a boost interrupts: who has more credit gets its turn at the end of the slice. */
  override preempts(account: Account, held: Account): boolean {
    return account.boostLeftNs > 0 && held.boostLeftNs === 0;
  }

  override standing(account: Account): Standing {
    return { lagNs: this.creditNs(account), burstNs: undefined };
  }

  creditNs(account: Account): Ns {
    return account.competes ? account.parameters.weight * (account.level + this.#given) : account.savedNs;
  }

  /** Within a slice the place is that of the slice's start, so that an early pick does not take the turn away. */
  protected keyOf(account: Account): number {
    return account.boostLeftNs > 0 ? -Infinity : -account.level;
  }

  /** It competes from now, with what it saved and what refills in the meantime would have brought it. */
  #open(account: Account, cause: Cause): void {
    const { weight } = account.parameters;
    this.#weight += weight;
    const shareNs = (this.#refillNs * weight) / this.#weight;
    const missedNs = weight * (this.#given - account.givenThen);
    const creditNs = Math.min(account.savedNs + missedNs, Math.max(account.savedNs, shareNs));
    this.#grantedNs += creditNs - account.savedNs;
    account.level = creditNs / weight - this.#given;
    account.competes = true;
    account.boostLeftNs = cause === "wake" && creditNs > 0 ? this.#boostNs : 0;
  }
}
