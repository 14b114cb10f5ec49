// Ports of the chipset that are answered inside Wasm, as far as VM_KERNEL_DEVICES puts them there.
import { KDEV_PIC, KDEV_PIT, VM_BASE, VM_KERNEL_DEVICES } from "../../spec/layout";
import { nowNs } from "../time/clock";
import { deadlineMoved } from "../time/deadline";
import { pit61Read, pit61Write, pitRead, pitReset, pitWrite } from "../time/pit";
import { ioapicReset } from "./ioapic";
import { picRead, picReset, picWrite } from "./pic";

function isPicPort(port: u32): bool {
  return (port & ~0x81) == 0x20 || (port & ~1) == 0x4d0;
}

function isPitPort(port: u32): bool {
  return (port & ~3) == 0x40 || port == 0x61;
}

/** True for a port of a device that lives in Wasm. */
function ours(port: u32): bool {
  const devices = load<u32>(VM_BASE, VM_KERNEL_DEVICES);
  if (isPicPort(port)) return (devices & KDEV_PIC) != 0;
  return isPitPort(port) && (devices & KDEV_PIT) != 0;
}

function readByte(vcpu: i32, port: u32): u32 {
  if (isPicPort(port)) return picRead(port);
  if (!isPitPort(port)) return 0xff;
  return port == 0x61 ? pit61Read(nowNs(vcpu)) : pitRead(port, nowNs(vcpu));
}

function writeByte(vcpu: i32, port: u32, value: u32): void {
  if (isPicPort(port)) {
    picWrite(port, value);
  } else if (isPitPort(port)) {
    if (port == 0x61) pit61Write(value, nowNs(vcpu));
    else pitWrite(port, value, nowNs(vcpu));
    deadlineMoved(vcpu);
  }
}

/**
 * Reads 1, 2 or 4 bytes from a port of the chipset: the value, or -1 if the first port is not ours. The devices are eight
 * bits wide; wider accesses go to consecutive ports, lowest first, and bytes of other ports float.
 */
export function chipsetPortRead(vcpu: i32, port: u32, size: u32): i64 {
  if (!ours(port)) return -1;
  let value: u32 = 0;
  for (let i: u32 = 0; i < size; i++) {
    const byte = ours(port + i) ? readByte(vcpu, port + i) : 0xff;
    value |= byte << (i << 3);
  }
  return <i64>value;
}

/** Writes likewise. False if the first port is not ours. */
export function chipsetPortWrite(vcpu: i32, port: u32, size: u32, value: u32): bool {
  if (!ours(port)) return false;
  for (let i: u32 = 0; i < size; i++) {
    if (ours(port + i)) writeByte(vcpu, port + i, (value >> (i << 3)) & 0xff);
  }
  return true;
}

/** Power-on state of everything but the local APICs (lapicReset, once a vCPU). Device lines keep their levels. */
export function chipsetReset(vcpu: i32): void {
  // The 8254's OUT0 may rise: with the I/O APIC masked and the 8259s reset after it, nobody keeps that edge.
  ioapicReset();
  pitReset(nowNs(vcpu));
  picReset();
}
