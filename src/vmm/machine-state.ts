// Everything that a machine is outside guest RAM, as plain data: what a snapshot stores, and what goes along when a VM
// moves to another thread. By name and never by position; nothing of the host is in it.
import { NAMED_FEATURES } from "../../spec/cpuid.ts";
import {
  CHIPSET_BASE,
  CPUID_COUNT,
  CPUID_MAX,
  CPUID_STRIDE,
  CPUID_TABLE,
  FEATURES,
  IO_DATA,
  IO_DATA_SIZE,
  LAST_EXIT,
  REPLAY_COUNT,
  REPLAY_LOG,
  REPLAY_MAX,
  REPLAY_STRIDE,
  VM_A20_MASK,
  VM_BASE,
  VM_TSC_KHZ,
} from "../../spec/layout.ts";
import { CHIPSET_STATE, VCPU_STATE, VM_STATE } from "../../spec/state.ts";
import { type CpuModel, installCpuModel } from "../vcpu/cpu-model.ts";
import type { Vcpu } from "../vcpu/vcpu.ts";
import type { ClockState } from "./clock.ts";
import type { DeviceState } from "./device.ts";
import { VmError } from "./error.ts";
import type { Machine } from "./machine.ts";
import { checkRanges, loadRanges, type SavedRanges, saveRanges } from "./state-ranges.ts";

/** Bumped when a state of one version cannot be read by the rules of the other. */
export const MACHINE_STATE_VERSION = 1;

/** JSON-compatible with `Uint8Array` leaves, so it can be structured-cloned. */
export interface MachineState {
  readonly version: typeof MACHINE_STATE_VERSION;
  readonly memoryBytes: number;
  readonly romBytes: number;
  /** Default 0. */
  readonly vramBytes?: number;
  /** What the guest found out about its CPU stays true. */
  readonly cpu: CpuState;
  readonly vcpus: readonly VcpuState[];
  readonly chipset: SavedRanges;
  readonly vm: SavedRanges;
  readonly clock: ClockState;
  /** Sources that hold each GSI high. */
  readonly irqs: Uint8Array;
  readonly devices: Readonly<Record<string, SavedDevice>>;
}

export interface CpuState {
  readonly features: readonly string[];
  /** The CPUID table as the core keeps it. */
  readonly cpuid: Uint8Array;
}

export interface VcpuState {
  readonly eflags: number;
  readonly ranges: SavedRanges;
  /** An instruction waits for the host, or will be executed again with the answers that the host has given. */
  readonly unfinished: { readonly ioData: Uint8Array; readonly replayLog: Uint8Array } | null;
}

export interface SavedDevice {
  readonly version: number;
  readonly state: DeviceState;
}

/** A century of guest time. */
const GUEST_NS_MAX = 100 * 366 * 86_400 * 1e9;
/** What a Date can hold. */
const DATE_MS_MAX = 8.64e15;
const FEATURE_WORDS = 4;
const NO_EXIT = 0xffffffff;

/**
 * The state of a machine whose vCPUs are outside runVcpu and whose clock stands. Guest RAM and ROM are the caller's to
 * copy, or to share.
 */
export function saveMachine(machine: Machine): MachineState {
  const memory = new Uint8Array(machine.memory.buffer);
  const { board, clock, irqs, map } = machine;
  // First: saving makes devices catch up with the clock, which may raise lines.
  const devices = Object.fromEntries(
    board.devices.map((device) => [device.name, { version: device.stateVersion, state: device.save() }]),
  );
  return {
    version: MACHINE_STATE_VERSION,
    memoryBytes: map.ramBytes,
    romBytes: map.romBytes,
    vramBytes: map.vramBytes,
    cpu: saveCpu(machine.vcpu),
    vcpus: [saveVcpu(machine.vcpu, memory)],
    chipset: saveRanges(memory, CHIPSET_BASE, CHIPSET_STATE),
    vm: saveRanges(memory, VM_BASE, VM_STATE),
    clock: clock.save(),
    irqs: irqs.save(),
    devices,
  };
}

/**
 * Puts a state into a machine that was made for the same configuration and has not run. `memory` says where its memory
 * comes from: "fresh" (this writes everything outside RAM) or "adopted" (Machine.adopt: the vCPUs, the chipset and
 * what is derived from them are there already, and only the objects around them take up their state).
 * Throws VmError("bad-snapshot") naming what does not fit; the machine must then be thrown away.
 */
export function loadMachine(machine: Machine, state: MachineState, memory: "fresh" | "adopted" = "fresh"): void {
  checkMachineState(machine, state);
  const { board, clock, irqs } = machine;
  if (memory === "fresh") {
    loadCpu(machine.vcpu, new DataView(machine.memory.buffer), state.cpu);
    const bytes = new Uint8Array(machine.memory.buffer);
    loadRanges(bytes, VM_BASE, VM_STATE, state.vm);
    loadRanges(bytes, CHIPSET_BASE, CHIPSET_STATE, state.chipset);
    loadVcpu(machine, machine.vcpu, bytes, state.vcpus[0] as VcpuState);
    machine.restoreControls();
  }
  clock.load(state.clock);
  board.a20.set(new DataView(machine.memory.buffer).getUint32(VM_BASE + VM_A20_MASK, true) === 0xffffffff);
  irqs.load(state.irqs, () => {
    for (const device of board.devices) loadDevice(device, state.devices[device.name] as SavedDevice);
  });
  clock.loadTimers(state.clock.timers);
  machine.core.asyncPfRestored(machine.vcpu.address);
}

