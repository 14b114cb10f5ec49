#!/bin/sh
# Builds the kernel: build.sh FILE, in roms/. User programs are linked by themselves and put into the kernel as data.
# The same compiler gives the same bytes, wherever it runs: see tools/roms.mjs.
set -e
export LC_ALL=C
file=$1
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
flags="-m32 -march=i686 -Os -std=gnu11 -ffreestanding -mgeneral-regs-only -mpreferred-stack-boundary=2
  -fno-pic -fno-pie -fno-stack-protector -fno-asynchronous-unwind-tables -fcf-protection=none -fno-strict-aliasing
  -fno-delete-null-pointer-checks -fno-tree-loop-distribute-patterns -fno-common -Wall -Wextra -Werror -I kernel -I lib"
# compile SOURCE: an object in $out named by the source's path
compile() {
  gcc $flags -Wa,-I,"$out" -c -o "$out/$(echo "$1" | tr / -).o" "$1"
}
link() { # link SCRIPT FILE OBJECT...
  script=$1 target=$2
  shift 2
  ld -m elf_i386 -n -z noexecstack --no-warn-rwx-segments --build-id=none -T "$script" -o "$target" "$@"
}
for source in kernel/user/*.S kernel/user/*.c; do compile "$source"; done
# What both have.
both="kernel/memory.c kernel/format.c"
for source in $both; do compile "$source"; done
shared="$out/kernel-memory.c.o $out/kernel-format.c.o"
link kernel/user.ld "$out/user.elf" "$out"/kernel-user-*.o $shared
objcopy -O binary -j .all --set-section-flags .all=alloc,load,contents "$out/user.elf" "$out/user.bin"
objects=$shared
for source in kernel/*.S kernel/*.c kernel/drivers/*.c kernel/bench/*.c; do
  case " $both " in *" $source "*) continue ;; esac
  compile "$source"
  objects="$objects $out/$(echo "$source" | tr / -).o"
done
link kernel/kernel.ld "$out/kernel.elf" $objects
objcopy --strip-all "$out/kernel.elf" "$out/kernel.bin"
cp "$out/kernel.bin" "$file"
chmod 644 "$file"
