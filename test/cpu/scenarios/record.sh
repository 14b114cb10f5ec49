#!/bin/sh
# Assembles the scenarios (nasm) and records what QEMU's TCG prints for them (qemu-system-x86). QEMU 7.2 was used.
set -e
cd "$(dirname "$0")"
nasm -f bin -o scenarios.bin scenarios.asm
status=0
timeout 60 qemu-system-i386 -accel tcg -cpu pentium3 -m 16 -display none -serial none -monitor none -no-reboot \
  -debugcon file:scenarios.expected -device isa-debug-exit,iobase=0xf4,iosize=4 -kernel scenarios.bin || status=$?
# isa-debug-exit turns the value 0 into status 1
test "$status" -eq 1
tail -n 1 scenarios.expected
