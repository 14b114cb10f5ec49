// An IDE function with a disk and a CD drive on a bus, as a guest without firmware finds it.
import { memoryCd, memoryDisk } from "../../../src/backends/block/raw.ts";
import { AtaDrive } from "../../../src/devices/ide/ata-drive.ts";
import { AtapiDrive } from "../../../src/devices/ide/atapi-drive.ts";
import { Piix3Ide } from "../../../src/devices/ide/piix3-ide.ts";
import type { BlockBackend } from "../../../src/vmm/block.ts";
import { PortBus } from "../../../src/vmm/bus.ts";
import { pattern } from "../../backends/block/tools.ts";
import { TestClock, TestLine, TestMemory } from "../bench-machine.ts";

export const PRIMARY = 0x1f0;
export const SECONDARY = 0x170;
export const CONTROL = 0x206;
export const BUS_MASTER = 0xc000;
export const DISK_BYTES = 1 << 20;
export const CD_BYTES = 128 << 10;

const DISK = pattern(DISK_BYTES, 1);
const CD = pattern(CD_BYTES, 2);

export interface IdeBench {
  readonly ide: Piix3Ide;
  readonly ports: PortBus;
  readonly memory: TestMemory;
  readonly clock: TestClock;
  readonly lines: readonly [TestLine, TestLine];
  readonly cd: AtapiDrive;
}

export interface BenchOptions {
  readonly backend?: BlockBackend;
  readonly readOnly?: boolean;
  readonly medium?: BlockBackend | undefined;
}

export function ideBench(options: BenchOptions = {}): IdeBench {
  const ports = new PortBus();
  const memory = new TestMemory();
  const clock = new TestClock();
  const lines = [new TestLine(), new TestLine()] as const;
  const backend = options.backend ?? memoryDisk(DISK);
  const disk = new AtaDrive({ backend, readOnly: options.readOnly ?? false, serial: "disk" });
  const medium = "medium" in options ? options.medium : memoryCd(CD);
  const cd = new AtapiDrive({ backend: medium, serial: "cd" });
  const mapPorts = ports.addMovable.bind(ports);
  const ide = new Piix3Ide({ memory, clock, irqs: lines, drives: [disk, undefined, cd, undefined], mapPorts });
  ide.pci.attach({ map: (_space, range) => mapPorts(range), setIntx: () => {} });
  ide.reset();
  ide.pci.leaveAsFirmware();
  ide.pci.writeConfig(0x20, 4, BUS_MASTER);
  ide.pci.writeConfig(0x04, 2, 5);
  return { ide, ports, memory, clock, lines, cd };
}

export interface TaskFile {
  readonly base?: number;
  readonly device?: number;
  readonly features?: number;
  readonly count?: number;
  readonly lba?: number;
}

/** Writes the task file and the command. */
export function command(ports: PortBus, code: number, file: TaskFile = {}): void {
  const { base = PRIMARY, device = 0xe0, features = 0, count = 1, lba = 0 } = file;
  ports.write(base + 6, 1, device | ((lba >>> 24) & 15));
  ports.write(base + 1, 1, features);
  ports.write(base + 2, 1, count & 0xff);
  ports.write(base + 3, 1, lba & 0xff);
  ports.write(base + 4, 1, (lba >>> 8) & 0xff);
  ports.write(base + 5, 1, (lba >>> 16) & 0xff);
  ports.write(base + 7, 1, code);
}

export function readBytes(ports: PortBus, port: number, length: number, size = 2): Uint8Array {
  const bytes = new Uint8Array(length);
  ports.readBlock(port, size, bytes);
  return bytes;
}

/** Sends a packet; answers the status that follows. */
export function packet(ports: PortBus, bytes: readonly number[], limit = 0xfffe, features = 0): number {
  ports.write(SECONDARY + 6, 1, 0xa0);
  ports.write(SECONDARY + 1, 1, features);
  ports.write(SECONDARY + 4, 1, limit & 0xff);
  ports.write(SECONDARY + 5, 1, limit >> 8);
  ports.write(SECONDARY + 7, 1, 0xa0);
  const whole = new Uint8Array(12);
  whole.set(bytes);
  ports.writeBlock(SECONDARY, 2, whole);
  return ports.read(SECONDARY + 7, 1);
}

/** Key, additional code and qualifier of REQUEST SENSE. */
export function requestSense(ports: PortBus): number[] {
  packet(ports, [0x03, 0, 0, 0, 18]);
  const sense = readBytes(ports, SECONDARY, 18);
  return [sense[2] ?? 0, sense[12] ?? 0, sense[13] ?? 0];
}

export function setDescriptors(
  memory: TestMemory,
  at: number,
  ...rows: (readonly [address: number, bytes: number])[]
): void {
  const view = new DataView(memory.bytes.buffer);
  for (const [i, [address, bytes]] of rows.entries()) {
    view.setUint32(at + 8 * i, address, true);
    view.setUint32(at + 8 * i + 4, ((bytes & 0xffff) | (i === rows.length - 1 ? 0x80000000 : 0)) >>> 0, true);
  }
}
