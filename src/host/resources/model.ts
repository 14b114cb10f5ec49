// What hosts have and what VMs may claim of it. A resource is a name; its amounts are plain numbers in the resource's
// own unit: pCPUs for `cpu`, bytes for `memory`, and whatever a host and its VMs agree on for any other name
// (`diskIops`, `diskBytesPerSecond`, `netBytesPerSecond`...).

export const CPU = "cpu";
export const MEMORY = "memory";
/** Memory moves between guests in guest pages (the balloon's unit, virtio 1.2 section 5.5.6). */
export const PAGE_BYTES = 4096;
/** Shares of a VM that says nothing: the weight that vCPU schedulers give by default. */
export const DEFAULT_SHARES = 256;
export const SHARES_MAX = 65_535;
/** Above this, sums of bytes would no longer be exact. */
export const AMOUNT_MAX = 2 ** 50;

/** A VM's claim on one resource. 0 <= reservation <= limit, all in the resource's unit. */
export interface ResourceClaim {
  /** Held for this VM whether it uses it or not. */
  readonly reservation: number;
  /** It never gets more. Infinity: as much as the host has. */
  readonly limit: number;
  /** What is left after reservations is divided in proportion to these. 1 to 65,535. */
  readonly shares: number;
  /** What it uses now or is expected to use (memory: its working set); undefined where nobody measured. */
  readonly demand: number | undefined;
}

export interface VmClaims {
  readonly name: string;
  /** A resource that is not named here is neither reserved nor used. */
  readonly resources: Readonly<Record<string, ResourceClaim>>;
}

export interface HostCapacity {
  readonly name: string;
  /** A resource that is not named here the host has none of. */
  readonly capacity: Readonly<Record<string, number>>;
  /** The sum of the VMs' limits may be this many times the capacity; a resource that is not named has no such bound. */
  readonly overcommit: Readonly<Record<string, number>>;
}

const NO_CLAIM: ResourceClaim = { reservation: 0, limit: 0, shares: DEFAULT_SHARES, demand: undefined };

/** The claim of a VM on a resource; nothing when it does not name it. */
export function claimOf(vm: VmClaims, resource: string): ResourceClaim {
  return Object.hasOwn(vm.resources, resource) ? (vm.resources[resource] ?? NO_CLAIM) : NO_CLAIM;
}

export function capacityOf(host: HostCapacity, resource: string): number {
  return Object.hasOwn(host.capacity, resource) ? (host.capacity[resource] ?? 0) : 0;
}

/** The limit as far as this host can serve it. */
export function limitOn(host: HostCapacity, vm: VmClaims, resource: string): number {
  return Math.min(claimOf(vm, resource).limit, capacityOf(host, resource));
}

/** Most that the limits of a host's VMs may sum up to. */
export function limitBudget(host: HostCapacity, resource: string): number {
  const factor = Object.hasOwn(host.overcommit, resource) ? host.overcommit[resource] : undefined;
  return factor === undefined ? Number.POSITIVE_INFINITY : factor * capacityOf(host, resource);
}

/** Smallest piece that can be given out; 0 where any fraction can. */
export function unitOf(resource: string): number {
  return resource === MEMORY ? PAGE_BYTES : 0;
}

/**
 * Whether `used` fits into `capacity`. Memory is counted in whole bytes and compared exactly; elsewhere 0.1 + 0.2
 * pCPUs must fit into 0.3, so the last digits are not looked at.
 */
export function fits(resource: string, used: number, capacity: number): boolean {
  return unitOf(resource) > 0 ? used <= capacity : used <= capacity + 1e-9 * Math.max(capacity, used);
}

/** All names that the hosts or VMs use: cpu and memory first, then the others by name. */
export function resourceNames(hosts: readonly HostCapacity[], vms: readonly VmClaims[]): string[] {
  const names = new Set([
    ...hosts.flatMap((host) => Object.keys(host.capacity)),
    ...vms.flatMap((vm) => Object.keys(vm.resources)),
  ]);
  const rank = (name: string): number => (name === CPU ? 0 : name === MEMORY ? 1 : 2);
  return [...names].sort((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1));
}

const BINARY_UNITS = ["", "Ki", "Mi", "Gi", "Ti"];

/** An amount for people: "512 MiB", "0.25", "100 MiB/s", "3000". */
export function formatAmount(resource: string, amount: number): string {
  if (!Number.isFinite(amount)) return "no limit";
  const bytes = resource === MEMORY || /bytes/i.test(resource);
  if (!bytes) return trim(amount);
  let value = amount;
  let unit = 0;
  while (Math.abs(value) >= 1024 && unit < BINARY_UNITS.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${trim(value)} ${BINARY_UNITS[unit]}B${/PerSecond$/.test(resource) ? "/s" : ""}`;
}

/** At most four significant digits behind the point, none where there are enough before it. */
function trim(value: number): string {
  return String(Number(value.toFixed(Math.abs(value) >= 1000 ? 0 : Math.abs(value) >= 10 ? 1 : 3)));
}
