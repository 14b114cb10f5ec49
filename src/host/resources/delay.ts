// How long a VM's requests take on the CPU that it is given, and how to divide CPU so that this costs least.
//
// The model is a queue with processor sharing, Poisson arrivals and any distribution of work (M/G/1-PS): requests come at
// rate r, need s seconds of a pCPU each, and the VM gets c pCPUs. The mean response time is T = s / (c - r s), whatever
// the distribution of work (Kleinrock, Queueing Systems II, section 4.4). It knows nothing of disks, networks and the
// length of timeslices: it says what the CPU adds, in the mean.

export interface Load {
  readonly requestsPerSecond: number;
  /** Of one pCPU. */
  readonly cpuSecondsPerRequest: number;
}

/** The linear cost model P = fixed + perSecond * T, T being the mean response time in seconds. */
export interface DelayCost {
  readonly fixed: number;
  readonly perSecond: number;
}

/** A queue fuller than this has no mean worth planning with: its response time is 100 times the work. */
export const UTILISATION_MAX = 0.99;

/** pCPUs that the requests need, waiting aside. */
export function offeredLoad(load: Load): number {
  return load.requestsPerSecond * load.cpuSecondsPerRequest;
}

/** Whatever the throughput, so much CPU must be to spare, pCPUs: a request must come to an end when nobody else asks. */
export const SPARE_MIN = 0.001;

/** Least CPU that carries the throughput, pCPUs; 0 where requests need none. */
export function leastCpu(load: Load): number {
  if (load.cpuSecondsPerRequest === 0) return 0;
  return Math.max(offeredLoad(load) / UTILISATION_MAX, offeredLoad(load) + SPARE_MIN);
}

/** Mean response time in seconds on `cpu` pCPUs; Infinity where the queue grows without bound. */
export function responseSeconds(load: Load, cpu: number): number {
  if (load.cpuSecondsPerRequest === 0) return 0;
  const spare = cpu - offeredLoad(load);
  return spare > 0 ? load.cpuSecondsPerRequest / spare : Number.POSITIVE_INFINITY;
}

export interface DelayClaimant {
  readonly load: Load;
  readonly cost: DelayCost;
  /** Least and most CPU, pCPUs, both finite; least above the offered load. */
  readonly least: number;
  readonly most: number;
}

/**
 * Divides `capacity` pCPUs so that the sum of P is least. At the optimum all that are between their bounds have the same
 * marginal cost, so c = r s + sqrt(perSecond * s) * L for one level L (Kleinrock's square-root capacity assignment), cut
 * at the bounds; L is found by bisection down to the last bit. What nobody's cost gains from stays unused. The least
 * amounts must fit.
 */
export function leastDelayCost(capacity: number, claimants: readonly DelayClaimant[]): number[] {
  const at = (level: number): number[] =>
    claimants.map(({ load, cost, least, most }) => {
      const spread = Math.sqrt(cost.perSecond * load.cpuSecondsPerRequest);
      return Math.min(Math.max(offeredLoad(load) + (spread === 0 ? 0 : spread * level), least), most);
    });
  const total = (amounts: readonly number[]): number => amounts.reduce((sum, amount) => sum + amount, 0);
  let low = 0;
  // At this level the smallest spread alone takes everything, so whoever can grow is at its bound.
  const spreads = claimants
    .map(({ load, cost }) => Math.sqrt(cost.perSecond * load.cpuSecondsPerRequest))
    .filter((spread) => spread > 0);
  let high = (capacity + Math.max(0, ...claimants.map(({ most }) => most))) / Math.min(Infinity, ...spreads);
  if (!(high > 0) || total(at(high)) <= capacity) return at(high);
  for (let middle = (low + high) / 2; middle > low && middle < high; middle = (low + high) / 2) {
    if (total(at(middle)) <= capacity) low = middle;
    else high = middle;
  }
  return at(low);
}
