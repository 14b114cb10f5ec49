// A machine without a VM around it, driven one runVcpu at a time, so that a test can stop it between any two of them:
// also where an instruction waits for the answer that its exit has just got.
import { Exit } from "../../spec/exits.ts";
import { prepareBoot } from "../../src/boot/index.ts";
import { nodePlatform } from "../../src/platform/node/index.ts";
import type { MemoryKind } from "../../src/platform/platform.ts";
import { checkConfig } from "../../src/vmm/check-config.ts";
import type { VmConfig } from "../../src/vmm/config.ts";
import { Next } from "../../src/vmm/exits/handler.ts";
import { exitHandlers } from "../../src/vmm/exits/index.ts";
import { Machine, type MachineEvents } from "../../src/vmm/machine.ts";
import { loadMachine, type MachineState } from "../../src/vmm/machine-state.ts";
import { powerOn } from "../../src/vmm/power-on.ts";
import { hashState } from "../../src/vmm/state-hash.ts";

const nothing = (): void => {};

export class BareMachine {
  /** Everything the guest sent to serial ports and debug consoles. */
  output = "";
  private constructor(readonly config: VmConfig) {}
  machine!: Machine;

  /** Powered on, or with `from` made anew around that state and a copy of that RAM. */
  static async create(config: VmConfig, kind: MemoryKind = "plain"): Promise<BareMachine> {
    const bare = new BareMachine(config);
    const checked = checkConfig(config);
    bare.machine = await Machine.create(checked, nodePlatform(), bare.#events(), kind);
    await powerOn(bare.machine, (board) => prepareBoot(checked.boot, board));
    return bare;
  }

  static async restore(config: VmConfig, state: MachineState, guest: Uint8Array): Promise<BareMachine> {
    const bare = new BareMachine(config);
    bare.machine = await Machine.create(checkConfig(config), nodePlatform(), bare.#events());
    bare.guestBytes().set(guest);
    loadMachine(bare.machine, state);
    return bare;
  }

  static async adopt(config: VmConfig, state: MachineState, memory: WebAssembly.Memory): Promise<BareMachine> {
    const bare = new BareMachine(config);
    bare.machine = await Machine.adopt(checkConfig(config), nodePlatform(), bare.#events(), memory);
    loadMachine(bare.machine, state, "adopted");
    return bare;
  }

  /** ROM and RAM, a view. */
  guestBytes(): Uint8Array {
    const { map, memory } = this.machine;
    return new Uint8Array(memory.buffer).subarray(map.romBase, map.ramBase + map.ramBytes);
  }

  /** One entry of at most `budget` instructions with its exit handled. False once the machine has ended. */
  enter(budget: number): boolean {
    const { machine } = this;
    const { core, clock, vcpu } = machine;
    clock.fireDue();
    core.advanceTimers(vcpu.address, core.clockNowNs(vcpu.address));
    const reason = core.runVcpu(vcpu.address, BigInt(budget));
    const next = exitHandlers[reason]?.(machine);
    if (next === Next.Idle && reason === Exit.Hlt) {
      const inCore = Number(core.nextDeadlineNs(vcpu.address));
      const wait = Math.min(inCore, clock.nextDeadlineNs()) - clock.nowNs();
      if (!(wait < 1e12)) return false;
      core.advanceClock(vcpu.address, BigInt(Math.ceil(wait)));
    }
    return !machine.requested;
  }

  hash(): Promise<string> {
    const { memory, map, vcpu } = this.machine;
    return hashState(memory, map, [vcpu], this.machine.saveDevices(), nodePlatform().sha256);
  }

  #events(): MachineEvents {
    const put = (byte: number): void => {
      this.output += String.fromCharCode(byte);
    };
    return {
      serial: (_port, byte) => put(byte),
      debugcon: put,
      firmwareLog: nothing,
      parallel: put,
      post: nothing,
      wake: nothing,
      trace: nothing,
      removed: nothing,
    };
  }
}
