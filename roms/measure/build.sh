#!/bin/sh
# Builds the measuring program for Linux guests: build.sh FILE, in roms/.
set -e
export LC_ALL=C
gcc -m32 -march=i686 -O2 -std=gnu11 -ffreestanding -mgeneral-regs-only -fno-pic -no-pie -fno-stack-protector \
  -fno-asynchronous-unwind-tables -fcf-protection=none -fno-strict-aliasing -fno-tree-loop-distribute-patterns -fno-common \
  -static -nostdlib -s -Wall -Wextra -Werror -Wl,--build-id=none -Wl,-z,noexecstack -Wl,-z,noseparate-code \
  -o "$1" measure/*.c
chmod 755 "$1"