function loadDevice(device: Machine["board"]["devices"][number], saved: SavedDevice): void {
  try {
    device.load(saved.state, saved.version);
  } catch (cause) {
    if (cause instanceof VmError && cause.code === "bad-snapshot") throw cause;
    throw new VmError(
      "bad-snapshot",
      `${device.name}: the saved state cannot be read: ${cause instanceof Error ? cause.message : String(cause)}.`,
      { field: `devices.${device.name}` },
      { cause },
    );
  }
}

// ---- CPU model

function saveCpu(vcpu: Vcpu): CpuState {
  const features = NAMED_FEATURES.filter((bit) => hasFeature(vcpu, bit.feature)).map((bit) => bit.name);
  return { features, cpuid: vcpu.bytes(CPUID_TABLE, vcpu.getU32(CPUID_COUNT) * CPUID_STRIDE).slice() };
}

function hasFeature(vcpu: Vcpu, feature: number): boolean {
  return ((vcpu.getU32(FEATURES + (feature >> 5) * 4) >>> (feature & 31)) & 1) !== 0;
}

function loadCpu(vcpu: Vcpu, view: DataView, cpu: CpuState): void {
  const features = new Array<number>(FEATURE_WORDS).fill(0);
  // Bit 0 stands for what every CPU has.
  features[0] = 1;
  for (const { name, feature } of NAMED_FEATURES) {
    if (cpu.features.includes(name))
      features[feature >> 5] = (features[feature >> 5] as number) | (1 << (feature & 31));
  }
  const table = new DataView(cpu.cpuid.buffer, cpu.cpuid.byteOffset, cpu.cpuid.byteLength);
  const leaves: CpuModel["leaves"] = Array.from({ length: cpu.cpuid.length / CPUID_STRIDE }, (_, i) => {
    const word = (n: number): number => table.getUint32(i * CPUID_STRIDE + n * 4, true);
    return {
      leaf: word(0),
      subleaf: word(1),
      subleafMatters: word(2) !== 0,
      eax: word(3),
      ebx: word(4),
      ecx: word(5),
      edx: word(6),
    };
  });
  installCpuModel(view, vcpu.address, { name: "saved", featureNames: cpu.features, features, leaves });
}

// ---- vCPU

function saveVcpu(vcpu: Vcpu, memory: Uint8Array): VcpuState {
  const answers = Math.min(vcpu.getU32(REPLAY_COUNT), REPLAY_MAX);
  const unfinished = answers > 0 || vcpu.getU32(LAST_EXIT) !== NO_EXIT;
  return {
    eflags: vcpu.eflags,
    ranges: saveRanges(memory, vcpu.address, VCPU_STATE),
    unfinished: unfinished
      ? {
          ioData: vcpu.bytes(IO_DATA, IO_DATA_SIZE).slice(),
          replayLog: vcpu.bytes(REPLAY_LOG, answers * REPLAY_STRIDE).slice(),
        }
      : null,
  };
}

function loadVcpu(machine: Machine, vcpu: Vcpu, memory: Uint8Array, state: VcpuState): void {
  loadRanges(memory, vcpu.address, VCPU_STATE, state.ranges);
  // Derives segment rights and decode mode and empties the TLBs; it also forgets what is half done and reads the PDPTEs
  // anew, so those are put in afterwards.
  vcpu.restoreEflags(state.eflags);
  machine.core.syncVcpu(vcpu.address);
  loadRanges(memory, vcpu.address, AFTER_SYNC, state.ranges);
  if (state.unfinished === null) return;
  vcpu.bytes(IO_DATA, IO_DATA_SIZE).set(state.unfinished.ioData);
  vcpu.bytes(REPLAY_LOG, state.unfinished.replayLog.length).set(state.unfinished.replayLog);
}

const AFTER_SYNC = VCPU_STATE.filter((range) =>
  ["pdpte", "vectoring", "shutdown", "event", "last-exit", "replay"].includes(range.name),
);

// ---- checks, before anything changes

