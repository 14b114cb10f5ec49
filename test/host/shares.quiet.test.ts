// Shares under real guests: what each retires against what its weight, its cap and the others' make its due. On one pCPU,
// over ten seconds, with nothing else running on the machine.
import { afterEach, describe, expect, it } from "vitest";
import { Host, type HostedVm, type SchedParameters } from "../../src/index.ts";
import { linuxBoot } from "../guests/linux-guest.ts";
import { hello, SPIN, untilPrinted } from "./guests.ts";

const MIB = 2 ** 20;
const MEASURED_MS = 10_000;
const WARM_UP_MS = 500;

const open: Host[] = [];
afterEach(async () => {
  for (const host of open.splice(0)) await host.close();
});

const wait = (milliseconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, milliseconds));

async function makeHost(policy: string): Promise<Host> {
  const host = await Host.create({ pcpus: 1, policy });
  open.push(host);
  return host;
}

async function spinner(host: Host, scheduling: Partial<SchedParameters>): Promise<HostedVm> {
  const vm = await host.createVm({ memoryBytes: MIB, boot: SPIN, scheduling });
  await vm.start();
  return vm;
}

interface Measured {
  /** Parts of all instructions retired by the measured VMs. */
  readonly shares: readonly number[];
  /** Parts of the pCPU's time. */
  readonly times: readonly number[];
}

/** How far the speeds of guests that run the same loop may differ before the machine counts as disturbed. */
const SPEED_SPREAD = 0.01;

/**
 * Instructions and time of `vms` over ten seconds. Other programs on the machine take time from the pCPU's thread that its
 * accounts cannot see; guests with the same loop then differ in speed. Such a measurement is made again, at most twice.
 */
async function measure(host: Host, vms: readonly HostedVm[]): Promise<Measured> {
  for (let attempt = 1; ; attempt++) {
    const before = await look(host, vms);
    await wait(MEASURED_MS);
    const after = await look(host, vms);
    const instructions = vms.map((_, i) => (after.instructions[i] ?? 0) - (before.instructions[i] ?? 0));
    const ran = vms.map((_, i) => (after.ranNs[i] ?? 0) - (before.ranNs[i] ?? 0));
    const speeds = instructions.map((count, i) => count / (ran[i] ?? 1));
    const disturbed = Math.max(...speeds) / Math.min(...speeds) > 1 + SPEED_SPREAD;
    if (disturbed && attempt < 3) continue;
    const all = instructions.reduce((sum, count) => sum + count, 0);
    const elapsed = after.atNs - before.atNs;
    return { shares: instructions.map((count) => count / all), times: ran.map((ns) => ns / elapsed) };
  }
}

async function look(host: Host, vms: readonly HostedVm[]) {
  const statistics = await Promise.all(vms.map((vm) => vm.statistics()));
  const [account] = await host.accounts();
  return {
    atNs: account?.upNs ?? 0,
    instructions: statistics.map((entry) => entry.instructions),
    ranNs: vms.map((vm) => account?.vcpus.find(({ vcpu }) => vcpu === vm.number)?.ranNs ?? 0),
  };
}

/** Jain's index of service over weight: 1 = exactly fair. */
function jain(values: readonly number[]): number {
  const sum = values.reduce((total, value) => total + value, 0);
  return sum ** 2 / (values.length * values.reduce((total, value) => total + value ** 2, 0));
}

describe.each(["credit", "eevdf"])("under %s", (policy) => {
  it("spinning guests retire instructions as their weights say, with an interactive one beside them", async () => {
    const host = await makeHost(policy);
    const weights = [128, 256, 512];
    const vms: HostedVm[] = [];
    for (const weight of weights) vms.push(await spinner(host, { weight }));
    const interactive = await host.createVm({ memoryBytes: 4 * MIB, boot: await hello(), scheduling: { weight: 256 } });
    await interactive.start();
    await untilPrinted(interactive, "> ");
    await wait(WARM_UP_MS);
    const { shares } = await measure(host, vms);
    const all = weights.reduce((sum, weight) => sum + weight, 0);
    for (const [i, share] of shares.entries()) {
      const due = (weights[i] ?? 0) / all;
      expect(Math.abs(share - due) / due, `weight ${weights[i]}: ${share} for ${due}`).toBeLessThan(0.02);
    }
    expect(jain(shares.map((share, i) => share / (weights[i] ?? 1)))).toBeGreaterThan(0.99);
    const account = await interactive.account();
    // A hundred ticks a second, each woken in front of three guests that want all the time there is.
    expect(account?.wakeLatency.count).toBeGreaterThan(500);
    console.log(`${policy}: wake-up p99 ${((account?.wakeLatency.p99Ns ?? 0) / 1e6).toFixed(2)} ms`);
    expect(account?.wakeLatency.p99Ns).toBeLessThan(10e6);
  });

  it("a capped guest gets its cap, and the others the rest by weight", async () => {
    const host = await makeHost(policy);
    const capped = await spinner(host, { weight: 1024, capPercent: 20 });
    const others = [await spinner(host, { weight: 100 }), await spinner(host, { weight: 300 })];
    await wait(WARM_UP_MS);
    const { times, shares } = await measure(host, [capped, ...others]);
    expect(Math.abs((times[0] ?? 0) - 0.2) / 0.2, `cap 20%: ${times[0]}`).toBeLessThan(0.02);
    expect(Math.abs((shares[2] ?? 0) / (shares[1] ?? 1) - 3) / 3, `1:3: ${shares}`).toBeLessThan(0.02);
  });

  it("a cap holds where the guest is alone", async () => {
    const host = await makeHost(policy);
    const capped = await spinner(host, { capPercent: 30 });
    await wait(WARM_UP_MS);
    const { times } = await measure(host, [capped]);
    expect(Math.abs((times[0] ?? 0) - 0.3) / 0.3, `cap 30%: ${times[0]}`).toBeLessThan(0.02);
  });
});

describe("steal time", () => {
  it("in the guest's /proc/stat agrees with the host's account", async () => {
    const host = await makeHost("credit");
    const { boot, memoryBytes } = await linuxBoot({ image: "linux", script: "steal.sh" });
    const vm = await host.createVm({ boot, memoryBytes: memoryBytes ?? 256 * MIB });
    await vm.start();
    await untilPrinted(vm, "ready", 90_000);
    const rivals = [await spinner(host, { weight: 256 }), await spinner(host, { weight: 256 })];
    vm.serial().write("go\n");
    await untilPrinted(vm, "begin go");
    const before = (await vm.account())?.stolenNs ?? 0;
    await untilPrinted(vm, "measured", 60_000);
    const after = (await vm.account())?.stolenNs ?? 0;
    for (const rival of rivals) await rival.stop({ force: true });
    await untilPrinted(vm, "ticks\r\n");
    const guestNs = Number(/stolen (\d+)/.exec(new TextDecoder().decode(vm.scrollback()))?.[1]) * 1e7;
    expect(after - before).toBeGreaterThan(2e9);
    expect(
      Math.abs(guestNs - (after - before)) / (after - before),
      `guest ${guestNs}, host ${after - before}`,
    ).toBeLessThan(0.05);
  });
});
