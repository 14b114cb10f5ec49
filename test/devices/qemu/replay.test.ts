// Our devices against what QEMU's answered (recorded.json; recorded by record.ts).
import { describe, expect, it } from "vitest";
import { memoryCd, memoryDisk } from "../../../src/backends/block/raw.ts";
import { A20Gate } from "../../../src/devices/a20.ts";
import { AcpiPm } from "../../../src/devices/acpi-pm.ts";
import { CmosRtc } from "../../../src/devices/cmos-rtc.ts";
import { DebugConsole } from "../../../src/devices/debugcon.ts";
import { Dma8237 } from "../../../src/devices/dma8237.ts";
import { FDC_DMA, FloppyController } from "../../../src/devices/floppy/controller.ts";
import { FloppyDrive } from "../../../src/devices/floppy/drive.ts";
import { FwCfg } from "../../../src/devices/fw-cfg.ts";
import { I8042 } from "../../../src/devices/i8042.ts";
import { AtaDrive } from "../../../src/devices/ide/ata-drive.ts";
import { AtapiDrive } from "../../../src/devices/ide/atapi-drive.ts";
import { Piix3Ide } from "../../../src/devices/ide/piix3-ide.ts";
import { IsaDebugExit } from "../../../src/devices/isa-debug-exit.ts";
import { PcTestDevice } from "../../../src/devices/pc-testdev.ts";
import { PciHost } from "../../../src/devices/pci/host.ts";
import { Piix3 } from "../../../src/devices/pci/piix3.ts";
import { Port92 } from "../../../src/devices/port92.ts";
import { ResetControl } from "../../../src/devices/reset-control.ts";
import { Uart16550 } from "../../../src/devices/uart16550.ts";
import type { PortBus } from "../../../src/vmm/bus.ts";
import type { Device, IoRange } from "../../../src/vmm/device.ts";
import { plug, TestClock, TestLine, TestMemory } from "../bench-machine.ts";
import { floppyImage, floppyScenarios } from "./floppy-scenarios.ts";
import { cdImage, diskImage, ideScenarios } from "./ide-scenarios.ts";
import recorded from "./recorded.json";
import { DIFFERENCES, type Scenario, scenarios, WALL_START } from "./scenarios.ts";

/** QEMU's machine of record.ts, in ours. */
function machine(scenario: Scenario): { ports: PortBus; clock: TestClock; memory: TestMemory } {
  const clock = new TestClock(Date.parse(`${WALL_START}Z`));
  const line = (): TestLine => new TestLine();
  const a20 = new A20Gate(() => {});
  const bridge = new Piix3(Array.from({ length: 16 }, line), Array.from({ length: 4 }, line));
  const memory = new TestMemory();
  const buses: { ports: PortBus | undefined } = { ports: undefined };
  const map = (range: IoRange): { unmap(): void } => buses.ports?.addMovable(range) ?? { unmap: () => {} };
  const extra: Device[] = [];
  const pci = new PciHost({
    map: (_space, range) => map(range),
    setIntx: () => {},
    resetControl: new ResetControl(() => {}),
  });
  const pm = new AcpiPm({ sci: line(), clock, powerOff: () => {}, mapPorts: () => ({ unmap: () => {} }) });
  pci.add(1, 0, bridge);
  if (scenario.drives === "ide") {
    const disk = new AtaDrive({ backend: memoryDisk(diskImage()), readOnly: false, serial: "QM00001" });
    const cd = new AtapiDrive({ backend: memoryCd(cdImage()), serial: "QM00003" });
    const ide = new Piix3Ide({
      memory,
      clock,
      irqs: [line(), line()],
      drives: [disk, undefined, cd, undefined],
      mapPorts: map,
    });
    pci.add(1, 1, ide.pci);
    extra.push(ide);
  }
  pci.add(1, 3, pm.pci);
  const dma = new Dma8237(memory);
  if (scenario.drives === "floppy") {
    const drive = new FloppyDrive({ id: "a", backend: memoryDisk(floppyImage()), readOnly: false });
    extra.push(new FloppyController({ irq: line(), dma: dma.channel(FDC_DMA), clock, drives: [drive, undefined] }));
  }
  const devices: Device[] = [
    dma,
    ...extra,
    pci,
    new CmosRtc({ irq: line(), clock, ramBytes: 64 << 20, cpuCount: 1 }),
    new I8042({ keyboardIrq: line(), mouseIrq: line(), a20, clock, requestReset: () => {} }),
    new Port92(a20, () => {}),
    new IsaDebugExit(0xf4, () => {}),
    new FwCfg({ memory: new TestMemory(), ramBytes: 64 << 20, cpuCount: 1 }),
    new Uart16550({ name: "uart0", base: 0x3f8, irq: line(), clock, transmit: () => {} }),
    scenario.name.startsWith("test device") ? new PcTestDevice(line) : new DebugConsole("debugcon", 0xe9, () => {}),
  ];
  const { ports } = plug(...devices);
  buses.ports = ports;
  return { ports, clock, memory };
}

function word(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value, true);
  return bytes;
}

describe("devices answer as QEMU's do", () => {
  it.each([...scenarios, ...ideScenarios, ...floppyScenarios])("$name", (scenario) => {
    const { ports, clock, memory } = machine(scenario);
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
      } else if (step[0] === "skip") {
        ports.read(step[1], step[2]);
      } else if (step[0] === "store") {
        memory.write(step[1], word(step[2]));
      } else if (step[0] === "load") {
        const bytes = new Uint8Array(4);
        memory.read(step[1], bytes);
        wanted.push(
          `#${seen.length} ${last} load ${step[1].toString(16)} = ${(expected?.[seen.length] ?? 0).toString(16)}`,
        );
        const value = new DataView(bytes.buffer).getUint32(0, true);
        seen.push(`#${seen.length} ${last} load ${step[1].toString(16)} = ${value.toString(16)}`);
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
