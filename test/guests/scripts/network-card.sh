#!/bin/sh
# A network card under its driver of Linux's, as init set it up: paravane.host is a port of the host with a server on it.
pass() { echo "PASS: $1"; }
is() { if [ "$2" = "$3" ]; then pass "$1"; else echo "FAIL: $1: $2 instead of $3"; failures=1; fi; }
parameter() { sed -n "s/.*paravane\.$1=\([^ ]*\).*/\1/p" /proc/cmdline; }
failures=0
port="$(parameter host)"
is "driver" "$(basename "$(readlink /sys/class/net/eth0/device/driver)")" "$(parameter driver)"
is "address of the card" "$(cat /sys/class/net/eth0/address)" "02:70:76:00:00:01"
is "address by DHCP" "$(ip -4 addr show eth0 | sed -n 's/.*inet \([^ ]*\).*/\1/p')" "10.0.2.15/24"
ping -c 2 -W 9 10.0.2.2 >/dev/null && pass "ping"
is "download" "$(wget -q -O - "http://10.0.2.2:$port/large" | sha256sum | cut -c 1-16)" "$(wget -q -O - "http://10.0.2.2:$port/large.sum")"
dd if=/bin/busybox of=/tmp/up bs=1024 count=600 2>/dev/null
is "upload" "$(nc 10.0.2.2 "$(parameter sum)" </tmp/up)" "$(sha256sum </tmp/up | cut -c 1-16)"
is "no bad checksums" "$(awk '/^Tcp: [0-9]/ { print $15 }' /proc/net/snmp)" 0
exit "$failures"
