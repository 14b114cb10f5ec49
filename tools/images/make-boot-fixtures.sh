#!/bin/sh
# Makes the boot fixtures again: the multiboot program, and one small payload in each compression that kernels use.
# Needs gcc (with -m32), gzip, bzip2, xz, lz4 and zstd.
set -eu
cd "$(dirname "$0")/../../test/boot/fixtures"

gcc -m32 -ffreestanding -nostdlib -static -fno-pic -no-pie -fno-stack-protector -fno-asynchronous-unwind-tables \
  -Os -Wl,-Ttext=0x100400 -Wl,--section-start=.multiboot=0x100000 -Wl,--build-id=none -Wl,-z,noexecstack \
  -Wl,-e,start -o mbdump.elf mbdump.c
strip mbdump.elf

gzip -9nc payload.bin >payload.gz
bzip2 -9c payload.bin >payload.bz2
xz --format=lzma -9c payload.bin >payload.lzma
xz --check=crc32 --lzma2=preset=9 -c payload.bin >payload.xz
xz --check=crc32 --x86 --lzma2=dict=32MiB -c payload.bin >payload.x86.xz
xz --check=crc64 --block-size=8192 -c payload.bin >payload.blocks.xz
xz --check=sha256 -c payload.bin >payload.sha256.xz
lz4 -l -9 -q -f payload.bin payload.lz4
zstd -q --ultra -22 <payload.bin >payload.zst
