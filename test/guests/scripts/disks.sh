#!/bin/sh
# Linux's own drivers against our IDE disks and CD drive; /dev/sda and sdb are disks, /dev/sr0 a CD, sdc a FAT volume.
pass() { echo "PASS: $1"; }
fail() { echo "FAIL: $1: $2"; failures=1; }
is() { if [ "$2" = "$3" ]; then pass "$1"; else fail "$1" "$2 instead of $3"; fi; }
failures=0
sum() { sha256sum "$@" | cut -d' ' -f1; }

modprobe -a ata_piix sd_mod sr_mod ext4 isofs vfat nls_cp437 nls_ascii nls_utf8
for n in 1 2 3 4 5 6 7 8 9 10; do [ -e /dev/sda ] && [ -e /dev/sr0 ] && [ -e /dev/sdb1 ] && break; sleep 0.2; done
dmesg | grep -iE 'ata[0-9]|sd |sr0' | head -40

# ---- the disk
is "disk size" "$(cat /sys/block/sda/size)" 131072
is "disk model" "$(cat /sys/block/sda/device/model | tr -d ' ')" PARAVANEHARDDIS
is "disk cache" "$(cat /sys/block/sda/queue/write_cache)" "write back"
echo "disks: mode $(cat /sys/class/ata_device/dev1.0/xfer_mode)"
is "the host's bytes" "$(dd if=/dev/sda bs=1M count=8 2>/dev/null | sha256sum | cut -d' ' -f1)" "$(cat /tests/first-sum)"
dd if=/dev/urandom of=/tmp/random bs=1M count=6 2>/dev/null
wanted="$(sum /tmp/random)"
dd if=/tmp/random of=/dev/sda bs=64k seek=160 conv=fsync 2>/dev/null
echo 3 >/proc/sys/vm/drop_caches
is "large blocks" "$(dd if=/dev/sda bs=64k skip=160 count=96 2>/dev/null | sha256sum | cut -d' ' -f1)" "$wanted"
dd if=/tmp/random of=/dev/sda bs=512 seek=40001 count=1999 oflag=direct 2>/dev/null
is "single sectors" "$(dd if=/dev/sda bs=512 skip=40001 count=1999 iflag=direct 2>/dev/null | sha256sum)" \
  "$(dd if=/tmp/random bs=512 count=1999 2>/dev/null | sha256sum)"
dd if=/dev/sda of=/dev/null bs=512 skip=131071 2>/dev/null && pass "the last sector" || fail "the last sector" "not read"

# ---- a directory of the host
mkdir -p /mnt/dir /mnt/cd
mount -t vfat -o iocharset=utf8 /dev/sdb1 /mnt/dir && pass "mount vfat" || fail "mount vfat" failed
(cd /mnt/dir && sha256sum -c -s /tests/dir-sums) && pass "files of the directory" || fail "files of the directory" differ
echo changed >"/mnt/dir/a new file with a long name.text" && sync && umount /mnt/dir
mount -t vfat /dev/sdb1 /mnt/dir
is "writes to the directory's disk" "$(cat '/mnt/dir/a new file with a long name.text')" changed
umount /mnt/dir

# ---- the CD
is "CD size" "$(cat /sys/block/sr0/size)" "$(cat /tests/cd-size)"
mount -t iso9660 /dev/sr0 /mnt/cd && pass "mount iso9660" || fail "mount iso9660" failed
(cd /mnt/cd && sha256sum -c -s /tests/cd-sums) && pass "files of the CD" || fail "files of the CD" differ
eject -m /dev/sr0 2>/dev/null && fail "eject while mounted" "went" || pass "eject while mounted"
umount /mnt/cd
echo 0 >/proc/sys/dev/cdrom/autoclose
eject /dev/sr0 && pass "eject"
mount -t iso9660 /dev/sr0 /mnt/cd 2>/dev/null && fail "open tray" "mounted" || pass "open tray"
eject -t /dev/sr0; sleep 0.2
mount -t iso9660 /dev/sr0 /mnt/cd && pass "closed again" || fail "closed again" failed
umount /mnt/cd
grep -E 'ata_piix' /proc/interrupts
dmesg | grep -iE 'ata.*(exception|error|failed|timeout|frozen|reset)' && fail "kernel log" "has complaints" || pass "kernel log"
exit "$failures"
