#!/bin/sh
# Works for six seconds and says how much time was stolen meanwhile, in hundredths of a second.
steal() { awk '/^cpu /{ print $9 }' /proc/stat; }
echo "ready"
read -r word
before=$(steal)
echo "begin $word"
timeout 6 sh -c 'while :; do :; done'
echo "measured"
after=$(steal)
echo "stolen $((after - before)) ticks"
echo "PASS: steal script"
