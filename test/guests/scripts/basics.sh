#!/bin/sh
# What a shell on a Linux machine must be able to do, with busybox alone: each check prints PASS or FAIL.
failures=0

# check NAME EXPECTED ACTUAL
check() {
  if [ "$2" = "$3" ]; then
    echo "PASS: $1"
  else
    echo "FAIL: $1: expected \"$2\", got \"$3\""
    failures=$((failures + 1))
  fi
}

# holds NAME COMMAND...: the command succeeds
holds() {
  name="$1"
  shift
  "$@"
  check "$name" 0 $?
}

# --- files
mkdir -p /tmp/t && cd /tmp/t || exit 2
printf 'one\ntwo\nthree\n' >a
cp a b && cmp a b
check "files: a copy is equal" 0 $?
check "files: sha256 of known text" 602e7058aad9aea24535dbc5aa7627f6353aef5e2b3e7909e9b31ce7c826e72f \
  "$(seq 1 1000 | tr '\n' ' ' | head -c 3000 | sha256sum | cut -d' ' -f1)"
ln -s a link && check "files: symbolic link" one "$(head -n 1 link)"
chmod 640 a && check "files: mode" 640 "$(stat -c %a a)"
mv b c && check "files: rename" "a c link" "$(echo *)"
dd if=/dev/zero of=big bs=64k count=16 2>/dev/null
check "files: 1 MiB of zeros" b6d81b360a5672d80c27430f39153e2c "$(md5sum <big | cut -d' ' -f1)"
gzip big && gunzip big.gz && check "files: gzip and back" b6d81b360a5672d80c27430f39153e2c "$(md5sum <big | cut -d' ' -f1)"
seq 1 3000 | bzip2 | bunzip2 | md5sum >sum1; seq 1 3000 | md5sum >sum2
holds "files: bzip2 and back" cmp sum1 sum2
mkdir -p tree/x/y && echo deep >tree/x/y/z && tar cf tree.tar tree && rm -r tree && tar xf tree.tar
check "files: tar and back" deep "$(cat tree/x/y/z)"
check "files: find" 3 "$(find tree -type d | wc -l)"
echo first >append && echo second >>append && check "files: append" "first second" "$(tr '\n' ' ' <append | sed 's/ $//')"

# --- pipes
check "pipes: three stages" 500500 "$(seq 1 1000 | sort -rn | awk '{ sum += $1 } END { print sum }')"
check "pipes: a megabyte" 1048576 "$(dd if=/dev/zero bs=1024 count=1024 2>/dev/null | cat | cat | wc -c)"
mkfifo fifo; (echo through >fifo) & check "pipes: fifo" through "$(cat fifo)"; wait
yes | head -n 3 >three; check "pipes: a writer ends with its reader" 3 "$(wc -l <three)"

# --- processes
(exit 7); check "processes: exit status" 7 $?
sleep 100 & pid=$!
sleep 0.2
check "processes: /proc lists a child" sleep "$(cat /proc/$pid/comm)"
kill $pid; wait $pid; check "processes: killed by SIGTERM" 143 $?
i=0; while [ $i -lt 100 ]; do /bin/true || break; i=$((i + 1)); done
check "processes: 100 forks and execs" 100 $i
for n in 1 2 3 4 5 6 7 8; do (seq 1 2000 | md5sum | cut -c1-8 >par$n) & done; wait
check "processes: eight at once agree" 1 "$(cat par* | sort -u | wc -l)"
check "processes: environment" "a b" "$(VARIABLE='a b' sh -c 'echo "$VARIABLE"')"
sh -c 'kill -SEGV $$' 2>/dev/null; check "processes: died of SIGSEGV" 139 $?

# --- signals
cat >trap.sh <<'END'
trap 'echo usr1; got=1' USR1
trap 'echo bye' EXIT
(sleep 0.1; kill -USR1 $$) &
while [ -z "$got" ]; do sleep 0.05; done
END
check "signals: trap" "usr1 bye" "$(sh trap.sh | tr '\n' ' ' | sed 's/ $//')"
sleep 50 & pid=$!
kill -STOP $pid; sleep 0.1; check "signals: stopped" T "$(cut -d' ' -f3 /proc/$pid/stat)"
kill -CONT $pid; sleep 0.1; check "signals: continued" S "$(cut -d' ' -f3 /proc/$pid/stat)"
kill -KILL $pid; wait $pid; check "signals: killed by SIGKILL" 137 $?
timeout 0.2 sleep 50; check "signals: timeout" 143 $?

# --- floating point (awk computes with doubles; busybox's has no mathematical functions)
fp() { awk "BEGIN { $2; printf(\"%.${1}f\", y) }"; }
check "floating point: pi by Machin's series" 3.14159265358979 "$(fp 14 '
  for (i = 0; i < 12; i++) { s = i % 2 ? -1 : 1; k = 2 * i + 1; p5 = 1; p239 = 1
    for (j = 0; j < k; j++) { p5 *= 5; p239 *= 239 }
    y += s * (16 / p5 - 4 / p239) / k }')"
check "floating point: square root by Newton" 1.4142135623731 "$(fp 13 'y = 1; for (i = 0; i < 8; i++) y = (y + 2 / y) / 2')"
check "floating point: e" 2.71828182845905 "$(fp 14 't = 1; for (i = 1; i < 20; i++) { y += t; t /= i }')"
check "floating point: thirds" 0.33333333333333331483 "$(fp 20 'y = 1 / 3')"
check "floating point: large and small" 1 "$(awk 'BEGIN { x = 1e300; print (x * 1e-300 == 1 && x * x > 1e308) }')"
check "floating point: to integer" "-3 7" "$(awk 'BEGIN { print int(-3.99), int(7.99) }')"
check "floating point: sum of a series" 1.6439345667 \
  "$(awk 'BEGIN { for (i = 1; i <= 1000; i++) s += 1 / (i * i); printf "%.10f", s }')"
# Several processes at once: each must keep its own registers of the FPU.
for n in 1 2 3 4; do
  (awk -v n=$n 'BEGIN { for (i = 1; i <= 5000; i++) s += n / i; printf "%.6f\n", s / n }' >fp$n) &
done; wait
check "floating point: four processes agree" 9.094509 "$(cat fp? | sort -u | tr '\n' ' ' | sed 's/ $//')"

# --- time
before="$(cut -d' ' -f1 /proc/uptime | tr -d .)"; sleep 1; after="$(cut -d' ' -f1 /proc/uptime | tr -d .)"
slept=$((after - before)); holds "time: sleep 1 takes about a second ($slept/100)" [ $slept -ge 98 -a $slept -le 130 ]

# --- machine
holds "machine: memory" [ "$(awk '/MemTotal/ { print $2 }' /proc/meminfo)" -gt 30000 ]
# Counts either by the local APIC's timer or by the 8254's, whichever the kernel uses.
ticks() { awk '/ (LOC|timer)/ || /LOC:/ { sum += $2 } END { print sum }' /proc/interrupts; }
t1="$(ticks)"; sleep 0.5; t2="$(ticks)"; holds "machine: timer interrupts come" [ "$t2" -gt "$t1" ]
holds "machine: random numbers" [ "$(head -c 16 /dev/urandom | md5sum)" != "$(head -c 16 /dev/urandom | md5sum)" ]

cd /
echo "KERNEL LOG"
dmesg -r
echo "END OF KERNEL LOG"
check "all" 0 "$failures"
[ "$failures" = 0 ]
