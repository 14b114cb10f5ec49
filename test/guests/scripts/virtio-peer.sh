#!/bin/sh
# One of two guests on a cable: serves a file by HTTP, or fetches it. paravane.peer says which.
pass() { echo "PASS: $1"; }
is() { if [ "$2" = "$3" ]; then pass "$1"; else echo "FAIL: $1: $2 instead of $3"; failures=1; fi; }
failures=0
modprobe -a virtio_pci virtio_net
ip link set eth0 up
if grep -q paravane.peer=server /proc/cmdline; then
  ip addr add 10.0.0.1/24 dev eth0
  httpd -p 80 -h /bin
  nc -l -p 81 | grep -q thanks && pass "served"
else
  ip addr add 10.0.0.2/24 dev eth0
  until ping -c 1 -W 1 10.0.0.1 >/dev/null; do :; done
  for n in 1 2 3 4 5 6 7 8 9; do wget -q -O /tmp/got http://10.0.0.1/busybox && break; sleep 1; done
  is "fetched" "$(sha256sum </tmp/got)" "$(sha256sum </bin/busybox)"
  is "no bad checksums" "$(awk '/^Tcp: [0-9]/ { print $15 }' /proc/net/snmp)" 0
  until echo thanks | nc 10.0.0.1 81; do sleep 1; done
fi
exit "$failures"