function checkMachineState(machine: Machine, state: MachineState): void {
  if (state.version !== MACHINE_STATE_VERSION) {
    refuse("version", `is ${state.version}; this build reads ${MACHINE_STATE_VERSION}`);
  }
  const { map, board } = machine;
  if (state.memoryBytes !== map.ramBytes)
    refuse("memoryBytes", `is ${state.memoryBytes}; this machine has ${map.ramBytes}`);
  if (state.romBytes !== map.romBytes) refuse("romBytes", `is ${state.romBytes}; this machine has ${map.romBytes}`);
  const { vramBytes = 0 } = state;
  if (vramBytes !== map.vramBytes) refuse("vramBytes", `is ${vramBytes}; this machine has ${map.vramBytes}`);
  checkCpu(state.cpu);
  if (!Array.isArray(state.vcpus) || state.vcpus.length !== map.vcpuCount) {
    refuse("vcpus", `must be the states of ${map.vcpuCount} vCPUs, as many as this machine has`);
  }
  state.vcpus.forEach((vcpu, i) => checkVcpu(vcpu, `vcpus[${i}]`));
  checkRanges(object(state.chipset, "chipset") as SavedRanges, CHIPSET_STATE, "chipset");
  checkRanges(object(state.vm, "vm") as SavedRanges, VM_STATE, "vm");
  const tscKhz = firstU32(state.vm["tsc-khz"] as Uint8Array);
  const ours = new DataView(machine.memory.buffer).getUint32(VM_BASE + VM_TSC_KHZ, true);
  if (tscKhz !== ours) refuse("vm.tsc-khz", `is ${tscKhz}; the TSC of this machine runs at ${ours} kHz`);
  checkClock(state.clock);
  if (!(state.irqs instanceof Uint8Array)) refuse("irqs", "is missing");
  const unknown = new Set(Object.keys(object(state.devices, "devices")));
  for (const { name } of board.devices) {
    const saved = object(state.devices[name], `devices.${name}`) as Partial<SavedDevice>;
    if (typeof saved.version !== "number") refuse(`devices.${name}.version`, "is not a number");
    object(saved.state, `devices.${name}.state`);
    unknown.delete(name);
  }
  for (const name of unknown) refuse(`devices.${name}`, "is a device that this machine does not have");
}

function checkCpu(cpu: CpuState): void {
  object(cpu, "cpu");
  if (!Array.isArray(cpu.features)) refuse("cpu.features", "is not a list of names");
  for (const name of cpu.features) {
    if (!NAMED_FEATURES.some((bit) => bit.name === name)) {
      refuse("cpu.features", `asks for ${JSON.stringify(name)}, a CPU feature that this build does not implement`);
    }
  }
  const table: unknown = cpu.cpuid;
  if (!(table instanceof Uint8Array) || table.length % CPUID_STRIDE !== 0 || table.length > CPUID_MAX * CPUID_STRIDE) {
    refuse("cpu.cpuid", `is not a table of at most ${CPUID_MAX} leaves`);
  }
}

function checkVcpu(vcpu: VcpuState, where: string): void {
  object(vcpu, where);
  if (!Number.isInteger(vcpu.eflags)) refuse(`${where}.eflags`, "is not an integer");
  checkRanges(object(vcpu.ranges, `${where}.ranges`) as SavedRanges, VCPU_STATE, where);
  const ranges = vcpu.ranges as Record<string, Uint8Array>;
  if (firstU32(ranges["cpl"] as Uint8Array) > 3) refuse(`${where}.cpl`, "is not 0 to 3");
  const answers = firstU32(ranges["replay"] as Uint8Array);
  if (vcpu.unfinished === null && answers === 0) return;
  const { ioData, replayLog } = object(vcpu.unfinished, `${where}.unfinished`) as Record<string, unknown>;
  if (!(ioData instanceof Uint8Array) || ioData.length !== IO_DATA_SIZE) {
    refuse(`${where}.unfinished.ioData`, `is not ${IO_DATA_SIZE} bytes`);
  }
  if (answers > REPLAY_MAX || !(replayLog instanceof Uint8Array) || replayLog.length !== answers * REPLAY_STRIDE) {
    refuse(`${where}.unfinished.replayLog`, `does not hold the ${answers} answers that were given`);
  }
}

function checkClock(clock: ClockState): void {
  object(clock, "clock");
  if (clock.kind !== "real" && clock.kind !== "virtual") refuse("clock.kind", "is neither real nor virtual");
  if (!(clock.nowNs >= 0 && clock.nowNs <= GUEST_NS_MAX)) refuse("clock.nowNs", "is not a time since power-on");
  if (!(Math.abs(clock.wallOriginMs) <= DATE_MS_MAX)) refuse("clock.wallOriginMs", "is not a date");
  if (!Number.isFinite(clock.hostOriginMs ?? 0)) refuse("clock.hostOriginMs", "is not a time");
  for (const [name, deadline] of Object.entries(object(clock.timers, "clock.timers"))) {
    if (deadline !== null && !Number.isFinite(deadline)) refuse(`clock.timers.${name}`, "is neither a time nor null");
  }
}

function firstU32(bytes: Uint8Array): number {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint32(0, true);
}

function object(value: unknown, field: string): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value) || ArrayBuffer.isView(value)) {
    refuse(field, value === undefined ? "is missing" : "is not an object");
  }
  return value as Record<string, unknown>;
}

function refuse(field: string, what: string): never {
  throw new VmError("bad-snapshot", `${field} of the saved machine ${what}.`, { field });
}
