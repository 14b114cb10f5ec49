#!/bin/sh
# A guest that is snapshot in the middle of its work with virtio devices, and goes on in another VM.
is() { if [ "$2" = "$3" ]; then echo "PASS: $1"; else echo "FAIL: $1: $2 instead of $3"; failures=1; fi; }
failures=0
modprobe -a virtio_pci virtio_blk virtio_rng virtio_net virtio_balloon 9pnet_virtio 9p
mkdir -p /mnt/share && mount -t 9p -o trans=virtio,version=9p2000.L share /mnt/share
ip link set eth0 up; ip addr add 10.0.0.2/24 dev eth0
ping -c 1 -W 2 10.0.0.1 >/dev/null
dd if=/dev/hwrng bs=1M count=1 iflag=fullblock of=/tmp/random 2>/dev/null
dd if=/tmp/random of=/dev/vda 2>/dev/null; sync
exec 3>/mnt/share/log
echo "before" >&3
echo "resume: ready"
read -r word
echo "after" >&3; exec 3>&-
is "open file" "$(tr '\n' ' ' </mnt/share/log)" "before after "
echo 3 >/proc/sys/vm/drop_caches
is "disk" "$(head -c 1048576 /dev/vda | sha256sum)" "$(sha256sum </tmp/random)"
dd if=/tmp/random of=/dev/vda seek=1 bs=1M conv=fsync 2>/dev/null
is "disk after" "$(dd if=/dev/vda skip=1 bs=1M count=1 iflag=direct 2>/dev/null | sha256sum)" "$(sha256sum </tmp/random)"
is "entropy" "$(head -c 4096 /dev/hwrng | wc -c)" 4096
ping -c 2 -i 0.2 -W 2 10.0.0.1 >/tmp/ping; is "network" "$(grep -c 'bytes from' /tmp/ping)" 2
exit "$failures"
