// Runs what `prepareBoot` made of a machine under QEMU's TCG: the same memory and the same registers, entered through a
// few instructions at the reset vector in place of a BIOS. So another implementation of the CPU and of the PC decides
// whether a boot protocol was carried out.
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { FakeMachine } from "./fake-machine.ts";

export const qemuIsInstalled = spawnSync("qemu-system-i386", ["--version"]).status === 0;

const FIRMWARE_BYTES = 0x10000;
/** Offset of the handover code in the firmware's 64 KiB, which real mode sees at F000:0000. */
const CODE = 0xf000;
const GDT_POINTER = 0xff80;
const DUMP_CHUNK = 1 << 20;

/** 64 KiB that load the machine's GDT, general registers and flat segments, and jump to its EIP. */
function handoverFirmware(machine: FakeMachine): Uint8Array {
  const { registers } = machine;
  const firmware = new Uint8Array(FIRMWARE_BYTES);
  const view = new DataView(firmware.buffer);
  const u32 = (value = 0): number[] => [value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, value >>> 24];
  view.setUint16(GDT_POINTER, registers.gdtr?.limit ?? 0, true);
  view.setUint32(GDT_POINTER + 2, registers.gdtr?.base ?? 0, true);
  const code = registers.cs?.selector ?? 0;
  const data = registers.ds?.selector ?? 0;
  const bytes = [
    // Ports of a PC that a BIOS would have set up: A20 through port 92h.
    0xb0,
    0x02,
    0xe6,
    0x92, // mov al, 2; out 92h, al
    0x2e,
    0x66,
    0x0f,
    0x01,
    0x16,
    GDT_POINTER & 0xff,
    GDT_POINTER >> 8, // lgdt cs:[GDT_POINTER]
    0x66,
    0xb8,
    ...u32(registers.cr0), // mov eax, cr0 value
    0x0f,
    0x22,
    0xc0, // mov cr0, eax
    0x66,
    0xea,
    ...u32(0xf0000 + CODE + 0x40),
    code & 0xff,
    code >> 8, // jmp code:next
  ];
  firmware.set(bytes, CODE);
  firmware.set(
    [
      0x66,
      0xb8,
      data & 0xff,
      data >> 8, // mov ax, data
      0x8e,
      0xd8,
      0x8e,
      0xc0,
      0x8e,
      0xe0,
      0x8e,
      0xe8,
      0x8e,
      0xd0, // mov ds, es, fs, gs, ss
      0xbb,
      ...u32(registers.ebx),
      0xb9,
      ...u32(registers.ecx),
      0xba,
      ...u32(registers.edx),
      0xbe,
      ...u32(registers.esi),
      0xbf,
      ...u32(registers.edi),
      0xbd,
      ...u32(registers.ebp),
      0xbc,
      ...u32(registers.esp),
      0xb8,
      ...u32(registers.eax),
      0xea,
      ...u32(registers.eip),
      code & 0xff,
      code >> 8, // jmp code:eip
    ],
    CODE + 0x40,
  );
  firmware.set([0xe9, (CODE - 0xfff3) & 0xff, ((CODE - 0xfff3) >> 8) & 0xff], 0xfff0);
  return firmware;
}

/** The serial output until `pattern` is seen or `timeoutMs` passes. Needs a machine in protected mode. */
export async function runInQemu(
  machine: FakeMachine,
  pattern: RegExp,
  timeoutMs: number,
  extra: string[] = [],
): Promise<string> {
  const directory = mkdtempSync(join(tmpdir(), "paravane-handover-"));
  try {
    const firmware = join(directory, "firmware.bin");
    writeFileSync(firmware, handoverFirmware(machine));
    const loaders: string[] = [];
    for (const { base, end } of mergeRanges(machine.writes)) {
      for (let at = base; at < end; at += DUMP_CHUNK * 64) {
        const file = join(directory, `ram-${at.toString(16)}`);
        writeFileSync(file, machine.ram.subarray(at, Math.min(end, at + DUMP_CHUNK * 64)));
        loaders.push("-device", `loader,file=${file},addr=0x${at.toString(16)},force-raw=on`);
      }
    }
    const megabytes = String(machine.memory.ramBytes / (1 << 20));
    const child = spawn("qemu-system-i386", [
      "-accel",
      "tcg",
      "-cpu",
      "qemu32,-apic",
      "-m",
      megabytes,
      "-display",
      "none",
      "-vga",
      "none",
      "-net",
      "none",
      "-no-reboot",
      "-serial",
      "stdio",
      "-monitor",
      "none",
      "-bios",
      firmware,
      ...loaders,
      ...extra,
    ]);
    let output = "";
    let errors = "";
    return await new Promise<string>((resolve, reject) => {
      const end = (): void => {
        clearTimeout(timer);
        child.kill("SIGKILL");
        resolve(output);
      };
      const timer = setTimeout(end, timeoutMs);
      child.stdout.on("data", (chunk: Buffer) => {
        output += chunk.toString();
        if (pattern.test(output)) end();
      });
      child.stderr.on("data", (chunk: Buffer) => {
        errors += chunk.toString();
      });
      child.on("error", reject);
      child.on("close", () => {
        clearTimeout(timer);
        resolve(output === "" ? errors : output);
      });
    });
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function mergeRanges(ranges: readonly { base: number; end: number }[]): { base: number; end: number }[] {
  const merged: { base: number; end: number }[] = [];
  for (const range of [...ranges].sort((a, b) => a.base - b.base)) {
    const last = merged.at(-1);
    if (last && range.base <= last.end) last.end = Math.max(last.end, range.end);
    else merged.push({ ...range });
  }
  return merged;
}
