#!/bin/sh
# The least that shows a working user land.
if [ "$(echo 1 2 3 | wc -w)" = 3 ]; then echo "PASS: a pipe"; else echo "FAIL: a pipe"; exit 1; fi
