#!/bin/sh
# Linux's own drivers against our virtio devices. The first argument of each check is its name.
pass() { echo "PASS: $1"; }
fail() { echo "FAIL: $1: $2"; failures=1; }
is() { if [ "$2" = "$3" ]; then pass "$1"; else fail "$1" "$2 instead of $3"; fi; }
failures=0

modprobe -a virtio_pci virtio_rng virtio_blk virtio_balloon ext4
cat /proc/interrupts | grep -i virtio
lspci -k 2>/dev/null | head -20

# ---- rng
is "rng is the current source" "$(cat /sys/class/misc/hw_random/rng_current)" virtio_rng.0
is "rng gives bytes" "$(dd if=/dev/hwrng bs=1000 count=20 2>/dev/null iflag=fullblock | wc -c)" 20000

# ---- blk
for n in 1 2 3 4 5; do [ -e /dev/vda ] && break; sleep 0.2; done
is "disk size" "$(cat /sys/block/vda/size)" 65536
is "disk serial" "$(cat /sys/block/vda/serial)" root-disk
is "disk is write back" "$(cat /sys/block/vda/queue/write_cache)" "write back"
is "physical blocks" "$(cat /sys/block/vda/queue/physical_block_size)" 4096
is "second disk is read-only" "$(cat /sys/block/vdb/ro)" 1
mkdir -p /mnt/a /mnt/b
mount -t ext4 /dev/vda /mnt/a || fail "mount ext4" "failed"
(cd /mnt/a && sha256sum -c -s sums) && pass "files of the host" || fail "files of the host" "checksums differ"
dd if=/dev/urandom of=/mnt/a/big bs=64k count=100 2>/dev/null
sha256sum /mnt/a/big | cut -d' ' -f1 >/mnt/a/big.sum
sync
umount /mnt/a && mount -t ext4 -o discard /dev/vda /mnt/a
is "what was written is read" "$(sha256sum /mnt/a/big | cut -d' ' -f1)" "$(cat /mnt/a/big.sum)"
echo "disk: big $(cat /mnt/a/big.sum)"
rm /mnt/a/words; sync; fstrim /mnt/a 2>/dev/null && pass "fstrim"
is "write cache to write through" "$(echo 'write through' >/sys/block/vda/cache_type; cat /sys/block/vda/cache_type)" "write through"
umount /mnt/a
dd if=/dev/zero of=/dev/vdb bs=512 count=1 2>/dev/null && fail "read-only disk" "was written" || pass "read-only disk"

# ---- balloon
free() { awk '/^MemFree/ { print $2 }' /proc/meminfo; }
before="$(free)"
echo "balloon: ready $before"
read -r word </dev/ttyS0
sleep 1
after="$(free)"
[ $((before - after)) -gt 50000 ] && pass "balloon takes memory" || fail "balloon takes memory" "$before, then $after"
echo "balloon: inflated $after"
read -r word </dev/ttyS0
sleep 1
again="$(free)"
[ $((again - after)) -gt 50000 ] && pass "balloon gives memory back" || fail "balloon gives memory back" "$after, then $again"

grep -c virtio /proc/interrupts
grep -i "virtio" /proc/interrupts
exit "$failures"
