// Runs the scenario image on the core alone, as QEMU's -kernel would start it, and returns what it prints.
import { readFileSync } from "node:fs";
import { Exit } from "../../../spec/exits.ts";
import * as L from "../../../spec/layout.ts";
import { buildCpuid, installCpuModel } from "../../../src/vcpu/cpu-model.ts";
import { instantiateCore } from "../../../src/vmm/core.ts";
import { allocateMemory, layOut, vcpuAddress, writeHeader } from "../../../src/vmm/memory.ts";
import { machineSlots, writeSlots } from "../../../src/vmm/slots.ts";

const LOAD = 0x100000;
const DEBUG_CONSOLE = 0xe9;
const DEBUG_EXIT = 0xf4;
/** Far more than the image needs: a hang ends. */
const BUDGET = 5_000_000n;

export async function runScenarios(image: Uint8Array): Promise<string> {
  const module = new WebAssembly.Module(readFileSync(new URL("../../../build/paravane.wasm", import.meta.url)));
  const map = layOut({ ramBytes: 4 << 20, romBytes: 0, vcpuCount: 1 });
  const memory = allocateMemory(map);
  writeHeader(memory, map, { kind: "virtual", psPerInstruction: 1000, tscKhz: 1_000_000, apic: true });
  writeSlots(memory, machineSlots(map, 0));
  const vcpu = vcpuAddress(0);
  const view = new DataView(memory.buffer);
  const set = (offset: number, value: number): void => view.setUint32(vcpu + offset, value >>> 0, true);
  installCpuModel(view, vcpu, buildCpuid("pentium3"));
  const core = await instantiateCore(module, memory, { nowNs: () => 0, fillPage: () => 0 });
  core.initVm();
  core.resetVcpu(vcpu);
  new Uint8Array(memory.buffer).set(image, map.ramBase + LOAD);
  for (let n = 0; n < 6; n++) {
    const at = L.SEG + n * L.SEG_STRIDE;
    set(at + L.SEG_LIMIT, 0xffffffff);
    set(at + L.SEG_BASE, 0);
    set(at + L.SEG_ATTR, n === L.SEG_CS ? 0xc09b : 0xc093);
  }
  set(L.CR0, 0x11);
  set(L.EIP, LOAD);
  core.syncVcpu?.(vcpu);
  let text = "";
  for (;;) {
    const exit = core.runVcpu(vcpu, BUDGET);
    if (exit === Exit.PortOut && view.getUint32(vcpu + L.EXIT_PORT, true) === DEBUG_CONSOLE) {
      text += String.fromCharCode(view.getUint8(vcpu + L.EXIT_DATA));
    } else if (exit === Exit.PortOut && view.getUint32(vcpu + L.EXIT_PORT, true) === DEBUG_EXIT) {
      return text;
    } else if (exit === Exit.PortIn) {
      view.setBigUint64(vcpu + L.EXIT_DATA, 0xffffffffn, true);
    } else if (exit !== Exit.PortOut) {
      return `${text}\nexit ${exit} at ${view.getUint32(vcpu + L.EIP, true).toString(16)}\n`;
    }
  }
}
