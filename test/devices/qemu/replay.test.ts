// Our devices against what QEMU's answered (recorded.json; recorded by record.ts).
import { describe, expect, it } from "vitest";
import { A20Gate } from "../../../src/devices/a20.ts";
import { AcpiPm } from "../../../src/devices/acpi-pm.ts";
import { CmosRtc } from "../../../src/devices/cmos-rtc.ts";
import { DebugConsole } from "../../../src/devices/debugcon.ts";
import { FwCfg } from "../../../src/devices/fw-cfg.ts";
import { I8042 } from "../../../src/devices/i8042.ts";
import { IsaDebugExit } from "../../../src/devices/isa-debug-exit.ts";
import { PcTestDevice } from "../../../src/devices/pc-testdev.ts";
import { PciHost } from "../../../src/devices/pci/host.ts";
import { Piix3 } from "../../../src/devices/pci/piix3.ts";
import { Port92 } from "../../../src/devices/port92.ts";
import { ResetControl } from "../../../src/devices/reset-control.ts";
import { Uart16550 } from "../../../src/devices/uart16550.ts";
import type { PortBus } from "../../../src/vmm/bus.ts";
import type { Device } from "../../../src/vmm/device.ts";
import { plug, TestClock, TestLine, TestMemory } from "../bench-machine.ts";
import recorded from "./recorded.json";
import { DIFFERENCES, type Scenario, scenarios, WALL_START } from "./scenarios.ts";

/** QEMU's machine of record.ts, in ours. */
function machine(scenario: Scenario): { ports: PortBus; clock: TestClock } {
  const clock = new TestClock(Date.parse(`${WALL_START}Z`));
  const line = (): TestLine => new TestLine();
  const a20 = new A20Gate(() => {});
  const bridge = new Piix3(Array.from({ length: 16 }, line), Array.from({ length: 4 }, line));
  const pci = new PciHost({
    map: () => ({ unmap: () => {} }),
    setIntx: () => {},
    resetControl: new ResetControl(() => {}),
  });
  const pm = new AcpiPm({ sci: line(), clock, powerOff: () => {}, mapPorts: () => ({ unmap: () => {} }) });
  pci.add(1, 0, bridge);
  pci.add(1, 3, pm.pci);
  const devices: Device[] = [
    pci,
    new CmosRtc({ irq: line(), clock, ramBytes: 64 << 20, cpuCount: 1 }),
    new I8042({ keyboardIrq: line(), mouseIrq: line(), a20, requestReset: () => {} }),
    new Port92(a20, () => {}),
    new IsaDebugExit(0xf4, () => {}),
    new FwCfg({ memory: new TestMemory(), ramBytes: 64 << 20, cpuCount: 1 }),
    new Uart16550({ name: "uart0", base: 0x3f8, irq: line(), clock, transmit: () => {} }),
    scenario.name.startsWith("test device") ? new PcTestDevice(line) : new DebugConsole("debugcon", 0xe9, () => {}),
  ];
  return { ports: plug(...devices).ports, clock };
}

describe("devices answer as QEMU's do", () => {
  it.each(scenarios)("$name", (scenario) => {
    const { ports, clock } = machine(scenario);
    const expected = (recorded as Record<string, number[]>)[scenario.name];
    expect(expected, "recorded by record.ts").toBeDefined();
    const seen: string[] = [];
    const wanted: string[] = [];
    let last = "";
    for (const step of scenario.steps) {
      if (step[0] === "wait") clock.advance(step[1]);
      else if (step[0] === "out") {
        ports.write(step[1], step[2], step[3]);
        last = `${step[1].toString(16)}<-${step[3].toString(16)}`;
      } else {
        const label = `#${seen.length} ${last} in ${step[1].toString(16)}/${step[2]}`;
        const compared = ~(DIFFERENCES.find(({ port }) => port === step[1])?.bits ?? 0);
        wanted.push(`${label} = ${((expected?.[seen.length] ?? 0) & compared).toString(16)}`);
        seen.push(`${label} = ${(ports.read(step[1], step[2]) & compared).toString(16)}`);
      }
    }
    expect(seen).toEqual(wanted);
    expect(seen).toHaveLength(expected?.length ?? 0);
  });
});
