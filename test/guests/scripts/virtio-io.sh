#!/bin/sh
# Linux's own drivers against our devices that talk to the host: console, shared directory, network, sockets, input.
pass() { echo "PASS: $1"; }
fail() { echo "FAIL: $1: $2"; failures=1; }
is() { if [ "$2" = "$3" ]; then pass "$1"; else fail "$1" "$2 instead of $3"; fi; }
refused() { name="$1"; shift; if "$@" 2>/dev/null; then fail "$name" "it worked"; else pass "$name"; fi; }
failures=0

modprobe -a virtio_pci virtio_console virtio_net 9pnet_virtio 9p vmw_vsock_virtio_transport virtio_input evdev

# ---- console: hvc0 is a terminal, vport a stream with a name
for n in 1 2 3 4 5 6 7 8 9; do [ -e /dev/vport*p1 ] && break; sleep 0.2; done
is "console's size" "$(stty -F /dev/hvc0 size)" "33 111"
# Kept open: the last one to close a terminal throws away what was typed.
exec 3<>/dev/hvc0
echo "hello from hvc0" >&3
read -r line <&3
exec 3>&-
is "a line from the terminal" "$line" "hello guest"
port=/dev/$(basename $(dirname $(grep -l org.paravane.test /sys/class/virtio-ports/*/name)))
is "a port by its name" "$port" "$(ls /dev/vport*p1)"
exec 3<>"$port"
echo "ready" >&3
is "a large stream" "$(head -c 200000 <&3 | sha256sum | cut -c1-16)" "$(cat /tests/stream.sum)"
exec 3>&-

# ---- 9p
mkdir -p /mnt/share && mount -t 9p -o trans=virtio,version=9p2000.L share /mnt/share || fail "9p mount" "failed"
cd /mnt/share
is "a file of the host" "$(cat hello)" "from the host"
is "a large file" "$(sha256sum large | cut -c1-16)" "$(cat large.sum)"
is "listing" "$(ls -a | wc -l)" 308
echo one >new; echo two >>new
is "append" "$(cat new | tr '\n' ' ')" "one two "
mkdir -p deep/er/directory && mv new deep/er/moved && mv deep shallow
is "rename" "$(head -1 shallow/er/moved)" one
dd if=/dev/urandom of=copy bs=100k count=30 2>/dev/null
is "read back" "$(sha256sum <copy)" "$(cat copy | sha256sum)"
chmod 640 copy; touch -d "2001-02-03 04:05:06" copy
is "attributes" "$(stat -c '%a %Y %s' copy)" "640 $(date -d '2001-02-03 04:05:06' +%s) 3072000"
truncate -s 10 copy; is "truncate" "$(stat -c %s copy)" 10
ln copy hard && is "hard link" "$(stat -c %h copy)" 2
ln -s hello soft && is "symlink" "$(cat soft)" "from the host"
rm copy hard; refused "a removed file" cat copy
mkdir full && touch full/x; refused "rmdir of a full directory" rmdir full
sh -c 'exec 4>gone; rm gone; echo still here >&4' && pass "write to a file without a name" || fail "unlinked" "failed"
# The host's secret lies beside the share. A symlink is the guest's to follow, in its own tree.
refused "a path above the root" cat /mnt/share/../secret
ln -s ../secret out; refused "a symlink out" cat out
ln -s / root; is "a symlink to /" "$(ls root/ | grep -c '^init$')" 1
refused "a link that the host had" cat outside/secret
mknod dev c 1 3 2>/dev/null; refused "a device node" test -e dev
df . | grep -q share && pass "free space" || fail "free space" "$(df .)"
cd /

# ---- net
ip link set eth0 up; ip addr add 10.0.0.2/24 dev eth0
is "address" "$(cat /sys/class/net/eth0/address)" 02:70:76:00:00:01
ping -c 3 -i 0.2 -W 2 10.0.0.1 >/tmp/ping 2>&1; is "ping" "$(grep -c 'bytes from' /tmp/ping)" 3
ping -c 3 -i 0.2 -W 2 -s 1400 10.0.0.1 >/tmp/ping; is "large ping" "$(grep -c 'bytes from' /tmp/ping)" 3
ping -c 2 -i 0.2 -W 2 -s 5000 10.0.0.1 >/tmp/ping; is "fragmented ping" "$(grep -c 'bytes from' /tmp/ping)" 2
is "link up" "$(cat /sys/class/net/eth0/carrier)" 1
echo "net: link down please"
for n in 1 2 3 4 5 6 7 8 9; do [ "$(cat /sys/class/net/eth0/carrier)" = 0 ] && break; sleep 0.2; done
is "link down" "$(cat /sys/class/net/eth0/carrier)" 0

# ---- vsock
is "pipe to the host" "$(head -c 3000000 /dev/zero | tr '\0' 'x' | /tests/vsock connect 1234)" "3000000 bytes"
refused "a port that the host refuses" /tests/vsock connect 99
/tests/vsock echo 777

# ---- input
for n in 1 2 3 4 5 6 7 8 9; do grep -q "virtio tablet" /proc/bus/input/devices && break; sleep 0.2; done
# The events of a device as "type code value", once the host was told that somebody reads.
events() {
  node=$(grep -A5 "virtio $1" /proc/bus/input/devices | sed -n 's/.*Handlers=.*\(event[0-9]*\).*/\1/p')
  head -c "$2" /dev/input/$node >/tmp/events &
  sleep 0.3
  echo "input: $1" >/dev/console
  wait
  hexdump -v -e '8/2 "%d " "\n"' /tmp/events | awk '{ printf "%s %s %s,", $5, $6, $7 }'
}
is "a key" "$(events keyboard 64)" "1 30 1,0 0 0,1 30 0,0 0 0,"
is "a move" "$(events mouse 48)" "2 0 5,2 1 -7,0 0 0,"
is "a point" "$(events tablet 48)" "3 0 1000,3 1 2000,0 0 0,"
dmesg | grep -iE "virtio.*(fail|error|bug)|NEEDS_RESET" && fail "kernel log" "complaints"
exit "$failures"
