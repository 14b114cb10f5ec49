// Counters of a VM as one JSON-ready object.
import {
  COUNT_ARENA_FLUSH,
  COUNT_BLOCK_DECODE,
  COUNT_EXCEPTION,
  COUNT_HYPERCALL,
  COUNT_INTERRUPT,
  COUNT_SHADOW_DROPPED,
  COUNT_SHADOW_TABLE,
  COUNT_SMC,
  COUNT_TABLE_UPDATE,
  COUNT_TLB_FILL,
  COUNT_TLB_FLUSH,
} from "../../spec/layout.ts";
import { exitNames } from "./exits/index.ts";
import type { Machine } from "./machine.ts";
import { OTHER_MSRS } from "./msrs.ts";
import type { RunLoop } from "./run-loop.ts";
import type { VmStatistics } from "./status.ts";

const CORE_COUNTERS: readonly (readonly [string, number])[] = [
  ["tlbFills", COUNT_TLB_FILL],
  ["tlbFlushes", COUNT_TLB_FLUSH],
  ["blocksDecoded", COUNT_BLOCK_DECODE],
  ["codeInvalidations", COUNT_SMC],
  ["arenaFlushes", COUNT_ARENA_FLUSH],
  ["interrupts", COUNT_INTERRUPT],
  ["exceptions", COUNT_EXCEPTION],
  ["hypercalls", COUNT_HYPERCALL],
  ["shadowTables", COUNT_SHADOW_TABLE],
  ["shadowTablesDropped", COUNT_SHADOW_DROPPED],
  ["tableUpdates", COUNT_TABLE_UPDATE],
];

/** Counters that are not in the VM's memory, as they go along when it moves. */
export interface ResourceUse {
  readonly hostNs: number;
  readonly vcpuNs: number;
  readonly sleptNs: number;
  readonly resets: number;
  readonly exits: Float64Array;
  readonly unknownPorts: ReadonlyMap<number, number>;
  readonly unknownMmio: number;
  readonly unknownMsrs: ReadonlyMap<number, number>;
}

export function saveUse(machine: Machine, loop: RunLoop, hostNs: number, resets: number): ResourceUse {
  return {
    hostNs,
    resets,
    vcpuNs: loop.vcpuNs,
    sleptNs: loop.sleptNs,
    exits: loop.exitCounts.slice(),
    unknownPorts: new Map(machine.ports.unknown),
    unknownMmio: machine.mmio.unknownCount,
    unknownMsrs: new Map(machine.msrs.counts),
  };
}

export function loadUse(machine: Machine, loop: RunLoop, use: ResourceUse): void {
  loop.vcpuNs = use.vcpuNs;
  loop.sleptNs = use.sleptNs;
  loop.exitCounts.set(use.exits);
  for (const [port, count] of use.unknownPorts) machine.ports.unknown.set(port, count);
  machine.mmio.unknownCount = use.unknownMmio;
  for (const [msr, count] of use.unknownMsrs) machine.msrs.counts.set(msr, count);
}

export function collectStatistics(machine: Machine, loop: RunLoop, hostNs: number, resets: number): VmStatistics {
  const exits: Record<string, number> = {};
  let exitTotal = 0;
  loop.exitCounts.forEach((count, reason) => {
    if (count === 0) return;
    exits[exitNames[reason] ?? String(reason)] = count;
    exitTotal += count;
  });
  const instructions = machine.vcpu.retired;
  const hex = (value: number): string => `0x${value.toString(16)}`;
  return {
    instructions,
    guestSeconds: machine.clock.nowNs() / 1e9,
    hostSeconds: hostNs / 1e9,
    vcpuSeconds: loop.vcpuNs / 1e9,
    idleSeconds: loop.sleptNs / 1e9,
    mips: loop.vcpuNs > 0 ? instructions / (loop.vcpuNs / 1e3) : 0,
    exits,
    exitTotal,
    core: Object.fromEntries(CORE_COUNTERS.map(([name, offset]) => [name, Number(machine.vcpu.getU64(offset))])),
    unknownPorts: Object.fromEntries([...machine.ports.unknown].map(([port, count]) => [hex(port), count])),
    unknownMmio: machine.mmio.unknownCount,
    unknownMsrs: Object.fromEntries(
      [...machine.msrs.counts].map(([msr, count]) => [msr === OTHER_MSRS ? "other" : hex(msr), count]),
    ),
    resets,
    absentPages: { left: machine.absent.left, demanded: machine.absent.demanded, fetched: machine.absent.fetched },
    devices: {
      ...Object.fromEntries(
        machine.board.devices.flatMap((d) => (d.metrics === undefined ? [] : [[d.name, d.metrics()]])),
      ),
      ...machine.timeMetrics(),
    },
  };
}
