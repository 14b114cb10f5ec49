// Port I/O after the permission checks: devices in Wasm, unless the port bitmap sends them to the host, else an exit.
import {
  CTRL_FLAGS, CTRLF_PORT_BITMAP, EXIT_COUNT, EXIT_DATA, EXIT_PORT, EXIT_SIZE, IO_DATA, PORT_BITMAP,
} from "../../spec/layout";
import { Exit } from "../../spec/exits";
import { chipsetPortRead, chipsetPortWrite } from "../irq/ports";
import { exitAfter, exitBefore, faulted } from "./fault";
import { replayTake, replayValue } from "./replay";

function intercepted(vcpu: i32, port: u32): bool {
  if (!(load<u32>(vcpu, CTRL_FLAGS) & CTRLF_PORT_BITMAP)) return false;
  return ((<u32>load<u8>(vcpu + <i32>(port >> 3), PORT_BITMAP) >> (port & 7)) & 1) != 0;
}

/** Reads `size` bytes (1 2 4) from a port. While it needs the host, 0 with an exit recorded: check `faulted`. */
export function portIn(vcpu: i32, port: u32, size: u32): u32 {
  if (faulted(vcpu)) return 0;
  if (!intercepted(vcpu, port)) {
    const v = chipsetPortRead(vcpu, port, size);
    if (v >= 0) return <u32>v;
  }
  if (replayTake(vcpu, Exit.PortIn | (size << 8), port)) {
    return size == 4 ? <u32>replayValue(vcpu) : <u32>replayValue(vcpu) & ((1 << (size << 3)) - 1);
  }
  store<u32>(vcpu, port, EXIT_PORT);
  store<u32>(vcpu, size, EXIT_SIZE);
  store<u32>(vcpu, 1, EXIT_COUNT);
  exitBefore(vcpu, Exit.PortIn);
  return 0;
}

/** Writes `size` bytes to a port; the exit, if any, follows the instruction. */
export function portOut(vcpu: i32, port: u32, size: u32, value: u32): void {
  if (faulted(vcpu)) return;
  if (!intercepted(vcpu, port) && chipsetPortWrite(vcpu, port, size, value)) return;
  store<u32>(vcpu, port, EXIT_PORT);
  store<u32>(vcpu, size, EXIT_SIZE);
  store<u32>(vcpu, 1, EXIT_COUNT);
  store<u64>(vcpu, <u64>value, EXIT_DATA);
  exitAfter(vcpu, Exit.PortOut);
}

/** Item `index` of IO_DATA, `size` bytes wide. */
export function ioItem(vcpu: i32, index: u32, size: u32): u32 {
  const p = vcpu + IO_DATA + <i32>(index * size);
  return size == 4 ? load<u32>(p) : size == 2 ? <u32>load<u16>(p) : <u32>load<u8>(p);
}

export function setIoItem(vcpu: i32, index: u32, size: u32, value: u32): void {
  const p = vcpu + IO_DATA + <i32>(index * size);
  if (size == 4) store<u32>(p, value);
  else if (size == 2) store<u16>(p, <u16>value);
  else store<u8>(p, <u8>value);
}

/**
 * Reads up to `count` items from a port into IO_DATA and returns how many there are: one from a device in Wasm, all
 * from the host. While it needs the host, 0 with an exit recorded.
 */
export function portInString(vcpu: i32, port: u32, size: u32, count: u32): u32 {
  if (faulted(vcpu)) return 0;
  if (!intercepted(vcpu, port)) {
    const v = chipsetPortRead(vcpu, port, size);
    if (v >= 0) {
      setIoItem(vcpu, 0, size, <u32>v);
      return 1;
    }
  }
  if (replayTake(vcpu, Exit.PortIn | (size << 8), port)) {
    // the host has answered what was asked, and no more than there is room for
    const asked = min<u32>(load<u32>(vcpu, EXIT_COUNT), count);
    if (asked <= 1) setIoItem(vcpu, 0, size, <u32>replayValue(vcpu));
    return max<u32>(asked, 1);
  }
  store<u32>(vcpu, port, EXIT_PORT);
  store<u32>(vcpu, size, EXIT_SIZE);
  store<u32>(vcpu, count, EXIT_COUNT);
  exitBefore(vcpu, Exit.PortIn);
  return 0;
}

/** Writes the first `count` items of IO_DATA to a port. */
export function portOutString(vcpu: i32, port: u32, size: u32, count: u32): void {
  if (!intercepted(vcpu, port) && chipsetPortWrite(vcpu, port, size, ioItem(vcpu, 0, size))) {
    for (let i: u32 = 1; i < count; i++) chipsetPortWrite(vcpu, port, size, ioItem(vcpu, i, size));
    return;
  }
  store<u32>(vcpu, port, EXIT_PORT);
  store<u32>(vcpu, size, EXIT_SIZE);
  store<u32>(vcpu, count, EXIT_COUNT);
  store<u64>(vcpu, <u64>ioItem(vcpu, 0, size), EXIT_DATA);
  exitAfter(vcpu, Exit.PortOut);
}
