#!/bin/sh
# A guest on a user network, as init set it up: paravane.host is a port of the host with a server on it.
pass() { echo "PASS: $1"; }
fail() { echo "FAIL: $1: $2"; failures=1; }
is() { if [ "$2" = "$3" ]; then pass "$1"; else fail "$1" "$2 instead of $3"; fi; }
parameter() { sed -n "s/.*paravane\.$1=\([^ ]*\).*/\1/p" /proc/cmdline; }
failures=0
port="$(parameter host)"
is "address by DHCP" "$(ip -4 addr show eth0 | sed -n 's/.*inet \([^ ]*\).*/\1/p')" "10.0.2.15/24"
is "route by DHCP" "$(ip route | sed -n 's/^default via \([^ ]*\).*/\1/p')" "10.0.2.2"
is "name server by DHCP" "$(cat /etc/resolv.conf)" "nameserver 10.0.2.3"
is "name by DHCP" "$(hostname)" "guest"
if ping -c 3 -W 5 10.0.2.2 >/tmp/ping; then pass "ping"; else fail "ping" "$(tail -2 /tmp/ping)"; fi
if ping -c 1 -s 8000 -W 5 10.0.2.2 >/tmp/ping; then pass "ping in fragments"; else fail "ping in fragments" "$(tail -2 /tmp/ping)"; fi
is "download" "$(wget -q -O - "http://10.0.2.2:$port/large" | sha256sum | cut -c 1-16)" "$(wget -q -O - "http://10.0.2.2:$port/large.sum")"
dd if=/bin/busybox of=/tmp/up bs=1024 count=600 2>/dev/null
is "upload" "$(nc 10.0.2.2 "$(parameter sum)" </tmp/up)" "$(sha256sum </tmp/up | cut -c 1-16)"
wget -q -O - "http://10.0.2.2:1/" 2>/tmp/refused
case "$(cat /tmp/refused)" in *refused*) pass "refused" ;; *) fail "refused" "$(cat /tmp/refused)" ;; esac
# A static busybox has a resolver of its own in this command alone.
if nslookup server.test.example | grep -q '10\.0\.2\.2$'; then pass "by name"; else fail "by name" "no address"; fi
is "no bad checksums" "$(awk '/^Tcp: [0-9]/ { print $15 }' /proc/net/snmp)" 0
(nc -l -p 2000 -e sh -c 'sha256sum | cut -c 1-16') &
sleep 1
echo "network: listening"
wait
pass "served"
exit "$failures"
