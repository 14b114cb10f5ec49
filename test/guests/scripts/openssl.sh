#!/bin/sh
# OpenSSL: known answers of the standards, and what it encrypts and signs it can decrypt and verify.
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
digest() { printf %s "$2" | openssl dgst -"$1" -r | cut -d' ' -f1; }
# RFC 1321, FIPS 180-4, FIPS 202, RFC 7693
check "md5" 900150983cd24fb0d6963f7d28e17f72 "$(digest md5 abc)"
check "sha1" a9993e364706816aba3e25717850c26c9cd0d89d "$(digest sha1 abc)"
check "sha256" ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad "$(digest sha256 abc)"
check "sha512" ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f "$(digest sha512 abc)"
check "sha3-256" 3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532 "$(digest sha3-256 abc)"
check "blake2b512" ba80a53f981c4d0d6a2797b69f12f6e94c212f14685ac4b74b12bb6fdbffa2d17d87c5392aab792dc252d5de4533cc9518d38aa8dbf1925ab92386edd4009923 "$(digest blake2b512 abc)"
# FIPS 197 appendix C, and NIST SP 800-38A F.2.1
hex() { od -An -tx1 | tr -d ' \n'; }
bytes() { printf "$(echo "$1" | sed 's/../\\x&/g')"; }
plain=00112233445566778899aabbccddeeff
check "aes-128-ecb" 69c4e0d86a7b0430d8cdb78070b4c55a "$(bytes $plain | openssl enc -aes-128-ecb -nopad -K 000102030405060708090a0b0c0d0e0f | hex)"
check "aes-256-ecb" 8ea2b7ca516745bfeafc49904b496089 "$(bytes $plain | openssl enc -aes-256-ecb -nopad -K 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f | hex)"
check "aes-128-cbc" 7649abac8119b246cee98e9b12e9197d "$(bytes 6bc1bee22e409f96e93d7e117393172a | openssl enc -aes-128-cbc -nopad -K 2b7e151628aed2a6abf7158809cf4f3c -iv 000102030405060708090a0b0c0d0e0f | hex)"
# What 1 MiB becomes and comes back from
dd if=/dev/urandom of=data bs=64k count=16 2>/dev/null
for cipher in aes-256-ctr aes-128-cbc camellia-256-cbc chacha20 des-ede3-cbc aria-256-cbc; do
  openssl enc -$cipher -pbkdf2 -iter 100 -pass pass:paravane -in data -out sealed 2>log &&
    openssl enc -d -$cipher -pbkdf2 -iter 100 -pass pass:paravane -in sealed -out opened 2>>log && cmp data opened
  check "$cipher and back" 0 $?
done
# The digest agrees with busybox's own implementation
check "sha256 as busybox computes it" "$(busybox sha256sum <data | cut -d' ' -f1)" "$(openssl dgst -sha256 -r <data | cut -d' ' -f1)"
sign() {
  openssl genpkey -out key "$@" 2>log && openssl pkey -in key -pubout -out public 2>>log
}
sign -algorithm RSA -pkeyopt rsa_keygen_bits:1024 && openssl dgst -sha256 -sign key -out signature data &&
  openssl dgst -sha256 -verify public -signature signature data
check "RSA sign and verify" 0 $?
sign -algorithm EC -pkeyopt ec_paramgen_curve:P-256 && openssl dgst -sha256 -sign key -out signature data &&
  openssl dgst -sha256 -verify public -signature signature data
check "ECDSA sign and verify" 0 $?
echo changed >>data
openssl dgst -sha256 -verify public -signature signature data >/dev/null 2>&1
check "ECDSA refuses changed data" 1 $?
check "a prime" "65537 is prime" "$(openssl prime 65537 | sed 's/10001 (65537)/65537/')"
check "its own description of the CPU" 0 "$(openssl version -c >/dev/null; echo $?)"
[ "$failures" = 0 ]
