#!/bin/sh
# 7-Zip's own benchmark checks what it unpacks; then archives of every method, tested and unpacked again.
failures=0
check() {
  if [ "$2" = "$3" ]; then
    echo "PASS: $1"
  else
    echo "FAIL: $1: expected \"$2\", got \"$3\""
    failures=$((failures + 1))
  fi
}
cd /tmp || exit 2
7zz b 1 -mmt1 -md16 -mm=LZMA >log 2>&1; status=$?
[ $status = 0 ] || cat log
check "benchmark" 0 $status
mkdir data && cp /bin/busybox data/ && seq 1 20000 >data/numbers && dd if=/dev/urandom of=data/noise bs=1k count=64 2>/dev/null
want="$(cd data && cat busybox numbers noise | md5sum)"
for method in lzma lzma2 bzip2 ppmd deflate copy; do
  rm -rf archive.7z out
  7zz a -m0=$method -mx1 -mmt1 archive.7z data >log 2>&1 && 7zz t archive.7z >>log 2>&1 && 7zz x -oout archive.7z >>log 2>&1
  status=$?
  [ $status = 0 ] || cat log
  check "$method" "0 $want" "$status $(cd out/data && cat busybox numbers noise | md5sum)"
done
rm -rf out
7zz a -mx1 -mmt1 -pparavane -mhe=on sealed.7z data/numbers >log 2>&1 && 7zz x -pparavane -oout sealed.7z >>log 2>&1
check "AES-256 and back" "$(md5sum <data/numbers)" "$(md5sum <out/data/numbers)"
check "SHA-256 as busybox computes it" "$(busybox sha256sum <data/busybox | cut -d' ' -f1)" \
  "$(7zz h -scrcSHA256 data/busybox | awk '/^[0-9a-fA-F]+ .*busybox/ { print tolower($1) }')"
[ "$failures" = 0 ]
