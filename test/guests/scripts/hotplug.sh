#!/bin/sh
# Disks and network cards that come and go while Linux runs: its own ACPI hot-plug driver, nothing else.
pass() { echo "PASS: $1"; }
fail() { echo "FAIL: $1: $2"; failures=1; }
is() { if [ "$2" = "$3" ]; then pass "$1"; else fail "$1" "$2 instead of $3"; fi; }
# Waits for a condition, at most 10 s.
until_true() { for n in $(seq 100); do eval "$1" && return 0; sleep 0.1; done; return 1; }
# Tells the host where we are, and waits until it has done its part.
ask() { echo "host: $1"; read -r word </dev/ttyS0; }
failures=0

modprobe -a virtio_pci virtio_blk virtio_net
[ -d /sys/bus/pci/slots/16 ] && pass "slot 16 is hot-plug" || fail "slot 16 is hot-plug" "acpiphp does not know it"
is "no disk before" "$(ls /sys/block | grep -c vd)" 0

ask "attach disk"
until_true '[ -e /dev/vda ]' && pass "disk appears" || fail "disk appears" "no /dev/vda"
is "disk serial" "$(cat /sys/block/vda/serial)" extra
is "disk size" "$(cat /sys/block/vda/size)" 2048
dd if=/dev/vda bs=512 count=1 2>/dev/null | head -c 5; echo
dd if=/dev/zero of=/dev/vda bs=4096 seek=1 count=1 2>/dev/null && sync && pass "disk is written" || fail "disk is written" "dd failed"

ask "attach second disk"
until_true '[ -e /dev/vdb ]' && pass "second disk appears" || fail "second disk appears" "no /dev/vdb"

ask "detach disk"
until_true '[ ! -e /dev/vda ]' && pass "disk goes" || fail "disk goes" "/dev/vda is there"
[ -e /dev/vdb ] && pass "second disk stays" || fail "second disk stays" "no /dev/vdb"

ask "attach card"
until_true '[ -e /sys/class/net/eth0 ]' && pass "card appears" || fail "card appears" "no eth0"
is "card address" "$(cat /sys/class/net/eth0/address)" 02:70:76:00:00:01
ip link set eth0 up && ip addr add 10.0.0.2/24 dev eth0 && ping -c 1 -W 5 10.0.0.1 >/dev/null && pass "ping" || fail "ping" "no answer"

ask "detach card"
until_true '[ ! -e /sys/class/net/eth0 ]' && pass "card goes" || fail "card goes" "eth0 is there"

# The guest lets go by itself.
echo 0 >/sys/bus/pci/slots/17/power
until_true '[ ! -e /dev/vdb ]' && pass "second disk is given back" || fail "second disk is given back" "/dev/vdb is there"
ask "end"
dmesg | grep -iE "BUG:|oops|call trace|can.t assign" && fail "kernel log" "has complaints" || pass "kernel log"
exit "$failures"
