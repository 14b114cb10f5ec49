#!/bin/sh
# Linux's floppy driver against our controller; /dev/fd0 is a 1.44 MB FAT floppy, fd1 a 720 KB one that is write-protected.
pass() { echo "PASS: $1"; }
fail() { echo "FAIL: $1: $2"; failures=1; }
is() { if [ "$2" = "$3" ]; then pass "$1"; else fail "$1" "$2 instead of $3"; fi; }
failures=0

modprobe -a floppy vfat nls_cp437 nls_ascii
for n in 1 2 3 4 5; do [ -e /dev/fd0 ] && break; sleep 0.2; done
dmesg | grep -i -E 'floppy|fd0|fdc'
is "the host's bytes" "$(sha256sum /dev/fd0 | cut -d' ' -f1)" "$(cat /tests/floppy-sum)"
is "a 720 KB disk" "$(sha256sum /dev/fd1 | cut -d' ' -f1)" "$(cat /tests/small-sum)"
mkdir -p /mnt/fd
mount -t vfat /dev/fd0 /mnt/fd && pass "mount vfat" || fail "mount vfat" failed
dd if=/dev/urandom of=/mnt/fd/random bs=1k count=300 2>/dev/null
sum="$(sha256sum /mnt/fd/random)"
umount /mnt/fd
echo 3 >/proc/sys/vm/drop_caches
mount -t vfat /dev/fd0 /mnt/fd
is "what was written is read" "$(sha256sum /mnt/fd/random)" "$sum"
umount /mnt/fd
dd if=/dev/zero of=/dev/fd1 bs=512 count=1 2>/dev/null && fail "write protection" "was written" || pass "write protection"
grep floppy /proc/interrupts
exit "$failures"
