#!/bin/sh
# stress-ng with --verify: each stressor checks its own results and ends after a number of operations.
failures=0
stress() {
  if stress-ng --verify --no-rand-seed --temp-path /tmp --timeout 120 --"$1" 1 --"$1"-ops "$2" >/tmp/log 2>&1 &&
    ! grep -q -E 'fail:|skipped' /tmp/log; then
    echo "PASS: stress-ng $1"
  else
    cat /tmp/log
    echo "FAIL: stress-ng $1"
    failures=$((failures + 1))
  fi
}
while read -r name operations; do stress "$name" "$operations"; done <<'END'
cpu 80
atomic 20
bsearch 3
bitonicsort 1
context 20
crypt 1
fault 200
fibsearch 1
fork 60
fp 5
funccall 5
funcret 5
futex 500
hash 5
heapsort 1
hsearch 3
ilog 1
itimer 50
kill 500
longjmp 500
lsearch 1
malloc 500
matrix 20
memcpy 5
memfd 3
mergesort 1
mmap 5
nop 5
pipe 2000
poll 100
prime 2
pthread 50
qsort 1
radixsort 1
sigabrt 20
sigfpe 200
sigsegv 200
signest 50
sigsuspend 200
sigtrap 200
skiplist 1
stack 3
str 5
switch 2000
timer 50
tree 1
vecmath 5
vm 200
wait 50
wcs 5
zlib 2
END
[ "$failures" = 0 ]
